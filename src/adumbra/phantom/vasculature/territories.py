"""Which artery feeds a voxel: the territory of the nearest arterial end, as a label and as an atlas in MNI space."""

from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Labels, Mask
from adumbra.phantom.anatomy.template import template
from adumbra.phantom.vasculature.arteries import TERRITORIES, arteries, territory
from adumbra.phantom.vasculature.vessels import Tree

# Label by name: each large territory on the right, then on the left; 0 is no territory.
LABELS: dict[str, int] = {
    f"{name} {side}": 1 + 2 * n + s for n, name in enumerate(TERRITORIES) for s, side in enumerate(("right", "left"))
}


def nearest_ends(tree: Tree, points_mm: np.ndarray) -> np.ndarray:
    """For each point (M, 3) the place, among ``tree.ends``, of the arterial end that feeds it, (M,)."""
    return np.asarray(cKDTree(tree.points_mm[tree.ends]).query(points_mm)[1])


def end_labels(tree: Tree) -> np.ndarray:
    """The label of each of ``tree.ends``, (L,) int16."""
    large = [territory(name) for name in tree.names]
    right = tree.points_mm[tree.ends, 0] >= 0
    names = (large[s] for s in tree.segment[tree.ends])
    labels = (LABELS.get(f"{n} {'right' if r else 'left'}", 0) for n, r in zip(names, right, strict=True))
    return np.fromiter(labels, dtype=np.int16, count=len(right))


def labelled_territories(tree: Tree, tissue: Mask, nearest: np.ndarray) -> Labels:
    """The territory of each voxel of tissue, int16; 0 elsewhere.

    Args:
        tree: Arteries.
        tissue: (X, Y, Z).
        nearest: As ``nearest_ends`` gives it for the voxels of ``tissue``, in their order.
    """
    labels = np.zeros(tissue.shape, dtype=np.int16)
    labels[tissue] = end_labels(tree)[nearest]
    return labels


@cache
def atlas() -> tuple[Labels, Grid]:
    """The territories of the atlas's tree on the 2 mm grid of MNI152 (2009a, symmetric): int16 labels and grid."""
    t = template()
    second = (slice(None, None, 2),) * 3
    affine = t.affine.copy()
    affine[:3, :3] *= 2
    tissue = t.grey[second].astype(np.int16) + t.white[second] > 127
    x, y, z = tissue.shape
    grid = Grid((x, y, z), affine)
    tree = arteries()[0]
    return labelled_territories(tree, tissue, nearest_ends(tree, grid.world_mm(np.argwhere(tissue)))), grid
