"""Symbols of the sources in bins that all cases share, and their counts with the target.

The edges of the bins are quantiles of a mixture of equally many voxels of the target and of the rest of the brain, so
that the few voxels of a lesion have bins of their own. Each case is a table of counts, target by the symbols of two
sources; tables of cases are added and resampled.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.types import MODALITIES, Mask, Modality
from adumbra.experiments.observations import CaseObservations
from adumbra.experiments.regions import quantile_index, region_mask
from adumbra.information.estimators.binning import Bins, equal_frequency
from adumbra.information.estimators.histogram import target_counts

Source = tuple[Modality, ...]
"""Modalities that form one source: the combinations of their bins are its symbols."""
Pair = tuple[Source, Source]
SharedBins = Mapping[Source, tuple[Bins, ...]]
"""For each source the bins of its modalities."""

_MOST_VOXELS = 20_000
"""Largest number of voxels of a case, half of them of the target, from which edges are computed."""


def parse_sources(text: str) -> tuple[Source, ...]:
    """The sources of a text such as ``"dwi+adc,b0"``: two sources, the first of two modalities.

    Raises:
        InputRejected: A modality is unknown.
    """
    known = {modality: modality for modality in MODALITIES}
    try:
        return tuple(tuple(known[part.strip()] for part in source.split("+")) for source in text.split(","))  # type: ignore[index]
    except KeyError as error:
        expected = f"modalities among {', '.join(MODALITIES)}, joined by + and separated by commas"
        raise InputRejected("sources", expected=expected, found=str(error), do="give e.g. dwi,adc") from error


def shared_bins(
    observations: Sequence[CaseObservations], sources: Sequence[Source], *, bins: int, seed: int
) -> SharedBins:
    """Bins of equal frequency over the sampled voxels of all cases.

    Args:
        observations: The cases.
        sources: The sources.
        bins: Number of bins of a source of one modality; each modality of a larger source has half as many.
        seed: Seed of the sampled voxels.
    """
    generator = np.random.default_rng(seed)
    voxels = [_sample_voxels(case, generator) for case in observations]
    shared = {}
    for source in sources:
        count = bins if len(source) == 1 else max(2, bins // 2)
        values = {
            modality: np.concatenate(
                [case.intensities[modality][index] for case, index in zip(observations, voxels, strict=True)]
            )
            for modality in source
        }
        shared[source] = tuple(equal_frequency(values[modality], bins=count, name=modality) for modality in source)
    return shared


def count_symbols(
    case: CaseObservations, pair: Pair, within: Mask, target_mask: Mask, shared: SharedBins
) -> np.ndarray:
    """Counts (2, X, Y) of the voxels of a region: target or not, and the symbols of both sources."""
    if not within.any():  # there is no target, or the region is outside the brain
        return np.zeros((2, *(prod(bins.count for bins in shared[source]) for source in pair)), dtype=np.int64)
    symbols, sizes = zip(*(_symbols(case, source, within, shared[source]) for source in pair), strict=True)
    return target_counts(target_mask[within].astype(np.uint8), *symbols, shape=(2, *sizes))


def quantile_mask(case: CaseObservations, target_mask: Mask, region: str, quantile: int | None, quantiles: int) -> Mask:
    """The mask of a region, or of the part of it that belongs to one quantile of predictive entropy.

    Args:
        case: The case.
        target_mask: (X, Y, Z), the mask of the target from which the region is derived.
        region: Name of the region.
        quantile: The quantile, from 0; None for the whole region.
        quantiles: Number of quantiles.

    Raises:
        MissingInput: A quantile needs a prediction, and there is none.
    """
    within = region_mask(region, target_mask, case.context)
    if quantile is None:
        return within
    entropy = case.context.entropy
    if entropy is None:
        raise MissingInput("quantiles", expected="a prediction of each case", found="none", do="let them be predicted")
    part = np.zeros_like(within)
    part[within] = quantile_index(entropy[within], quantiles=quantiles) == quantile
    return part


def _symbols(case: CaseObservations, source: Source, within: Mask, bins: tuple[Bins, ...]) -> tuple[np.ndarray, int]:
    """The symbol of each voxel, and the number of symbols."""
    symbols, size = np.zeros(int(np.count_nonzero(within)), dtype=np.int64), 1
    for modality, own in zip(source, bins, strict=True):
        symbols = symbols * own.count + own.indices(case.intensities[modality][within], name=modality)
        size *= own.count
    return symbols, size


def _sample_voxels(case: CaseObservations, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Indices of voxels of the brain, half of them of the target if it has enough."""
    samples: list[np.ndarray] = []
    for mask in (case.target_mask & case.context.brain, case.context.brain & ~case.target_mask):
        flat = np.flatnonzero(mask)
        samples.append(generator.choice(flat, min(flat.size, _MOST_VOXELS // 2), replace=False))
    size = min(len(samples[0]), len(samples[1])) or len(samples[1])
    return np.unravel_index(np.concatenate([part[:size] for part in samples]), case.target_mask.shape)
