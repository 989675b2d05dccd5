"""The meaning of the case score: monotone shares of the calibration cases, by hand."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from scipy.stats import binomtest

from adumbra.core.errors import InputRejected, WeightsRejected
from adumbra.uncertainty.calibration.case_score import ScoreCalibration, case_score, fit_score
from adumbra.uncertainty.calibration.volume_fit import CalibrationCase
from calibration_cases import simulated_cases

CASES = simulated_cases(40, np.random.default_rng(0), healthy=0.0)


def scored(scores: np.ndarray, dices: np.ndarray) -> list[CalibrationCase]:
    return [
        replace(case, dice=float(dice), features=replace(case.features, member_dice=float(score)))
        for case, score, dice in zip(CASES, scores, dices, strict=False)
    ]


def test_two_blocks_by_hand() -> None:
    """Poor are the lowest 15 cases, then 2 of 7, then 0 of 18. The block of 7 is too small and joins that of 15."""
    scores = np.concatenate([np.linspace(0.4, 0.6, 20), np.linspace(0.8, 1.0, 20)])
    dices = np.array([0.5] * 15 + [0.9] * 5 + [0.5] * 2 + [0.9] * 18)
    fit = fit_score(scored(scores, dices))
    assert (fit.block_cases, fit.block_failures) == ((22, 18), (17, 0))
    assert fit.edges == pytest.approx((np.mean(scores[21:23]),))
    low = case_score(replace(CASES[0].features, member_dice=0.45), fit)
    assert low is not None
    assert (low.value, low.members, low.dice_limit) == (0.45, 5, 0.7)
    assert (low.probability, low.similar_cases) == (17 / 22, 22)
    wilson = binomtest(17, 22).proportion_ci(method="wilson")
    assert (low.low, low.high) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    high = case_score(replace(CASES[0].features, member_dice=0.99), fit)
    assert high is not None
    assert (high.probability, high.low) == (0.0, 0.0)


def test_shares_never_increase_and_rest_on_ten_cases_or_more() -> None:
    generator = np.random.default_rng(1)
    for _ in range(6):
        scores = generator.uniform(0.2, 1.0, 40).round(2)
        fit = fit_score(scored(scores, np.clip(scores + 0.3 * generator.standard_normal(40), 0.0, 1.0)))
        shares = np.array(fit.block_failures) / np.array(fit.block_cases)
        assert (np.diff(shares) <= 0.0).all()
        assert min(fit.block_cases) >= 10
        grid = [case_score(replace(CASES[0].features, member_dice=s), fit) for s in np.linspace(0.0, 1.0, 60)]
        assert (np.diff([case.probability for case in grid if case is not None]) <= 0.0).all()


def test_a_useless_score_gives_the_share_of_all_cases() -> None:
    dices = np.array([0.5, 0.9] * 20)
    fit = fit_score(scored(np.full(40, 0.8), dices))
    assert (fit.edges, fit.block_cases, fit.block_failures) == ((), (40,), (20,))


def test_a_score_without_its_calibration_has_no_meaning() -> None:
    fit = fit_score(CASES)
    own = CASES[0].features
    plain = case_score(own, None)
    assert plain is not None
    assert (plain.value, plain.probability, plain.similar_cases) == (own.member_dice, None, 0)
    other = case_score(replace(own, draw_ml=own.draw_ml[:10], members=own.members[:10]), fit)
    assert other is not None
    assert other.probability is None
    assert case_score(replace(own, member_dice=nan), fit) is None


def test_a_calibration_goes_through_json_and_impossible_ones_are_refused() -> None:
    fit = fit_score(CASES)
    assert ScoreCalibration.from_json(fit.as_json()) == fit
    plain = {"edges": [0.5], "block_cases": [10, 10], "block_failures": [2, 8]}
    for change in (plain, plain | {"block_failures": [2, 11]}, plain | {"edges": [0.5, 0.4]}):
        with pytest.raises(WeightsRejected):
            ScoreCalibration.from_json(fit.as_json() | change)


def test_degenerate_cases_are_refused() -> None:
    with pytest.raises(InputRejected, match="at least 10"):
        fit_score(CASES[:1])
    with pytest.raises(InputRejected, match="40 of them with one draw"):
        fit_score(scored(np.full(40, nan), np.full(40, 0.5)))
    with pytest.raises(InputRejected, match="limit 0"):
        fit_score(CASES, dice_limit=0.0)
