"""Retention curves: by hand on four lesions, and against the loop of the published code."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, ImplausibleValues
from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.segmentation.lesions import lesion_f1
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.uncertainty.retention import (
    LesionUncertainty,
    lesion_retention,
    lesion_uncertainty,
    voxel_retention,
)

VOXELS = arrays(bool, 20)


def lesions(right: list[float], false: list[float], missed: list[float]) -> LesionUncertainty:
    return LesionUncertainty(*(np.array(values, dtype=np.float64) for values in (right, false, missed)))


def row(*values: float, kind: type = bool) -> np.ndarray:
    return np.array(values, dtype=kind).reshape(-1, 1, 1)


def pair_of(prediction: np.ndarray, truth: np.ndarray) -> MaskPair:
    return MaskPair(prediction, truth, Grid(truth.shape, np.eye(4)))


def published(uncertainty: np.ndarray, kinds: list[str]) -> list[float]:
    """F1 from all retained to none, as in the code of Molchanova et al.: the most uncertain one is corrected next.

    The one difference is that a case without any lesion scores 1 here, and 0 there.
    """
    kinds = [kinds[i] for i in np.argsort(uncertainty)[::-1]]

    def f1() -> float:
        tp, fp, fn = (kinds.count(kind) for kind in ("tp", "fp", "fn"))
        return tp / (tp + 0.5 * (fp + fn)) if tp + fp + fn else 1.0

    values = [f1()]
    for i, kind in enumerate(kinds):
        kinds[i] = {"tp": "tp", "fp": "tn", "fn": "tp"}[kind]
        values.append(f1())
    return values


def dice_by_replacing(prediction: np.ndarray, truth: np.ndarray, order: np.ndarray) -> list[float]:
    """Dice with 0, 1, … N voxels of this order retained as predicted."""
    values = []
    for retained in range(order.size + 1):
        mask = truth.copy()
        mask[order[:retained]] = prediction[order[:retained]]
        total = int(mask.sum()) + int(truth.sum())
        values.append(2.0 * int((mask & truth).sum()) / total if total else 1.0)
    return values


def test_four_lesions_by_hand() -> None:
    """By uncertainty: right, missed, right, false. F1 with none retained is 1, with all it is 2·2 / (2·2 + 1 + 1)."""
    curve = lesion_retention(lesions(right=[0.1, 0.3], false=[0.4], missed=[0.2]))
    np.testing.assert_allclose(curve.retained, [0, 1 / 4, 2 / 4, 3 / 4, 1])
    np.testing.assert_allclose(curve.score, [1, 1, 4 / 5, 4 / 5, 4 / 6])
    assert curve.area == pytest.approx((1 + 0.9 + 0.8 + (0.8 + 2 / 3) / 2) / 4)
    # The best order is right, right, false, missed; its scores are 1, 1, 1, 6/7, 4/6.
    assert curve.best_area == pytest.approx((1 + 1 + (1 + 6 / 7) / 2 + (6 / 7 + 2 / 3) / 2) / 4)
    assert curve.constant_area < curve.area < curve.best_area


@given(st.lists(st.sampled_from(["tp", "fp", "fn"]), min_size=1, max_size=12), st.permutations(range(12)))
def test_the_lesion_curve_is_that_of_the_published_code(kinds: list[str], order: list[int]) -> None:
    uncertainty = np.array([place / 12 for place in order[: len(kinds)]])
    by_kind = {kind: [u for u, k in zip(uncertainty, kinds, strict=True) if k == kind] for kind in ("tp", "fp", "fn")}
    curve = lesion_retention(lesions(by_kind["tp"], by_kind["fp"], by_kind["fn"]))
    expected = published(uncertainty, kinds)[::-1]
    np.testing.assert_allclose(curve.score, expected, atol=1e-12)
    assert curve.area == pytest.approx(np.trapezoid(expected, curve.retained))
    assert curve.area <= curve.best_area + 1e-12


@given(VOXELS, VOXELS, st.permutations(range(20)))
def test_the_voxel_curve_is_that_of_single_replacements(
    prediction: np.ndarray, truth: np.ndarray, order: list[int]
) -> None:
    uncertainty = np.argsort(np.array(order)).astype(np.float32)
    curve = voxel_retention(prediction, truth, uncertainty)
    expected = dice_by_replacing(prediction, truth, np.array(order))
    np.testing.assert_allclose(curve.score, expected, atol=1e-12)
    assert curve.area == pytest.approx(np.trapezoid(expected, np.arange(21) / 20))
    assert curve.area <= curve.best_area + 1e-12


@given(VOXELS, VOXELS, arrays(np.float32, 20, elements=st.sampled_from([0.0, 0.1, 0.5])), st.permutations(range(20)))
def test_the_order_of_ties_changes_nothing(
    prediction: np.ndarray, truth: np.ndarray, uncertainty: np.ndarray, order: list[int]
) -> None:
    one = voxel_retention(prediction, truth, uncertainty)
    other = voxel_retention(prediction[order], truth[order], uncertainty[order])
    assert one.area == other.area
    np.testing.assert_array_equal(one.score, other.score)
    assert one.area <= one.best_area + 1e-12


def test_the_oracle_without_ties_has_the_best_area(rng) -> None:
    prediction, truth = rng.random(500) < 0.2, rng.random(500) < 0.2
    missed = truth & ~prediction
    oracle = rng.random(500) + 2.0 * (prediction & ~truth) + 4.0 * missed
    curve = voxel_retention(prediction, truth, oracle)
    assert curve.area == pytest.approx(curve.best_area, rel=1e-12)


def test_ties_are_not_rewarded() -> None:
    """One missed lesion and ten false ones: a constant map must not be better than the best order."""
    curve = lesion_retention(lesions([], [0.5] * 10, [0.5]))
    assert curve.area == curve.constant_area < curve.best_area
    assert curve.score[0] == 1.0
    assert curve.score[-1] == 0.0


def test_only_right_only_false_only_missed() -> None:
    right = lesion_retention(lesions([0.1, 0.2], [], []))
    assert right.score.tolist() == [1.0, 1.0, 1.0]
    assert right.area == right.best_area == right.constant_area == 1.0
    false = lesion_retention(lesions([], [0.1, 0.2], []))
    assert false.score.tolist() == [1.0, 0.0, 0.0]
    assert false.area == pytest.approx(0.25)
    missed = lesion_retention(lesions([], [], [0.1, 0.2]))
    np.testing.assert_allclose(missed.score, [1.0, 2 / 3, 0.0])


def test_no_lesion_and_no_voxel() -> None:
    for curve in (
        lesion_retention(lesions([], [], [])),
        voxel_retention(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool), np.zeros(0)),
    ):
        assert isnan(curve.area)
        assert isnan(curve.best_area)
        assert isnan(curve.constant_area)
        assert curve.retained.size == curve.score.size == 0


def test_empty_masks() -> None:
    nothing, something, map_ = np.zeros(4, dtype=bool), np.arange(4) < 1, np.arange(4.0)
    assert voxel_retention(nothing, nothing, map_).area == 1.0
    np.testing.assert_allclose(voxel_retention(something, nothing, map_).score, [1, 0, 0, 0, 0])
    np.testing.assert_allclose(voxel_retention(nothing, something, map_).score, [1, 0, 0, 0, 0])


def test_the_uncertainties_of_lesions_by_hand() -> None:
    """Predicted: voxels 0-1 (right, mean 0.2) and 4 (false, 0.9). True: 1 (detected) and 6-7 (missed, mean 0.5)."""
    prediction, truth = row(1, 1, 0, 0, 1, 0, 0, 0), row(0, 1, 0, 0, 0, 0, 1, 1)
    map_ = row(0.1, 0.3, 0, 0, 0.9, 0, 0.4, 0.6, kind=np.float32)
    result = lesion_uncertainty(pair_of(prediction, truth), map_)
    np.testing.assert_allclose(result.right, [0.2], rtol=1e-6)
    np.testing.assert_allclose(result.false, [0.9], rtol=1e-6)
    np.testing.assert_allclose(result.missed, [0.5], rtol=1e-6)
    assert lesion_retention(result).score[-1] == lesion_f1(pair_of(prediction, truth)) == 0.5


def test_lesions_of_empty_masks() -> None:
    nothing, something, map_ = row(0, 0), row(0, 1), row(0.2, 0.4, kind=float)
    result = lesion_uncertainty(pair_of(nothing, nothing), map_)
    assert (result.right.size, result.false.size, result.missed.size) == (0, 0, 0)
    assert lesion_uncertainty(pair_of(nothing, something), map_).missed.tolist() == [0.4]
    assert lesion_uncertainty(pair_of(something, nothing), map_).false.tolist() == [0.4]


def test_two_predicted_parts_of_one_lesion_are_two_right_ones() -> None:
    prediction, truth = row(1, 0, 1, 0), row(1, 1, 1, 0)
    assert lesion_uncertainty(pair_of(prediction, truth), row(0.1, 0, 0.3, 0, kind=float)).right.tolist() == [0.1, 0.3]


def test_a_long_curve_is_sampled_and_its_area_is_not(rng) -> None:
    prediction, truth, map_ = rng.random(3000) < 0.1, rng.random(3000) < 0.1, rng.random(3000)
    short, long = (voxel_retention(prediction, truth, map_, points=points) for points in (11, 3001))
    assert (short.retained.size, long.retained.size) == (11, 3001)
    assert short.area == long.area == pytest.approx(np.trapezoid(long.score, long.retained))
    np.testing.assert_allclose(short.score, long.score[::300])


def test_nan_and_invalid_arguments_are_refused() -> None:
    mask, map_ = row(1, 0), row(0.1, np.nan, kind=float)
    assert lesion_uncertainty(pair_of(mask, mask), map_).right.tolist() == [0.1]  # NaN lies in no lesion
    with pytest.raises(ImplausibleValues, match="every lesion"):
        lesion_uncertainty(pair_of(mask, ~mask), map_)
    with pytest.raises(ImplausibleValues, match="NaN"):
        lesion_retention(lesions([0.1], [np.nan], []))
    with pytest.raises(ImplausibleValues, match="NaN"):
        voxel_retention(mask, mask, map_)
    with pytest.raises(GridMismatch):
        lesion_uncertainty(pair_of(mask, mask), map_[:1])
    with pytest.raises(GridMismatch):
        voxel_retention(mask, mask, map_[:1])
    with pytest.raises(ImplausibleValues, match="truth"):
        voxel_retention(mask, mask.astype(float), row(0, 1, kind=float))
