"""Uncertain regions: voxels of high predictive entropy in pieces that a reader can decide on, ranked by entropy.

``clinic.worklist`` lists the same regions by what depends on them, where the head is placed in the atlas.
"""

from collections.abc import Mapping

import numpy as np

from adumbra.clinic.region_pieces import positions_mm, uncertain_pieces
from adumbra.core.geometry.midline import Plane, midsagittal_plane, side
from adumbra.core.results import Maps, Region
from adumbra.core.types import Mask, Target

LEAST_SHARE = 0.02
"""Share of the volume of the mask from which the expected change of the volume by one region could matter."""
LEAST_ML: Mapping[Target, float] = {"lesion": 0.05, "thrombus": 0.005, "hypoperfusion": 0.05}
"""Expected change in ml from which a region could matter: about six voxels of the network's grid."""


def uncertain_regions(
    maps: Maps, *, brain: Mask, most: int = 10, least_share: float = 0.0, least_ml: float = 0.0
) -> tuple[Region, ...]:
    """The uncertain regions in the brain, by decreasing sum of entropy.

    A voxel is uncertain if its predictive entropy is at least ``core.entropy.UNCERTAIN_NATS``. Its 26-connected
    components are cut by length, see ``clinic.region_pieces``. The sum of entropy ranks a large region of moderate
    uncertainty before a single voxel of high uncertainty. Regions of equal sum come in the order of their first voxel.

    Args:
        maps: Maps of the target.
        brain: (X, Y, Z), brain mask on the grid of the maps; it also gives the midsagittal plane.
        most: Largest number of regions.
        least_share: Least expected change of the volume, as a share of the volume of the mask.
        least_ml: Least expected change of the volume in ml.

    Raises:
        MissingInput: The brain mask is empty.
        GridMismatch: The brain mask does not have the shape of the maps.
    """
    plane = midsagittal_plane(brain, maps.grid)
    least = max(least_ml, least_share * float(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml)
    pieces = [p for p in uncertain_pieces(maps, within=brain) if expected_change_ml(maps, p) >= least]
    entropy = maps.entropy.ravel()
    sums = np.array([entropy[piece].sum(dtype=np.float64) for piece in pieces])
    ranked = np.argsort(-sums, kind="stable")[:most]
    return tuple(described(maps, pieces[n], plane, rank) for rank, n in enumerate(ranked, start=1))


def expected_change_ml(maps: Maps, voxels: np.ndarray) -> float:
    """Expected volume in ml of the voxels that are wrong at a threshold of 0.5, the sum of min(p, 1 - p).

    Args:
        maps: Maps of the target.
        voxels: Flat indices (C order).
    """
    p = maps.probability.ravel()[voxels].astype(np.float64)
    return float(np.minimum(p, 1.0 - p).sum()) * maps.grid.voxel_ml


def described(maps: Maps, voxels: np.ndarray, plane: Plane, rank: int) -> Region:
    """The region of some voxels.

    Args:
        maps: Maps of the target.
        voxels: Flat indices (C order), at least one.
        plane: Midsagittal plane.
        rank: Its rank.
    """
    entropy = maps.entropy.ravel()[voxels].astype(np.float64)
    i, j, k = (int(axis) for axis in np.unravel_index(voxels[int(entropy.argmax())], maps.grid.shape))
    x, y, z = (float(value) for value in maps.grid.world_mm(np.array([i, j, k])))
    return Region(
        rank=rank,
        volume_ml=entropy.size * maps.grid.voxel_ml,
        side=side(positions_mm(voxels, maps.grid), plane),
        position_mm=(x, y, z),
        index=(i, j, k),
        mean_entropy=float(entropy.mean()),
        epistemic_share=float(maps.epistemic.ravel()[voxels].sum(dtype=np.float64) / entropy.sum()),
        mean_probability=float(maps.probability.ravel()[voxels].mean(dtype=np.float64)),
        inside=float(maps.mask.ravel()[voxels].mean()),
    )
