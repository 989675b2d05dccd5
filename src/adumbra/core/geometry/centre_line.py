"""The centre line of an elongated mask, such as a clot in an artery, and its length.

1. The two ends are the voxels that are farthest from each other on the shortest paths through the mask (Dijkstra), on
   which voxels with a common corner are neighbours. Parts that do not touch are joined by straight bridges between
   their nearest voxels, each time the shortest one.
2. The cheapest path between the ends is found. A step costs its length over the squared distance from the surface
   (Sato et al. 2000), so the path keeps to the middle, and leaves side branches out.
3. The path is smoothed and moved to the mean of the cross-section (a principal curve, Hastie and Stuetzle 1989), with
   the voxels as solid boxes. This removes the steps of the lattice, which make paths through voxels too long.
4. An end of the line is where the volume near the end has its centre of mass halfway: 2 m beyond a place from which on
   the mean distance along the line is m. For a tube with a flat end this is the end itself, whatever the spacing and
   the direction. A round end is shortened by about a third of its radius.

A mask that is hardly longer than wide has a straight line, as long as the box with the same second moment: √12 times
the standard deviation along it. For a row of voxels, and for a single cube, this is the length itself.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import cKDTree

from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Mask, Points

_HALF = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) > (0, 0, 0)]
_PARTS = 3  # Points along each axis of a voxel that stand for it as a solid.
_FEW = 4000  # Voxels up to which each is divided; the lattice does not matter in larger masks.
_ELONGATED = 2.0  # Length of the path over the mean width from which a mask has a curved centre line.
_ROUNDS = 3  # Of moving the line to the mean of the cross-section.
_WINDOW = 1.5  # Widths from an end that its position is computed from.
_FINE = 0.1  # Of the least spacing: the step of the line to which points are assigned.


@dataclass(frozen=True, eq=False)
class CentreLine:
    """A line from one end of a mask to the other.

    Attributes:
        points_mm: (K, 3), RAS+ mm, in order; no point for an empty mask.
        bridged_mm: Length of the bridges between parts that do not touch, part of ``length_mm``.
    """

    points_mm: Points
    bridged_mm: float = 0.0

    @property
    def length_mm(self) -> float:
        """Its length in mm; 0 for an empty mask."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())

    @property
    def tangents(self) -> np.ndarray:
        """Unit vectors along the line at each point, (K, 3)."""
        return _slopes(self.points_mm)

    def resampled(self, step_mm: float) -> "CentreLine":
        """The same line with points at equal distances of about a step."""
        return CentreLine(_resampled(self.points_mm, step_mm), self.bridged_mm) if len(self.points_mm) else self


@cites("Sato2000", "Hastie1989")
def centre_line(mask: Mask, grid: Grid) -> CentreLine:
    """The centre line of a mask, from one end to the other; parts that do not touch are joined.

    Args:
        mask: (X, Y, Z).
        grid: Its grid.
    """
    if not mask.any():
        return CentreLine(np.zeros((0, 3)))
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    first = np.array([part.start for part in box], dtype=np.float64)
    inside = mask[box]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm(first)
    x, y, z = inside.shape
    own = Grid((x, y, z), affine)
    path, bridged = _middle_path(inside, own)
    volume = 1000.0 * own.voxel_ml * np.count_nonzero(inside)
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) + float(np.mean(own.spacing_mm))
    width = 2.0 * float(np.sqrt(volume / (np.pi * max(length - bridged, min(own.spacing_mm)))))
    parts = _PARTS if len(np.flatnonzero(inside)) <= _FEW else 1
    solid = _solid_points(inside, own, parts)
    if len(path) < 3 or length < _ELONGATED * width:
        return CentreLine(_straight(solid, own, parts), bridged)
    return CentreLine(_principal_curve(path, solid, own, width), bridged)


