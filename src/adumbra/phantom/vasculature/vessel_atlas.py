"""Computes the atlas of arteries and veins of ``core.atlas.vessels`` from the vessels of many simulated subjects.

Vessels grow in the space of the template, before the deformation of a subject's head. Their places in MNI152 space are
therefore exact, and no head needs to be simulated.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from adumbra.core.atlas.vessels import BASILAR, BRANCHES_OF, SEGMENTS, SIDES, opposite_segments, segment_label
from adumbra.core.geometry.grid import Grid
from adumbra.phantom.anatomy.template import template
from adumbra.phantom.vasculature.arteries import grow_arteries, skeleton
from adumbra.phantom.vasculature.veins import grow_veins
from adumbra.phantom.vasculature.vessels import Tree, curve_through

LEAST_RADIUS_MM = 0.25
"""Radius from which a vessel belongs to the atlas; narrower ones fill less than a quarter of a voxel of 1 mm."""
_COMMUNICATING = ("ACom", "PCom")  # they supply no tissue
_NEAR_MM = 2.0  # a voxel of the atlas
_SMOOTH_MM = 1.5  # standard deviation of the Gaussian that smooths the maps of vessels
_LABEL_SMOOTH_MM = 3.0  # the same for the labels: the place of a head is estimated to some millimetres
_LEAST_PASSES = 0.02  # share of the subjects, so smoothed, whose arteries pass where a label stands
_SUPPLIED_MM = 4.0  # distance from the brain up to which supply is computed
_LEVELS, _STEPS = 255, 15  # the probability 1, and how many steps of it the file distinguishes


@dataclass(frozen=True, eq=False)
class AtlasSubject:
    """The vessels of one subject in MNI152 space.

    Attributes:
        arteries: The arteries.
        veins: The veins.
        artery: (N,), the named artery of each node of ``arteries``, or of which it is an unnamed branch; "" for a
            communicating artery.
        right: (N,), whether a node belongs to the right side, or to none.
        twig: (N,), whether a node lies in an unnamed branch.
    """

    arteries: Tree
    veins: Tree
    artery: np.ndarray
    right: np.ndarray
    twig: np.ndarray


def atlas_subject(seed: int, number: int) -> AtlasSubject:
    """Grows the vessels of a subject; it depends on the two numbers only.

    Args:
        seed: Seed of the population.
        number: Number of the subject.
    """
    key = [seed, number]
    segments, _ = skeleton(np.random.default_rng(key))  # the first that ``grow_arteries`` samples
    rng = np.random.default_rng(key)
    tree, _ = grow_arteries(rng)
    named = sum(len(curve_through(np.array(s.points_mm))) for s in segments)
    twig = np.arange(len(tree.parent)) >= named
    return AtlasSubject(tree, grow_veins(rng), *node_arteries(tree), twig)


def node_arteries(tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """The named artery that each node of a tree belongs to, itself or as an unnamed branch.

    Args:
        tree: Arteries.

    Returns:
        The names, (N,), keys of ``core.atlas.vessels.BRANCHES_OF`` or the basilar artery, and "" for a communicating
        artery; and whether the artery is of the right side or of none, (N,) bool.
    """
    stems = [name.removesuffix("_R").removesuffix("_L") for name in tree.names]
    # Some unnamed branches have the name of another artery, such as those of the temporal branch of P3.
    arises = np.array([[_arises(stem, name, parent) for name, stem in zip(tree.names, stems, strict=True)]
                       for parent in stems])  # fmt: skip
    owner = tree.segment.copy()
    for nodes in tree.generations[1:]:
        parents = owner[tree.parent[nodes]]
        owner[nodes] = np.where(arises[parents, owner[nodes]], owner[nodes], parents)
    right = np.array([not name.endswith("_L") for name in tree.names])
    named = np.array([stem if stem in BRANCHES_OF or stem == BASILAR else "" for stem in stems])
    return named[owner], right[owner]


def _arises(stem: str, name: str, parent: str) -> bool:
    """Whether a named artery arises from another one, in any variant of the circle of Willis."""
    if stem in (BASILAR, *_COMMUNICATING):
        return parent != stem
    return name != stem and (parent in (BASILAR, *_COMMUNICATING) or stem in BRANCHES_OF.get(parent, ()))


def vessel_maps(subjects: Iterable[AtlasSubject]) -> tuple[np.ndarray, Grid]:
    """Where arteries and veins run.

    Args:
        subjects: The population.

    Returns:
        uint8 (X, Y, Z, 3), the probability of an artery and of a vein in 255ths, in steps of 17, and the label of the
        segment; and the grid.
    """
    grid = _grid(2)
    passes, count = np.zeros((2, *grid.shape), np.float32), 0
    lumen = np.zeros((len(SEGMENTS), *grid.shape), np.float32)
    for subject in subjects:
        count += 1
        for total, tree in zip(passes, (subject.arteries, subject.veins), strict=True):
            total += _near(_points(tree, tree.radius_mm)[0], grid)
        _add_lumen(lumen, subject, grid)
    share = (passes + passes[:, ::-1]) / (2 * count)
    levels = np.rint(_smoothed(share, grid, _SMOOTH_MM) * _STEPS).astype(np.uint8) * (_LEVELS // _STEPS)
    labels = _most_probable(lumen, grid) * (_smoothed(share[0], grid, _LABEL_SMOOTH_MM) >= _LEAST_PASSES)
    return np.stack([*levels, labels.astype(np.uint8)], axis=-1), grid


def supply_maps(subjects: Iterable[AtlasSubject]) -> tuple[np.ndarray, Grid]:
    """What the unnamed branches of each artery supply.

    Args:
        subjects: The population.

    Returns:
        uint8 (X, Y, Z, A), the probability in 255ths, in steps of 17, for each artery of the right side and the
        basilar artery; and the grid.
    """
    grid, names = _grid(4), (*BRANCHES_OF, BASILAR)
    near = template().depth_mm[::4, ::4, ::4] < _SUPPLIED_MM
    points, count = grid.world_mm(np.argwhere(near)), 0
    shares = np.zeros((len(names), len(points)), np.float32)
    for subject in subjects:
        tree, ends = subject.arteries, subject.arteries.ends
        for mirror in (1, -1):  # the atlas is symmetric
            count += 1
            nearest = ends[cKDTree(tree.points_mm[ends] * [mirror, 1, 1]).query(points)[1]]
            own_side = (subject.right[nearest] == (mirror > 0)) | (subject.artery[nearest] == BASILAR)
            for share, name in zip(shares, names, strict=True):
                share += own_side & (subject.artery[nearest] == name)
    volumes = np.zeros((*grid.shape, len(names)), np.uint8)
    volumes[near] = (np.rint(shares / count * _STEPS) * (_LEVELS // _STEPS)).astype(np.uint8).T
    return volumes, grid


def _grid(step: int) -> Grid:
    """Every ``step``-th voxel of the template along each axis."""
    t = template()
    affine = t.affine.copy()
    affine[:3, :3] *= step
    x, y, z = (-(-n // step) for n in t.t1.shape)
    return Grid((x, y, z), affine)


def _points(tree: Tree, radius_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points every 1 mm along the vessels of the atlas, (M, 3), and the node of each, (M,)."""
    nodes = np.flatnonzero((radius_mm >= LEAST_RADIUS_MM) & (tree.parent >= 0))
    start, end = tree.points_mm[tree.parent[nodes]], tree.points_mm[nodes]
    steps = np.maximum(np.ceil(np.linalg.norm(end - start, axis=1)).astype(int), 1)
    at = np.repeat(np.arange(len(nodes)), steps)
    along = (np.arange(len(at)) - np.repeat(np.cumsum(steps) - steps, steps) + 0.5) / steps[at]
    return start[at] + along[:, None] * (end - start)[at], nodes[at]


