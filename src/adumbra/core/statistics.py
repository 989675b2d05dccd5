"""Summary statistics that several stages report: one definition each."""

from collections.abc import Sequence
from math import nan

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites


def coefficient_of_variation(values: Sequence[float] | np.ndarray) -> float:
    """Sample standard deviation over mean, such as of the volumes of posterior draws.

    The standard deviation is that of a sample, divided by n - 1 (Bessel's correction).

    Args:
        values: (N,), of any unit, such as ml or voxels.

    Returns:
        A number without unit, from 0. It is exactly 0 for equal values, and nan where the mean is not above 0 or
        there are fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2 or not (mean := float(sample.mean())) > 0.0:
        return nan
    if sample.min() == sample.max():  # the rounding of the mean must not look like spread
        return 0.0
    return float(sample.std(ddof=1)) / mean


@cites("Winkler1972", "Gneiting2007")
def interval_scores(
    low: Sequence[float] | np.ndarray,
    high: Sequence[float] | np.ndarray,
    truth: Sequence[float] | np.ndarray,
    *,
    level: float,
) -> np.ndarray:
    """Winkler score (interval score) of central intervals; lower is better.

    It is the width, plus 2 / (1 - level) times the distance of the truth from an interval that misses it. It is proper:
    its expected value is smallest for the true quantiles, so it weighs width and coverage against each other.

    Args:
        low: (N,), lower ends.
        high: (N,), upper ends, in the same unit.
        truth: (N,), true values, in the same unit.
        level: Nominal coverage, between 0 and 1.

    Returns:
        (N,), in the unit of the intervals.

    Raises:
        InputRejected: The lengths differ, or the level is not between 0 and 1.
        ImplausibleValues: A number is NaN, or a lower end is above its upper end.
    """
    lows, highs, truths = (np.asarray(column, dtype=np.float64) for column in (low, high, truth))
    if not (0.0 < level < 1.0 and lows.ndim == 1 and lows.shape == highs.shape == truths.shape):
        raise InputRejected(
            "intervals",
            expected="one low, high and truth for each case, and a level between 0 and 1",
            found=f"shapes {lows.shape}, {highs.shape} and {truths.shape}, level {level}",
            do="give them in the order of the cases",
        )
    if np.isnan(np.concatenate([lows, highs, truths])).any() or (lows > highs).any():
        raise ImplausibleValues(
            "intervals", expected="numbers with low <= high", found="others", do="give cases with an interval only"
        )
    missed = np.maximum(lows - truths, 0.0) + np.maximum(truths - highs, 0.0)
    scores: np.ndarray = highs - lows + 2.0 / (1.0 - level) * missed
    return scores