def _middle_path(mask: Mask, grid: Grid) -> tuple[np.ndarray, float]:
    """The positions of the voxels on the path that keeps to the middle, (K, 3), and the length of its bridges."""
    index = np.argwhere(mask)
    points = grid.world_mm(index)
    rows, columns, lengths = _edges(mask, grid, index)
    bridges = _bridges(mask, index, points)
    rows, columns = np.r_[rows, bridges[0]], np.r_[columns, bridges[1]]
    gaps = np.linalg.norm(points[bridges[0]] - points[bridges[1]], axis=1)
    lengths = np.r_[lengths, gaps]
    count = len(index)
    graph = csr_array((lengths, (rows, columns)), shape=(count, count))
    # Twice: the farthest voxel from any voxel is one end, and the farthest from that one the other.
    one_end = int(dijkstra(graph, directed=False, indices=0).argmax())
    other = int(dijkstra(graph, directed=False, indices=one_end).argmax())
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1][tuple(index.T)]
    cost = lengths / ((depth[rows] + depth[columns]) / 2.0) ** 2
    cheap = csr_array((cost, (rows, columns)), shape=(count, count))
    _, previous = dijkstra(cheap, directed=False, indices=one_end, return_predecessors=True)
    path = [other]
    while path[-1] != one_end:
        path.append(int(previous[path[-1]]))
    steps = {frozenset(pair) for pair in pairwise(path)}
    crossed = [frozenset((int(a), int(b))) in steps for a, b in zip(*bridges, strict=True)]
    widths = gaps[np.array(crossed, dtype=bool)] - float(np.mean(grid.spacing_mm))
    return points[path], float(np.maximum(widths, 0.0).sum())