def _near(points_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """The voxels with a point within ``_NEAR_MM``, (X, Y, Z) bool."""
    voxels = np.argwhere(np.ones((3, 3, 3), bool)) - 1
    first = np.rint(grid.index(points_mm)).astype(int)
    inside = np.zeros(grid.shape, bool)
    for offset in voxels:
        index = first + offset
        close = ((grid.world_mm(index) - points_mm) ** 2).sum(axis=1) <= _NEAR_MM**2
        close &= ((index >= 0) & (index < grid.shape)).all(axis=1)
        inside[tuple(index[close].T)] = True
    return inside


def _add_lumen(lumen: np.ndarray, subject: AtlasSubject, grid: Grid) -> None:
    """Adds the cross-section of the arteries of a subject to the map of the segment of each."""
    tree = subject.arteries
    points, nodes = _points(tree, tree.radius_mm)
    labels = {
        (name, twig, right): segment_label(name, twig=twig, side=SIDES[0 if right else 1])
        for name in (*BRANCHES_OF, BASILAR)
        for twig in (False, True)
        for right in (False, True)
    }
    keys = zip(subject.artery[nodes].tolist(), subject.twig[nodes].tolist(), subject.right[nodes].tolist(), strict=True)
    label = np.array([labels.get(key, 0) for key in keys])
    index = np.rint(grid.index(points)).astype(int)
    inside = ((index >= 0) & (index < grid.shape)).all(axis=1) & (label > 0)
    weight = (tree.radius_mm[nodes] ** 2).astype(np.float32)
    np.add.at(lumen, (label[inside], *index[inside].T), weight[inside])


def _most_probable(lumen: np.ndarray, grid: Grid) -> np.ndarray:
    """The segment with most lumen around each voxel, (X, Y, Z) int16; symmetric."""
    opposite, best = opposite_segments(), np.zeros(grid.shape, np.float32)
    labels = np.zeros(grid.shape, np.int16)
    for label in range(1, len(SEGMENTS)):
        own = _smoothed(lumen[label] + lumen[opposite[label]][::-1], grid, _LABEL_SMOOTH_MM)
        better = own > best * (1 + 1e-6)
        labels[better], best[better] = label, own[better]
    # On the midline both sides are equal; the right one stands there.
    return labels


def _smoothed(volumes: np.ndarray, grid: Grid, sigma_mm: float) -> np.ndarray:
    sigma = [0.0] * (volumes.ndim - 3) + [sigma_mm / s for s in grid.spacing_mm]
    return np.asarray(ndimage.gaussian_filter(volumes, sigma, truncate=4.0))
