"""Where an uncertain region lies: its arterial territory, its ASPECTS region, and the artery nearby."""

from dataclasses import dataclass

import numpy as np

from adumbra.clinic.aspects import RegionMap
from adumbra.clinic.territories import TerritoryMap
from adumbra.core.atlas.aspects import SIDED_REGIONS
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.territories import TERRITORY_LABELS
from adumbra.core.atlas.vessels import SEGMENTS, vessel_atlas
from adumbra.core.geometry.grid import Grid, nearest_labels
from adumbra.core.types import Labels, Mask, Target

LEAST_ARTERY = 0.02
"""Probability of an artery within 2 mm, by the atlas of simulated subjects, from which a place is near an artery. The
alignment is off by about 4 mm, so that the atlas is smoothed and the limit is low."""
_TERRITORY_NAMES = ("", *TERRITORY_LABELS)


@dataclass(frozen=True, eq=False)
class RegionPlaces:
    """The names of places on the grid of a case.

    Attributes:
        grid: Grid of the case.
        territory_map: Arterial territories.
        region_map: ASPECTS and PC-ASPECTS regions.
        artery_probability: (X, Y, Z), probability of an artery within 2 mm.
        segments: (X, Y, Z), the most probable artery, an index of ``core.atlas.vessels.SEGMENTS``; 0 where none runs.
    """

    grid: Grid
    territory_map: TerritoryMap
    region_map: RegionMap
    artery_probability: np.ndarray
    segments: Labels

    @classmethod
    def of(cls, deformation: Deformation, grid: Grid) -> "RegionPlaces":
        """The names of a case whose place in MNI152 space is estimated or known."""
        return cls.at(deformation.of_voxels(grid.affine, grid.shape), grid)

    @classmethod
    def at(
        cls,
        mni_mm: np.ndarray,
        grid: Grid,
        territory_map: TerritoryMap | None = None,
        region_map: RegionMap | None = None,
    ) -> "RegionPlaces":
        """The names of a case from the MNI152 mm of each voxel, (3, X, Y, Z).

        Args:
            mni_mm: The places.
            grid: Grid of the case.
            territory_map: Territories on this grid, where they are there already.
            region_map: ASPECTS regions on this grid, where they are there already.
        """
        atlas = vessel_atlas()
        return cls(
            grid,
            territory_map or TerritoryMap.at(mni_mm, grid),
            region_map or RegionMap.at(mni_mm, grid),
            nearest_labels(atlas.probability[0], atlas.grid, mni_mm),
            nearest_labels(atlas.segments, atlas.grid, mni_mm),
        )

    @property
    def labels(self) -> Labels:
        """The regions at whose borders uncertain voxels are cut, (X, Y, Z): ASPECTS regions, elsewhere territories."""
        regions = self.region_map.labels
        return np.where(regions > 0, regions, len(SIDED_REGIONS) + self.territory_map.territories).astype(np.int16)

    def candidates(self, target: Target) -> Mask:
        """The voxels in which a target can lie: near the tissue of the atlas; for a thrombus, near an artery."""
        if target == "thrombus":
            return self.artery_probability >= LEAST_ARTERY
        return (self.territory_map.territories > 0) | (self.region_map.labels > 0)

    def names(self, voxels: np.ndarray, target: Target) -> tuple[str, str, str]:
        """Territory, ASPECTS region and artery of most of the voxels; the artery for a thrombus only.

        Args:
            voxels: Flat indices (C order).
            target: The target.
        """
        territory = _TERRITORY_NAMES[_majority(self.territory_map.territories, voxels)]
        region = SIDED_REGIONS[_majority(self.region_map.labels, voxels)]
        artery = SEGMENTS[_majority(self.segments, voxels)] if target == "thrombus" else ""
        return territory, region, artery


def _majority(labels: Labels, voxels: np.ndarray) -> int:
    """The label of most voxels; the smallest among equals."""
    return int(np.bincount(labels.ravel()[voxels]).argmax())
