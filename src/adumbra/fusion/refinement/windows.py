"""Cubic windows on the fine grid of a second pass, and their place on other grids.

The fine grid has the axes of the case's grid and another, isotropic spacing. A window is a grid of its own. It may
cross the border of the image: whoever reads the case there fills it with zeros, as for a prediction of the whole head.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Mask, Volume
from adumbra.inference.model_input import bounding_box, margin_voxels
from adumbra.inference.sliding_window import Corner, Windows, windows_over

OVERLAP = 0.25
"""Least share of a side that neighbouring windows of a full second pass have in common."""


@dataclass(frozen=True)
class WindowSize:
    """Size of the windows of a second pass.

    Attributes:
        spacing_mm: Spacing of the isotropic grid that the networks were trained on.
        side: Side of a window, in voxels.
    """

    spacing_mm: float
    side: int

    def fine_grid(self, grid: Grid) -> Grid:
        """The grid of the second pass for a case on ``grid``."""
        return respaced(grid, (self.spacing_mm,) * 3)


@dataclass(frozen=True, eq=False)
class FineWindows:
    """Windows on a fine grid.

    Attributes:
        fine: The fine grid.
        side: Side of a window, in voxels.
        corners: Lowest index of each window; it is negative where a window begins outside the image.
    """

    fine: Grid
    side: int
    corners: tuple[Corner, ...]

    def grids(self) -> Iterator[Grid]:
        """The grid of each window."""
        return (_part(self.fine, corner, (self.side,) * 3) for corner in self.corners)

    def covered(self, grid: Grid) -> Mask:
        """(X, Y, Z), True at the voxels of ``grid`` that lie in a window; ``grid`` has the axes of the fine grid."""
        covered = np.zeros(grid.shape, dtype=bool)
        for corner in self.corners:
            covered[_box_on(grid, self.fine, np.asarray(corner), self.side)] = True
        return covered

    def blended(self, pieces: Iterable[np.ndarray]) -> tuple[Volume, Grid]:
        """The Gaussian-weighted mean of the windows' volumes, on the smallest part of the fine grid that holds them.

        Args:
            pieces: A volume (side, side, side) for each window, in order.

        Returns:
            The volume, 0 in no window, and its grid.

        Raises:
            ValueError: There is no window.
        """
        corners = np.asarray(self.corners).reshape(-1, 3)
        low, high = corners.min(axis=0), corners.max(axis=0) + self.side
        x, y, z = (int(n) for n in high - low)
        relative: Sequence[Corner] = [(int(i), int(j), int(k)) for i, j, k in corners - low]
        windows = Windows((x, y, z), self.side, tuple(relative))
        return windows.blend(pieces), _part(self.fine, low, (x, y, z))


def covering_windows(region: Mask, grid: Grid, size: WindowSize) -> FineWindows:
    """The windows of a full second pass: they cover ``region`` as a prediction of the whole head does.

    Args:
        region: (X, Y, Z) of ``grid``.
        grid: Grid of the case.
        size: Size of the windows.
    """
    fine, side = size.fine_grid(grid), size.side
    inside = resample(region, grid, fine, interpolation="nearest")
    if not inside.any():
        return FineWindows(fine, side, ())
    box, padding = bounding_box(inside, margin_voxels(size.spacing_mm), side)
    corners = windows_over(np.pad(inside[box], padding), side=side, overlap=OVERLAP).corners
    offset = [part.start - before for part, (before, _) in zip(box, padding, strict=True)]
    shifted = np.asarray(corners) + offset
    return FineWindows(fine, side, tuple((int(x), int(y), int(z)) for x, y, z in shifted))


def part_of(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    """The grid of a box of voxels."""
    x, y, z = (int(s.stop - s.start) for s in box)
    return _part(grid, tuple(s.start for s in box), (x, y, z))


def _part(grid: Grid, corner: Sequence[int] | np.ndarray, shape: Sequence[int]) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm(np.asarray(corner, dtype=np.float64))
    x, y, z = shape
    return Grid((x, y, z), affine)


def _box_on(grid: Grid, fine: Grid, corner: np.ndarray, side: int) -> tuple[slice, slice, slice]:
    edges = grid.index(fine.world_mm(np.stack([corner - 0.5, corner + side - 0.5])))
    return _slices(edges, grid.shape)


def _slices(edges: np.ndarray, shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """The voxels whose centres lie between two fractional indices along each axis."""
    low = np.clip(np.ceil(edges[0] - 1e-6), 0, shape).astype(int)
    high = np.clip(np.floor(edges[1] + 1e-6) + 1, low, shape).astype(int)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
