"""Arterial territories: each voxel belongs to the territory of its nearest arterial end; also an atlas in MNI space."""

from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Labels, Mask
from adumbra.phantom.anatomy.template import template
from adumbra.phantom.vasculature.arteries import TERRITORIES, grow_arteries, territory
from adumbra.phantom.vasculature.vessels import Tree

# Label of each large territory, on the right and on the left, by name; 0 is no territory.
LABELS: dict[str, int] = {
    f"{name} {side}": 1 + 2 * n + s for n, name in enumerate(TERRITORIES) for s, side in enumerate(("right", "left"))
}


def nearest_ends(tree: Tree, points_mm: np.ndarray) -> np.ndarray:
    """The index among ``tree.ends`` of the arterial end nearest to each point, (M,).

    Args:
        tree: Arteries.
        points_mm: (M, 3), the points in the space of the tree.
    """
    return np.asarray(cKDTree(tree.points_mm[tree.ends]).query(points_mm)[1])


def end_labels(tree: Tree) -> np.ndarray:
    """The territory label of each of ``tree.ends``, (L,) int16.

    Args:
        tree: Arteries.
    """
    large = [territory(name) for name in tree.names]
    right = tree.points_mm[tree.ends, 0] >= 0
    names = (large[s] for s in tree.segment[tree.ends])
    labels = (LABELS.get(f"{n} {'right' if r else 'left'}", 0) for n, r in zip(names, right, strict=True))
    return np.fromiter(labels, dtype=np.int16, count=len(right))


def labelled_territories(tree: Tree, tissue: Mask, nearest: np.ndarray) -> Labels:
    """The territory label of each voxel of tissue, (X, Y, Z) int16; 0 elsewhere.

    Args:
        tree: Arteries.
        tissue: (X, Y, Z), the voxels with tissue.
        nearest: (M,), the result of ``nearest_ends`` for the voxels of ``tissue``, in their order.
    """
    labels = np.zeros(tissue.shape, dtype=np.int16)
    labels[tissue] = end_labels(tree)[nearest]
    return labels


@cache
def atlas() -> tuple[Labels, Grid]:
    """The territory labels of the atlas tree, int16, and their grid, that of MNI152 (2009a, symmetric) at 2 mm."""
    t = template()
    second = (slice(None, None, 2),) * 3
    affine = t.affine.copy()
    affine[:3, :3] *= 2
    tissue = t.grey[second].astype(np.int16) + t.white[second] > 127
    x, y, z = tissue.shape
    grid = Grid((x, y, z), affine)
    tree = grow_arteries()[0]
    return labelled_territories(tree, tissue, nearest_ends(tree, grid.world_mm(np.argwhere(tissue)))), grid
