"""The places where the prediction is most in doubt, ranked, for the reader to look at."""

import numpy as np

from adumbra.core.geometry.components import labelled
from adumbra.core.geometry.midline import Plane, midsagittal_plane, side
from adumbra.core.results import Maps, Region
from adumbra.core.types import Mask

UNCERTAIN_NATS = 0.3
"""Entropy from which a voxel is called doubtful: its mean probability is then between 0.09 and 0.91."""


def uncertain_regions(maps: Maps, *, brain: Mask, most: int = 10) -> tuple[Region, ...]:
    """The 26-connected regions of doubtful voxels in the brain, by falling sum of entropy.

    The sum is what matters to a reader: a large region of middling doubt stands before one stark voxel. Regions of the
    same sum come in the order of their first voxel.

    Args:
        maps: Of the target.
        brain: (X, Y, Z) on the maps' grid; gives the region to look in and the middle plane.
        most: How many regions at most.

    Raises:
        MissingInput: The brain mask is empty.
        GridMismatch: The brain mask has another shape than the maps.
    """
    plane = midsagittal_plane(brain, maps.grid)
    doubtful = (maps.entropy >= np.float32(UNCERTAIN_NATS)) & brain
    labels, count = labelled(doubtful, connectivity=26)
    where, owner = np.flatnonzero(doubtful), labels[doubtful]
    sums = np.bincount(owner, weights=maps.entropy[doubtful], minlength=count + 1)[1:]
    first = where[np.unique(owner, return_index=True)[1]]
    ranked = np.lexsort((first, -sums))[:most]
    places = [np.unravel_index(where[owner == component + 1], labels.shape) for component in ranked]
    return tuple(_region(maps, voxels, plane, rank) for rank, voxels in enumerate(places, start=1))


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
