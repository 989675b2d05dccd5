"""The upstream prior: how a predicted lesion relates to the territory of each artery.

An occluded artery is sought upstream of the lesion. The territories are those of the atlas, with the usual circle of
Willis.
"""

import numpy as np

from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.vessels import opposite_segments, supply_atlas, territory_members
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Volume

LEAST_PROBABILITY = 0.2
"""Probability of the lesion from which a voxel counts. It counts by its probability; many small ones would dominate."""


def upstream_shares(probability: Volume, brain: Mask, grid: Grid, deformation: Deformation) -> np.ndarray:
    """How a predicted lesion relates to the territory of each segment of the atlas.

    Args:
        probability: (X, Y, Z), the probability of the lesion.
        brain: (X, Y, Z), the brain.
        grid: Grid of both.
        deformation: Subject mm to MNI152 mm.

    Returns:
        float32 (segments, 2), the share of the lesion that lies in the territory of each segment, and the share of the
        territory in the field of view that is lesion. Zeros where there is no lesion, or no territory in view.
    """
    lesion = np.where(probability >= LEAST_PROBABILITY, probability, np.float32(0.0))[brain]
    points = deformation(grid.world_mm(np.argwhere(brain)).T)
    atlas = supply_atlas()
    index = np.rint(atlas.grid.index(points.T)).astype(np.intp)
    inside = ((index >= 0) & (index < atlas.grid.shape)).all(axis=1)
    shares = atlas.shares[(slice(None), *index[inside].T)]
    members = territory_members().astype(np.float64)
    affected, territory = members @ (shares @ lesion[inside]), members @ shares.sum(axis=1, dtype=np.float64)
    of_lesion = affected / lesion.sum() if lesion.any() else np.zeros(len(members))
    of_territory = np.divide(affected, territory, out=np.zeros(len(members)), where=territory > 0)
    return np.clip(np.stack([of_lesion, of_territory], axis=1), 0, 1).astype(np.float32)


def mirrored_shares(shares: np.ndarray) -> np.ndarray:
    """The shares (segments, 2) of the mirror image of a head."""
    return shares[opposite_segments()]
