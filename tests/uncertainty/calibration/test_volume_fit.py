"""Volume intervals with regressions: their coverage and width where the truth is known, and what they refuse."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected, WeightsRejected
from adumbra.uncertainty.calibration.conformal import VolumeInterval
from adumbra.uncertainty.calibration.local_interval import LocalInterval
from adumbra.uncertainty.calibration.volume_fit import (
    LEAST_LOCAL,
    VOLUME_CALIBRATIONS,
    CalibrationCase,
    FittedVolume,
    conformal_quantile,
    fit_volume,
)
from adumbra.uncertainty.calibration.volume_intervals import (
    REGRESSORS,
    NormalisedInterval,
    QuantileInterval,
    regressors,
)
from adumbra.uncertainty.case_features import log_volume
from calibration_cases import simulated_cases

ALPHA = 0.05
TRAINED, EVALUATED, REPETITIONS = 150, 250, 5
CHOSEN = ("single", "normalised", "quantile")
METHODS = (*CHOSEN, "local")


def fitted(cases: list[CalibrationCase], method: str, seed: int = 0, alpha: float = ALPHA) -> FittedVolume:
    return fit_volume(cases, generator=np.random.default_rng(seed), method=method, alpha=alpha)  # type: ignore[arg-type]


def evaluated(fit: FittedVolume, cases: list[CalibrationCase]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths, whether they are covered, and ratios of the ends above 5 ml."""
    estimates = [fit.interval.of_case(case.features) for case in cases]
    low, high = (np.array([getattr(estimate, end) for estimate in estimates]) for end in ("low", "high"))
    truth = np.array([case.true_ml for case in cases])
    large = truth > 5.0
    return truth, (low <= truth) & (truth <= high), high[large] / np.maximum(low[large], 1e-9)


@pytest.fixture(scope="module")
def results() -> dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    by_method: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {name: [] for name in (*METHODS, "auto")}
    for seed in range(REPETITIONS):
        generator = np.random.default_rng([11, seed])
        trained, others = simulated_cases(TRAINED, generator), simulated_cases(EVALUATED, generator)
        for name, rows in by_method.items():
            rows.append(evaluated(fitted(trained, name, seed), others))
    return by_method


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_the_coverage_is_nominal_with_150_cases(results, method) -> None:
    """The standard error over five repetitions is about one per cent."""
    coverage = np.mean([covered.mean() for _, covered, _ in results[method]])
    assert 0.92 <= coverage <= 0.98


@pytest.mark.parametrize(("method", "share"), [("normalised", 0.8), ("auto", 0.95)])
def test_widths_that_follow_the_case_are_narrower_than_the_single_factor(results, method, share) -> None:
    ratios = {name: np.mean([np.median(ratio) for _, _, ratio in results[name]]) for name in ("single", method)}
    assert ratios[method] < share * ratios["single"]


@pytest.mark.parametrize("method", ["normalised", "quantile"])
def test_conditional_coverage_is_better_than_that_of_the_single_factor(results, method) -> None:
    """The single factor covers nearly all large lesions, and too few small ones."""
    bins = ((-1.0, 0.0), (0.0, 2.0), (2.0, 20.0), (20.0, 300.0))

    def worst(name: str) -> float:
        truth = np.concatenate([rows[0] for rows in results[name]])
        covered = np.concatenate([rows[1] for rows in results[name]])
        return max(abs(covered[(truth > a) & (truth <= b)].mean() - 0.95) for a, b in bins)

    assert worst(method) < worst("single")


def test_healthy_heads_with_an_empty_mask_have_a_lower_end_of_zero() -> None:
    cases = simulated_cases(TRAINED, np.random.default_rng(5))
    empty = replace(cases[0].features, draw_ml=(0.0,) * 20, member_dice=1.0, threshold_ml=(0.0,) * 9, expected_ml=0.0)
    for method in METHODS:
        estimate = fitted(cases, method).interval.of_case(empty)
        assert estimate.low == 0.0 <= estimate.value <= estimate.high < 100.0


def test_the_choice_is_recorded_and_is_the_best_score() -> None:
    fit = fitted(simulated_cases(LEAST_LOCAL - 1, np.random.default_rng(2)), "auto")
    assert set(fit.winkler) == set(CHOSEN)
    best = min(fit.winkler, key=lambda name: fit.winkler[name])
    kinds = {"single": VolumeInterval, "normalised": NormalisedInterval, "quantile": QuantileInterval}
    assert type(fit.interval) is kinds[best]
    assert fit.interval.level == pytest.approx(0.95)


def test_many_cases_have_the_local_interval() -> None:
    cases = simulated_cases(LEAST_LOCAL, np.random.default_rng(2))
    interval = fitted(cases, "auto").interval
    assert isinstance(interval, LocalInterval)
    assert interval.cases == tuple(case.name for case in cases)
    assert list(interval.scales) == sorted(interval.scales, reverse=True), "more agreement, less width"


