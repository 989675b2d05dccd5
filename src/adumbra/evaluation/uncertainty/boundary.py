"""Where a probability or an uncertainty is judged: inside the brain, and near the border of the lesion.

Most voxels of a head are background that no network doubts, and over all of them any network looks calibrated
(Mehrtash et al. 2020 judge inside boxes around the structures for that reason). What is in question lies near the
border; so every measure is given twice, and of the voxels of one region: ``values[region]``.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.geometry.components import dilated
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.pair import Pair
from adumbra.evaluation.validation import require_masks, require_one_shape

BOUNDARY_MM = 5.0
ROUNDING_MM = 1e-6  # of the spacing, that comes from an affine: at 3 voxels of 0.9 mm lies what is within 2.7 mm


@dataclass(frozen=True, eq=False)
class Regions:
    """The voxels in which a case is judged.

    Attributes:
        brain: All of the brain. Voxels of prediction or truth outside it are judged in neither region.
        boundary: Of the brain, what lies near the border of the truth or of the prediction.
    """

    brain: Mask
    boundary: Mask


@cites("Mehrtash2020")
def regions(pair: Pair, brain: np.ndarray, *, by_mm: float = BOUNDARY_MM) -> Regions:
    """The brain, and the part of it that lies within ``by_mm`` of the border of the truth or of the prediction.

    If the truth is empty, the boundary is that of the prediction alone, and the other way round; if both are empty,
    there is no boundary: no voxel, and every measure of it is nan.

    Args:
        pair: Prediction and truth, on their grid.
        brain: (X, Y, Z), bool, on the same grid.
        by_mm: Distance from the border, above 0, in mm along the patient and not in voxels.

    Raises:
        GridMismatch: The brain has another shape than the pair.
        ImplausibleValues: The brain is not boolean.
        InputRejected: The distance is not above 0.
    """
    require_one_shape("brain", pair.grid.shape, brain)
    require_masks(brain=brain)
    near = near_border(pair.truth, pair.grid, by_mm=by_mm) | near_border(pair.prediction, pair.grid, by_mm=by_mm)
    return Regions(brain, near & brain)


def near_border(mask: np.ndarray, grid: Grid, *, by_mm: float) -> Mask:
    """The voxels on both sides whose centres lie within ``by_mm`` of the centre of a voxel of the other side.

    An empty mask has no border, nor has one that fills the grid, and the end of the grid is none. Where ``by_mm`` is
    less than the voxel's length along an axis, the border across this axis has no voxel near it.

    Raises:
        InputRejected: The distance is not above 0.
    """
    if not by_mm > 0.0:
        raise InputRejected("by_mm", expected="a distance above 0 mm", found=f"{by_mm}", do="give some mm, such as 5")
    near = np.zeros(mask.shape, dtype=bool)
    if not mask.any():
        return near
    box = _box(mask, grid, by_mm)
    inside, cut = mask[box], Grid(near[box].shape, grid.affine)  # only the spacing of the cut grid is used
    near[box] = np.logical_and(*(dilated(side, cut, by_mm=by_mm + ROUNDING_MM) for side in (inside, ~inside)))
    return near


def _box(mask: np.ndarray, grid: Grid, by_mm: float) -> tuple[slice, ...]:
    """The smallest box that holds the mask and all that lies within the distance, and one voxel more."""
    sides = []
    for axis, spacing_mm in enumerate(grid.spacing_mm):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int((by_mm + ROUNDING_MM) / spacing_mm) + 1 if np.isfinite(by_mm) else mask.shape[axis]
        sides.append(slice(max(0, int(filled[0]) - margin), int(filled[-1]) + margin + 1))
    return tuple(sides)
