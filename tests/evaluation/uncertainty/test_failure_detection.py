"""Detection of failed cases by their score, by hand."""

from math import isnan

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.evaluation.uncertainty.failure_detection import FailureDetection, case_aurc, failure_detection

DICE = np.array([0.9, 0.8, 0.4, 0.2])


def detection(score: np.ndarray, dice: np.ndarray = DICE, referred: float = 0.25) -> FailureDetection:
    return failure_detection(score, dice, generator=np.random.default_rng(0), referred=referred, resamples=50)


def test_the_perfect_score_by_hand() -> None:
    """Risks 0.1, 0.2, 0.6 and 0.8 in order: means of 0.1, 0.15, 0.3 and 0.425."""
    result = detection(DICE)
    assert result.aurc == pytest.approx((0.1 + 0.15 + 0.3 + 0.425) / 4)
    assert result.excess_aurc == 0.0
    assert result.association.rho == pytest.approx(1.0)
    assert (result.failures, result.referred, result.detected, result.detected_share) == (2, 1, 1.0, 0.5)


def test_the_worst_score_by_hand() -> None:
    """Risks 0.8, 0.6, 0.2 and 0.1: means of 0.8, 0.7, 1.6 / 3 and 0.425."""
    result = detection(-DICE)
    assert result.aurc == pytest.approx((0.8 + 0.7 + 1.6 / 3 + 0.425) / 4)
    assert result.excess_aurc > 0.0
    assert result.detected == 0.0


def test_a_constant_score_has_the_mean_risk_and_detects_failures_at_random() -> None:
    result = detection(np.ones(4), referred=0.5)
    assert result.aurc == pytest.approx((1.0 - DICE).mean())
    assert (result.detected, result.detected_share) == (1.0, 0.5)
    assert isnan(result.association.rho)


def test_the_aurc_does_not_depend_on_the_order_of_ties() -> None:
    score, risk = np.array([1.0, 1.0, 0.0]), np.array([0.3, 0.5, 0.9])
    expected = (0.4 + 0.4 + 1.7 / 3) / 3
    assert case_aurc(score, risk) == case_aurc(score, risk[[1, 0, 2]]) == pytest.approx(expected)


def test_without_failures_the_share_is_undefined() -> None:
    result = detection(np.arange(3.0), np.array([0.6, 0.7, 0.8]))
    assert result.failures == 0
    assert isnan(result.detected_share)


def test_bad_values_are_refused() -> None:
    with pytest.raises(InputRejected):
        detection(np.ones(3))
    with pytest.raises(InputRejected):
        detection(np.ones(0), np.ones(0))
    with pytest.raises(InputRejected):
        detection(np.ones(4), referred=1.5)
    with pytest.raises(ImplausibleValues):
        detection(np.array([1.0, np.nan, 0.0, 0.0]))
    with pytest.raises(ImplausibleValues):
        detection(np.ones(4), np.array([0.1, 0.2, 0.3, 1.2]))
