"""Uncertain regions: connected voxels of high predictive entropy, ranked for review."""

import numpy as np

from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.midline import Plane, midsagittal_plane, side
from adumbra.core.results import Maps, Region
from adumbra.core.types import Mask


def uncertain_regions(maps: Maps, *, brain: Mask, most: int = 10) -> tuple[Region, ...]:
    """The 26-connected regions of uncertain voxels in the brain, by decreasing sum of entropy.

    A voxel is uncertain if its predictive entropy is at least ``core.entropy.UNCERTAIN_NATS``. The sum of entropy ranks
    a large region of moderate uncertainty before a single voxel of high uncertainty. Regions of equal sum come in the
    order of their first voxel.

    Args:
        maps: Maps of the target.
        brain: (X, Y, Z), brain mask on the grid of the maps; it also gives the midsagittal plane.
        most: Largest number of regions.

    Raises:
        MissingInput: The brain mask is empty.
        GridMismatch: The brain mask does not have the shape of the maps.
    """
    plane = midsagittal_plane(brain, maps.grid)
    uncertain = (maps.entropy >= np.float32(UNCERTAIN_NATS)) & brain
    labels, count = label_components(uncertain, connectivity=26)
    index, label = np.flatnonzero(uncertain), labels[uncertain]
    sums = np.bincount(label, weights=maps.entropy[uncertain], minlength=count + 1)[1:]
    first = index[np.unique(label, return_index=True)[1]]
    ranked = np.lexsort((first, -sums))[:most]
    regions = [np.unravel_index(index[label == component + 1], labels.shape) for component in ranked]
    return tuple(_region(maps, voxels, plane, rank) for rank, voxels in enumerate(regions, start=1))


def _region(maps: Maps, voxels: tuple[np.ndarray, ...], plane: Plane, rank: int) -> Region:
    entropy = maps.entropy[voxels].astype(np.float64)
    peak = int(entropy.argmax())
    i, j, k = (int(axis[peak]) for axis in voxels)
    x, y, z = (float(value) for value in maps.grid.world_mm(np.array([i, j, k])))
    return Region(
        rank=rank,
        volume_ml=entropy.size * maps.grid.voxel_ml,
        side=side(maps.grid.world_mm(np.column_stack(voxels)), plane),
        position_mm=(x, y, z),
        index=(i, j, k),
        mean_entropy=float(entropy.mean()),
        epistemic_share=float(maps.epistemic[voxels].sum(dtype=np.float64) / entropy.sum()),
        mean_probability=float(maps.probability[voxels].mean(dtype=np.float64)),
        inside=float(maps.mask[voxels].mean()),
    )
