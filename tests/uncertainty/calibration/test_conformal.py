"""Conformal promises: by hand on a few cases, then that they are kept on average over many made cohorts."""

import json
from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected, WeightsRejected
from adumbra.core.references import citations
from adumbra.core.results import VolumeDraws
from adumbra.uncertainty.calibration.conformal import (
    CONFORMAL,
    THRESHOLDS,
    ControlledThreshold,
    VolumeInterval,
    controlled_threshold,
    false_negative_rates,
    fitted_interval,
    least_cases,
)

GRID = (0.0, 0.25, 0.5, 0.75)
NONE = np.full(4, np.nan)


def ids(n: int) -> list[str]:
    return [f"case {k}" for k in range(n)]


def drawn(*volumes_ml: float) -> VolumeDraws:
    return VolumeDraws("lesion", volumes_ml, tuple(1 for _ in volumes_ml))


def test_false_negative_rates_by_hand() -> None:
    probability = np.array([0.9, 0.5, 0.3, 0.1, 0.8], dtype=np.float32)
    truth = np.array([1, 1, 1, 1, 0], dtype=bool)
    assert false_negative_rates(probability, truth, thresholds=GRID).tolist() == [0.0, 0.25, 0.5, 0.75]


@given(arrays(np.float32, 12, elements=st.floats(0, 1, width=32)), arrays(bool, 12))
def test_a_rate_is_what_the_mask_misses(probability: np.ndarray, truth: np.ndarray) -> None:
    rates = false_negative_rates(probability, truth)
    if not truth.any():
        assert np.isnan(rates).all()
        return
    for at in (0, 1, 100, 185, 250, len(THRESHOLDS) - 1):
        mask = ControlledThreshold(THRESHOLDS[at], 0.1, 0.1, cases=("a",)).apply(probability)
        assert rates[at] == pytest.approx(np.count_nonzero(truth & ~mask) / truth.sum())
    assert rates[0] == 0.0
    assert (np.diff(rates) >= 0).all()


def test_the_thresholds_are_a_grid_from_0_to_nearly_1() -> None:
    assert THRESHOLDS[0] == 0.0
    assert THRESHOLDS[1] == pytest.approx(1e-4, rel=0.02)
    assert THRESHOLDS[-1] == pytest.approx(1 - 1e-4, rel=1e-5)
    assert 0.5 in THRESHOLDS
    assert all(t == float(np.float32(t)) for t in THRESHOLDS)
    assert (np.diff(THRESHOLDS) > 0).all()


def test_a_threshold_by_hand() -> None:
    """Nine cases, alpha 0.3: the sum of losses may be up to 10 * 0.3 - 1 = 2."""
    rates = [np.array([0.0, 0.1, 0.2, 1.0])] * 8 + [np.array([0.0, 0.0, 0.4, 1.0])]
    found = controlled_threshold(rates, cases=ids(9), alpha=0.3, thresholds=GRID)
    assert found.threshold == 0.5  # 8 * 0.2 + 0.4 = 2.0: exactly what may be
    assert found.risk == pytest.approx(0.3)
    assert found.cases == tuple(ids(9))
    assert controlled_threshold(rates, cases=ids(9), alpha=0.29, thresholds=GRID).threshold == 0.25
    assert controlled_threshold(rates, cases=ids(9), alpha=0.1, thresholds=GRID).threshold == 0.0


def test_cases_without_the_target_are_left_out() -> None:
    rates = [np.array([0.0, 0.1, 0.2, 1.0])] * 9
    alone = controlled_threshold(rates, cases=ids(9), alpha=0.3, thresholds=GRID)
    assert controlled_threshold([*rates, *[NONE] * 50], cases=ids(59), alpha=0.3, thresholds=GRID) == alone
    with pytest.raises(InputRejected, match=r"(?s)at least 9 cases that have the target.*found: +8"):
        controlled_threshold([*rates[:8], *[NONE] * 50], cases=ids(58), alpha=0.1, thresholds=GRID)


