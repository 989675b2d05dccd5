"""Conformal guarantees: by hand on a few cases, then on average over many simulated cohorts."""

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
    fit_volume_interval,
    least_cases,
)

GRID = (0.0, 0.25, 0.5, 0.75)
NONE = np.full(4, np.nan)


def ids(n: int) -> list[str]:
    return [f"case {k}" for k in range(n)]


def volume_draws(*volumes_ml: float) -> VolumeDraws:
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
    result = controlled_threshold(rates, cases=ids(9), alpha=0.3, thresholds=GRID)
    assert result.threshold == 0.5  # 8 * 0.2 + 0.4 = 2.0: exactly the bound
    assert result.risk == pytest.approx(0.3)
    assert result.cases == tuple(ids(9))
    assert controlled_threshold(rates, cases=ids(9), alpha=0.29, thresholds=GRID).threshold == 0.25
    assert controlled_threshold(rates, cases=ids(9), alpha=0.1, thresholds=GRID).threshold == 0.0


def test_cases_without_the_target_are_excluded() -> None:
    rates = [np.array([0.0, 0.1, 0.2, 1.0])] * 9
    without = controlled_threshold(rates, cases=ids(9), alpha=0.3, thresholds=GRID)
    assert controlled_threshold([*rates, *[NONE] * 50], cases=ids(59), alpha=0.3, thresholds=GRID) == without
    with pytest.raises(InputRejected, match=r"(?s)at least 9 cases that have the target.*found: +8"):
        controlled_threshold([*rates[:8], *[NONE] * 50], cases=ids(58), alpha=0.1, thresholds=GRID)


@pytest.mark.parametrize(
    ("alpha", "least"), [(0.1, 9), (0.05, 19), (0.01, 99), (0.3, 3), (1 / 3, 2), (0.07, 14), (0.5, 1), (0.9, 1)]
)
def test_the_least_cases(alpha: float, least: int) -> None:
    assert least_cases(alpha) == least
    assert 1 / (least + 1) <= alpha + 1e-12
    assert least == 1 or 1 / least > alpha
    volumes = [volume_draws(float(k + 1), float(k + 2)) for k in range(least)]
    rates = [np.zeros(4)] * least
    assert controlled_threshold(rates, cases=ids(least), alpha=alpha, thresholds=GRID).threshold == 0.75
    fit_volume_interval(volumes, [1.0] * least, cases=ids(least), alpha=alpha)
    if least > 1:
        for wrong in (
            lambda: controlled_threshold(rates[1:], cases=ids(least - 1), alpha=alpha, thresholds=GRID),
            lambda: fit_volume_interval(volumes[1:], [1.0] * (least - 1), cases=ids(least - 1), alpha=alpha),
        ):
            with pytest.raises(InputRejected, match=f"at least {least} cases"):
                wrong()


def test_the_false_negative_rate_is_controlled_on_average(rng: np.random.Generator) -> None:
    """Heterogeneous cases: 19 for the fit and 10 for the evaluation, 150 times."""
    alpha, missed = 0.2, []
    for _ in range(150):
        rates = []
        for _ in range(29):
            middle, size = rng.normal(1.0, 1.5), rng.integers(1, 60)
            probability = expit(rng.normal(middle, 1.5, size)).astype(np.float32)
            rates.append(false_negative_rates(probability, np.ones(size, dtype=bool)))
        result = controlled_threshold(rates[:19], cases=ids(19), alpha=alpha)
        missed.append(np.mean(rates[19:], axis=0)[THRESHOLDS.index(result.threshold)])
    error = float(np.std(missed)) / np.sqrt(150)
    assert np.mean(missed) < alpha + 3 * error
    assert np.mean(missed) > alpha - 2 / 20 - 3 * error  # the lower bound of the theorem


