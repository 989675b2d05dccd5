"""Blends the windows of a second pass into the probability of the first.

    logit p = (1 - a) logit p_1 + a logit p_2,   a = weight · share(x)

The windows' volumes are averaged with Gaussian weights, as those of a whole head are. The share rises linearly from 0
at what no window reads to 1 within the rim of a window, so that the result has no step where the windows end. Where
windows cover the whole region the share is 1 everywhere. Where a is 0 the first pass is left to the last bit.
"""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage
from scipy.special import expit, logit

from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Mask, Volume
from adumbra.fusion.refinement.selection import RIM
from adumbra.fusion.refinement.windows import FineWindows, part_of

_LEAST = 1e-6  # Least distance of a probability from 0 and 1 when its log-odds are taken.
_LATTICE = 16  # Voxels of the lattice on which the share is computed, along the side of a window.


class Blend:
    """The share of a second pass in each voxel, and the blending with it.

    Args:
        windows: The windows of the second pass; at least one.
        grid: Grid of the first pass's volumes, with the axes of the fine grid.
        region: (X, Y, Z) of ``grid``, the region that is segmented; the result is the first pass's elsewhere.
        weight: Weight of the second pass where its share is 1, in [0, 1].
    """

    def __init__(self, windows: FineWindows, grid: Grid, region: Mask, *, weight: float) -> None:
        self.windows, self.grid = windows, grid
        covered = windows.covered(grid)
        self.box = _bounding_box(covered)
        self.part = part_of(grid, self.box)
        share = _share(windows, grid, region, covered)[self.box] if covered.any() else covered[self.box]
        self.weights = np.where(covered[self.box] & region[self.box], weight * share, 0.0)
        self.inside = self.weights > 0.0
        self._weights = self.weights[self.inside]

    def __call__(self, first: Volume, pieces: Iterable[np.ndarray]) -> Volume:
        """The blended probability, float32, on the grid of the first pass.

        Args:
            first: Probability of the first pass; it is not changed.
            pieces: Probability (side, side, side) of each window of the second pass, in order.
        """
        fine, grid = self.windows.blended(pieces)
        second = np.clip(resample(fine, grid, self.part), 0.0, 1.0)[self.inside]
        blended = first.copy()
        blended[self.box][self.inside] = blended_probability(first[self.box][self.inside], second, self._weights)
        return blended


def blended_probability(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of two probabilities on the scale of log-odds, float32; exactly one of them at the weights 0 and 1.

    Args:
        first: (N,), probabilities.
        second: (N,), probabilities.
        weight: (N,), weight of ``second``, in [0, 1].
    """
    odds = [logit(np.clip(p.astype(np.float64), _LEAST, 1.0 - _LEAST)) for p in (first, second)]
    mean = expit((1.0 - weight) * odds[0] + weight * odds[1])
    mean[(first <= 0.0) & (second <= 0.0)] = 0.0
    exact = np.where(weight >= 1.0, second, np.where(weight <= 0.0, first, mean))
    return exact.astype(np.float32)


def _share(windows: FineWindows, grid: Grid, region: Mask, covered: Mask) -> np.ndarray:
    """The share of the second pass, in [0, 1]: distance from the unread part of the region, in units of a rim.

    It is smooth, so a coarse lattice suffices. The lattice extends beyond the grid, so that nothing is extrapolated.
    """
    unread = region & ~covered
    if not unread.any():
        return np.ones(grid.shape, dtype=np.float32)
    side_mm = windows.side * windows.fine.spacing_mm[0]
    lattice = _extended(respaced(grid, (side_mm / max(1, min(_LATTICE, windows.side)),) * 3))
    region_there = resample(region, grid, lattice, interpolation="nearest")
    unread_there = region_there & ~windows.covered(lattice)
    if not unread_there.any():
        return np.ones(grid.shape, dtype=np.float32)
    distance_mm = ndimage.distance_transform_edt(~unread_there, sampling=lattice.spacing_mm)
    share = np.minimum(distance_mm / (RIM * side_mm), 1.0).astype(np.float32)
    return np.clip(resample(share, lattice, grid, antialias=False), 0.0, 1.0)


def _extended(grid: Grid) -> Grid:
    """The grid with one more voxel on each side."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm((-1.0, -1.0, -1.0))
    x, y, z = (n + 2 for n in grid.shape)
    return Grid((x, y, z), affine)


def _bounding_box(mask: Mask) -> tuple[slice, slice, slice]:
    if not mask.any():
        return slice(0, 1), slice(0, 1), slice(0, 1)
    ends = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    x, y, z = (slice(int(e[0]), int(e[-1]) + 1) for e in ends)
    return x, y, z
