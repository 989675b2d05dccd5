"""Prominent veins on SWI: more dark veins in a territory than on the other side (Jiang et al. 2021).

Tissue with little flow extracts more oxygen, which makes its veins darker and wider on SWI. Counted are dark tubes
inside the brain; its rim is left out, because cortical veins, sinuses and sulci at the surface cannot be told apart
there. What is counted are therefore medullary and deep veins, and cortical veins only where they run deeper than
``RIM_MM``.

The **territory** of prominent veins is found on blocks of about 4 mm: the share of vein voxels is averaged with a
Gaussian of ``REACH_MM``, and a block belongs to the territory where that share exceeds the one of its mirror image by
``LEAST_EXCESS``, as (a - b) / (a + b), on the side of the sign. Its border is as coarse as the Gaussian.

**The phantom simulates the sign, and this count does not separate affected from free heads there**: see
``docs/results/hypoperfusion-cues.md``. Oxygen extraction rises with the delay of the tissue that a vein drains, and
infarcted tissue extracts nothing. Veins do not widen there, as they do in patients, and the magnitude alone was
measured, without the mask of the phase. The asymmetry is given, without a verdict: it is always *unclear*. Nor does the
territory mean more than the asymmetry: in heads without hypoperfusion it has about the same volume.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from adumbra.clinic.cues.asymmetry import Cue, Limits, Sign, compared, missing
from adumbra.clinic.cues.images import CueImages
from adumbra.clinic.cues.vessel_filter import relative_signal, tube_strength
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import mirrored
from adumbra.core.geometry.resampling import resample
from adumbra.core.references import cites
from adumbra.core.types import Mask, Volume

SURROUNDINGS_MM = 3.0
"""Standard deviation of the Gaussian that defines the surroundings of a vein."""
LEAST_STRENGTH = 0.04
"""Strength of a tube from which a voxel counts as a vein, in mm⁻²."""
MOST_SIGNAL = 0.85
"""Signal relative to the surroundings up to which a voxel counts as a vein."""
RIM_MM = 3.0
"""Depth of the rim of the brain that is left out."""
LARGEST_EDGE_MM = 3.0
"""Largest edge of a voxel at which veins are sought; larger voxels do not resolve them."""
REACH_MM = 10.0
"""Standard deviation of the Gaussian that averages the share of vein voxels."""
LEAST_EXCESS = 0.3
"""Excess over the mirror image from which a block belongs to the territory of prominent veins."""
_BLOCK_MM = 4.0
_LEAST_MEASURED = 0.3  # Share of the Gaussian that must lie in measured voxels, here and at the mirror image.

VEINS = Sign(
    "prominent_veins",
    "Prominent veins",
    "swi",
    "more",
    "dark vein voxels on SWI",
    {"ACA": Limits(0.19, 0.35), "MCA": Limits(0.18, 0.34), "PCA": Limits(0.29, 0.53)},
    "The phantom simulates darker veins, but this count does not separate affected heads there. There is no verdict.",
    separates=False,
)


@dataclass(frozen=True, eq=False)
class Veins:
    """Veins of a case.

    Attributes:
        cue: The sign of prominent veins.
        voxels: (X, Y, Z), vein voxels; None where they were not sought.
        measured: (X, Y, Z), the voxels in which they were sought; None where they were not.
    """

    cue: Cue
    voxels: Mask | None = None
    measured: Mask | None = None


@cites("Jiang2021")
def prominent_veins(images: CueImages) -> Veins:
    """The sign of prominent veins on SWI, see above.

    Args:
        images: The case, on a grid whose edges are at most ``LARGEST_EDGE_MM``.
    """
    if VEINS.modality not in images.scans:
        return Veins(missing(VEINS))
    spacing = images.grid.spacing_mm
    if max(spacing) > LARGEST_EDGE_MM:
        edge = f"voxels of {max(spacing):.1f} mm do not resolve veins"
        return Veins(Cue(VEINS, unavailable=edge))
    inside = images.measured("swi")
    relative = relative_signal(images.scans["swi"].data, inside, spacing, surroundings_mm=SURROUNDINGS_MM)
    measured = ndimage.minimum_filter(inside, [2 * round(RIM_MM / s) + 1 for s in spacing])
    strength = tube_strength(relative, measured, spacing, bright=False)
    voxels = (strength > LEAST_STRENGTH) & (relative <= MOST_SIGNAL)
    return Veins(compared(VEINS, images, voxels, measured), voxels, measured)


def prominent_vein_region(images: CueImages, veins: Veins) -> Mask | None:
    """The territory with more veins than the other side, on the grid of the images, (X, Y, Z).

    It is empty where both sides are equal, and None where the sign is not available.

    Args:
        images: The case.
        veins: Its veins.
    """
    if veins.voxels is None or veins.measured is None or veins.cue.leading is None:
        return None
    if not veins.cue.side:
        return np.zeros(images.grid.shape, dtype=bool)
    blocks = [max(1, round(_BLOCK_MM / s)) for s in images.grid.spacing_mm]
    coarse = _coarse_grid(images.grid, blocks)
    excess = vein_excess(
        _block_sums(veins.voxels, blocks), _block_sums(veins.measured, blocks), coarse, images.reflection
    )
    on_grid = resample((excess >= LEAST_EXCESS).astype(np.float32), coarse, images.grid, antialias=False) >= 0.5
    on_side = (images.mni_mm[0] >= 0) == (veins.cue.side == "right")
    return on_grid & images.brain & on_side


def vein_excess(voxels: Volume, measured: Volume, grid: Grid, reflection: np.ndarray) -> Volume:
    """The excess of the share of vein voxels over that of the mirror image, (a - b) / (a + b), float32, -1 to 1.

    It is 0 where too little is measured on either side, or where there are no veins.

    Args:
        voxels: (X, Y, Z), number of vein voxels in each block.
        measured: (X, Y, Z), number of measured voxels in each block.
        grid: Grid of the blocks.
        reflection: (4, 4), RAS+ mm of a point to those of its mirror image.
    """
    sigmas = [REACH_MM / s for s in grid.spacing_mm]
    smooth = partial(ndimage.gaussian_filter, sigma=sigmas, mode="constant", truncate=3.0)
    veins, weight = smooth(voxels), smooth(measured)
    other_veins, other_weight = (mirrored(v, grid, reflection) for v in (veins, weight))
    least = _LEAST_MEASURED * float(measured.max(initial=0.0))
    usable = (weight > least) & (other_weight > least)
    own = np.divide(veins, weight, out=np.zeros_like(veins), where=usable)
    other = np.divide(other_veins, other_weight, out=np.zeros_like(veins), where=usable)
    total = own + other
    return np.divide(own - other, total, out=np.zeros_like(veins), where=total > 0)


def _block_sums(mask: Mask, blocks: list[int]) -> np.ndarray:
    """Number of voxels of a mask in each block, float32; incomplete blocks at the upper ends are left out."""
    (a, i), (b, j), (c, k) = ((n // size, size) for n, size in zip(mask.shape, blocks, strict=True))
    part = mask[: a * i, : b * j, : c * k].astype(np.float32)
    return part.reshape(a, i, b, j, c, k).sum(axis=(1, 3, 5))


def _coarse_grid(grid: Grid, blocks: list[int]) -> Grid:
    """The grid of the blocks."""
    affine = grid.affine @ np.diag([*blocks, 1.0])
    affine[:3, 3] = grid.world_mm((np.asarray(blocks) - 1) / 2)
    a, b, c = (n // size for n, size in zip(grid.shape, blocks, strict=True))
    return Grid((a, b, c), affine)
