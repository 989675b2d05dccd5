"""Quality of volume intervals over cases: coverage, width and the Winkler score, also by size and by preset.

Coverage and width belong together: an interval from 0 to the volume of the brain covers every case. The Winkler score
weighs both. The ratio of the ends is the width of a volume on a logarithmic scale; it is reported for cases above
``RATIO_FROM_ML``, because it is infinite wherever the lower end is 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.core.statistics import interval_scores
from adumbra.evaluation.statistics import Coverage, coverage

RATIO_FROM_ML = 5.0
SIZE_BINS: Mapping[str, tuple[float, float]] = {
    "0 ml": (-inf, 0.0),
    "< 1 ml": (0.0, 1.0),
    "1–5 ml": (1.0, 5.0),
    "5–20 ml": (5.0, 20.0),
    "20–70 ml": (20.0, 70.0),
    "> 70 ml": (70.0, inf),
}
"""Bins of the true volume in ml, by name: above the first number, and up to the second."""


@dataclass(frozen=True)
class IntervalQuality:
    """Quality of the intervals of some cases; nan where undefined.

    Attributes:
        coverage: Number of cases, coverage with its Wilson interval, and widths in ml.
        median_ratio: Median ratio of upper to lower end among cases with a true volume above ``RATIO_FROM_ML``; nan for
            none, and infinite where at least half of the lower ends are 0.
        winkler_ml: Mean Winkler score in ml, which large lesions dominate.
        winkler_log: Mean Winkler score of the ends on the scale ln(1 + v / 0.1 ml).
    """

    coverage: Coverage
    median_ratio: float
    winkler_ml: float
    winkler_log: float


@cites("Winkler1972", "Gneiting2007", "Wilson1927")
def interval_quality(
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    *,
    level: float,
) -> IntervalQuality:
    """Quality of volume intervals.

    Args:
        low: (N,), lower ends, ml.
        high: (N,), upper ends, ml.
        truth: (N,), true volumes, ml.
        level: Nominal coverage, between 0 and 1.

    Raises:
        InputRejected: The lengths differ, or the level is not between 0 and 1.
        ImplausibleValues: A number is NaN, or a lower end is above its upper end.
    """
    lows, highs, truths = (np.asarray(column, dtype=np.float64) for column in (low, high, truth))
    scores = interval_scores(lows, highs, truths, level=level)
    scaled = interval_scores(*(np.log1p(column / 0.1) for column in (lows, highs, truths)), level=level)
    large = truths > RATIO_FROM_ML
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(highs > 0.0, highs / lows, 1.0)[large]
    return IntervalQuality(
        coverage(lows, highs, truths),
        float(np.median(ratios)) if ratios.size else nan,
        float(scores.mean()) if scores.size else nan,
        float(scaled.mean()) if scaled.size else nan,
    )


def interval_quality_by_size(
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    *,
    level: float,
) -> dict[str, IntervalQuality]:
    """``interval_quality`` of the cases in each of ``SIZE_BINS``, by the name of the bin."""
    truths = np.asarray(truth, dtype=np.float64)
    names = [next(name for name, (above, up_to) in SIZE_BINS.items() if above < v <= up_to) for v in truths]
    qualities = interval_quality_by_group(low, high, truths, names, level=level)
    nothing = interval_quality([], [], [], level=level)
    return {name: qualities.get(name, nothing) for name in SIZE_BINS}


def interval_quality_by_group(
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    groups: Sequence[str],
    *,
    level: float,
) -> dict[str, IntervalQuality]:
    """``interval_quality`` of the cases of each group, such as a preset, in the order of their first case.

    Raises:
        InputRejected: There is not one group for each case, or see ``interval_quality``.
    """
    lows, highs, truths = (np.asarray(column, dtype=np.float64) for column in (low, high, truth))
    if len(groups) != truths.size:
        raise InputRejected(
            "groups", expected=f"one for each of {truths.size} cases", found=f"{len(groups)}", do="name each case's"
        )
    members = {name: np.array([group == name for group in groups], dtype=bool) for name in dict.fromkeys(groups)}
    return {name: interval_quality(lows[own], highs[own], truths[own], level=level) for name, own in members.items()}
