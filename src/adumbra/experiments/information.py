"""Mutual information between modalities and a target, and its decomposition, over cases, by region and uncertainty.

Intensities are counted in bins that all cases share (``symbol_counts``). Cases are pooled, and resampled by patient.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Mask, Modality, Target
from adumbra.experiments.observations import CaseObservations
from adumbra.experiments.regions import REGIONS
from adumbra.experiments.symbol_counts import Pair, SharedBins, Source, count_symbols, quantile_mask, shared_bins
from adumbra.information.estimators.bias import mutual_information_bias, warn_of_few_samples
from adumbra.information.estimators.plugin import plugin_mutual_information
from adumbra.information.pid import broja, williams_beer
from adumbra.information.significance import Interval, bootstrap, extrapolate_to_infinite_patients, permutation_test

ATOMS = ("redundancy", "unique_1", "unique_2", "synergy")
QUANTITIES = (
    *("sources", "target_1", "target_2", "target_both"),
    *(f"{measure}_{atom}" for measure in ("broja", "i_min") for atom in ATOMS),
)
"""I(M1; M2), I(T; M1), I(T; M2), I(T; M1, M2), and the atoms of the last by BROJA and by I_min."""
Key = tuple[Pair, str, int | None]
"""A pair of sources, a region and a quantile."""


@dataclass(frozen=True)
class InformationConfig:
    """What is estimated from the cases.

    Attributes:
        target: The target, ``"lesion"`` or ``"thrombus"``.
        sources: Two or more sources; each pair is decomposed.
        regions: Keys of ``experiments.regions.REGIONS``, or the name of the target.
        bins: Number of bins of a source of one modality; each modality of a larger source has half as many.
        quantiles: Number of parts of equal size into which each region is split by uncertainty; 1 leaves it whole.
        resamples: Number of bootstrap resamples.
        permutations: Number of permutations of the patients' masks, for p-values; 0 computes none.
        seed: Seed of every random choice.
    """

    target: Target
    sources: tuple[Source, ...]
    regions: tuple[str, ...] = ("brain", "border", "mirror")
    bins: int = 16
    quantiles: int = 1
    resamples: int = 1000
    permutations: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.sources) < 2 or len(set(self.sources)) < len(self.sources):
            given = ", ".join("+".join(source) for source in self.sources)
            raise InputRejected("sources", expected="two or more, all different", found=given, do="give e.g. dwi,adc")
        for name in self.regions:
            if name not in {self.target, *REGIONS}:
                known = " or ".join([self.target, *REGIONS])
                raise InputRejected("regions", expected=known, found=name, do="choose among these")
        if not 2 <= self.bins <= 64 or self.quantiles < 1:
            given = f"{self.bins} bins, {self.quantiles} quantiles"
            raise InputRejected("bins", expected="2 to 64 bins, 1 quantile or more", found=given, do="take 16 and 1")

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities of all sources, each once."""
        return tuple(dict.fromkeys(modality for source in self.sources for modality in source))

    @property
    def quantile_parts(self) -> tuple[int | None, ...]:
        """The quantiles of a region; a single None for the whole region."""
        return tuple(range(self.quantiles)) if self.quantiles > 1 else (None,)

    @property
    def uses_uncertainty(self) -> bool:
        """Whether cases have to be predicted for their uncertainty."""
        return self.quantiles > 1 or "high-uncertainty" in self.regions


@dataclass(frozen=True, eq=False)
class InformationResult:
    """The estimates of one pair of sources, one region and one quantile.

    Attributes:
        sources: The two sources, each written as ``"dwi+adc"``.
        region: Name of the region.
        quantile: The part of the region, from 0 for the lowest uncertainty; None for the whole.
        patients: Number of patients with voxels in the region.
        voxels: Number of voxels of all patients.
        prevalence: Share of the voxels that belong to the target.
        estimate: The values in the order of ``QUANTITIES``, in bits, with their interval over patients.
        extrapolated: The values extrapolated to infinitely many patients; nan for fewer than four.
        p: The p-values of the permutation test; nan where none was computed.
        gap: Certified width of the BROJA atoms, in bits.
    """

    sources: tuple[str, str]
    region: str
    quantile: int | None
    patients: int
    voxels: int
    prevalence: float
    estimate: Interval
    extrapolated: np.ndarray
    p: np.ndarray
    gap: float


def estimate_information(
    observations: Sequence[CaseObservations], config: InformationConfig, *, progress: Progress = quiet
) -> list[InformationResult]:
    """The estimates of every pair of sources, region and quantile.

    Raises:
        MissingInput: No case has a voxel in a region, or a region needs a prediction that is missing.
    """
    shared = shared_bins(observations, config.sources, bins=config.bins, seed=config.seed)
    pairs = list(combinations(config.sources, 2))
    p_values = _permutation_p_values(observations, pairs, shared, config, progress) if config.permutations else {}
    work = list(product(pairs, config.regions, config.quantile_parts))
    return [
        _estimate(observations, key, shared, config, p=p_values.get(key, np.full(len(QUANTITIES), np.nan)))
        for key in progress.track(work, what="Decomposing", total=len(work))
    ]


