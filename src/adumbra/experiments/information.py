"""What sources tell about a target, alone and together: over cases, by zone and by quantile of uncertainty.

Intensities are counted in bins that all cases share. Their edges are quantiles of a mixture of as many voxels of the
target as of others, so that the few voxels of a lesion have bins of their own. Every case is a table of counts, target
by the symbols of two sources; cases are added, resampled and confounded by patient.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from math import prod
from multiprocessing import get_context

import numpy as np

from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import MODALITIES, Mask, Modality, Target
from adumbra.experiments.observations import CaseObservations, ObservationOptions, observed
from adumbra.experiments.regions import ZONES, quantile_of, zone
from adumbra.information.estimators.bias import information_bias, warn_of_few
from adumbra.information.estimators.binning import Bins, equal_frequency
from adumbra.information.estimators.histogram import target_counts
from adumbra.information.estimators.plugin import table_information
from adumbra.information.pid import broja, williams_beer
from adumbra.information.significance import Interval, bootstrap, of_infinitely_many, permutation_test
from adumbra.training.cache import CaseRef

Source = tuple[Modality, ...]
"""Modalities that are one source together: their bins are its symbols."""
ATOMS = ("redundancy", "unique_1", "unique_2", "synergy")
QUANTITIES = (
    *("sources", "target_1", "target_2", "target_both"),
    *(f"{measure}_{atom}" for measure in ("broja", "i_min") for atom in ATOMS),
)
"""I(M1; M2), I(T; M1), I(T; M2), I(T; M1, M2), and the atoms of the last by both measures."""
Edges = Mapping[Source, tuple[Bins, ...]]
Pair = tuple[Source, Source]
Key = tuple[Pair, str, int | None]
"""Sources, zone, quantile."""
_MOST = 20_000  # voxels of a case, half of them of the target, that edges are found from


@dataclass(frozen=True)
class InformationConfig:
    """What is asked of the cases.

    Attributes:
        target: Whose outline is the target.
        sources: Two or more; each pair is decomposed.
        zones: Of ``experiments.regions.ZONES``, or the target's name.
        bins: Of a source of one modality; of several, half as many of each.
        quantiles: Into how many parts of equal size each zone is cut by uncertainty; 1 leaves it whole.
        resamples: Of the bootstrap.
        permutations: With the outlines of other patients; 0 asks for none.
        seed: Of all that is drawn.
    """

    target: Target
    sources: tuple[Source, ...]
    zones: tuple[str, ...] = ("brain", "border", "mirror")
    bins: int = 16
    quantiles: int = 1
    resamples: int = 1000
    permutations: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.sources) < 2 or len(set(self.sources)) < len(self.sources):
            found = ", ".join("+".join(source) for source in self.sources)
            raise InputRejected("sources", expected="two or more, all different", found=found, do="give e.g. dwi,adc")
        for name in self.zones:
            if name not in {self.target, *ZONES}:
                known = " or ".join([self.target, *ZONES])
                raise InputRejected("regions", expected=known, found=name, do="choose among these")
        if not 2 <= self.bins <= 64 or self.quantiles < 1:
            found = f"{self.bins} bins, {self.quantiles} quantiles"
            raise InputRejected("bins", expected="2 to 64 bins, 1 quantile or more", found=found, do="take 16 and 1")

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """All that are looked at, each once."""
        return tuple(dict.fromkeys(modality for source in self.sources for modality in source))

    @property
    def parts(self) -> tuple[int | None, ...]:
        """The quantiles of a zone; None for the whole."""
        return tuple(range(self.quantiles)) if self.quantiles > 1 else (None,)

    @property
    def uses_uncertainty(self) -> bool:
        """Whether an uncertainty is needed."""
        return self.quantiles > 1 or "high-uncertainty" in self.zones


@dataclass(frozen=True, eq=False)
class InformationResult:
    """Of one pair of sources, one zone and one quantile.

    Attributes:
        sources: The two, as they are written: ``"dwi+adc"``.
        zone: Its name.
        quantile: Which part of it, from 0 for the surest; None for the whole.
        patients: That have voxels there.
        voxels: Of all patients.
        prevalence: Share of them that are of the target.
        found: In the order of ``QUANTITIES``, bits.
        extrapolated: The same for infinitely many patients; nan for fewer than four.
        p: How rarely the outlines of others give as much; nan where it was not asked.
        gap: Certified width of the BROJA atoms, bits.
    """

    sources: tuple[str, str]
    zone: str
    quantile: int | None
    patients: int
    voxels: int
    prevalence: float
    found: Interval
    extrapolated: np.ndarray
    p: np.ndarray
    gap: float


def sources_of(text: str) -> tuple[Source, ...]:
    """``"dwi+adc,b0"``: two sources, the first of two sequences.

    Raises:
        InputRejected: A sequence is not known.
    """
    known = {modality: modality for modality in MODALITIES}
    try:
        return tuple(tuple(known[part.strip()] for part in source.split("+")) for source in text.split(","))  # type: ignore[index]
    except KeyError as error:
        expected = f"sequences among {', '.join(MODALITIES)}, joined by + and parted by commas"
        raise InputRejected("sources", expected=expected, found=str(error), do="give e.g. dwi,adc") from error


def observe(
    cases: Sequence[CaseRef], look: ObservationOptions, *, workers: int = 1, progress: Progress = quiet
) -> list[CaseObservations]:
    """The cases, in their order, by as many processes.

    Raises:
        MissingInput: There is none, or one lacks an outline or a source.
        InputRejected: One cannot be used.
    """
    if not cases:
        raise MissingInput("cases", expected="one at least", found="none", do="name a folder of cases")
    told = partial(progress.track, what="Reading cases", total=len(cases))
    if workers < 2:
        return [observed(ref, look) for ref in told(cases)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(told(pool.map(partial(observed, look=look), cases)))


def analyse(
    brain_contexts: Sequence[CaseObservations], asked: InformationConfig, *, progress: Progress = quiet
) -> list[InformationResult]:
    """What is asked, for every pair of sources, zone and quantile.

    Raises:
        MissingInput: No case has a voxel in a zone, or a zone needs a prediction that was not made.
    """
    edges = shared_bins(brain_contexts, asked)
    pairs = list(combinations(asked.sources, 2))
    rarity = _rarities(brain_contexts, pairs, edges, asked, progress) if asked.permutations else {}
    work = list(product(pairs, asked.zones, asked.parts))
    return [
        _answer(brain_contexts, *key, edges, asked, p=rarity.get(key, np.full(len(QUANTITIES), np.nan)))
        for key in progress.track(work, what="Decomposing", total=len(work))
    ]


def shared_bins(brain_contexts: Sequence[CaseObservations], asked: InformationConfig) -> Edges:
    """Of each source the bins of its modalities, from the voxels of all cases, as many of the target as of others."""
    generator = np.random.default_rng(asked.seed)
    drawn = [_some(head, generator) for head in brain_contexts]
    made = {}
    for source in asked.sources:
        count = asked.bins if len(source) == 1 else max(2, asked.bins // 2)
        rows = {
            m: np.concatenate([h.intensities[m][at] for h, at in zip(brain_contexts, drawn, strict=True)])
            for m in source
        }
        made[source] = tuple(equal_frequency(rows[modality], bins=count, name=modality) for modality in source)
    return made


def counted(head: CaseObservations, pair: Pair, within: Mask, target_mask: Mask, edges: Edges) -> np.ndarray:
    """The counts of a case (2, X, Y): target or not, and the symbols of both sources, of the voxels of a zone."""
    if not within.any():  # no target, or none of the brain
        return np.zeros((2, *(prod(bins.count for bins in edges[source]) for source in pair)), dtype=np.int64)
    symbols, sizes = zip(*(_symbols(head, source, within, edges[source]) for source in pair), strict=True)
    return target_counts(target_mask[within].astype(np.uint8), *symbols, shape=(2, *sizes))


def measured(p: np.ndarray) -> np.ndarray:
    """``QUANTITIES`` of probabilities (B, 2, X, Y): (B, K), bits."""
    sources = table_information(p.sum(axis=1))
    alone = [table_information(p.sum(axis=axis)) for axis in (3, 2)]
    both = table_information(p.reshape(*p.shape[:2], -1))
    atoms = [getattr(found, atom) for found in (broja.atoms(p), williams_beer.atoms(p)) for atom in ATOMS]
    return np.stack([sources, *alone, both, *atoms], axis=1)


def _answer(
    brain_contexts: Sequence[CaseObservations],
    pair: Pair,
    name: str,
    quantile: int | None,
    edges: Edges,
    asked: InformationConfig,
    *,
    p: np.ndarray,
) -> InformationResult:
    withins = [_part(head, head.target_mask, name, quantile, asked.quantiles) for head in brain_contexts]
    tables = np.stack([counted(h, pair, w, h.target_mask, edges) for h, w in zip(brain_contexts, withins, strict=True)])
    there = tables.reshape(len(tables), -1).any(axis=1)
    if not there.any():
        raise MissingInput(name, expected="voxels in some case", found="none", do="choose another region")
    total = tables.sum(axis=0)
    warn_of_few(total, float(information_bias(total.reshape(2, -1))), stacklevel=3)
    generator = np.random.default_rng(asked.seed)
    found = bootstrap(tables[there], measured, generator=generator, resamples=asked.resamples)
    extrapolated = np.full(len(QUANTITIES), np.nan)
    if there.sum() >= 4:
        extrapolated = of_infinitely_many(tables[there], measured, generator=generator)
    return InformationResult(
        ("+".join(pair[0]), "+".join(pair[1])), name, quantile, int(there.sum()), int(total.sum()),
        float(total[1].sum() / total.sum()), found, extrapolated, p,
        float(broja.atoms((total / total.sum())[None]).gap[0]),
    )  # fmt: skip


def _rarities(
    brain_contexts: Sequence[CaseObservations],
    pairs: Sequence[Pair],
    edges: Edges,
    asked: InformationConfig,
    progress: Progress,
) -> dict[Key, np.ndarray]:
    """p-values: how often the outlines of other patients, laid into these heads, give as much."""
    crossed: dict[Key, list[np.ndarray]] = {key: [] for key in product(pairs, asked.zones, asked.parts)}
    for head in progress.track(brain_contexts, what="Laying outlines of others", total=len(brain_contexts)):
        outlines = [head.target_mask if other is head else laid_into(head, other) for other in brain_contexts]
        for name, quantile in product(asked.zones, asked.parts):
            withins = [_part(head, target_mask, name, quantile, asked.quantiles) for target_mask in outlines]
            for pair in pairs:
                tables = [counted(head, pair, w, o, edges) for w, o in zip(withins, outlines, strict=True)]
                crossed[pair, name, quantile].append(np.stack(tables))
    return {
        key: permutation_test(
            np.stack(rows), measured, generator=np.random.default_rng(asked.seed), resamples=asked.permutations
        )[1]
        for key, rows in crossed.items()
    }


def laid_into(head: CaseObservations, other: CaseObservations) -> Mask:
    """The outline of another patient where it would lie in this head, by the boxes around both brains."""
    (low, high), (from_low, from_high) = (_box_mm(of) for of in (head, other))
    places = head.head.grid.world_mm(np.argwhere(head.head.brain))
    there = from_low + (places - low) / (high - low) * (from_high - from_low)
    index = np.rint(other.head.grid.index(there)).astype(np.int64)
    shape = np.array(other.target_mask.shape)
    inside = ((index >= 0) & (index < shape)).all(axis=1)
    laid = np.zeros(head.target_mask.shape, dtype=bool)
    laid[head.head.brain] = inside & other.target_mask[tuple(np.clip(index, 0, shape - 1).T)]
    return laid


def _box_mm(of: CaseObservations) -> tuple[np.ndarray, np.ndarray]:
    places = of.head.grid.world_mm(np.argwhere(of.head.brain))
    return places.min(axis=0), places.max(axis=0)


def _part(head: CaseObservations, target_mask: Mask, name: str, quantile: int | None, parts: int) -> Mask:
    """A zone, or the part of it that is of one quantile of uncertainty."""
    within = zone(name, target_mask, head.head)
    if quantile is None:
        return within
    if head.head.entropy is None:
        raise MissingInput("quantiles", expected="a prediction of each case", found="none", do="let them be predicted")
    part = np.zeros_like(within)
    part[within] = quantile_of(head.head.entropy[within], parts=parts) == quantile
    return part


def _symbols(head: CaseObservations, source: Source, within: Mask, bins: tuple[Bins, ...]) -> tuple[np.ndarray, int]:
    """The symbol of each voxel, and how many there are."""
    symbols, size = np.zeros(int(np.count_nonzero(within)), dtype=np.int64), 1
    for modality, own in zip(source, bins, strict=True):
        symbols = symbols * own.count + own.of(head.intensities[modality][within], name=modality)
        size *= own.count
    return symbols, size


def _some(head: CaseObservations, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Indices of voxels of the brain, half of them of the target where it has so many."""
    chosen: list[np.ndarray] = []
    for of in (head.target_mask & head.head.brain, head.head.brain & ~head.target_mask):
        flat = np.flatnonzero(of)
        chosen.append(generator.choice(flat, min(flat.size, _MOST // 2), replace=False))
    size = min(len(chosen[0]), len(chosen[1])) or len(chosen[1])
    return np.unravel_index(np.concatenate([part[:size] for part in chosen]), head.target_mask.shape)


def rows_of(found: Sequence[InformationResult]) -> Iterator[dict[str, object]]:
    """A plain row for each quantity of each answer, for CSV and JSON."""
    for answer in found:
        about: dict[str, object] = {
            "source_1": answer.sources[0], "source_2": answer.sources[1], "region": answer.zone,
            "quantile": answer.quantile, "patients": answer.patients, "voxels": answer.voxels,
            "prevalence": answer.prevalence, "gap": answer.gap,
        }  # fmt: skip
        for k, quantity in enumerate(QUANTITIES):
            numbers = {
                "bits": answer.found.value[k], "low": answer.found.low[k], "high": answer.found.high[k],
                "extrapolated": answer.extrapolated[k], "p": answer.p[k],
            }  # fmt: skip
            yield about | {"quantity": quantity} | {name: float(value) for name, value in numbers.items()}
