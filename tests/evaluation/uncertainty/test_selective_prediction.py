"""Risk-coverage and error detection: over all orders of ties, and against scikit-learn."""

import time
from itertools import permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from adumbra.core.errors import GridMismatch, ImplausibleValues
from adumbra.evaluation.uncertainty.selective_prediction import (
    Ranking,
    auprc,
    aurc,
    auroc,
    error_detection,
    excess_aurc,
    rank_voxels,
    risk_coverage,
)

TIED = arrays(np.float32, 30, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.69]))


def flags(*values: int) -> np.ndarray:
    return np.array(values, dtype=bool)


def aurc_in_order(wrong: np.ndarray) -> float:
    """Definition of Geifman et al. for one order, the most certain voxel first."""
    return float(np.mean(np.cumsum(wrong) / np.arange(1, wrong.size + 1)))


def test_four_voxels_by_hand() -> None:
    """By uncertainty right, wrong, right, wrong: risks 0, 1/2, 1/3, 1/2; those of the oracle 0, 0, 1/3, 1/2."""
    result = error_detection(np.array([0.1, 0.2, 0.3, 0.4]), flags(0, 1, 0, 1))
    assert (result.voxels, result.errors) == (4, 2)
    np.testing.assert_allclose(result.curve.risk, [0, 1 / 2, 1 / 3, 1 / 2])
    np.testing.assert_allclose(result.curve.coverage, [0.25, 0.5, 0.75, 1.0])
    assert result.aurc == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert result.excess_aurc == pytest.approx((1 / 2) / 4)
    assert result.auroc == 3 / 4
    assert result.auprc == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_the_value_is_the_mean_over_all_orders_of_ties() -> None:
    uncertainty = np.array([0.5, 0.5, 0.1, 0.5, 0.9, 0.1])
    wrong = flags(1, 0, 0, 0, 1, 1)
    orders = [np.array(order) for order in permutations(range(6)) if (np.diff(uncertainty[np.array(order)]) >= 0).all()]
    assert len(orders) == 2 * 6
    assert aurc(rank_voxels(uncertainty, wrong)) == pytest.approx(np.mean([aurc_in_order(wrong[o]) for o in orders]))


def test_the_order_in_memory_changes_nothing(rng) -> None:
    """ValUES and fd-shifts give 0.250 to 0.267 for permutations of the same data."""
    uncertainty = rng.integers(0, 3, 60) / 2
    wrong = rng.random(60) < 0.3
    values = set()
    for _ in range(20):
        order = rng.permutation(60)
        result = error_detection(uncertainty[order], wrong[order])
        values.add((result.aurc, result.excess_aurc, result.auroc, result.auprc))
    assert len(values) == 1


@given(arrays(bool, 30))
def test_a_constant_map_has_the_error_rate(wrong: np.ndarray) -> None:
    result = error_detection(np.full(30, 0.3, dtype=np.float32), wrong)
    assert result.aurc == pytest.approx(wrong.mean())
    np.testing.assert_allclose(result.curve.risk, wrong.mean())
    if 0 < wrong.sum() < 30:
        assert result.auroc == 0.5
        assert result.auprc == pytest.approx(wrong.mean())


@given(arrays(bool, 30), st.randoms(use_true_random=False))
def test_the_oracle_has_no_excess(wrong: np.ndarray, random) -> None:
    """For a binary oracle and for one without ties. ValUES gives -0.0129 for 20 voxels."""
    untied = np.array([random.random() for _ in wrong]) + wrong
    for oracle in (wrong.astype(np.float32), untied):
        ranking = rank_voxels(oracle, wrong)
        assert excess_aurc(ranking) == 0.0
        if 0 < wrong.sum() < 30:
            assert auroc(ranking) == 1.0
            assert auprc(ranking) == 1.0


@given(TIED, arrays(bool, 30))
def test_the_excess_is_never_negative_nor_above_the_worst_order(uncertainty: np.ndarray, wrong: np.ndarray) -> None:
    worst = aurc_in_order(np.sort(wrong)[::-1]) - aurc_in_order(np.sort(wrong))
    assert 0.0 <= excess_aurc(rank_voxels(uncertainty, wrong)) <= worst + 1e-12


