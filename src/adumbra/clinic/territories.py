"""Volumes of a lesion by arterial territory and side, with their distribution over the draws.

The labels of the atlas are brought onto the grid of the case once, by the nearest voxel. The rows of a draw sum to its
whole volume, whatever the orientation of the grid:

- A voxel belongs to the territory of the atlas at its place. A place outside the tissue of the atlas, such as a sulcus,
  belongs to the nearest territory up to ``core.atlas.territories.REACH_MM``. What lies farther away has its own row.
- Borders are those of one atlas, while they differ between people. A lesion across a border is divided there. The
  volume in the border zone, within 5 mm of another large territory, is given beside the rows, and is part of them.
- The right and the left hemisphere are divided at x = 0 of MNI152 space, which counts as right.
- The share of the MCA territory counts the voxels of the tissue of the atlas only, in numerator and denominator. Only
  what lies in the field of view counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.clinic.distribution import LEVEL, Distribution
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.territories import (
    TERRITORY_LABELS,
    border_zones_at,
    reached_territories_at,
    territories_at,
)
from adumbra.core.atlas.vessels import SIDES
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.types import Labels, Mask

OUTSIDE = "outside all territories"
"""Name of the row of what belongs to no territory."""
_MCA = tuple(TERRITORY_LABELS[f"MCA {side}"] for side in SIDES)


@dataclass(frozen=True, eq=False)
class TerritoryMap:
    """The territories of a case, on its grid.

    Attributes:
        grid: Grid of the case.
        territories: (X, Y, Z), labels of ``core.atlas.territories.TERRITORY_LABELS``; 0 is outside all.
        tissue: (X, Y, Z), the same in the tissue of the atlas only.
        border_zone: (X, Y, Z), the border zone of two territories.
        left: (X, Y, Z), the left hemisphere.
    """

    grid: Grid
    territories: Labels
    tissue: Labels
    border_zone: Mask
    left: Mask

    @classmethod
    def of(cls, deformation: Deformation, grid: Grid) -> "TerritoryMap":
        """The map of a case whose place in MNI152 space is estimated or known."""
        return cls.at(deformation.of_voxels(grid.affine, grid.shape), grid)

    @classmethod
    def at(cls, mni_mm: np.ndarray, grid: Grid) -> "TerritoryMap":
        """The map of a case from the MNI152 mm of each voxel, (3, X, Y, Z)."""
        return cls(grid, reached_territories_at(mni_mm), territories_at(mni_mm), border_zones_at(mni_mm), mni_mm[0] < 0)


@dataclass(frozen=True)
class TerritoryVolumes:
    """Volumes of a lesion by territory over the draws, in ml.

    Attributes:
        whole: Volume of the lesion.
        rows: Volume by territory and side, such as ``"MCA right"``, and ``OUTSIDE``. Each draw sums to ``whole``.
        sides: Volume in the right and in the left hemisphere; in every draw they sum to ``whole``.
        mca_shares: Share of the right and of the left MCA territory that is lesion, 0 to 1; undefined where none of the
            territory lies in the field of view.
        border_zone: Volume in the border zone of two territories.
    """

    whole: Distribution
    rows: Mapping[str, Distribution]
    sides: Mapping[str, Distribution]
    mca_shares: Mapping[str, Distribution]
    border_zone: Distribution

    @property
    def side_probability(self) -> dict[str, float]:
        """Share of the draws whose larger part lies on the right, on the left, and on neither (``"neither"``)."""
        right, left = (np.asarray(self.sides[side].draws) for side in SIDES)
        return {
            SIDES[0]: float((right > left).mean()),
            SIDES[1]: float((left > right).mean()),
            "neither": float((right == left).mean()),
        }

    @property
    def affected_side(self) -> str:
        """The side of the larger part of the lesion in most draws; ``"neither"`` where that is most frequent."""
        probability = self.side_probability
        return max(("neither", *SIDES), key=probability.__getitem__)

    def rule_draws(self) -> dict[str, np.ndarray]:
        """The share of the MCA territory, on the side where it is larger, under the name that the rules use.

        Empty where neither territory lies in the field of view.
        """
        shares = np.array([self.mca_shares[side].draws for side in SIDES])
        if np.isnan(shares).all():
            return {}
        return {"mca_share": np.nanmax(shares, axis=0)}

    def as_json(self) -> dict[str, object]:
        """Plain values of all distributions."""
        return {
            "whole_ml": self.whole.as_json(),
            "territories_ml": {name: row.as_json() for name, row in self.rows.items()},
            "sides_ml": {side: volume.as_json() for side, volume in self.sides.items()},
            "mca_shares": {side: share.as_json() for side, share in self.mca_shares.items()},
            "border_zone_ml": self.border_zone.as_json(),
            "side_probability": self.side_probability,
            "affected_side": self.affected_side,
        }


class TerritoryDraws:
    """Counts the voxels of each draw by territory; no mask is kept.

    Args:
        territory_map: The territories of the case.
    """

    def __init__(self, territory_map: TerritoryMap) -> None:
        self._map = territory_map
        self._rows: list[np.ndarray] = []

    def add(self, mask: Mask) -> None:
        """Counts a draw, a mask (X, Y, Z) on the grid of the case.

        Raises:
            GridMismatch: The mask does not have the shape of the grid.
        """
        places = self._map
        check_mask(mask, places.grid)
        by_territory = np.bincount(places.territories[mask], minlength=len(TERRITORY_LABELS) + 1)
        tissue = np.bincount(places.tissue[mask], minlength=len(TERRITORY_LABELS) + 1)[list(_MCA)]
        others = [np.count_nonzero(part[mask]) for part in (places.left, places.border_zone)]
        self._rows.append(np.concatenate([by_territory, tissue, others]))

    def volumes(self, *, level: float = LEVEL) -> TerritoryVolumes:
        """The volumes of the draws so far.

        Args:
            level: Level of the central intervals, between 0 and 1.

        Raises:
            MissingInput: There is no draw.
            InputRejected: The level is not between 0 and 1.
        """
        check_draws(len(self._rows), "territories")
        counts = np.array(self._rows, dtype=np.float64)
        ml = counts * self._map.grid.voxel_ml
        names = (OUTSIDE, *TERRITORY_LABELS)
        whole, left, border = ml[:, : len(names)].sum(axis=1), ml[:, -2], ml[:, -1]
        sizes = [np.count_nonzero(self._map.tissue == label) for label in _MCA]
        mca = [
            counts[:, len(names) + n] / size if size else np.full(len(counts), np.nan) for n, size in enumerate(sizes)
        ]

        def row(label: str, values: np.ndarray, unit: str = "ml") -> Distribution:
            return Distribution(label, unit, tuple(values.tolist()), level)

        order = (*TERRITORY_LABELS, OUTSIDE)
        return TerritoryVolumes(
            row("lesion", whole),
            {name: row(name, ml[:, names.index(name)]) for name in order},
            {side: row(f"{side} hemisphere", volume) for side, volume in zip(SIDES, (whole - left, left), strict=True)},
            {side: row(f"share of the {side} MCA territory", mca[n], "") for n, side in enumerate(SIDES)},
            row("border zone", border),
        )


@cites(*citations(Deformation))
def territory_volumes(masks: Iterable[Mask], territory_map: TerritoryMap, *, level: float = LEVEL) -> TerritoryVolumes:
    """The volumes of a lesion by territory and side.

    Args:
        masks: The mask of each draw, (X, Y, Z) on the grid of the case; one mask for a volume without interval. Each is
            used once and released.
        territory_map: The territories of the case.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        MissingInput: There is no mask.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    draws = TerritoryDraws(territory_map)
    for mask in masks:
        draws.add(mask)
    return draws.volumes(level=level)