def _edges(mask: Mask, grid: Grid, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of voxels with a common corner, and their distances in mm."""
    number = np.full(tuple(np.asarray(mask.shape) + 2), -1)
    number[tuple((index + 1).T)] = np.arange(len(index))
    rows, columns, lengths = [], [], []
    for step in _HALF:
        neighbour = number[tuple((index + 1 + step).T)]
        first = np.flatnonzero(neighbour >= 0)
        rows.append(first)
        columns.append(neighbour[first])
        lengths.append(np.full(len(first), np.linalg.norm(grid.affine[:3, :3] @ step)))
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(lengths)


def _bridges(mask: Mask, index: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of nearest voxels that join all parts of a mask with the least total length."""
    labels, count = label_components(mask)
    members = [np.flatnonzero(labels[tuple(index.T)] == number) for number in range(1, count + 1)]
    distance, ends = np.zeros((count, count)), {}
    for one in range(count):
        tree = cKDTree(points[members[one]])
        for other in range(one + 1, count):
            gap, nearest = tree.query(points[members[other]])
            best = int(gap.argmin())
            distance[one, other] = gap[best]
            ends[one, other] = (members[one][nearest[best]], members[other][best])
    tree_edges = np.argwhere(minimum_spanning_tree(csr_array(distance)).toarray() > 0)
    pairs = np.array([ends[int(a), int(b)] for a, b in tree_edges], dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _solid_points(mask: Mask, grid: Grid, parts: int) -> np.ndarray:
    """Points that fill the voxels evenly, ``parts`` along each of their axes, (M, 3) in mm."""
    index = np.argwhere(mask).astype(np.float64)
    offsets = (np.indices((parts,) * 3).reshape(3, -1).T - (parts - 1) / 2.0) / parts
    return grid.world_mm((index[:, None] + offsets[None]).reshape(-1, 3))


def _straight(solid: np.ndarray, grid: Grid, parts: int) -> np.ndarray:
    """The line along the largest variance, of the length of a box with the same variance, (2, 3)."""
    centre = solid.mean(axis=0)
    # Each point stands for a box, and a box of side s has the variance s² / 12.
    within = grid.affine[:3, :3] @ grid.affine[:3, :3].T / (12.0 * parts**2)
    values, vectors = np.linalg.eigh((solid - centre).T @ (solid - centre) / len(solid) + within)
    half = np.sqrt(12.0 * values[-1]) / 2.0
    return np.stack([centre - half * vectors[:, -1], centre + half * vectors[:, -1]])


def _principal_curve(path: np.ndarray, solid: np.ndarray, grid: Grid, width: float) -> np.ndarray:
    """The path moved to the mean of the cross-section, and cut or extended to the ends of the mask."""
    step = 0.5 * min(grid.spacing_mm)
    line = _smoothed(_resampled(path, step), width / step / 2.0)
    for _ in range(_ROUNDS):
        fine, nearest, distance = _assigned(line, solid, grid, reach=width)
        own = distance <= 1.5 * width  # A side branch is no part of the cross-section.
        at = np.clip(nearest, 0, len(fine) - 1)
        spread = max(width / 2.0, max(grid.spacing_mm)) / _fine_step(grid)
        weight = _kernel(np.bincount(at[own], minlength=len(fine)).astype(np.float64), spread)
        offset = solid[own] - fine[at[own]]
        moved = [_kernel(np.bincount(at[own], offset[:, axis], minlength=len(fine)), spread) for axis in range(3)]
        shift = np.stack(moved, axis=1) / np.maximum(weight, 1e-9)[:, None]
        slope = _slopes(fine)
        shift -= (shift * slope).sum(axis=1, keepdims=True) * slope  # Across the line only.
        line = _smoothed(_resampled(fine + np.where(weight[:, None] > 1e-9, shift, 0.0), step), width / step / 4.0)
    return _with_ends(line, solid, grid, width)


def _with_ends(line: np.ndarray, solid: np.ndarray, grid: Grid, width: float) -> np.ndarray:
    """The line between the two ends of the mask, see step 4 above."""
    fine, nearest, distance = _assigned(line, solid, grid, reach=2.0 * width)
    along = nearest * _fine_step(grid) + ((solid - fine[nearest]) * _slopes(fine)[nearest]).sum(axis=1)
    along = along[distance <= 1.5 * width]
    ends = (-_end(-along, width), _end(along, width))
    lengths = np.arange(len(fine)) * _fine_step(grid)
    count = max(2, int((ends[1] - ends[0]) / (0.5 * min(grid.spacing_mm))) + 1)
    at = np.linspace(*ends, count)
    return np.stack([np.interp(at, lengths, fine[:, axis]) for axis in range(3)], axis=1)


def _end(along: np.ndarray, width: float) -> float:
    """The place along the line where the mask ends, from the places of its points."""
    layers = np.unique(along.round(6))
    window = min(_WINDOW * width, (layers[-1] - layers[0]) / 2.0)
    last = int(np.searchsorted(layers, layers[-1] - window))
    # Between two layers of the lattice, of which few gaps between fragments are wider apart.
    apart = min(float(layers[last] - layers[max(last - 1, 0)]), float(np.percentile(np.diff(layers), 90)))
    begin = float(layers[last]) - apart / 2.0
    return begin + 2.0 * float((along[along > begin] - begin).mean())


def _fine_step(grid: Grid) -> float:
    return _FINE * min(grid.spacing_mm)


def _assigned(
    line: np.ndarray, solid: np.ndarray, grid: Grid, *, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The line, extended straight at both ends, in fine steps; the nearest of its points to each point, and how far."""
    back = max(2, int(len(line) * 0.15))
    extended = np.vstack([_beyond(line[0], line[back - 1], reach), line, _beyond(line[-1], line[-back], reach)])
    fine = _resampled(extended, _fine_step(grid), exact=True)
    distance, nearest = cKDTree(fine).query(solid)
    return fine, nearest, distance


def _beyond(end: np.ndarray, inner: np.ndarray, reach: float) -> np.ndarray:
    """The point that continues a line beyond its end, (1, 3)."""
    direction = end - inner
    return np.asarray([end + reach * direction / max(float(np.linalg.norm(direction)), 1e-12)])


def _resampled(points: np.ndarray, step_mm: float, *, exact: bool = False) -> np.ndarray:
    """Points at equal distances along a line; with ``exact`` the step is kept, and the last piece may be left out."""
    lengths = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    count = max(2, int(lengths[-1] / step_mm) + 1)
    at = np.arange(count) * step_mm if exact else np.linspace(0.0, lengths[-1], count)
    return np.stack([np.interp(at, lengths, points[:, axis]) for axis in range(3)], axis=1)


def _smoothed(line: np.ndarray, sigma: float) -> np.ndarray:
    """A line smoothed by a Gaussian whose ends stay; it is continued by point reflection there."""
    reach = min(len(line) - 1, int(4 * sigma) + 1)
    head, tail = 2 * line[0] - line[reach:0:-1], 2 * line[-1] - line[-2 : -reach - 2 : -1]
    padded = ndimage.gaussian_filter1d(np.vstack([head, line, tail]), sigma, axis=0)
    return np.asarray(padded[reach : reach + len(line)])


def _slopes(line: np.ndarray) -> np.ndarray:
    """Unit vectors along a line, (K, 3)."""
    slope = np.gradient(line, axis=0)
    return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12))


def _kernel(values: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter1d(values, sigma, mode="constant"))
