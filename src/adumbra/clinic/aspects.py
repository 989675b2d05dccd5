"""DWI-ASPECTS and PC-ASPECTS from masks of the lesion, with their distribution over the draws.

A region is involved where the share of its voxels that are lesion reaches a limit. ASPECTS of a side is 10 minus the
number of its involved regions (Barber et al. 2000); PC-ASPECTS is 10 minus the points of the involved regions of the
posterior circulation (Puetz et al. 2008). Both were defined for a reader, who counts any visible change; neither states
a share.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.clinic.distribution import LEVEL, Distribution
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.clinic.region_scores import FULL_SCORE, Aspects, RegionInvolvement, Score
from adumbra.core.atlas.aspects import (
    ASPECTS_REGIONS,
    PC_ASPECTS_POINTS,
    SIDED_REGIONS,
    UNPAIRED,
    region_volumes_ml,
    regions_at,
)
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.vessels import SIDES
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Labels, Mask

INVOLVED_SHARE = 0.2
"""Share of an ASPECTS region from which it is involved. Schröder et al. (2018) compared limits of 0, 1, 10 and 20 %
with a reader on DWI. No limit agreed well; 10 and 20 % agreed alike, and 20 % best at the border of 5 to 6 that
treatment rules use (recalled from the abstract, see ``docs/explanation/territories.md``). The limit was not chosen on
data of this project."""
INFRATENTORIAL_SHARE = 0.05
"""Share of pons, midbrain or a cerebellar hemisphere from which it is involved. No published limit is known to the
project. The value is a convention: infarcts of the brainstem are small, and a reader counts any of them. Thalamus and
PCA region have the limit of ASPECTS, because a large infarct of the MCA reaches across the border of the atlas."""
LIMITS: Mapping[str, float] = {
    **dict.fromkeys((*ASPECTS_REGIONS, "thalamus", "PCA"), INVOLVED_SHARE),
    **dict.fromkeys(("cerebellum", "pons", "midbrain"), INFRATENTORIAL_SHARE),
}
"""The limit of each region."""
_LATTICE = 6  # Largest number of voxels along an axis that the scale of a head is estimated from.


@dataclass(frozen=True, eq=False)
class RegionMap:
    """The ASPECTS and PC-ASPECTS regions of a case, on its grid.

    Attributes:
        grid: Grid of the case.
        labels: (X, Y, Z), an index of ``core.atlas.aspects.SIDED_REGIONS``; 0 is no region.
        covered: Share of each region that lies in the field of view, 0 to 1, by its name.
    """

    grid: Grid
    labels: Labels
    covered: Mapping[str, float]

    @classmethod
    def of(cls, deformation: Deformation, grid: Grid) -> "RegionMap":
        """The map of a case whose place in MNI152 space is estimated or known."""
        return cls.at(deformation.of_voxels(grid.affine, grid.shape), grid)

    @classmethod
    def at(cls, mni_mm: np.ndarray, grid: Grid) -> "RegionMap":
        """The map of a case from the MNI152 mm of each voxel, (3, X, Y, Z)."""
        labels = regions_at(mni_mm)
        mni_ml = np.bincount(labels.ravel(), minlength=len(SIDED_REGIONS)) * _voxel_mni_ml(mni_mm)
        whole = region_volumes_ml()
        covered = {name: float(min(mni_ml[n] / whole[name], 1.0)) for n, name in enumerate(SIDED_REGIONS) if name}
        return cls(grid, labels, covered)


def _voxel_mni_ml(mni_mm: np.ndarray) -> float:
    """Volume of a voxel in MNI152 space, in ml, by the affine map that is nearest to the coordinates."""
    lines = [np.unique(np.linspace(0, n - 1, min(n, _LATTICE)).astype(np.intp)) for n in mni_mm.shape[1:]]
    index = np.stack(np.meshgrid(*lines, indexing="ij")).reshape(3, -1)
    design = np.vstack([index, np.ones_like(index[:1])]).T.astype(np.float64)
    affine = np.linalg.lstsq(design, mni_mm[:, index[0], index[1], index[2]].T.astype(np.float64), rcond=None)[0]
    return float(abs(np.linalg.det(affine[:3]))) / 1000.0


class AspectsDraws:
    """Counts the voxels of each draw by region; no mask is kept.

    Args:
        region_map: The regions of the case.
        limits: Share of a region from which it is involved, above 0, up to 1, for regions whose limit is not that of
            ``LIMITS``.

    Raises:
        InputRejected: A limit is not above 0, or above 1, or its region does not exist.
    """

    def __init__(self, region_map: RegionMap, *, limits: Mapping[str, float] = LIMITS) -> None:
        for region, limit in limits.items():
            if region not in LIMITS or not 0.0 < limit <= 1.0:
                raise InputRejected(
                    f"limit of {region}",
                    expected=f"a region of {', '.join(LIMITS)}, and a share above 0, up to 1",
                    found=f"{region}: {limit}",
                    do=f"give a share such as {INVOLVED_SHARE}",
                )
        self._map = region_map
        self._limits = {**LIMITS, **limits}
        self._counts: list[np.ndarray] = []

    def add(self, mask: Mask) -> None:
        """Counts a draw, a mask (X, Y, Z) on the grid of the case.

        Raises:
            GridMismatch: The mask does not have the shape of the grid.
        """
        check_mask(mask, self._map.grid)
        self._counts.append(np.bincount(self._map.labels[mask], minlength=len(SIDED_REGIONS)))

    def result(self, *, level: float = LEVEL) -> Aspects:
        """Both scores of the draws so far.

        Args:
            level: Level of the central intervals, between 0 and 1.

        Raises:
            MissingInput: There is no draw.
            InputRejected: The level is not between 0 and 1.
        """
        check_draws(len(self._counts), "ASPECTS")
        sizes = np.bincount(self._map.labels.ravel(), minlength=len(SIDED_REGIONS))
        counts = np.array(self._counts, dtype=np.float64)
        shares = np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)
        rows = tuple(self._row(n, shares[:, n], int(sizes[n]), level) for n in _order())
        anterior = [row for row in rows if row.region in ASPECTS_REGIONS]
        points = {side: _points([row for row in anterior if row.side == side]) for side in SIDES}
        posterior = _points([row for row in rows if row.region in PC_ASPECTS_POINTS])

        def score(label: str, values: np.ndarray) -> Score:
            return Score(Distribution(label, "", tuple(values.tolist()), level))

        sides = {side: score(f"ASPECTS, {side}", FULL_SCORE - points[side]) for side in SIDES}
        lower = FULL_SCORE - np.maximum(*points.values())
        return Aspects(rows, sides, score("ASPECTS", lower), score("PC-ASPECTS", FULL_SCORE - posterior))

    def _row(self, label: int, shares: np.ndarray, size: int, level: float) -> RegionInvolvement:
        region, _, side = SIDED_REGIONS[label].partition(" ")
        return RegionInvolvement(
            region,
            side,
            PC_ASPECTS_POINTS.get(region, 1),
            self._limits[region],
            Distribution(f"share of {SIDED_REGIONS[label]}", "", tuple(shares.tolist()), level),
            size * self._map.grid.voxel_ml,
            self._map.covered[SIDED_REGIONS[label]],
        )


def _order() -> list[int]:
    """The labels, those of the right side first, then those of the left, in ASPECTS and in PC-ASPECTS."""
    paired = [name for name in PC_ASPECTS_POINTS if name not in UNPAIRED]
    names = [f"{region} {side}" for regions in (ASPECTS_REGIONS, paired) for side in SIDES for region in regions]
    return [SIDED_REGIONS.index(name) for name in (*names, *UNPAIRED)]


def _points(rows: list[RegionInvolvement]) -> np.ndarray:
    """The points that the involved regions cost in each draw, (N,)."""
    return np.sum([row.points * (np.asarray(row.share.draws) >= row.limit) for row in rows], axis=0)


@cites("Barber2000", "Puetz2008", "Schroder2018")
def aspects(masks: Iterable[Mask], region_map: RegionMap, *, level: float = LEVEL) -> Aspects:
    """DWI-ASPECTS and PC-ASPECTS of a lesion, with the limits ``LIMITS``.

    Args:
        masks: The mask of each draw, (X, Y, Z) on the grid of the case; one mask for a score without interval. Each is
            used once and released. ``AspectsDraws`` takes other limits.
        region_map: The regions of the case.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        MissingInput: There is no mask.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    draws = AspectsDraws(region_map)
    for mask in masks:
        draws.add(mask)
    return draws.result(level=level)