@given(st.integers(9, 40), st.sampled_from([0.1, 0.13, 0.25, 0.5]), st.integers(0, 10_000))
def test_both_agree_with_the_formulas_of_their_papers(n: int, alpha: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    losses = np.sort(generator.random((n, 4)), axis=1) * [0.0, 0.3, 0.6, 1.0]
    controlled = n / (n + 1) * losses.mean(axis=0) + 1 / (n + 1) <= alpha
    result = controlled_threshold(list(losses), cases=ids(n), alpha=alpha, thresholds=GRID)
    assert result.threshold == max(t for t, below in zip(GRID, controlled, strict=True) if below)
    true_ml = generator.exponential(5.0, n)
    scores = abs(np.log1p(true_ml / 0.1) - np.log1p(5.0 / 0.1)) / 0.1
    rank = np.ceil((n + 1) * (1 - alpha) - 1e-9)
    quantile = np.quantile(scores, (rank - 0.5) / n, method="inverted_cdf")  # half a rank less: safe from rounding
    interval = fit_volume_interval([volume_draws(5.0)] * n, true_ml.tolist(), cases=ids(n), alpha=alpha)
    assert interval.quantile == pytest.approx(quantile)


def test_an_interval_by_hand() -> None:
    """On a scale of 1 ml with one draw each, scores are |ln((1 + v) / (1 + c))| / f; of nine the largest counts."""
    draws, true_ml = [volume_draws(1.0)] * 9, [0.0, 3.0, *[1.0] * 7]
    result = fit_volume_interval(draws, true_ml, cases=ids(9), alpha=0.1, unit_ml=1.0, floor=0.5)
    assert result.quantile == pytest.approx(2 * log(2))
    assert result.level == 0.9
    estimate = result.interval(volume_draws(4.0))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((4.0, 1.5, 9.0))
    assert (estimate.level, estimate.unit) == (0.9, "ml")
    assert result.interval(volume_draws(0.0)).low == 0.0
    assert result.interval(volume_draws(0.0)).high == pytest.approx(1.0)
    half = fit_volume_interval(draws, true_ml, cases=ids(9), alpha=0.5, unit_ml=1.0, floor=0.5)
    assert (
        half.interval(volume_draws(4.0)).low == half.interval(volume_draws(4.0)).high == pytest.approx(4.0)
    )  # most were right


def test_one_sided_by_hand() -> None:
    draws, true_ml = [volume_draws(1.0)] * 9, [0.0, 3.0, *[1.0] * 7]
    options = {"cases": ids(9), "unit_ml": 1.0, "floor": 0.5}
    upper = fit_volume_interval(draws, true_ml, side="upper", alpha=0.1, **options).interval(volume_draws(4.0))
    assert (upper.low, upper.high) == pytest.approx((0.0, 9.0))
    lower = fit_volume_interval(draws, true_ml, side="lower", alpha=0.1, **options).interval(volume_draws(4.0))
    assert (lower.low, lower.high) == (pytest.approx(1.5), inf)
    never = fit_volume_interval(draws, [0.0] * 9, side="upper", alpha=0.1, **options)
    assert never.interval(volume_draws(4.0)).high == pytest.approx(1.5)  # always half of the prediction
    assert never.interval(volume_draws(0.5)).high == 0.0


def test_draws_that_differ_widen_the_interval() -> None:
    calibration = fit_volume_interval([volume_draws(1.0, 2.0)] * 9, [1.2] * 9, cases=ids(9))
    narrow, wide = calibration.interval(volume_draws(10.0, 10.0)), calibration.interval(volume_draws(5.0, 20.0))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


@pytest.mark.parametrize("side", ["both", "upper", "lower"])
def test_the_interval_has_its_nominal_coverage(rng: np.random.Generator, side: str) -> None:
    """Volumes of 0 and of 0.01 to 200 ml, biased draws of unequal spread: 19 cases for the fit, 10 to evaluate."""
    alpha, coverage = 0.2, []
    for _ in range(200):
        true_ml = np.where(rng.random(29) < 0.15, 0.0, 10 ** rng.uniform(-2, 2.3, 29))
        spread = rng.uniform(0.05, 0.6, 29)[:, None]
        noise = rng.standard_t(3, (29, 1)) + 0.5 * rng.normal(size=(29, 5))
        draws = [volume_draws(*row) for row in ((true_ml[:, None] + 0.02) * np.exp(0.1 + spread * noise)).tolist()]
        result = fit_volume_interval(draws[:19], true_ml[:19].tolist(), cases=ids(19), alpha=alpha, side=side)
        held_out = [(result.interval(draws[k]), true_ml[k]) for k in range(19, 29)]
        coverage.append(np.mean([estimate.low <= volume <= estimate.high for estimate, volume in held_out]))
    error = float(np.std(coverage)) / np.sqrt(200)
    assert np.mean(coverage) > 1 - alpha - 3 * error
    assert np.mean(coverage) < 1 - alpha + 1 / 20 + 3 * error


def test_huge_errors_do_not_overflow() -> None:
    result = fit_volume_interval([volume_draws(0.0, 0.0)] * 9, [1e300] * 9, cases=ids(9))
    estimate = result.interval(volume_draws(0.0, 200.0))
    assert (estimate.low, estimate.high) == (0.0, inf)


EXAMPLES = (
    ControlledThreshold(0.25, 0.1, 0.09, cases=("a", "b")),
    VolumeInterval("lesion", 1.5, 0.9, "both", 20, 0.1, 0.1, cases=("a",)),
)


@pytest.mark.parametrize(("result", "damaged"), [(EXAMPLES[0], "alpha"), (EXAMPLES[1], "floor")])
def test_saved_and_read_it_is_the_same(result, damaged: str) -> None:
    plain = json.loads(json.dumps(result.as_json()))
    assert CONFORMAL[plain["kind"]].from_json(plain) == result
    with pytest.raises(WeightsRejected):
        type(result).from_json(plain | {damaged: -7.0})


def test_draws_of_another_kind_are_refused() -> None:
    result = fit_volume_interval([volume_draws(1.0, 2.0)] * 9, [1.0] * 9, cases=ids(9))
    for other in (volume_draws(1.0), VolumeDraws("thrombus", (1.0, 2.0), (1, 1))):
        with pytest.raises(InputRejected, match="2 of lesion"):
            result.interval(other)


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
        lambda: fit_volume_interval([volume_draws(1.0)] * 9, [1.0] * 8, cases=ids(9)),
        lambda: fit_volume_interval([volume_draws(1.0)] * 8 + [volume_draws(1.0, 2.0)], [1.0] * 9, cases=ids(9)),
        lambda: fit_volume_interval([volume_draws()] * 9, [1.0] * 9, cases=ids(9)),
        lambda: fit_volume_interval([volume_draws(1.0)] * 9, [1.0] * 9, cases=ids(9), floor=0.0),
        lambda: fit_volume_interval([volume_draws(1.0)] * 9, [1.0] * 9, cases=ids(9), unit_ml=-1.0),
        lambda: fit_volume_interval([volume_draws(1.0)] * 9, [1.0] * 9, cases=["a"] * 9),
    ],
)
def test_invalid_arguments_are_refused(wrong) -> None:
    with pytest.raises(InputRejected):
        wrong()


