"""Checks whether a brain mask can be that of a whole brain, and says what speaks against it.

The limits come from phantoms (``benchmarks/brain_mask.py``); a mask that fails a check is used nevertheless.
"""

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import component_sizes, label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import midsagittal_plane
from adumbra.core.types import Mask

SMALLEST_ML, LARGEST_ML = 700.0, 2100.0
"""Range of the volume of an adult's brain."""
MOST_CUT_SIDES = 2
"""A stack of slices often ends in the brain below, and a slab above and below; more sides cut no whole brain."""
LEAST_SYMMETRY = 0.85
"""Least Dice of a brain and its mirror image."""
_CUT_SHARE = 0.25  # Contact with a side, over the largest cross-section, from which the side cuts the brain.
_PART_SHARE = 0.01  # Share of the brain from which a second part, or the holes together, are reported.
_COARSE_MM = 5.0  # Spacing at which a mask is checked.


def implausibilities(brain: Mask, grid: Grid) -> tuple[str, ...]:
    """What speaks against a brain mask, one clause for each failed check; empty for a plausible brain.

    Args:
        brain: (X, Y, Z), the mask; an empty one fails the check of the volume only.
        grid: Grid of the mask.
    """
    volume_l = float(brain.sum()) * grid.voxel_ml / 1000
    clauses = []
    if not SMALLEST_ML <= 1000 * volume_l <= LARGEST_ML:
        clauses.append(f"its volume of {volume_l:.2f} l lies outside {SMALLEST_ML / 1000:g} to {LARGEST_ML / 1000:g} l")
    if not brain.any():
        return tuple(clauses)
    sampled, coarse = _sampled(brain, grid)
    if (sides := cut_sides(sampled)) > MOST_CUT_SIDES:
        clauses.append(f"{sides} sides of the image cut it")
    if (symmetry := mirror_dice(sampled, coarse)) < LEAST_SYMMETRY:
        clauses.append(f"its halves differ (a Dice of {symmetry:.2f} with its mirror image)")
    return (*clauses, *_parts(sampled))


def cut_sides(brain: Mask) -> int:
    """The number of sides of the image, 0 to 6, that cut the brain with a large cross-section.

    Args:
        brain: (X, Y, Z), not empty.
    """
    sides = 0
    for axis in range(3):
        areas = brain.sum(axis=tuple({0, 1, 2} - {axis}))
        sides += int((areas[[0, -1]] > _CUT_SHARE * areas.max()).sum())
    return sides


def mirror_dice(brain: Mask, grid: Grid) -> float:
    """The Dice of a brain and its mirror image at its midsagittal plane.

    Args:
        brain: (X, Y, Z), not empty.
        grid: Grid of the mask.
    """
    plane = midsagittal_plane(brain, grid)
    mirrored = grid.index(plane.mirrored(grid.world_mm(np.argwhere(brain)))).T
    # As many voxels on both sides: the Dice is the share of the brain whose mirror image is brain.
    return float(ndimage.map_coordinates(brain.astype(np.float32), mirrored, order=1).mean())


def _parts(brain: Mask) -> list[str]:
    """Clauses about separate parts and holes."""
    labels, count = label_components(brain)
    sizes = np.sort(component_sizes(labels, count))[::-1]
    holes = int((ndimage.binary_fill_holes(brain) & ~brain).sum())
    clauses = []
    if count > 1 and sizes[1:].sum() > _PART_SHARE * sizes.sum():
        clauses.append(f"it has {count} separate parts")
    if holes > _PART_SHARE * brain.sum():
        clauses.append(f"{holes / brain.sum():.0%} of it are holes")
    return clauses


def _sampled(brain: Mask, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Every n-th voxel, about 5 mm apart; all voxels where that would leave none."""
    steps = [max(1, round(_COARSE_MM / s)) for s in grid.spacing_mm]
    starts = [((n - 1) % step) // 2 for n, step in zip(brain.shape, steps, strict=True)]
    sampled = brain[tuple(slice(start, None, step) for start, step in zip(starts, steps, strict=True))]
    if not sampled.any():
        return brain, grid
    placed = np.diag([*map(float, steps), 1.0])
    placed[:3, 3] = starts
    i, j, k = sampled.shape
    return sampled, Grid((i, j, k), grid.affine @ placed)
