"""Paints vessels onto a grid: the fraction of each voxel inside a vessel, with partial volume.

Each stretch between a node and its parent is a cylinder of volume π·r²·l. It is filled with points at most half a voxel
apart, and the volume of each point is distributed over the eight voxels around it. The volume of vessels thinner than a
voxel is therefore preserved.
"""

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.vasculature.vessels import Tree

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def vessel_fraction(tree: Tree, grid: Grid, *, nodes: np.ndarray | None = None, widened: float = 1.0) -> Volume:
    """The fraction of each voxel inside a vessel, in [0, 1], float32 of the grid's shape.

    Args:
        tree: The vessels, in the space of the grid.
        grid: The grid to paint on; vessels outside it are ignored.
        nodes: (N,) bool, the nodes whose stretch is painted; all by default.
        widened: Factor on the radii.
    """
    return paint_vessels(tree, grid, nodes=nodes, widened=widened)[0]


def paint_vessels(
    tree: Tree, grid: Grid, *values: np.ndarray, nodes: np.ndarray | None = None, widened: float = 1.0
) -> tuple[Volume, ...]:
    """Paints vessels and quantities that they carry.

    Args:
        tree: The vessels, in the space of the grid.
        grid: The grid to paint on; vessels outside it are ignored.
        values: Quantities at the nodes, (N,) each.
        nodes: (N,) bool, the nodes whose stretch is painted; all by default.
        widened: Factor on the radii.

    Returns:
        The vessel fraction of each voxel, followed by the sum of fraction times value for each of ``values``.
    """
    chosen = tree.parent >= 0 if nodes is None else nodes & (tree.parent >= 0)
    start, end = tree.points_mm[chosen], tree.points_mm[tree.parent[chosen]]
    radius, step_mm = widened * tree.radius_mm[chosen], min(grid.spacing_mm) / 2
    weights = np.stack([np.ones(int(chosen.sum())), *(np.asarray(v)[chosen] for v in values)], axis=1)
    counts = np.maximum(1, np.ceil(np.pi * (radius / step_mm) ** 2)).astype(int)
    mm3 = [np.zeros(np.add(grid.shape, 2), np.float32) for _ in weights.T]
    for count in np.unique(counts):  # points on a cross-section, by calibre
        same = counts == count
        filled = _fill_cylinders(start[same], end[same], radius[same], count=int(count), step_mm=step_mm)
        _deposit(mm3, grid, *filled, weights[same])
    fractions = [v[1:-1, 1:-1, 1:-1] / np.float32(1000 * grid.voxel_ml) for v in mm3]
    excess = np.maximum(fractions[0], 1)  # overlapping vessels are averaged
    return tuple(f / excess for f in fractions)


def _fill_cylinders(
    start: np.ndarray, end: np.ndarray, radius: np.ndarray, *, count: int, step_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points that fill cylinders evenly, ``count`` on each cross-section.

    Returns:
        Positions (M, 3), volume of each point in mm³ (M,), index of its cylinder (M,).
    """
    axis = end - start
    length = np.linalg.norm(axis, axis=1)
    steps = np.maximum(1, np.ceil(length / step_mm)).astype(int)
    which = np.repeat(np.arange(len(steps)), steps)
    place = (np.arange(len(which)) - np.repeat(np.cumsum(steps) - steps, steps) + 0.5) / steps[which]
    centre = start[which] + place[:, None] * axis[which]
    one, other = _across(axis / np.maximum(length, 1e-9)[:, None])
    spiral = np.sqrt((np.arange(count) + 0.5) / count) * np.exp(1j * _GOLDEN_ANGLE * np.arange(count))
    offset = spiral.real[:, None, None] * one[which] + spiral.imag[:, None, None] * other[which]
    points = centre + offset * radius[which][:, None]
    each = (np.pi * radius**2 * length / steps)[which] / count
    return points.reshape(-1, 3), np.tile(each, count), np.tile(which, count)


def _across(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (N, 3) perpendicular to each direction and to each other."""
    reference = np.where(np.abs(direction[:, :1]) < 0.8, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    one = np.cross(direction, reference)
    one /= np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-9)
    return one, np.cross(direction, one)


def _deposit(
    volumes: list[np.ndarray],
    grid: Grid,
    points_mm: np.ndarray,
    amounts: np.ndarray,
    owner: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Adds the amounts, times each weight (S, V) of their owner, with trilinear weights, in place.

    The volumes have a margin of one voxel on each side, so that a point near an edge needs no check for each corner.
    """
    at = grid.index(points_mm)
    below = np.floor(at)
    near = ((below >= -1) & (below < grid.shape)).all(axis=1)
    beyond, low = (at - below)[near].astype(np.float32), below[near].astype(np.intp) + 1
    sides = (1 - beyond, beyond)
    strides = np.array(volumes[0].strides) // volumes[0].itemsize
    first = low @ strides
    carried = [(amounts[near] * weight[owner[near]]).astype(np.float32) for weight in weights.T]
    for corner in np.ndindex(2, 2, 2):
        share = sides[corner[0]][:, 0] * sides[corner[1]][:, 1] * sides[corner[2]][:, 2]
        index = first + int(np.dot(corner, strides))
        for volume, amount in zip(volumes, carried, strict=True):
            # NumPy has a fast path for values of the array's own type.
            np.add.at(volume.reshape(-1), index, share * amount)
