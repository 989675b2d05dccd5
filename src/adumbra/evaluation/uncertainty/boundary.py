"""Regions in which a probability or an uncertainty is evaluated: the brain, and the boundary of the lesion.

Most voxels of a head are background that every network predicts with certainty, so over all voxels any network looks
calibrated. Mehrtash et al. (2020) evaluate inside boxes around the structures for that reason. The difficult voxels lie
near the boundary. Therefore every measure is given for both regions, computed from ``values[region]``.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.validation import require_masks, require_one_shape

BOUNDARY_MM = 5.0
ROUNDING_MM = 1e-6  # tolerance for a spacing that comes from an affine: 3 voxels of 0.9 mm are within 2.7 mm


@dataclass(frozen=True, eq=False)
class Regions:
    """Voxels in which a case is evaluated.

    Attributes:
        brain: (X, Y, Z), all voxels of the brain. Voxels of prediction or truth outside it are in neither region.
        boundary: (X, Y, Z), voxels of the brain near the border of the truth or of the prediction.
    """

    brain: Mask
    boundary: Mask


@cites("Mehrtash2020")
def regions(pair: MaskPair, brain: np.ndarray, *, by_mm: float = BOUNDARY_MM) -> Regions:
    """The brain, and the part of it within ``by_mm`` of the border of the truth or of the prediction.

    If one of the masks is empty, the boundary is that of the other. If both are empty, the boundary has no voxel and
    every measure of it is nan.

    Args:
        pair: Prediction and truth, on their grid.
        brain: (X, Y, Z), bool, on the same grid.
        by_mm: Distance from the border in mm, above 0.

    Raises:
        GridMismatch: The brain mask does not have the shape of the pair.
        ImplausibleValues: The brain mask is not boolean.
        InputRejected: The distance is not above 0.
    """
    require_one_shape("brain", pair.grid.shape, brain)
    require_masks(brain=brain)
    near = near_border(pair.truth, pair.grid, by_mm=by_mm) | near_border(pair.prediction, pair.grid, by_mm=by_mm)
    return Regions(brain, near & brain)


def near_border(mask: np.ndarray, grid: Grid, *, by_mm: float) -> Mask:
    """Voxels on both sides of a border, whose centres lie within ``by_mm`` of the centre of a voxel on the other side.

    An empty mask and one that fills the grid have no border, and the edge of the grid is not a border. Where ``by_mm``
    is less than the length of a voxel along an axis, no voxel is near the border across this axis.

    Raises:
        InputRejected: The distance is not above 0.
    """
    if not by_mm > 0.0:
        raise InputRejected("by_mm", expected="a distance above 0 mm", found=f"{by_mm}", do="give some mm, such as 5")
    near = np.zeros(mask.shape, dtype=bool)
    if not mask.any():
        return near
    box = _box(mask, grid, by_mm)
    inside, cropped = mask[box], Grid(near[box].shape, grid.affine)  # only the spacing of the cropped grid is used
    near[box] = np.logical_and(*(dilate(side, cropped, by_mm=by_mm + ROUNDING_MM) for side in (inside, ~inside)))
    return near


def _box(mask: np.ndarray, grid: Grid, by_mm: float) -> tuple[slice, ...]:
    """Smallest box around the mask and all voxels within the distance, with a margin of one voxel."""
    sides = []
    for axis, spacing_mm in enumerate(grid.spacing_mm):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int((by_mm + ROUNDING_MM) / spacing_mm) + 1 if np.isfinite(by_mm) else mask.shape[axis]
        sides.append(slice(max(0, int(filled[0]) - margin), int(filled[-1]) + margin + 1))
    return tuple(sides)