@given(TIED, arrays(bool, 30))
def test_detection_is_that_of_scikit_learn(uncertainty: np.ndarray, wrong: np.ndarray) -> None:
    ranking = rank_voxels(uncertainty, wrong)
    if 0 < wrong.sum() < 30:
        assert auroc(ranking) == pytest.approx(roc_auc_score(wrong, uncertainty), abs=1e-12)
    if wrong.any():
        assert auprc(ranking) == pytest.approx(average_precision_score(wrong, uncertainty), abs=1e-12)


def test_without_ties_like_scikit_learn_too(rng) -> None:
    uncertainty, wrong = rng.random(2000), rng.random(2000) < 0.05
    ranking = rank_voxels(uncertainty, wrong)
    assert auroc(ranking) == pytest.approx(roc_auc_score(wrong, uncertainty), abs=1e-12)
    assert auprc(ranking) == pytest.approx(average_precision_score(wrong, uncertainty), abs=1e-12)
    assert aurc(ranking) == pytest.approx(aurc_in_order(wrong[np.argsort(uncertainty)]), rel=1e-12)


def test_no_voxels_no_errors_and_errors_only() -> None:
    nothing = error_detection(np.zeros(0), np.zeros(0, dtype=bool))
    assert (nothing.voxels, nothing.errors) == (0, 0)
    assert all(isnan(v) for v in (nothing.aurc, nothing.excess_aurc, nothing.auroc, nothing.auprc))
    assert nothing.curve.risk.size == nothing.curve.coverage.size == 0
    uncertainty = np.array([0.1, 0.2, 0.2])
    right = error_detection(uncertainty, flags(0, 0, 0))
    assert (right.aurc, right.excess_aurc) == (0.0, 0.0)
    assert isnan(right.auroc)
    assert isnan(right.auprc)
    wrong = error_detection(uncertainty, flags(1, 1, 1))
    assert (wrong.aurc, wrong.excess_aurc, wrong.auprc) == (1.0, 0.0, 1.0)
    assert isnan(wrong.auroc)


def test_one_voxel() -> None:
    assert error_detection(np.array([0.5]), flags(1)).aurc == 1.0
    assert error_detection(np.array([0.5]), flags(0)).aurc == 0.0


def test_the_curve_is_sampled_and_the_area_is_not() -> None:
    uncertainty, wrong = np.arange(1000.0), np.arange(1000) >= 900
    ranking = rank_voxels(uncertainty, wrong)
    curve = risk_coverage(ranking, points=10)
    np.testing.assert_allclose(curve.coverage, np.arange(1, 11) / 10)
    np.testing.assert_allclose(curve.risk, [0] * 9 + [0.1])
    assert aurc(ranking) == pytest.approx(aurc_in_order(wrong))
    assert risk_coverage(ranking, points=5000).risk.size == 1000


def test_infinite_uncertainty_is_ordered_and_nan_is_refused() -> None:
    result = error_detection(np.array([0.1, np.inf, np.inf]), flags(0, 1, 1))
    assert (result.auroc, result.excess_aurc) == (1.0, 0.0)
    with pytest.raises(ImplausibleValues, match="uncertainty"):
        error_detection(np.array([0.1, np.nan]), flags(0, 1))


def test_other_shapes_and_types_are_refused() -> None:
    with pytest.raises(GridMismatch):
        rank_voxels(np.zeros(3), flags(0, 1))
    with pytest.raises(ImplausibleValues, match="boolean"):
        rank_voxels(np.zeros(2), np.array([0, 1]))


def test_counts_are_exact_beyond_what_float32_can_count() -> None:
    """Like 2³⁰ sorted voxels: half of the errors are the most uncertain, the others are tied with the rest."""
    n, errors = 2**30, 2**21 + 1
    ranking = Ranking(np.array([n - errors, n]), np.array([errors, 2 * errors]))
    right = n - 2 * errors
    assert auroc(ranking) == (errors * right + errors * right / 2) / (2 * errors * right)
    assert auprc(ranking) == pytest.approx((1.0 + 2 * errors / n) / 2, rel=1e-12)


def test_two_million_voxels_take_no_second_sort(rng) -> None:
    """One sort and a few passes; with a loop over voxels this would take minutes."""
    uncertainty = rng.random(2_000_000, dtype=np.float32)
    wrong = rng.random(2_000_000) < 0.01
    start = time.process_time()
    result = error_detection(uncertainty, wrong)
    assert time.process_time() - start < 10.0
    assert result.aurc == pytest.approx(0.01, abs=1e-3)
