"""Counts of the voxels of draws by what depends on them: all, by ASPECTS region, in the MCA territories, and others."""

import numpy as np

from adumbra.clinic.aspects import LIMITS, RegionMap
from adumbra.clinic.region_scores import FULL_SCORE
from adumbra.clinic.territories import TerritoryMap
from adumbra.core.atlas.aspects import ASPECTS_REGIONS, PC_ASPECTS_POINTS, SIDED_REGIONS
from adumbra.core.atlas.territories import TERRITORY_LABELS
from adumbra.core.atlas.vessels import SIDES
from adumbra.core.types import Mask

_MCA = [TERRITORY_LABELS[f"MCA {side}"] for side in SIDES]
_REGIONS = [name.partition(" ")[::2] for name in SIDED_REGIONS]  # region and side, empty for no region
_LIMIT = np.array([LIMITS.get(region, np.inf) for region, _ in _REGIONS])
_POINTS = np.array([PC_ASPECTS_POINTS.get(region, 0) for region, _ in _REGIONS])
_OF_SIDE = [np.array([region in ASPECTS_REGIONS and own == side for region, own in _REGIONS]) for side in SIDES]


class VoxelCounts:
    """Counts voxels. The columns of a count are named by ``parts``.

    Args:
        region_map: ASPECTS regions; None counts none.
        territory_map: Arterial territories; None counts none.
        restricted: (X, Y, Z), voxels with restricted diffusion; None counts none.
    """

    def __init__(
        self, region_map: RegionMap | None, territory_map: TerritoryMap | None, restricted: Mask | None
    ) -> None:
        self._regions = None if region_map is None else region_map.labels.ravel()
        self._tissue = None if territory_map is None else territory_map.tissue.ravel()
        self._restricted = None if restricted is None else restricted.ravel()
        regions, tissue = (np.zeros(1, np.int16) if a is None else a for a in (self._regions, self._tissue))
        self._region_sizes = np.bincount(regions, minlength=len(SIDED_REGIONS)).astype(np.float64)
        self._mca_sizes = np.array([np.count_nonzero(tissue == label) for label in _MCA], dtype=np.float64)

    def of(self, voxels: np.ndarray, perfused: np.ndarray | None) -> np.ndarray:
        """The counts of a set of voxels, (F,).

        Args:
            voxels: (V,), flat indices (C order).
            perfused: Hypoperfusion of every voxel of the grid, flat; None counts none.
        """
        restricted, tissue, regions = self._values(voxels)
        mca = [np.count_nonzero(tissue == label) for label in _MCA]
        by_region = np.bincount(regions, minlength=len(SIDED_REGIONS))
        inside = 0 if perfused is None else np.count_nonzero(perfused[voxels])
        return np.array([voxels.size, np.count_nonzero(restricted), *mca, *by_region, inside], dtype=np.float64)

    def of_subsets(self, voxels: np.ndarray, subsets: np.ndarray, perfused: np.ndarray | None) -> np.ndarray:
        """The counts of several subsets of some voxels, (N, F).

        Args:
            voxels: (V,), flat indices (C order).
            subsets: (N, V), whether each voxel belongs to each subset.
            perfused: (N, V), hypoperfusion of the same voxels, beside each subset; None counts none.
        """
        restricted, tissue, regions = self._values(voxels)
        ones = np.ones((voxels.size, 1), dtype=bool)
        of_mca, of_region = tissue[:, None] == np.array(_MCA), regions[:, None] == np.arange(len(SIDED_REGIONS))
        columns = np.hstack([ones, restricted[:, None], of_mca, of_region])
        counts = subsets.astype(np.float64) @ columns.astype(np.float64)
        inside = np.zeros(len(subsets)) if perfused is None else np.count_nonzero(subsets & perfused, axis=1)
        return np.column_stack([counts, inside])

    @staticmethod
    def parts(counts: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of counts (N, F) by name, each (N, columns)."""
        whole, restricted, mca, regions, perfused = np.split(counts, [1, 2, 4, 4 + len(SIDED_REGIONS)], axis=1)
        return {"whole": whole, "restricted": restricted, "mca": mca, "regions": regions, "perfused": perfused}

    def scores(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """ASPECTS of the more affected side and PC-ASPECTS, each (N,), as ``clinic.aspects`` defines them.

        Args:
            counts: (N, columns), the counts by region.
        """
        shares = np.divide(counts, self._region_sizes, out=np.zeros(counts.shape), where=self._region_sizes > 0)
        involved = shares >= _LIMIT
        lost = [involved[:, own].sum(axis=1) for own in _OF_SIDE]
        return {
            "aspects": FULL_SCORE - np.maximum(*lost).astype(np.float64),
            "pc_aspects": FULL_SCORE - (involved @ _POINTS).astype(np.float64),
        }

    def mca_share(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """The larger share of an MCA territory, (N,), as ``clinic.territories`` defines it; empty out of view.

        Args:
            counts: (N, 2), the counts in the right and in the left territory.
        """
        sizes = self._mca_sizes
        if not sizes.any():
            return {}
        shares = np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)
        return {"mca_share": np.nanmax(shares, axis=1)}

    def _values(self, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Restricted diffusion, territory and region of voxels; 0 where they are not known."""
        own = (self._restricted, self._tissue, self._regions)
        restricted, tissue, regions = (np.zeros(voxels.size, np.int16) if a is None else a[voxels] for a in own)
        return restricted > 0, tissue, regions
