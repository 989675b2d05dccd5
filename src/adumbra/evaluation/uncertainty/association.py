"""Association of uncertainty and quality over cases, and split-half reliability of one uncertainty map.

Over cases: Spearman's rho, the correlation of ranks (mid-ranks for ties), with a bootstrap interval by patient.

Over the voxels of one map: let r be the correlation of two maps from disjoint halves of the draws. By the formula of
Spearman and Brown (both 1910), the map of all draws has the reliability 2 r / (1 + r). This is the noise ceiling: an
independent map of as many draws is not expected to correlate higher with this one. It belongs beside every comparison
of maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.stats import rankdata

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.evaluation.statistics import RESAMPLES, cases_by_patient, percentile_interval, resampled_patients
from adumbra.evaluation.validation import require_masks, require_one_shape

MIN_POINTS = 3
"""Smallest number of points with a correlation; that of two points is always 1 or -1."""


@dataclass(frozen=True)
class Association:
    """Spearman's rho of two measures over cases, with its bootstrap interval by patient.

    Attributes:
        rho: Rank correlation, in [-1, 1]; nan for fewer than three cases, and where one of the measures is constant.
        low: Lower end of the percentile interval. It is nan where rho is nan, for fewer than three patients, and where
            rho is undefined in more than half of the resamples. Otherwise undefined resamples are excluded.
        high: Upper end of the percentile interval; undefined like the lower end.
        level: Level of the interval.
        cases: Number of cases with both measures.
        patients: Number of patients that these cases come from.
    """

    rho: float
    low: float
    high: float
    level: float
    cases: int
    patients: int


@dataclass(frozen=True)
class SplitHalf:
    """Split-half reliability of a map.

    Attributes:
        r: Pearson's correlation of the halves; nan for fewer than three voxels, and where a half is constant.
        reliability: Reliability of the map of both halves together, 2 r / (1 + r); nan at r = -1. A value below 0
            means that the halves have no signal in common.
        voxels: Number of voxels that were compared.
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
    """Spearman's rho of the uncertainty of cases and the quality of their segmentations, such as Dice.

    The best predictor of quality has a rho of -1.

    Args:
        uncertainty: (N,), one number for each case.
        quality: (N,), one number for each case. A case in which either is nan is excluded.
        generator: Random generator of the resamples. The same seed gives the same interval.
        patients: (N,), patient of each case. None means that every case comes from another patient.
        level: Level of the interval, between 0 and 1.
        resamples: Number of bootstrap resamples, at least 1.

    Raises:
        InputRejected: The lengths differ, or level or resamples are out of range.
    """
    x, y = np.asarray(uncertainty, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    _checked(x, y, level)
    members = cases_by_patient(patients, defined=~(np.isnan(x) | np.isnan(y)))
    defined = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *members]))
    rho = spearman(x[defined], y[defined])
    low, high = nan, nan
    if len(members) >= MIN_POINTS and not np.isnan(rho):
        resampled = resampled_patients(members, resamples, generator)
        chosen = (np.concatenate([members[i] for i in patient]) for patient in resampled)
        rhos = np.array([spearman(x[cases], y[cases]) for cases in chosen])
        if np.isnan(rhos).mean() <= 0.5:
            low, high = percentile_interval(rhos, level)
    return Association(rho, low, high, level, cases=int(defined.size), patients=len(members))


@cites("Spearman1904")
def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of mid-ranks, in [-1, 1]; nan for fewer than three values and for constant ones."""
    return pearson(rankdata(x), rankdata(y))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation, float64, in [-1, 1]; nan for fewer than three values and for constant ones.

    Constant values are recognised by their range, because their mean may differ from all of them by rounding.
    """
    if x.size < MIN_POINTS or x.min() == x.max() or y.min() == y.max():
        return nan
    a, b = (v / np.abs(v).max() for v in (_centred(x), _centred(y)))  # no square under- or overflows
    r = float((a * b).sum()) / (float(np.square(a).sum()) * float(np.square(b).sum())) ** 0.5
    return float(np.clip(r, -1.0, 1.0))  # rounding may exceed the range


@cites("Spearman1910", "Brown1910")
def split_half(first: np.ndarray, second: np.ndarray, within: np.ndarray) -> SplitHalf:
    """Split-half reliability of a map from the maps of two disjoint halves of its draws.

    Args:
        first: (X, Y, Z), map of one half of the draws.
        second: (X, Y, Z), map of the other half.
        within: (X, Y, Z), bool: voxels that are compared, such as the brain or a smaller region. The background of the
            whole head is zero in both maps and would make any map look reproducible.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: ``within`` is not boolean, or a map is not finite in it.
    """
    require_one_shape("halves and region", first.shape, second, within)
    require_masks(region=within)
    a, b = first[within].astype(np.float64), second[within].astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ImplausibleValues(
            "halves", expected="finite maps", found="NaN or infinite values", do="exclude such voxels from the region"
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
            expected="one number for each case, as many of each",
            found=f"shapes {x.shape} and {y.shape}",
            do="give both in the order of the cases, nan where undefined",
        )
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
