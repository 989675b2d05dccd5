"""FLAIR vascular hyperintensities: bright curved lines along the arteries of the cortex (Zeng et al. 2021).

Blood that flows leaves the slice between the pulses of FLAIR and gives no signal. Slow blood behind an occlusion, and
collateral blood that arrives late, is bright against the fluid of the sulcus. Counted are bright tubes beside dark
fluid where the atlas has a distal artery. The lesion and 4 mm around it are left out, because its tissue is bright as
well.

**The phantom simulates the signal of slow blood on FLAIR, and this cue does not find it there.** On heads of cohort
104 its asymmetry points to the affected side no more often than to the other. An artery of 1 to 2 mm fills a part of a
voxel of 1 × 1 × 4.4 mm, so that slow blood looks as bright as cortex, and white-matter hyperintensities are brighter.
The asymmetry is given, without a verdict: it is always *unclear*. A reader's eye follows the course of a vessel over
slices, which this count does not.
"""

import numpy as np
from scipy import ndimage

from adumbra.clinic.cues.asymmetry import Cue, Limits, Sign, compared, missing
from adumbra.clinic.cues.flow import distal_arteries
from adumbra.clinic.cues.images import CueImages
from adumbra.clinic.cues.vessel_filter import relative_signal, tube_strength
from adumbra.clinic.draw_checks import check_mask
from adumbra.core.references import cites
from adumbra.core.types import Mask

SURROUNDINGS_MM = 5.0
"""Standard deviation of the Gaussian that defines the surroundings of a vessel."""
LEAST_STRENGTH = 0.03
"""Strength of a tube from which a voxel counts as a vessel, in mm⁻²."""
FLUID = 0.35
"""Signal relative to the median of the brain below which a voxel is fluid."""
NEAR_FLUID_MM = 3.0
"""Distance in which a vessel has fluid beside it."""
THICK = 1.5
"""Longest over shortest edge of a voxel from which fluid is sought within the slice only."""
LESION_MARGIN_MM = 4.0
"""Distance from the lesion up to which nothing is counted."""

HYPERINTENSITIES = Sign(
    "vascular_hyperintensities",
    "FLAIR vascular hyperintensities",
    "flair",
    "more",
    "bright vessel voxels on FLAIR",
    {"ACA": Limits(0.0, 1.0), "MCA": Limits(0.0, 1.0), "PCA": Limits(0.0, 1.0)},
    "The phantom simulates slow blood on FLAIR, but this count does not find it there. There is no verdict.",
    separates=False,
)


@cites("Zeng2021")
def vascular_hyperintensities(images: CueImages, *, lesion: Mask | None = None) -> Cue:
    """The cue of vascular hyperintensities on FLAIR, see above.

    Args:
        images: The case.
        lesion: (X, Y, Z), the lesion; None without.

    Raises:
        GridMismatch: The lesion does not have the shape of the grid.
    """
    if HYPERINTENSITIES.modality not in images.scans:
        return missing(HYPERINTENSITIES)
    spacing, measured = images.grid.spacing_mm, images.measured("flair")
    if lesion is not None:
        check_mask(lesion, images.grid)
        measured = measured & ~ndimage.maximum_filter(lesion, [2 * round(LESION_MARGIN_MM / s) + 1 for s in spacing])
    flair = images.scans["flair"].data
    relative = relative_signal(flair, measured, spacing, surroundings_mm=SURROUNDINGS_MM)
    tubes = tube_strength(relative, measured, spacing, bright=True) > LEAST_STRENGTH
    reference = float(np.median(flair[measured])) if measured.any() else 0.0
    fluid = measured & (flair < FLUID * reference)
    sizes = [2 * round(NEAR_FLUID_MM / s) + 1 for s in spacing]
    if max(spacing) > THICK * min(spacing):
        sizes[int(np.argmax(spacing))] = 1  # Across thick slices the neighbour is another place.
    vessels = tubes & ndimage.maximum_filter(fluid, sizes)
    return compared(HYPERINTENSITIES, images, vessels, measured, places=distal_arteries(images))
