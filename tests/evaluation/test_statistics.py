"""Coverage and width of intervals, and means by patient: by hand, against SciPy, and by simulation."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.evaluation.statistics import bootstrap_mean, coverage


def seeded(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_four_intervals_by_hand() -> None:
    result = coverage([0, 1, 2, 3], [2, 2, 2.5, 10], [1, 3, 2.2, 2])
    assert (result.cases, result.covered, result.share) == (4, 2, 0.5)
    assert result.mean_width == pytest.approx((2 + 1 + 0.5 + 7) / 4)
    assert result.median_width == pytest.approx(1.5)
    assert (result.low, result.high) == pytest.approx((0.1500, 0.8500), abs=1e-4)  # Wilson's, z = 1.96


def test_the_ends_belong_to_the_interval() -> None:
    assert coverage([1, 2], [3, 2], [3, 2]).covered == 2
    assert coverage([1.0], [3.0], [np.nextafter(3.0, 4.0)]).covered == 0


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([0.8, 0.95]))
def test_the_share_has_the_interval_of_wilson(cases: int, covered: int, level: float) -> None:
    covered = min(covered, cases)
    truth = [0.5] * covered + [2.0] * (cases - covered)
    result = coverage([0.0] * cases, [1.0] * cases, truth, level=level)
    z = {0.8: 1.2815515655446004, 0.95: 1.959963984540054}[level]
    middle = (result.share + z**2 / (2 * cases)) / (1 + z**2 / cases)
    half = z / (1 + z**2 / cases) * (result.share * (1 - result.share) / cases + z**2 / (4 * cases**2)) ** 0.5
    assert (result.low, result.high) == pytest.approx((middle - half, middle + half), abs=1e-12)
    assert 0.0 <= result.low <= result.share <= result.high <= 1.0


def test_all_and_none_covered_stay_within_zero_and_one() -> None:
    assert coverage([0, 0], [1, 1], [0.5, 0.5]).high == 1.0
    assert coverage([0, 0], [1, 1], [2, 2]).low == 0.0


def test_no_intervals() -> None:
    result = coverage([], [], [])
    assert (result.cases, result.covered) == (0, 0)
    assert all(isnan(v) for v in (result.share, result.low, result.high, result.mean_width, result.median_width))


def test_an_open_interval_covers_and_is_infinitely_wide() -> None:
    result = coverage([0.0, -np.inf], [np.inf, 1.0], [5.0, 3.0])
    assert (result.covered, result.mean_width) == (1, np.inf)


def test_invalid_intervals_are_refused() -> None:
    for columns in (([nan], [1.0], [0.0]), ([0.0], [nan], [0.0]), ([0.0], [1.0], [nan])):
        with pytest.raises(ImplausibleValues, match="NaN"):
            coverage(*columns)
    with pytest.raises(ImplausibleValues, match="interval 1"):
        coverage([0, 3], [1, 2], [0, 2])
    with pytest.raises(InputRejected, match="as many"):
        coverage([0, 1], [1, 2], [0.5])
    for level in (0.0, 1.0, nan):
        with pytest.raises(InputRejected, match="level"):
            coverage([0], [1], [0.5], level=level)


def test_a_mean_with_its_interval_by_hand() -> None:
    """Two patients, 0 and 1: a resample is 0, 1/2 or 1, with probabilities 1/4, 1/2, 1/4."""
    result = bootstrap_mean([0.0, 1.0], generator=seeded())
    assert (result.value, result.cases, result.patients) == (0.5, 2, 2)
    assert (result.low, result.high) == (0.0, 1.0)
    narrow = bootstrap_mean([0.0, 1.0], generator=seeded(), level=0.3)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_patients_with_many_cases_weigh_by_their_cases() -> None:
    result = bootstrap_mean([0, 0, 0, 1], generator=seeded(), patients=["a", "a", "a", "b"])
    assert (result.value, result.cases, result.patients) == (0.25, 4, 2)
    assert (result.low, result.high) == (0.0, 1.0)  # of a alone and of b alone


def test_the_interval_is_that_of_scipy() -> None:
    values = seeded(7).gamma(2.0, size=60)
    mine = bootstrap_mean(values, generator=seeded(), resamples=4000)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=seeded(2)).confidence_interval
    assert mine.value == pytest.approx(values.mean())
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.05)


def test_cases_of_one_patient_are_not_independent() -> None:
    values, names = seeded(8).random(20), [f"sub-{i}" for i in range(20)]
    once = bootstrap_mean(values, generator=seeded())
    by_patient = bootstrap_mean(np.repeat(values, 9), generator=seeded(), patients=[n for n in names for _ in range(9)])
    by_case = bootstrap_mean(np.repeat(values, 9), generator=seeded())
    assert by_patient.high - by_patient.low == pytest.approx(once.high - once.low, rel=0.05)
    assert by_case.high - by_case.low == pytest.approx((once.high - once.low) / 3, rel=0.1)


def test_ninety_five_of_a_hundred_intervals_cover_the_mean() -> None:
    draws = seeded(9).normal(3.0, 1.0, size=(200, 40))
    covered = sum(
        f.low <= 3.0 <= f.high for f in (bootstrap_mean(row, generator=seeded(), resamples=300) for row in draws)
    )
    assert 176 <= covered <= 199


def test_undefined_cases_are_excluded() -> None:
    result = bootstrap_mean([1.0, nan, 3.0, nan], generator=seeded(), patients=["a", "b", "c", "c"])
    assert (result.value, result.cases, result.patients) == (2.0, 2, 2)
    nothing = bootstrap_mean([nan, nan], generator=seeded())
    assert (nothing.cases, nothing.patients) == (0, 0)
    assert isnan(nothing.value)
    assert isnan(nothing.low)


def test_one_patient_has_a_mean_and_no_interval() -> None:
    result = bootstrap_mean([1.0, 2.0], generator=seeded(), patients=["a", "a"])
    assert (result.value, result.patients) == (1.5, 1)
    assert isnan(result.low)
    assert isnan(result.high)


def test_a_constant_has_an_interval_of_no_width() -> None:
    result = bootstrap_mean([0.5] * 5, generator=seeded())
    assert (result.low, result.value, result.high) == (0.5, 0.5, 0.5)


def test_the_same_seed_gives_the_same_interval_whatever_the_names() -> None:
    values = seeded(4).random(10)
    one, same, other = (bootstrap_mean(values, generator=seeded(s)) for s in (1, 1, 2))
    assert one == same
    assert (one.low, one.high) != (other.low, other.high)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(InputRejected, match="patients"):
        bootstrap_mean([1.0, 2.0], generator=seeded(), patients=["a"])
    with pytest.raises(InputRejected, match="resamples"):
        bootstrap_mean([1.0, 2.0], generator=seeded(), resamples=0)
    with pytest.raises(InputRejected, match="level"):
        bootstrap_mean([1.0, 2.0], generator=seeded(), level=2.0)