@pytest.mark.parametrize(
    "rates", [[0.1, 0.2, 0.3, 0.4], [0.0, 0.3, 0.2, 0.4], [0.0, 0.1, 0.2, 1.1], [0.0, np.nan, 0.2, 0.3], [0.0, 0.1]]
)
def test_losses_without_the_theorems_conditions_are_refused(rates: list[float]) -> None:
    with pytest.raises(ImplausibleValues, match="rates"):
        controlled_threshold([np.array(rates)] * 9, cases=ids(9), alpha=0.1, thresholds=GRID)


@pytest.mark.parametrize("bad", [-1.0, inf, float("nan")])
def test_invalid_volumes_are_refused(bad: float) -> None:
    with pytest.raises(ImplausibleValues, match="true_ml"):
        fit_volume_interval([volume_draws(1.0)] * 9, [bad, *[1.0] * 8], cases=ids(9))


def test_a_truth_of_another_shape_or_type_is_refused() -> None:
    p = np.full((2, 2, 2), 0.5, dtype=np.float32)
    with pytest.raises(GridMismatch, match="truth"):
        false_negative_rates(p, np.ones((2, 2, 1), dtype=bool))
    with pytest.raises(ImplausibleValues, match="boolean"):
        false_negative_rates(p, p)


def test_the_methods_name_their_papers() -> None:
    assert citations(controlled_threshold, fit_volume_interval) == ("Angelopoulos2024", "Lei2018")
