"""Decisions on regions, taken into the mask and the draws of a lesion or a clot: the numbers behind a consequence.

The voxels of the draws are counted once. A decision changes the counts by the voxels of the region only, so that a
region costs no more than its own voxels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, repeat

import numpy as np

from adumbra.clinic.aspects import RegionMap
from adumbra.clinic.consequences import ArteryChange, Consequence, Noun, QuantityChange, RuleChange
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.clinic.largest_clot import ClotSite, LargestClot
from adumbra.clinic.rules.case_values import CaseValues
from adumbra.clinic.rules.criteria import Rule
from adumbra.clinic.rules.truth import truth
from adumbra.clinic.rules.verdicts import BORDERLINE, Status, status_of
from adumbra.clinic.territories import TerritoryMap
from adumbra.clinic.voxel_counts import VoxelCounts
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Maps
from adumbra.core.types import Mask


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the consequences of a decision depend on, besides the segmentation itself. All of it may be missing.

    Attributes:
        territory_map: Territories on the grid of the maps, for the share of the MCA territory.
        region_map: ASPECTS regions on the same grid, for the scores.
        restricted: (X, Y, Z), voxels with an ADC below the limit of the large-core trials.
        hypoperfusion: Masks of the hypoperfusion on the same grid, draw i beside draw i of the lesion. Without them the
            mismatch follows from the volumes of ``values``, and the volume of the set difference is left out.
        values: All quantities of the case, as the rules of the report are evaluated with. Those that depend on the
            segmentation are replaced where they are given in draws; a fact that was given stays.
        rules: The rules to evaluate.
        clot: The largest clot and its artery, for the site of the occlusion where it is not known otherwise; for a
            thrombus only.
    """

    territory_map: TerritoryMap | None = None
    region_map: RegionMap | None = None
    restricted: Mask | None = None
    hypoperfusion: MaskDraws | None = None
    values: CaseValues | None = None
    rules: Sequence[Rule] = ()
    clot: LargestClot | None = None


