"""Quality of volume intervals, by hand."""

from math import inf, isnan, log1p

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.statistics import interval_scores
from adumbra.evaluation.uncertainty.intervals import (
    SIZE_BINS,
    interval_quality,
    interval_quality_by_group,
    interval_quality_by_size,
)

LOW, HIGH, TRUTH = [1.0, 8.0, 0.0, 40.0], [3.0, 16.0, 1.0, 100.0], [2.0, 20.0, 0.0, 90.0]


def test_the_winkler_score_by_hand() -> None:
    """Widths of 2, 8, 1 and 60; the second misses by 4 ml, which costs 2 / 0.1 · 4 = 80."""
    assert interval_scores(LOW, HIGH, TRUTH, level=0.9).tolist() == pytest.approx([2.0, 88.0, 1.0, 60.0])
    assert interval_scores([2.0], [3.0], [1.5], level=0.5).tolist() == [3.0]


def test_the_winkler_score_is_smallest_for_the_true_quantiles() -> None:
    truth = np.random.default_rng(0).uniform(0.0, 1.0, 20_000)
    ends = {half: (np.full(truth.size, 0.5 - half), np.full(truth.size, 0.5 + half)) for half in (0.40, 0.45, 0.48)}
    means = {half: interval_scores(*both, truth, level=0.9).mean() for half, both in ends.items()}
    assert min(means, key=lambda half: means[half]) == 0.45


@pytest.mark.parametrize(("low", "high", "truth"), [([2.0], [1.0], [0.0]), ([0.0], [1.0], [np.nan])])
def test_impossible_intervals_are_refused(low, high, truth) -> None:
    with pytest.raises(ImplausibleValues):
        interval_scores(low, high, truth, level=0.9)


def test_other_lengths_and_levels_are_refused() -> None:
    with pytest.raises(InputRejected):
        interval_scores([1.0], [2.0, 3.0], [1.0], level=0.9)
    with pytest.raises(InputRejected):
        interval_quality(LOW, HIGH, TRUTH, level=1.0)
    with pytest.raises(InputRejected, match="one for each of 4"):
        interval_quality_by_group(LOW, HIGH, TRUTH, ["a"], level=0.9)


def test_quality_by_hand() -> None:
    """Three of four are covered. Above 5 ml the ratios are 2 and 2.5."""
    quality = interval_quality(LOW, HIGH, TRUTH, level=0.9)
    assert (quality.coverage.cases, quality.coverage.covered) == (4, 3)
    assert quality.median_ratio == pytest.approx(2.25)
    assert quality.winkler_ml == pytest.approx((2.0 + 88.0 + 1.0 + 60.0) / 4)
    widths = [log1p(high / 0.1) - log1p(low / 0.1) for low, high in zip(LOW, HIGH, strict=True)]
    missed = log1p(200.0) - log1p(160.0)
    assert quality.winkler_log == pytest.approx((sum(widths) + 20.0 * missed) / 4)


def test_a_lower_end_of_zero_has_an_infinite_ratio() -> None:
    assert interval_quality([0.0], [9.0], [6.0], level=0.9).median_ratio == inf
    assert isnan(interval_quality([0.0], [9.0], [5.0], level=0.9).median_ratio)
    assert interval_quality([0.0], [0.0], [6.0], level=0.9).median_ratio == 1.0


def test_bins_of_size_by_hand() -> None:
    """0 ml is a bin of its own, and 5 ml belongs to the bin below it."""
    truth = [0.0, 0.5, 1.0, 5.0, 20.0, 70.0, 71.0]
    by_size = interval_quality_by_size([0.0] * 7, [100.0] * 7, truth, level=0.9)
    assert list(by_size) == list(SIZE_BINS)
    assert [quality.coverage.cases for quality in by_size.values()] == [1, 2, 1, 1, 1, 1]
    nothing = interval_quality_by_size([0.0], [1.0], [0.5], level=0.9)["> 70 ml"]
    assert nothing.coverage.cases == 0
    assert isnan(nothing.winkler_ml)


def test_groups_by_hand() -> None:
    groups = interval_quality_by_group(LOW, HIGH, TRUTH, ["b", "a", "b", "b"], level=0.9)
    assert {name: quality.coverage.covered for name, quality in groups.items()} == {"b": 3, "a": 0}