@pytest.mark.parametrize(
    ("alpha", "least"), [(0.1, 9), (0.05, 19), (0.01, 99), (0.3, 3), (1 / 3, 2), (0.07, 14), (0.5, 1), (0.9, 1)]
)
def test_the_least_cases(alpha: float, least: int) -> None:
    assert least_cases(alpha) == least
    assert 1 / (least + 1) <= alpha + 1e-12
    assert least == 1 or 1 / least > alpha
    volumes = [drawn(float(k + 1), float(k + 2)) for k in range(least)]
    rates = [np.zeros(4)] * least
    assert controlled_threshold(rates, cases=ids(least), alpha=alpha, thresholds=GRID).threshold == 0.75
    fitted_interval(volumes, [1.0] * least, cases=ids(least), alpha=alpha)
    if least > 1:
        for wrong in (
            lambda: controlled_threshold(rates[1:], cases=ids(least - 1), alpha=alpha, thresholds=GRID),
            lambda: fitted_interval(volumes[1:], [1.0] * (least - 1), cases=ids(least - 1), alpha=alpha),
        ):
            with pytest.raises(InputRejected, match=f"at least {least} cases"):
                wrong()


def test_the_false_negative_rate_is_kept_on_average(rng: np.random.Generator) -> None:
    """Cases that differ much from each other, 19 to fit on and 10 to judge: 150 times over."""
    alpha, missed = 0.2, []
    for _ in range(150):
        rates = []
        for _ in range(29):
            middle, size = rng.normal(1.0, 1.5), rng.integers(1, 60)
            probability = expit(rng.normal(middle, 1.5, size)).astype(np.float32)
            rates.append(false_negative_rates(probability, np.ones(size, dtype=bool)))
        found = controlled_threshold(rates[:19], cases=ids(19), alpha=alpha)
        missed.append(np.mean(rates[19:], axis=0)[THRESHOLDS.index(found.threshold)])
    error = float(np.std(missed)) / np.sqrt(150)
    assert np.mean(missed) < alpha + 3 * error
    assert np.mean(missed) > alpha - 2 / 20 - 3 * error  # the theorem's lower bound: no more careful than it must be