def test_the_local_interval_follows_the_agreement() -> None:
    interval = fitted(simulated_cases(TRAINED, np.random.default_rng(2)), "local").interval
    assert isinstance(interval, LocalInterval)
    case = simulated_cases(1, np.random.default_rng(9))[0].features
    widths = []
    for dice in (interval.agreements[0], interval.agreements[-1], 1.0, nan):
        estimate = interval.of_case(replace(case, member_dice=dice))
        assert estimate.low <= estimate.value <= estimate.high
        widths.append(log_volume(estimate.high) - log_volume(estimate.low))
    assert widths[0] > widths[1] == pytest.approx(widths[2]), "nothing is extrapolated"
    assert widths[3] >= widths[0], "an undefined agreement is none"
    with pytest.raises(WeightsRejected):
        LocalInterval.from_json(interval.as_json() | {"scales": [0.0]})
    with pytest.raises(InputRejected, match="5 members"):
        interval.of_case(replace(case, members=(0,) * 20))


def test_few_cases_have_the_single_factor_of_all_of_them() -> None:
    cases = simulated_cases(30, np.random.default_rng(3))
    fit = fitted(cases, "auto")
    assert (type(fit.interval), fit.winkler, len(fit.interval.cases)) == (VolumeInterval, {}, 30)
    with pytest.raises(InputRejected, match="at least 39"):
        fitted(cases, "normalised")


def test_the_same_seed_gives_the_same_fit_and_another_seed_another() -> None:
    cases = simulated_cases(60, np.random.default_rng(4))
    assert fitted(cases, "normalised", 1) == fitted(cases, "normalised", 1)
    assert fitted(cases, "normalised", 1) != fitted(cases, "normalised", 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_goes_through_json(method) -> None:
    cases = simulated_cases(60, np.random.default_rng(4))
    interval = fitted(cases, method).interval
    again = VOLUME_CALIBRATIONS[type(interval).__name__].from_json(interval.as_json())
    assert again == interval
    assert again.of_case(cases[0].features) == interval.of_case(cases[0].features)


def test_another_set_of_regressors_is_refused() -> None:
    plain = fitted(simulated_cases(60, np.random.default_rng(4)), "normalised").interval.as_json()
    with pytest.raises(WeightsRejected, match="regressors"):
        NormalisedInterval.from_json(plain | {"regressors": ["volume", *REGRESSORS[1:]]})
    with pytest.raises(WeightsRejected):
        NormalisedInterval.from_json(plain | {"quantile": nan})
    for broken in ({"centre": plain["centre"][:-1]}, {"log_scale_range": [0.0]}, {"mean": plain["mean"][:-1]}):
        with pytest.raises(WeightsRejected):
            NormalisedInterval.from_json(plain | broken)


def test_features_of_other_draws_or_members_are_refused() -> None:
    cases = simulated_cases(60, np.random.default_rng(4))
    interval = fitted(cases, "normalised").interval
    fewer = replace(cases[0].features, draw_ml=(1.0, 2.0), members=(0, 1))
    with pytest.raises(InputRejected, match="20 of lesion"):
        interval.of_case(fewer)
    with pytest.raises(InputRejected, match="5 members"):
        interval.of_case(replace(cases[0].features, members=(0,) * 20))


def test_degenerate_cases_are_refused() -> None:
    cases = simulated_cases(60, np.random.default_rng(4))
    with pytest.raises(InputRejected, match="true volumes of 0 ml only"):
        fitted([replace(case, true_ml=0.0) for case in cases], "auto")
    with pytest.raises(InputRejected, match="at least 19"):
        fitted(cases[:1], "auto")
    with pytest.raises(InputRejected, match="different cases"):
        fitted([cases[0], *cases], "auto")
    with pytest.raises(InputRejected, match="different cases"):
        fitted([], "auto")
    for bad in ({"true_ml": nan}, {"true_ml": -1.0}, {"dice": nan}, {"dice": 1.5}):
        with pytest.raises(ImplausibleValues, match="case-0"):
            replace(cases[0], **bad)
    with pytest.raises(ImplausibleValues):
        replace(cases[0], features=replace(cases[0].features, draw_ml=(nan, 1.0)))


def test_regressors_by_hand() -> None:
    """Two draws with g of 1 and 3: a mean of 2 and a standard deviation of √2. g(1 ml) is ln 11."""
    own = simulated_cases(1, np.random.default_rng(0))[0].features
    ml = tuple(0.1 * float(np.expm1(g)) for g in (1.0, 3.0))
    own = replace(own, draw_ml=ml, members=(0, 1), member_dice=0.7, expected_ml=0.1 * float(np.expm1(2.5)),
                  threshold_ml=(0.1 * float(np.expm1(4.0)), *(1.0,) * 7, 0.0))  # fmt: skip
    expected = [2.0, 0.5, 0.3, np.log(0.02 + 2**0.5), 4.0, np.log(11.0) - 2.0]
    assert regressors(own) == pytest.approx(expected)
    assert regressors(replace(own, member_dice=nan))[2] == 0.0
    assert float(log_volume(1.0)) == pytest.approx(np.log(11.0))


def test_the_conformal_quantile_is_a_rank() -> None:
    """⌈20 · 0.95⌉ = 19 of 19, ⌈40 · 0.95⌉ = 38 of 39, and the largest of too few."""
    assert conformal_quantile(np.arange(1.0, 20.0), 0.05) == 19.0
    assert conformal_quantile(np.arange(1.0, 40.0), 0.05) == 38.0
    assert conformal_quantile(np.array([3.0, 1.0]), 0.05) == 3.0
