"""Rank correlation over cases and reliability of a map: by hand, against SciPy, and by simulation."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr, spearmanr

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.evaluation.uncertainty.association import case_association, pearson, spearman, split_half

COARSE = arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


def seeded(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def everywhere(*values: float) -> tuple[np.ndarray, np.ndarray]:
    volume = np.array(values, dtype=np.float32).reshape(-1, 1, 1)
    return volume, np.ones(volume.shape, dtype=bool)


def test_ranks_by_hand() -> None:
    """Ranks 1 2 3 4 and 1 2.5 2.5 4: covariance 4.5, variances 5 and 4.5."""
    assert spearman(np.array([1.0, 2, 3, 9]), np.array([0.1, 0.2, 0.2, 7])) == pytest.approx(4.5 / (5 * 4.5) ** 0.5)
    assert spearman(np.array([1.0, 2, 3]), np.array([9.0, 5, -2])) == -1.0


@given(COARSE, COARSE)
def test_rho_is_that_of_scipy(x: np.ndarray, y: np.ndarray) -> None:
    if x.min() == x.max() or y.min() == y.max():
        assert isnan(spearman(x, y))
    else:
        assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_too_few_and_constant_cases_are_undefined() -> None:
    for n in range(3):
        assert isnan(case_association(np.arange(n, dtype=float), np.arange(n, dtype=float), generator=seeded()).rho)
    result = case_association([0.1, 0.1, 0.1, 0.1], [0.2, 0.4, 0.6, 0.8], generator=seeded())
    assert isnan(result.rho)
    assert isnan(result.low)
    assert isnan(result.high)
    assert result.cases == 4


def test_an_undefined_case_is_excluded() -> None:
    nan = float("nan")
    result = case_association([0.1, 0.2, nan, 0.3, 0.4], [0.9, 0.8, 0.1, nan, 0.7], generator=seeded())
    assert (result.rho, result.cases, result.patients) == (-1.0, 3, 3)


def test_the_same_seed_gives_the_same_interval() -> None:
    x, y = seeded().random(20), seeded(2).random(20)
    one, same, other = (case_association(x, y, generator=seeded(s), resamples=200) for s in (5, 5, 6))
    assert one == same
    assert one != other
    assert one.rho == other.rho
    assert -1.0 <= one.low < one.rho < one.high <= 1.0
    wide = case_association(x, y, generator=seeded(5), resamples=200, level=0.99)
    assert wide.low < one.low
    assert wide.high > one.high


def test_more_scans_of_the_same_patients_do_not_narrow_the_interval() -> None:
    """Each case ten times: the interval shrinks if they count as ten patients, and stays the same by patient."""
    x = seeded(3).random(15)
    y = -x + seeded(4).normal(0, 0.4, 15)
    names = [f"sub-{i:02d}" for i in range(15)]
    once = case_association(x, y, generator=seeded(), resamples=400)
    many, tenfold = (np.repeat(values, 10) for values in (x, y))
    by_patient = case_association(many, tenfold, generator=seeded(), resamples=400, patients=np.repeat(names, 10))
    by_case = case_association(many, tenfold, generator=seeded(), resamples=400)
    assert (by_patient.patients, by_patient.cases, by_case.patients) == (15, 150, 150)
    assert by_patient.rho == pytest.approx(once.rho)
    assert by_patient.high - by_patient.low == pytest.approx(once.high - once.low, rel=0.05)
    assert by_case.high - by_case.low < 0.5 * (once.high - once.low)


def test_two_patients_give_no_interval() -> None:
    result = case_association([1, 2, 3, 4], [1, 3, 2, 4], generator=seeded(), patients=["a", "a", "b", "b"])
    assert result.rho == pytest.approx(0.8)
    assert isnan(result.low)
    assert (result.cases, result.patients) == (4, 2)


def test_resamples_without_a_rho_are_excluded_unless_they_are_the_majority() -> None:
    """One of four cases differs in x: 32 % of the resamples miss it. One of three differs in x and one in y: 56 %."""
    assert not isnan(case_association([0, 0, 0, 1], [1, 2, 3, 0], generator=seeded()).low)
    result = case_association([1, 0, 0], [0, 1, 0], generator=seeded())
    assert result.rho == pytest.approx(-0.5)
    assert isnan(result.low)
    assert isnan(result.high)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(InputRejected, match="as many"):
        case_association([1, 2, 3], [1, 2], generator=seeded())
    with pytest.raises(InputRejected, match="patients"):
        case_association([1, 2, 3], [1, 2, 4], generator=seeded(), patients=["a"])
    with pytest.raises(InputRejected, match="level"):
        case_association([1, 2, 3], [1, 2, 4], generator=seeded(), level=1.0)
    with pytest.raises(InputRejected, match="resamples"):
        case_association([1, 2, 3], [1, 2, 4], generator=seeded(), resamples=0)


def test_halves_by_hand() -> None:
    """r of (0, 1, 2) and (0, 2, 1) is 1/2; the reliability is 2/3."""
    first, within = everywhere(0, 1, 2)
    second, _ = everywhere(0, 2, 1)
    result = split_half(first, second, within)
    assert result.r == pytest.approx(0.5)
    assert result.reliability == pytest.approx(2 / 3)
    assert result.voxels == 3


def test_the_region_decides() -> None:
    first, within = everywhere(0, 1, 2, 50)
    second, _ = everywhere(0, 2, 1, 50)
    assert split_half(first, second, within).r > 0.99
    within[3] = False
    assert split_half(first, second, within).r == pytest.approx(0.5)


def test_the_reliability_is_the_correlation_of_two_full_maps(rng) -> None:
    """The noise ceiling, by simulation: 20 draws split into halves predict the correlation of two maps of 20 draws."""
    signal = rng.normal(size=(40, 40, 10))
    draws = signal + 3.0 * rng.normal(size=(40, 40, 40, 10))
    within = np.ones(signal.shape, dtype=bool)
    result = split_half(draws[:10].mean(axis=0), draws[10:20].mean(axis=0), within)
    between = pearson(draws[:20].mean(axis=0).ravel(), draws[20:].mean(axis=0).ravel())
    assert result.reliability == pytest.approx(between, abs=0.02)
    assert result.r < between - 0.1


@given(arrays(np.float32, (5, 2, 2), elements=st.floats(-10, 10, width=16)), arrays(bool, (5, 2, 2)))
def test_r_is_that_of_scipy(first: np.ndarray, within: np.ndarray) -> None:
    second = np.sin(np.arange(20, dtype=np.float32)).reshape(5, 2, 2)
    a, b = first[within].astype(float), second[within].astype(float)
    result = split_half(first, second, within)
    assert result.voxels == a.size
    if a.size < 3 or a.min() == a.max():
        assert isnan(result.r)
        assert isnan(result.reliability)
    elif np.ptp(a) > 1e-3 * np.abs(a).max():  # SciPy warns of nearly constant values
        assert result.r == pytest.approx(pearsonr(a, b).statistic, abs=1e-9)


def test_halves_that_are_the_same_opposite_or_constant() -> None:
    first, within = everywhere(0.1, 0.4, 0.2)
    same = split_half(first, first, within)
    assert (same.r, same.reliability) == pytest.approx((1.0, 1.0))
    opposite = split_half(first, -first, within)
    assert opposite.r == pytest.approx(-1.0)
    constant = split_half(np.full_like(first, 0.1), first, within)
    assert isnan(constant.r)
    assert isnan(constant.reliability)
    assert isnan(split_half(first, first, np.zeros(within.shape, dtype=bool)).r)


def test_a_constant_whose_mean_is_rounded_is_still_constant() -> None:
    values = np.full(1_000_003, 0.1)
    assert isnan(pearson(values, np.arange(values.size, dtype=float)))


def test_tiny_and_large_values_and_offsets() -> None:
    x, y = np.array([1.0, 2, 3, 5]), np.array([2.0, 1, 4, 5])
    r = pearson(x, y)
    for scale in (1e-200, 1e200):
        assert pearson(x * scale, y) == pytest.approx(r)
    assert pearson((x + 1e6).astype(np.float32), y) == pytest.approx(r)


def test_invalid_halves_are_refused() -> None:
    first, within = everywhere(0, 1, 2)
    with pytest.raises(GridMismatch):
        split_half(first, first[:2], within)
    with pytest.raises(ImplausibleValues, match="region"):
        split_half(first, first, within.astype(float))
    broken = first.copy()
    broken[1] = np.nan
    with pytest.raises(ImplausibleValues, match="finite"):
        split_half(first, broken, within)
    within[1] = False
    assert split_half(first, broken, within).voxels == 2  # NaN outside the region is allowed
