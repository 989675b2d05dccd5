"""Coverage of intervals, and means over cases with their bootstrap intervals.

Coverage is the share of cases whose true volume lies in its interval, ends included. It must be read with the width,
because an interval from 0 to infinity covers every case. The share is a binomial proportion of few cases, and is given
with its Wilson interval.

The mean of a measure over cases is given with a percentile interval of the cluster bootstrap (Field and Welsh 2007),
which resamples *patients* with replacement and takes all cases of each. The unit of sampling is the patient, not the
voxel and not the scan: scans of one patient are not independent, and voxels even less so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.stats import binomtest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites

RESAMPLES = 2000


@dataclass(frozen=True)
class Coverage:
    """Coverage and width of the intervals of many cases; nan throughout for no cases.

    Attributes:
        cases: Number of intervals.
        covered: Number of intervals that cover their truth.
        share: Empirical coverage, ``covered / cases``; to be compared with the nominal level of the intervals.
        low: Lower end of the Wilson interval of the share, which assumes independent cases.
        high: Upper end of the Wilson interval.
        level: Level of the Wilson interval.
        mean_width: Mean width of the intervals, in their unit.
        median_width: Median width of the intervals, in their unit.
    """

    cases: int
    covered: int
    share: float
    low: float
    high: float
    level: float
    mean_width: float
    median_width: float


@dataclass(frozen=True)
class MeanInterval:
    """Mean over cases with its bootstrap interval by patient.

    Attributes:
        value: Mean over the cases in which the measure is defined; nan if there is none.
        low: Lower end of the interval; nan for fewer than two patients.
        high: Upper end of the interval; nan for fewer than two patients.
        level: Level of the interval.
        cases: Number of cases with a value.
        patients: Number of patients that these cases come from.
    """

    value: float
    low: float
    high: float
    level: float
    cases: int
    patients: int


@cites("Wilson1927")
def coverage(
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    *,
    level: float = 0.95,
) -> Coverage:
    """Coverage and width of intervals [low, high], one for each case.

    Args:
        low: (N,), lower ends, such as of a volume in ml; may be infinite.
        high: (N,), upper ends, in the same unit.
        truth: (N,), true values, in the same unit.
        level: Level of the Wilson interval of the coverage, between 0 and 1.

    Raises:
        InputRejected: The lengths differ, or the level is not between 0 and 1.
        ImplausibleValues: A number is NaN, or a lower end is above its upper end.
    """
    _checked_level(level)
    lows, highs, truths = _columns(low=low, high=high, truth=truth)
    if np.isnan(np.concatenate([lows, highs, truths])).any():
        raise ImplausibleValues(
            "intervals", expected="numbers", found="NaN", do="give only cases with a volume and an interval"
        )
    if (lows > highs).any():
        worst = int(np.argmax(lows > highs))
        raise ImplausibleValues(
            f"interval {worst}", expected="low <= high", found=f"[{lows[worst]}, {highs[worst]}]", do="swap the ends"
        )
    cases = int(lows.size)
    if cases == 0:
        return Coverage(0, 0, nan, nan, nan, level, nan, nan)
    covered = int(np.count_nonzero((lows <= truths) & (truths <= highs)))
    wilson = binomtest(covered, cases).proportion_ci(level, method="wilson")
    widths = np.where(lows == highs, 0.0, highs - lows)  # a degenerate interval at infinity has no width
    return Coverage(
        cases,
        covered,
        covered / cases,
        float(wilson.low),
        float(wilson.high),
        level,
        float(widths.mean()),
        float(np.median(widths)),
    )


@cites("Field2007")
def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    *,
    generator: np.random.Generator,
    patients: Sequence[str] | np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> MeanInterval:
    """Mean of a measure over cases, with a percentile interval of the bootstrap by patient.

    Args:
        values: (N,), one for each case. It is nan where the measure is undefined; such cases are excluded.
        generator: Random generator of the resamples. The same seed gives the same interval.
        patients: (N,), patient of each case. None means that every case comes from another patient.
        level: Level of the interval, between 0 and 1.
        resamples: Number of bootstrap resamples, at least 1.

    Raises:
        InputRejected: The lengths differ, or level or resamples are out of range.
    """
    _checked_level(level)
    (column,) = _columns(values=values)
    members = cases_by_patient(patients, defined=~np.isnan(column))
    cases = sum(m.size for m in members)
    if cases == 0:
        return MeanInterval(nan, nan, nan, level, 0, 0)
    sums = np.array([column[m].sum() for m in members])
    counts = np.array([m.size for m in members])
    resampled = resampled_patients(members, resamples, generator)
    means = np.array([sums[chosen].sum() / counts[chosen].sum() for chosen in resampled])
    return MeanInterval(
        float(sums.sum() / cases), *percentile_interval(means, level), level, cases=cases, patients=len(members)
    )


def cases_by_patient(patients: Sequence[str] | np.ndarray | None, *, defined: np.ndarray) -> list[np.ndarray]:
    """Indices of the defined cases of each patient, with patients in the order of their names.

    Args:
        patients: (N,), patient of each case; None means that every case comes from another patient.
        defined: (N,), bool: whether the case counts.

    Raises:
        InputRejected: The number of patients' names is not that of the cases.
    """
    indices = np.flatnonzero(defined)
    if patients is None:
        return [indices[i : i + 1] for i in range(indices.size)]
    if len(patients) != defined.size:
        raise InputRejected(
            "patients",
            expected=f"one for each of {defined.size} cases",
            found=f"{len(patients)}",
            do="name the patient of each case",
        )
    names, patient = np.unique(np.asarray(patients, dtype=str)[indices], return_inverse=True)
    return [indices[patient == i] for i in range(names.size)]


def resampled_patients(
    members: list[np.ndarray], resamples: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Patients of each bootstrap resample, as indices into ``members``; no resample for fewer than two patients.

    Each resample takes as many patients as there are, with replacement.

    Raises:
        InputRejected: ``resamples`` is less than 1.
    """
    if resamples < 1:
        raise InputRejected("resamples", expected="at least 1", found=f"{resamples}", do="give a number such as 2000")
    if len(members) >= 2:
        yield from generator.integers(len(members), size=(resamples, len(members)))


def percentile_interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Central interval at a level of the values that are not nan, by linear quantiles; nan if there are none."""
    defined = values[~np.isnan(values)]
    if defined.size == 0:
        return nan, nan
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _columns(**columns: Sequence[float] | np.ndarray) -> list[np.ndarray]:
    """Columns as float64 arrays (N,) of one length."""
    rows = [np.asarray(column, dtype=np.float64) for column in columns.values()]
    if any(row.ndim != 1 for row in rows) or len({row.size for row in rows}) > 1:
        raise InputRejected(
            " and ".join(columns),
            expected="one number for each case, as many of each",
            found=f"shapes {', '.join(str(row.shape) for row in rows)}",
            do="give one array of numbers each, in the order of the cases",
        )
    return rows


def _checked_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