@given(st.integers(9, 40), st.sampled_from([0.1, 0.13, 0.25, 0.5]), st.integers(0, 10_000))
def test_both_agree_with_their_papers_formulas(n: int, alpha: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    losses = np.sort(generator.random((n, 4)), axis=1) * [0.0, 0.3, 0.6, 1.0]
    kept = n / (n + 1) * losses.mean(axis=0) + 1 / (n + 1) <= alpha
    found = controlled_threshold(list(losses), cases=ids(n), alpha=alpha, thresholds=GRID)
    assert found.threshold == max(t for t, keeps in zip(GRID, kept, strict=True) if keeps)
    true_ml = generator.exponential(5.0, n)
    scores = abs(np.log1p(true_ml / 0.1) - np.log1p(5.0 / 0.1)) / 0.1
    quantile = np.quantile(scores, np.ceil((n + 1) * (1 - alpha) - 1e-9) / n, method="inverted_cdf")
    interval = fitted_interval([drawn(5.0)] * n, true_ml.tolist(), cases=ids(n), alpha=alpha)
    assert interval.quantile == pytest.approx(quantile)


def test_an_interval_by_hand() -> None:
    """On a scale of 1 ml with one draw each, scores are |ln((1 + v) / (1 + c))| / f; of nine the largest counts."""
    draws, true_ml = [drawn(1.0)] * 9, [0.0, 3.0, *[1.0] * 7]
    found = fitted_interval(draws, true_ml, cases=ids(9), alpha=0.1, unit_ml=1.0, floor=0.5)
    assert found.quantile == pytest.approx(2 * log(2))
    assert found.level == 0.9
    estimate = found.interval(drawn(4.0))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((4.0, 1.5, 9.0))
    assert (estimate.level, estimate.unit) == (0.9, "ml")
    assert found.interval(drawn(0.0)).low == 0.0
    assert found.interval(drawn(0.0)).high == pytest.approx(1.0)
    half = fitted_interval(draws, true_ml, cases=ids(9), alpha=0.5, unit_ml=1.0, floor=0.5)
    assert half.interval(drawn(4.0)).low == half.interval(drawn(4.0)).high == pytest.approx(4.0)  # most were right


def test_one_sided_by_hand() -> None:
    draws, true_ml = [drawn(1.0)] * 9, [0.0, 3.0, *[1.0] * 7]
    options = {"cases": ids(9), "unit_ml": 1.0, "floor": 0.5}
    upper = fitted_interval(draws, true_ml, side="upper", alpha=0.1, **options).interval(drawn(4.0))
    assert (upper.low, upper.high) == pytest.approx((0.0, 9.0))
    lower = fitted_interval(draws, true_ml, side="lower", alpha=0.1, **options).interval(drawn(4.0))
    assert (lower.low, lower.high) == (pytest.approx(1.5), inf)
    never = fitted_interval(draws, [0.0] * 9, side="upper", alpha=0.1, **options)
    assert never.interval(drawn(4.0)).high == pytest.approx(1.5)  # always half of what was said
    assert never.interval(drawn(0.5)).high == 0.0


def test_draws_that_differ_widen_the_interval() -> None:
    calibration = fitted_interval([drawn(1.0, 2.0)] * 9, [1.2] * 9, cases=ids(9))
    sure, unsure = calibration.interval(drawn(10.0, 10.0)), calibration.interval(drawn(5.0, 20.0))
    assert unsure.high - unsure.low > 2 * (sure.high - sure.low)


@pytest.mark.parametrize("side", ["both", "upper", "lower"])
def test_the_volume_is_held_as_often_as_promised(rng: np.random.Generator, side: str) -> None:
    """Volumes from 0 and 0.01 to 200 ml, biased draws of unequal spread: 19 cases to fit on, 10 to judge."""
    alpha, held = 0.2, []
    for _ in range(200):
        true_ml = np.where(rng.random(29) < 0.15, 0.0, 10 ** rng.uniform(-2, 2.3, 29))
        spread = rng.uniform(0.05, 0.6, 29)[:, None]
        noise = rng.standard_t(3, (29, 1)) + 0.5 * rng.normal(size=(29, 5))
        draws = [drawn(*row) for row in ((true_ml[:, None] + 0.02) * np.exp(0.1 + spread * noise)).tolist()]
        found = fitted_interval(draws[:19], true_ml[:19].tolist(), cases=ids(19), alpha=alpha, side=side)
        judged = [(found.interval(draws[k]), true_ml[k]) for k in range(19, 29)]
        held.append(np.mean([estimate.low <= volume <= estimate.high for estimate, volume in judged]))
    error = float(np.std(held)) / np.sqrt(200)
    assert np.mean(held) > 1 - alpha - 3 * error
    assert np.mean(held) < 1 - alpha + 1 / 20 + 3 * error


def test_huge_errors_do_not_overflow() -> None:
    found = fitted_interval([drawn(0.0, 0.0)] * 9, [1e300] * 9, cases=ids(9))
    estimate = found.interval(drawn(0.0, 200.0))
    assert (estimate.low, estimate.high) == (0.0, inf)


EXAMPLES = (
    ControlledThreshold(0.25, 0.1, 0.09, cases=("a", "b")),
    VolumeInterval("lesion", 1.5, 0.9, "both", 20, 0.1, 0.1, cases=("a",)),
)


@pytest.mark.parametrize(("found", "damaged"), [(EXAMPLES[0], "alpha"), (EXAMPLES[1], "floor")])
def test_saved_and_read_it_is_the_same(found, damaged: str) -> None:
    plain = json.loads(json.dumps(found.as_json()))
    assert CONFORMAL[plain["kind"]].from_json(plain) == found
    with pytest.raises(WeightsRejected):
        type(found).from_json(plain | {damaged: -7.0})


def test_draws_of_another_kind_are_refused() -> None:
    found = fitted_interval([drawn(1.0, 2.0)] * 9, [1.0] * 9, cases=ids(9))
    for other in (drawn(1.0), VolumeDraws("thrombus", (1.0, 2.0), (1, 1))):
        with pytest.raises(InputRejected, match="2 of lesion"):
            found.interval(other)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: controlled_threshold([np.zeros(4)] * 9, cases=["a"] * 9, alpha=0.1, thresholds=GRID),
        lambda: controlled_threshold([np.zeros(4)] * 9, cases=ids(8), alpha=0.1, thresholds=GRID),
        lambda: controlled_threshold([np.zeros(4)] * 9, cases=ids(9), alpha=0.1, thresholds=(0.1, 0.2, 0.3, 0.4)),
        lambda: controlled_threshold([np.zeros(4)] * 9, cases=ids(9), alpha=0.1, thresholds=(0.0, 0.2, 0.2, 0.4)),
        lambda: controlled_threshold([np.zeros(4)] * 9, cases=ids(9), alpha=0.0, thresholds=GRID),
        lambda: controlled_threshold([np.zeros(4)] * 9, cases=ids(9), alpha=1.0, thresholds=GRID),
        lambda: controlled_threshold([], cases=[], alpha=0.1, thresholds=GRID),
        lambda: fitted_interval([drawn(1.0)] * 9, [1.0] * 8, cases=ids(9)),
        lambda: fitted_interval([drawn(1.0)] * 8 + [drawn(1.0, 2.0)], [1.0] * 9, cases=ids(9)),
        lambda: fitted_interval([drawn()] * 9, [1.0] * 9, cases=ids(9)),
        lambda: fitted_interval([drawn(1.0)] * 9, [1.0] * 9, cases=ids(9), floor=0.0),
        lambda: fitted_interval([drawn(1.0)] * 9, [1.0] * 9, cases=ids(9), unit_ml=-1.0),
        lambda: fitted_interval([drawn(1.0)] * 9, [1.0] * 9, cases=["a"] * 9),
    ],
)
def test_wrong_use_is_refused(wrong) -> None:
    with pytest.raises(InputRejected):
        wrong()