def quantities(p: np.ndarray) -> np.ndarray:
    """``QUANTITIES`` of probabilities (B, 2, X, Y), in bits (B, K)."""
    columns = [
        plugin_mutual_information(p.sum(axis=1)),
        plugin_mutual_information(p.sum(axis=3)),
        plugin_mutual_information(p.sum(axis=2)),
        plugin_mutual_information(p.reshape(*p.shape[:2], -1)),
    ]
    for atoms in (broja.atoms(p), williams_beer.atoms(p)):
        columns += [atoms.redundancy, atoms.unique_1, atoms.unique_2, atoms.synergy]
    return np.stack(columns, axis=1)


def _estimate(
    observations: Sequence[CaseObservations], key: Key, shared: SharedBins, config: InformationConfig, *, p: np.ndarray
) -> InformationResult:
    pair, region, quantile = key
    tables = np.stack(
        [
            count_symbols(
                case,
                pair,
                quantile_mask(case, case.target_mask, region, quantile, config.quantiles),
                case.target_mask,
                shared,
            )
            for case in observations
        ]
    )
    has_voxels = tables.reshape(len(tables), -1).any(axis=1)
    if not has_voxels.any():
        raise MissingInput(region, expected="voxels in some case", found="none", do="choose another region")
    total = tables.sum(axis=0)
    warn_of_few_samples(total, float(mutual_information_bias(total.reshape(2, -1))), stacklevel=3)
    generator = np.random.default_rng(config.seed)
    estimate = bootstrap(tables[has_voxels], quantities, generator=generator, resamples=config.resamples)
    extrapolated = np.full(len(QUANTITIES), np.nan)
    if has_voxels.sum() >= 4:
        extrapolated = extrapolate_to_infinite_patients(tables[has_voxels], quantities, generator=generator)
    return InformationResult(
        sources=("+".join(pair[0]), "+".join(pair[1])),
        region=region,
        quantile=quantile,
        patients=int(has_voxels.sum()),
        voxels=int(total.sum()),
        prevalence=float(total[1].sum() / total.sum()),
        estimate=estimate,
        extrapolated=extrapolated,
        p=p,
        gap=float(broja.atoms((total / total.sum())[None]).gap[0]),
    )


def _permutation_p_values(
    observations: Sequence[CaseObservations],
    pairs: Sequence[Pair],
    shared: SharedBins,
    config: InformationConfig,
    progress: Progress,
) -> dict[Key, np.ndarray]:
    """p-values: the images of each patient are combined with the transferred target masks of the others."""
    crossed: dict[Key, list[np.ndarray]] = {key: [] for key in product(pairs, config.regions, config.quantile_parts)}
    for case in progress.track(observations, what="Transferring masks", total=len(observations)):
        masks = [case.target_mask if other is case else transfer_mask(case, other) for other in observations]
        for region, quantile in product(config.regions, config.quantile_parts):
            parts = [quantile_mask(case, mask, region, quantile, config.quantiles) for mask in masks]
            for pair in pairs:
                tables = [count_symbols(case, pair, w, m, shared) for w, m in zip(parts, masks, strict=True)]
                crossed[pair, region, quantile].append(np.stack(tables))
    return {
        key: permutation_test(
            np.stack(rows), quantities, generator=np.random.default_rng(config.seed), resamples=config.permutations
        )[1]
        for key, rows in crossed.items()
    }


def transfer_mask(case: CaseObservations, other: CaseObservations) -> Mask:
    """The target mask of another patient on this case's grid; the bounding boxes of both brains are aligned."""
    (low, high), (other_low, other_high) = (_bounding_box_mm(brain) for brain in (case, other))
    voxels_mm = case.context.grid.world_mm(np.argwhere(case.context.brain))
    other_mm = other_low + (voxels_mm - low) / (high - low) * (other_high - other_low)
    index = np.rint(other.context.grid.index(other_mm)).astype(np.int64)
    shape = np.array(other.target_mask.shape)
    inside = ((index >= 0) & (index < shape)).all(axis=1)
    transferred = np.zeros(case.target_mask.shape, dtype=bool)
    transferred[case.context.brain] = inside & other.target_mask[tuple(np.clip(index, 0, shape - 1).T)]
    return transferred


def _bounding_box_mm(case: CaseObservations) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest coordinates of the brain, in millimetres."""
    voxels_mm = case.context.grid.world_mm(np.argwhere(case.context.brain))
    return voxels_mm.min(axis=0), voxels_mm.max(axis=0)


def result_rows(results: Sequence[InformationResult]) -> Iterator[dict[str, object]]:
    """A plain row for each quantity of each result, for CSV and JSON."""
    for result in results:
        common: dict[str, object] = {
            "source_1": result.sources[0], "source_2": result.sources[1], "region": result.region,
            "quantile": result.quantile, "patients": result.patients, "voxels": result.voxels,
            "prevalence": result.prevalence, "gap": result.gap,
        }  # fmt: skip
        for k, quantity in enumerate(QUANTITIES):
            numbers = {
                "bits": result.estimate.value[k], "low": result.estimate.low[k], "high": result.estimate.high[k],
                "extrapolated": result.extrapolated[k], "p": result.p[k],
            }  # fmt: skip
            yield common | {"quantity": quantity} | {name: float(value) for name, value in numbers.items()}
