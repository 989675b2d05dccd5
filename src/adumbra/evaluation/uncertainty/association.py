"""Does the uncertainty of a case foretell its Dice, and would a second set of draws give the same map?

Over cases: Spearman's rho, the correlation of ranks (mid-ranks for ties), with a bootstrap interval by patient.

Over the voxels of one map: two maps from disjoint halves of the draws have the correlation r; by Spearman and Brown
(both 1910) the map of all draws has the reliability 2 r / (1 + r). It is the ceiling: no independent map of as many
draws can be expected to correlate higher with this one, and no comparison of maps is read without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.stats import rankdata

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.evaluation.statistics import RESAMPLES, cases_by_patient, percentile_interval, resampled
from adumbra.evaluation.validation import require_masks, require_one_shape

FEWEST = 3
"""Of two points every correlation is 1 or -1."""


@dataclass(frozen=True)
class Association:
    """Spearman's rho of two measures over cases, with its bootstrap interval over patients.

    Attributes:
        rho: In [-1, 1]; nan for fewer than three cases, and where one of the measures is the same in all of them.
        low: With ``high``, the percentile interval; nan where rho is, for fewer than three patients, and where rho is
            undefined in more than half of the resamples. Other undefined resamples are left out.
        level: Of the interval.
        cases: How many cases have both measures.
        patients: How many patients they come from.
    """

    rho: float
    low: float
    high: float
    level: float
    cases: int
    patients: int


@dataclass(frozen=True)
class SplitHalf:
    """How reproducible a map is.

    Attributes:
        r: Pearson's correlation of the halves; nan for fewer than three voxels, and where a half is constant.
        reliability: Of the map of both halves together, 2 r / (1 + r); nan at r = -1. Below 0 there is no common map.
        voxels: How many were compared.
    """

    r: float
    reliability: float
    voxels: int


@cites("Spearman1904", "Field2007")
def case_association(
    uncertainty: Sequence[float] | np.ndarray,
    quality: Sequence[float] | np.ndarray,
    *,
    generator: np.random.Generator,
    patients: Sequence[str] | np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Association:
    """Spearman's rho of the uncertainty of cases and the quality of their outlines, such as Dice; -1 foretells best.

    Args:
        uncertainty: (N,), one number a case.
        quality: (N,), one number a case. A case where either is nan is left out and not counted.
        generator: Of the resamples. The same seed gives the same interval.
        patients: (N,), whom each case is of; each case another patient, if not given.
        level: Of the interval, between 0 and 1.
        resamples: How many, at least 1.

    Raises:
        InputRejected: The lengths differ, or level or resamples are out of range.
    """
    x, y = np.asarray(uncertainty, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    _checked(x, y, level)
    members = cases_by_patient(patients, defined=~(np.isnan(x) | np.isnan(y)))
    every = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *members]))
    rho = spearman(x[every], y[every])
    low, high = nan, nan
    if len(members) >= FEWEST and not np.isnan(rho):
        chosen = (np.concatenate([members[i] for i in drawn]) for drawn in resampled(members, resamples, generator))
        rhos = np.array([spearman(x[cases], y[cases]) for cases in chosen])
        if np.isnan(rhos).mean() <= 0.5:
            low, high = percentile_interval(rhos, level)
    return Association(rho, low, high, level, cases=int(every.size), patients=len(members))


@cites("Spearman1904")
def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of mid-ranks, in [-1, 1]; nan for fewer than three values and for constant ones."""
    return pearson(rankdata(x), rankdata(y))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation, float64, in [-1, 1]; nan for fewer than three values and for constant ones.

    Whether values are constant is asked of the values: their mean may be a rounding away from all of them.
    """
    if x.size < FEWEST or x.min() == x.max() or y.min() == y.max():
        return nan
    a, b = (v / np.abs(v).max() for v in (_centred(x), _centred(y)))  # so that no square is too small or too large
    r = float((a * b).sum()) / (float(np.square(a).sum()) * float(np.square(b).sum())) ** 0.5
    return float(np.clip(r, -1.0, 1.0))  # rounding may leave the range


@cites("Spearman1910", "Brown1910")
def split_half(first: np.ndarray, second: np.ndarray, within: np.ndarray) -> SplitHalf:
    """Reliability of a map from two maps that were made of disjoint halves of its draws.

    Args:
        first: (X, Y, Z), the map of one half.
        second: (X, Y, Z), the map of the other half.
        within: (X, Y, Z), bool: the voxels that are compared. Over the whole head the background, zero in both, would
            make any map look reproducible; give the brain or a smaller region.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: ``within`` is not boolean, or a map is not finite in it.
    """
    require_one_shape("halves and region", first.shape, second, within)
    require_masks(region=within)
    a, b = first[within].astype(np.float64), second[within].astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ImplausibleValues(
            "halves", expected="finite maps", found="NaN or infinite values", do="leave such voxels out of the region"
        )
    r = pearson(a, b)
    return SplitHalf(r, 2.0 * r / (1.0 + r) if r != -1.0 else nan, int(a.size))


def _centred(values: np.ndarray) -> np.ndarray:
    centred: np.ndarray = values - values.mean(dtype=np.float64)
    return centred


def _checked(x: np.ndarray, y: np.ndarray, level: float) -> None:
    if x.ndim != 1 or x.shape != y.shape:
        raise InputRejected(
            "uncertainty and quality",
            expected="one number a case, as many of each",
            found=f"shapes {x.shape} and {y.shape}",
            do="give both in the order of the cases, nan where undefined",
        )
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