@pytest.mark.parametrize(
    "rates", [[0.1, 0.2, 0.3, 0.4], [0.0, 0.3, 0.2, 0.4], [0.0, 0.1, 0.2, 1.1], [0.0, np.nan, 0.2, 0.3], [0.0, 0.1]]
)
def test_losses_without_the_theorems_conditions_are_refused(rates: list[float]) -> None:
    with pytest.raises(ImplausibleValues, match="rates"):
        controlled_threshold([np.array(rates)] * 9, cases=ids(9), alpha=0.1, thresholds=GRID)


@pytest.mark.parametrize("bad", [-1.0, inf, float("nan")])
def test_volumes_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ImplausibleValues, match="true_ml"):
        fitted_interval([drawn(1.0)] * 9, [bad, *[1.0] * 8], cases=ids(9))


def test_a_truth_that_does_not_fit_is_refused() -> None:
    p = np.full((2, 2, 2), 0.5, dtype=np.float32)
    with pytest.raises(GridMismatch, match="truth"):
        false_negative_rates(p, np.ones((2, 2, 1), dtype=bool))
    with pytest.raises(ImplausibleValues, match="boolean"):
        false_negative_rates(p, p)


def test_the_methods_name_their_papers() -> None:
    assert citations(controlled_threshold, fitted_interval) == ("Angelopoulos2024", "Lei2018")
