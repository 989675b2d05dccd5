"""Loss of distal flow on TOF angiography: fewer bright vessel voxels in the arteries of a territory.

Flowing blood is bright on TOF, and slow or stopped blood is as dark as tissue. Counted are bright tubes where the
atlas has a distal artery of the territory: M2 and M3, A2 and A3, P2 and P3, with their unnamed branches. Proximal
arteries are left out, as they often fill from the other side. The phantom simulates inflow, its saturation along slow
arteries, and blood without flow behind a clot. It does not simulate turbulence, and the collateral flow that reaches
an artery from behind is saturated there. An artery that is narrow or missing from birth looks the same as one that is
closed.
"""

from functools import cache

import numpy as np

from adumbra.clinic.cues.asymmetry import Cue, Limits, Sign, compared, missing
from adumbra.clinic.cues.images import CueImages, label_of
from adumbra.clinic.cues.vessel_filter import relative_signal, tube_strength
from adumbra.core.atlas.context_channels import segments_at
from adumbra.core.atlas.vessels import SEGMENTS, SIDES
from adumbra.core.types import Labels

LEAST_STRENGTH = 0.1
"""Strength of a tube from which a voxel counts as a vessel, in mm⁻². Chosen on heads of cohort 104."""
SURROUNDINGS_MM = 5.0
"""Standard deviation of the Gaussian that defines the surroundings of a vessel."""
_TERRITORY_OF = {"M2": "MCA", "M3": "MCA", "A2": "ACA", "A3": "ACA", "P2": "PCA", "P3": "PCA"}
_TWIGS = " branches"
_PARENTS = {"M1": "MCA", "A1": "ACA", "P1": "PCA"}

FLOW = Sign(
    "distal_flow",
    "Loss of distal flow",
    "tof",
    "fewer",
    "bright vessel voxels on TOF",
    {"ACA": Limits(0.39, 0.72), "MCA": Limits(0.13, 0.25), "PCA": Limits(0.17, 0.31)},
    "The phantom simulates it: the signal of flowing blood, and its loss behind a clot.",
)


def distal_flow(images: CueImages) -> Cue:
    """The cue of distal flow on TOF, see above.

    Args:
        images: The case.
    """
    if FLOW.modality not in images.scans:
        return missing(FLOW)
    measured, spacing = images.measured("tof"), images.grid.spacing_mm
    relative = relative_signal(images.scans["tof"].data, measured, spacing, surroundings_mm=SURROUNDINGS_MM)
    vessels = tube_strength(relative, measured, spacing, bright=True) > LEAST_STRENGTH
    return compared(FLOW, images, vessels, measured, places=distal_arteries(images))


def distal_arteries(images: CueImages) -> Labels:
    """The territory of the distal artery that the atlas has at each voxel, (X, Y, Z); 0 where it has none."""
    return _territory_of_segments()[segments_at(images.mni_mm)]


@cache
def _territory_of_segments() -> np.ndarray:
    """The territory label of each of ``SEGMENTS`` that is distal, int16; 0 for the others."""
    labels = np.zeros(len(SEGMENTS), dtype=np.int16)
    for number, segment in enumerate(SEGMENTS):
        own = _TERRITORY_OF | (_PARENTS if _TWIGS in segment else {})
        side = segment.rpartition(" ")[2]
        if segment[:2] in own and side in SIDES:
            labels[number] = label_of(own[segment[:2]], side)
    return labels
