"""Do the intervals hold what they promise, and how sure is a mean over patients?

Coverage is the share of cases whose true volume lies in its interval, ends included; it says little without the width,
since an interval from 0 to infinity covers all. The share is a binomial count of few cases, and comes with its Wilson
interval.

The mean of a measure over cases comes with a percentile interval of the bootstrap, which draws *patients* with
replacement and takes all cases of each (the cluster bootstrap of Field and Welsh 2007): scans of one patient are not
independent, and voxels even less so.
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
    """How often intervals hold the truth, and how wide they are; nan throughout for no cases.

    Attributes:
        cases: How many intervals there are.
        covered: How many hold their truth.
        share: ``covered / cases``, to be compared with the level that the intervals promise.
        low: With ``high``, the Wilson interval of the share at ``level``; it takes the cases as independent.
        level: Of the interval of the share.
        mean_width: Of the intervals, in their unit.
        median_width: Likewise.
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
    """A mean over cases with its bootstrap interval over patients.

    Attributes:
        value: The mean of the cases where the measure is defined; nan if there is none.
        low: With ``high``, the interval; nan for fewer than two patients, for of one nothing is known about others.
        level: Of the interval.
        cases: How many cases have a value.
        patients: How many patients they come from.
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
    """Coverage and width of the intervals [low, high] of one case each.

    Args:
        low: (N,), lower ends, such as of a volume in ml; may be infinite.
        high: (N,), upper ends.
        truth: (N,), what the intervals should hold.
        level: Of the interval of the share, between 0 and 1.

    Raises:
        InputRejected: The lengths differ, or the level is not between 0 and 1.
        ImplausibleValues: A number is NaN, or a lower end is above its upper end.
    """
    _checked_level(level)
    lows, highs, truths = _columns(low=low, high=high, truth=truth)
    if np.isnan(np.concatenate([lows, highs, truths])).any():
        raise ImplausibleValues(
            "intervals", expected="numbers", found="NaN", do="give only cases whose volume and interval are known"
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
    widths = np.where(lows == highs, 0.0, highs - lows)  # an infinite point is of no width
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
    """The mean of a measure over cases, with a percentile interval of the bootstrap by patient.

    Args:
        values: (N,), one a case. Where the measure is undefined it is nan; such cases are left out and not counted.
        generator: Of the resamples. The same seed gives the same interval.
        patients: (N,), whom each case is of; each case another patient, if not given.
        level: Of the interval, between 0 and 1.
        resamples: How many, at least 1.

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
    means = np.array([sums[drawn].sum() / counts[drawn].sum() for drawn in resampled(members, resamples, generator)])
    return MeanInterval(
        float(sums.sum() / cases), *percentile_interval(means, level), level, cases=cases, patients=len(members)
    )


def cases_by_patient(patients: Sequence[str] | np.ndarray | None, *, defined: np.ndarray) -> list[np.ndarray]:
    """The indices of each patient's cases that are defined (bool, (N,)), patients in order of their names.

    Raises:
        InputRejected: There are not as many patients' names as cases.
    """
    kept = np.flatnonzero(defined)
    if patients is None:
        return [kept[i : i + 1] for i in range(kept.size)]
    if len(patients) != defined.size:
        raise InputRejected(
            "patients",
            expected=f"one for each of {defined.size} cases",
            found=f"{len(patients)}",
            do="name each case's",
        )
    names, who = np.unique(np.asarray(patients, dtype=str)[kept], return_inverse=True)
    return [kept[who == i] for i in range(names.size)]


def resampled(members: list[np.ndarray], resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Which patients each resample draws, with replacement, as many as there are; none for fewer than two patients.

    Raises:
        InputRejected: Fewer than one resample was asked for.
    """
    if resamples < 1:
        raise InputRejected("resamples", expected="at least 1", found=f"{resamples}", do="give a number such as 2000")
    if len(members) >= 2:
        yield from generator.integers(len(members), size=(resamples, len(members)))


def percentile_interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """The central interval of the values that are not nan, by linear quantiles; nan if there are none."""
    defined = values[~np.isnan(values)]
    if defined.size == 0:
        return nan, nan
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _columns(**columns: Sequence[float] | np.ndarray) -> list[np.ndarray]:
    """The columns as float64 rows of one length."""
    rows = [np.asarray(column, dtype=np.float64) for column in columns.values()]
    if any(row.ndim != 1 for row in rows) or len({row.size for row in rows}) > 1:
        raise InputRejected(
            " and ".join(columns),
            expected="one number a case, as many of each",
            found=f"shapes {', '.join(str(row.shape) for row in rows)}",
            do="give one row of numbers each, in the order of the cases",
        )
    return rows


def _checked_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
