"""Which windows a second pass reads.

The quantity to cover is collected in blocks of an eighth of a window's side. A window counts as read in its core, the
five blocks around its centre along each axis; beyond them its share of the result falls to zero. ``"uncertain"`` takes
windows greedily. The next window is centred where the most of the quantity is left; its core is then taken out. It
stops when the share or the number of windows is reached.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.options import SelectionConfig, WindowSelection
from adumbra.core.types import Mask, Volume
from adumbra.fusion.refinement.windows import FineWindows, WindowSize, covering_windows
from adumbra.inference.sliding_window import Corner

BLOCKS = 8
"""Blocks along the side of a window."""
RIM = 1.5 / BLOCKS
"""Share of the side on each face of a window beyond its core."""
_REACH = 2  # Blocks on each side of the central one that belong to the core.
_APART = 3  # Least distance of two windows' centres in blocks, along one axis at least.
_CENTRED = np.array([1.0, 2.0, 3.0, 2.0, 1.0])  # Weights that centre a window on what it is to cover.


@dataclass(frozen=True, eq=False)
class WindowChoice:
    """The windows of a second pass.

    Attributes:
        windows: The windows, in the order of their choice.
        covered_share: Share of the quantity to cover that lies in their cores; nan where there is none to cover.
        all_windows: Number of windows of a full second pass.
    """

    windows: FineWindows
    covered_share: float
    all_windows: int

    @property
    def cost(self) -> float:
        """The windows that are read, as a share of those of a full second pass."""
        return len(self.windows.corners) / self.all_windows if self.all_windows else 0.0


@dataclass(frozen=True, eq=False)
class BlockMap:
    """A quantity in blocks of the fine grid.

    Attributes:
        step: Side of a block, in fine voxels.
        low: Block index of the first block, (3,).
        values: The quantity of each block.
        inside: True for the blocks that hold a voxel of the brain; windows are centred on these.
    """

    step: int
    low: np.ndarray
    values: np.ndarray
    inside: np.ndarray

    def corner(self, block: Sequence[int] | np.ndarray, side: int) -> Corner:
        """Lowest fine index of the window that is centred on a block."""
        centre = (self.low + np.asarray(block) + 0.5) * self.step
        x, y, z = np.floor(centre - side / 2 + 0.5).astype(int)
        return int(x), int(y), int(z)


def select_windows(
    quantity: Volume, brain: Mask, region: Mask, grid: Grid, *, size: WindowSize, selection: SelectionConfig
) -> WindowChoice:
    """The windows that a selection reads.

    Args:
        quantity: (X, Y, Z) of ``grid``, what is to be covered: the uncertainty, or the error of the first pass.
        brain: (X, Y, Z) of ``grid``; the quantity counts inside it, and windows are centred in it.
        region: (X, Y, Z) of ``grid``, what a full second pass covers.
        grid: Grid of the case.
        size: Size of the windows.
        selection: The rule and its limits.
    """
    everything = covering_windows(region, grid, size)
    count = len(everything.corners)
    if selection.rule == "all":
        return WindowChoice(everything, 1.0, count)
    if selection.rule == "none" or not brain.any():
        return WindowChoice(FineWindows(everything.fine, size.side, ()), 0.0, count)
    blocks = block_map(quantity, brain, grid, everything.fine, side=size.side, pooling=selection.pooling)
    chosen = _RULES[selection.rule](blocks, selection)
    corners = tuple(blocks.corner(block, size.side) for block in chosen)
    return WindowChoice(FineWindows(everything.fine, size.side, corners), covered_share(blocks, chosen), count)


def block_map(quantity: Volume, brain: Mask, grid: Grid, fine: Grid, *, side: int, pooling: str) -> BlockMap:
    """The sum or the maximum of a quantity in each block, over the voxels of the brain.

    Args:
        quantity: (X, Y, Z) of ``grid``, not negative.
        brain: (X, Y, Z) of ``grid``, not empty.
        grid: Grid of the quantity.
        fine: The fine grid.
        side: Side of a window, in fine voxels.
        pooling: ``"sum"`` or ``"max"``.
    """
    step = max(1, side // BLOCKS)
    index = np.floor((fine.index(grid.world_mm(np.argwhere(brain))) + 0.5) / step).astype(np.intp)
    low = index.min(axis=0)
    shape = tuple(index.max(axis=0) - low + 1)
    flat = np.ravel_multi_index(tuple((index - low).T), shape)
    size, weights = int(np.prod(shape)), quantity[brain].astype(np.float64)
    values = np.zeros(size)
    (np.maximum if pooling == "max" else np.add).at(values, flat, weights)
    inside = np.bincount(flat, minlength=size) > 0
    return BlockMap(step, low, values.reshape(shape), inside.reshape(shape))


def covered_share(blocks: BlockMap, chosen: Sequence[tuple[int, ...]]) -> float:
    """Share of a quantity in the cores of windows that are centred on blocks; nan where there is no quantity."""
    remaining = blocks.values.copy()
    for block in chosen:
        remaining[_around(block, _REACH)] = 0.0
    total = float(blocks.values.sum())
    return 1.0 - float(remaining.sum()) / total if total > 0 else float("nan")


def _greedy(blocks: BlockMap, selection: SelectionConfig) -> list[tuple[int, ...]]:
    """Blocks of the most quantity first, until the share or the number is reached."""
    remaining, free = blocks.values.copy(), blocks.inside.copy()
    enough = (1.0 - selection.share) * remaining.sum()
    chosen: list[tuple[int, ...]] = []
    while remaining.sum() > enough + 1e-12 and (selection.most is None or len(chosen) < selection.most):
        score = np.where(free, remaining if selection.pooling == "max" else _weighted_sums(remaining), 0.0)
        block = tuple(int(n) for n in np.unravel_index(int(score.argmax()), score.shape))
        if score[block] <= 0.0:
            break
        chosen.append(block)
        remaining[_around(block, _REACH)] = 0.0
        free[_around(block, _APART - 1)] = False
    return chosen


def _random(blocks: BlockMap, selection: SelectionConfig) -> list[tuple[int, ...]]:
    """As many random blocks of the brain as the uncertainty would choose; close ones only where no other is left."""
    count = len(_greedy(blocks, selection))
    order = np.random.default_rng(selection.seed).permutation(np.argwhere(blocks.inside))
    chosen: list[tuple[int, ...]] = []
    crowded: list[tuple[int, ...]] = []
    for row in order:
        block = tuple(int(n) for n in row)
        near = any(max(abs(a - b) for a, b in zip(block, other, strict=True)) < _APART for other in chosen)
        (crowded if near else chosen).append(block)
        if len(chosen) == count:
            break
    return [*chosen, *crowded][:count]


def _weighted_sums(values: np.ndarray) -> np.ndarray:
    """Sum over the core around each block, in which the centre weighs more."""
    for axis in range(3):
        values = ndimage.convolve1d(values, _CENTRED, axis=axis, mode="constant")
    return values


def _around(block: Sequence[int], reach: int) -> tuple[slice, ...]:
    return tuple(slice(max(n - reach, 0), n + reach + 1) for n in block)


_RULES: Mapping[WindowSelection, Callable[[BlockMap, SelectionConfig], list[tuple[int, ...]]]] = {
    "uncertain": _greedy,
    "error": _greedy,
    "random": _random,
}