class Decisions:
    """The consequences of decisions on regions of one segmentation.

    Args:
        maps: Maps of the target.
        draws: Masks of its draws; None takes the mask as the only draw.
        surroundings: What else the consequences depend on.
        voxels: Flat indices (C order) of all voxels that decisions may be about, ascending.

    Raises:
        MissingInput: There is no draw.
        GridMismatch: A draw does not have the shape of the maps.
    """

    def __init__(self, maps: Maps, draws: MaskDraws | None, surroundings: Surroundings, *, voxels: np.ndarray) -> None:
        self.noun: Noun = "clot" if maps.target == "thrombus" else "core"
        self._around, self._voxels, self._voxel_ml = surroundings, voxels, maps.grid.voxel_ml
        self._mask = maps.mask.ravel()
        self._counts_of = VoxelCounts(surroundings.region_map, surroundings.territory_map, surroundings.restricted)
        masks = MaskDraws.of([maps.mask]) if draws is None else draws
        self._n = _common_draws(masks, surroundings)
        check_draws(self._n, "the worklist")
        counts, inside, perfused, perfused_ml = [], [], [], []
        for mask, perfusion in self._pairs(masks):
            check_mask(mask, maps.grid)
            counts.append(self._counts_of.of(np.flatnonzero(mask), perfusion))
            inside.append(mask.ravel()[voxels])
            if perfusion is not None:
                perfused.append(perfusion[voxels])
                perfused_ml.append(float(np.count_nonzero(perfusion)) * self._voxel_ml)
        self._counts, self._inside = np.array(counts), np.array(inside)
        self._perfused = np.array(perfused) if perfused else None
        self._perfused_ml = np.array(perfused_ml) if perfused else None
        self._before = self._quantities(self._counts)
        self._verdicts_before = self._verdicts(self._before)

    def consequence(self, region: np.ndarray, *, belongs: bool) -> Consequence:
        """What changes if a region is in, or out of, the mask and every draw.

        Args:
            region: Flat indices of its voxels, all of them among ``voxels``.
            belongs: Whether it is in.
        """
        after = self._quantities(self._decided(region, belongs))
        changes = {name: QuantityChange(name, _median(self._before[name]), _median(after[name])) for name in after}
        inside = int(np.count_nonzero(self._mask[region]))
        change = region.size - inside if belongs else -inside
        volume_ml = (int(np.count_nonzero(self._mask)) + change) * self._voxel_ml
        clot = self._around.clot
        if clot is None:
            rules = self._changed_rules(after)
            return Consequence(belongs, self.noun, volume_ml, change * self._voxel_ml, changes, rules)
        place = clot.after(region, belongs=belongs)
        rules = self._changed_rules(after, place if place.site != clot.before.site else None)
        artery = ArteryChange(clot.before.artery, place.artery, clot.before.site, place.site)
        return Consequence(belongs, self.noun, volume_ml, change * self._voxel_ml, changes, rules, artery)

    def _pairs(self, masks: MaskDraws) -> Iterator[tuple[Mask, np.ndarray | None]]:
        """The mask of each draw, and the hypoperfusion of the same draw, flat; None without it."""
        perfusion = self._around.hypoperfusion
        others = repeat(None) if perfusion is None else (mask.ravel() for mask in perfusion)
        return islice(zip(masks, others, strict=False), self._n)

    def _decided(self, region: np.ndarray, belongs: bool) -> np.ndarray:
        """The counts of every draw after a decision, (N, F)."""
        columns = np.searchsorted(self._voxels, region)
        inside = self._inside[:, columns]
        perfused = None if self._perfused is None else self._perfused[:, columns]
        if belongs:
            return self._counts + self._counts_of.of_subsets(region, ~inside, perfused)
        return self._counts - self._counts_of.of_subsets(region, inside, perfused)

    def _quantities(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """The quantities of the rules that depend on the segmentation, each (N,)."""
        part, ml = self._counts_of.parts(counts), self._voxel_ml
        if self.noun == "clot":
            return {"clot_visible": part["whole"][:, 0] > 0}
        core = part["whole"][:, 0] * ml
        restricted = {} if self._around.restricted is None else {"adc620_ml": part["restricted"][:, 0] * ml}
        scores = {} if self._around.region_map is None else self._counts_of.scores(part["regions"])
        shares = {} if self._around.territory_map is None else self._counts_of.mca_share(part["mca"])
        mismatch = self._mismatch(core, part["perfused"][:, 0] * ml)
        return {"core_ml": core, **restricted, **scores, **shares, **mismatch}

    def _mismatch(self, core: np.ndarray, intersection: np.ndarray) -> dict[str, np.ndarray]:
        """The quantities of the mismatch; empty without hypoperfusion."""
        volume, values = self._perfused_ml, self._around.values
        if volume is None and values is not None:
            volume = values.column("hypoperfusion_ml")
        if volume is None:
            return {}
        hypoperfusion = np.resize(np.asarray(volume, dtype=np.float64), core.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = {"mismatch_difference_ml": hypoperfusion - core, "mismatch_ratio": hypoperfusion / core}
        if self._perfused_ml is not None:
            result["mismatch_set_difference_ml"] = np.maximum(hypoperfusion - intersection, 0.0)
        return result

    def _verdicts(
        self, quantities: Mapping[str, np.ndarray], place: ClotSite | None = None
    ) -> list[tuple[Status, float]]:
        """Status and lower probability of every rule; empty where the quantities of the case are not given.

        Args:
            quantities: Those that depend on the segmentation.
            place: The largest clot where its site is another one than that of the case; None leaves the site as it is.
        """
        values = self._around.values
        if values is None:
            return []
        own = {name: column for name, column in quantities.items() if name not in values.known}
        stale = {"mismatch_set_difference_ml"} - own.keys() if "mismatch_ratio" in own else set()
        others = {name: column[: self._n] for name, column in values.draws.items() if name not in stale}
        known = dict(values.known)
        if place is not None:
            known.pop("occlusion_site", None)
            known |= {} if place.site is None else {"occlusion_site": place.site}
        decided = replace(values, known=known, draws={**others, **own}, n_draws=self._n)
        truths = [truth(rule.root, decided) for rule in self._around.rules]
        bounds = [(float(each.holds.mean()), float((~each.fails).mean())) for each in truths]
        return [(status_of(low, high, BORDERLINE), low) for low, high in bounds]

    def _changed_rules(self, after: Mapping[str, np.ndarray], place: ClotSite | None = None) -> tuple[RuleChange, ...]:
        """The rules whose verdict changes, those that flip first; see ``_verdicts``."""
        if not self._verdicts_before:
            return ()
        rows = zip(self._around.rules, self._verdicts_before, self._verdicts(after, place), strict=True)
        changes = [
            RuleChange(rule.id, rule.title, before, status, low_before, low)
            for rule, (before, low_before), (status, low) in rows
            if status != before
        ]
        return tuple(sorted(changes, key=lambda change: not change.flips))


def _common_draws(masks: MaskDraws, around: Surroundings) -> int:
    """Number of draws that the segmentation, the hypoperfusion and the values of the case have in common."""
    counts = [len(masks)]
    if around.hypoperfusion is not None:
        counts.append(len(around.hypoperfusion))
    if around.values is not None and around.values.draws:
        counts.append(around.values.n_draws)
    return min(counts)


def _median(column: np.ndarray) -> float:
    """Median of the defined draws; nan where none is."""
    values = np.asarray(column, dtype=np.float64)
    defined = np.sort(values[~np.isnan(values)])
    if not defined.size:
        return float("nan")
    low, high = defined[(defined.size - 1) // 2], defined[defined.size // 2]
    return float(low) if low == high else float((low + high) / 2.0)
