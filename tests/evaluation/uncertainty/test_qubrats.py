"""The QU-BraTS score: by hand on five voxels, against the challenge's definition in a loop, and its baselines."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import auc

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.segmentation.overlap import dice
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.uncertainty.qubrats import QuBrats, qu_brats

SHAPE = (5, 3, 2)
MASKS = arrays(bool, SHAPE)


def pair_of(prediction: np.ndarray, truth: np.ndarray) -> MaskPair:
    return MaskPair(prediction, truth, Grid(truth.shape, np.eye(4)))


def row(*values: float, kind: type = bool) -> np.ndarray:
    return np.array(values, dtype=kind).reshape(-1, 1, 1)


def challenge(truth, prediction, percent, brain):
    """The computation of the challenge's script, threshold by threshold, with all 41 thresholds."""
    thresholds = [2.5 * step for step in range(41)]
    curves = [[], [], []]
    for threshold in thresholds:
        sure = percent <= threshold
        left = (prediction & sure).sum() + (truth & sure).sum()
        curves[0].append(2.0 * (prediction & truth & sure).sum() / left if left else 1.0)
        for curve, right in ((curves[1], prediction & truth & brain), (curves[2], ~prediction & ~truth & brain)):
            curve.append((right.sum() - (right & sure).sum()) / (right.sum() + np.finfo(np.float32).eps))
    areas = [auc(thresholds, curve) / 100.0 for curve in curves]
    return curves, areas, (areas[0] + 1.0 - areas[1] + 1.0 - areas[2]) / 3.0


def test_five_voxels_by_hand() -> None:
    """TP at 0 and at 0.5, FP at 1, TN at 0 and at 0.25; a voxel is filtered out below its uncertainty."""
    result = qu_brats(
        pair_of(row(1, 1, 1, 0, 0), row(1, 1, 0, 0, 0)),
        row(0.0, 0.5, 1.0, 0.0, 0.25, kind=np.float32),
        row(1, 1, 1, 1, 1),
        largest=1.0,
    )
    assert result.thresholds.size == 41
    assert result.thresholds[-1] == 1.0
    assert result.dice.tolist() == [1.0] * 40 + [4 / 5]
    assert result.filtered_tp.tolist() == [0.5] * 20 + [0.0] * 21
    assert result.filtered_tn.tolist() == [0.5] * 10 + [0.0] * 31
    assert result.dice_auc == pytest.approx(1 - 0.2 / 80)
    assert result.filtered_tp_auc == pytest.approx(0.5 * (19 + 0.5) / 40)
    assert result.filtered_tn_auc == pytest.approx(0.5 * (9 + 0.5) / 40)
    assert result.score == pytest.approx(
        (result.dice_auc + 1 - result.filtered_tp_auc + 1 - result.filtered_tn_auc) / 3
    )


@given(MASKS, MASKS, MASKS, arrays(np.uint8, SHAPE, elements=st.integers(0, 100)))
def test_the_curves_are_those_of_the_challenge(
    prediction: np.ndarray, truth: np.ndarray, brain: np.ndarray, percent: np.ndarray
) -> None:
    result = qu_brats(pair_of(prediction, truth), percent, brain, largest=100.0)
    curves, areas, score = challenge(truth, prediction, percent, brain)
    for mine, theirs in zip((result.dice, result.filtered_tp, result.filtered_tn), curves, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-7)  # theirs divides by a count plus 1.2e-7
    np.testing.assert_allclose([result.dice_auc, result.filtered_tp_auc, result.filtered_tn_auc], areas, atol=2e-7)
    assert result.score == pytest.approx(score, abs=2e-7)


@given(MASKS, MASKS)
def test_the_baselines_are_what_these_maps_score(prediction: np.ndarray, truth: np.ndarray) -> None:
    pair, brain = pair_of(prediction, truth), np.ones(SHAPE, dtype=bool)
    null, oracle = np.zeros(SHAPE), (prediction != truth) * log(2.0)
    for map_ in (null, oracle):
        result = qu_brats(pair, map_, brain, largest=log(2.0))
        assert result.null_score == pytest.approx((dice(pair) + 2.0) / 3.0)
        assert result.oracle_score == pytest.approx((1.0 - (1.0 - dice(pair)) / 80.0 + 2.0) / 3.0)
        assert result.score == pytest.approx(result.null_score if map_ is null else result.oracle_score)


@given(MASKS, MASKS, arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32)))
def test_no_map_scores_more_than_the_oracle(prediction: np.ndarray, truth: np.ndarray, map_: np.ndarray) -> None:
    result = qu_brats(pair_of(prediction, truth), map_, np.ones(SHAPE, dtype=bool), largest=1.0)
    assert result.score <= result.oracle_score + 1e-12


def test_an_informative_map_can_score_less_than_the_null_map() -> None:
    """The score needs its baselines: errors are the most uncertain here, but right voxels are uncertain too."""
    prediction, truth = row(1, 1, 1, 0), row(1, 1, 0, 0)
    result = qu_brats(pair_of(prediction, truth), row(0.6, 0.6, 0.9, 0.6, kind=float), row(1, 1, 1, 1), largest=1.0)
    assert result.score < result.null_score < result.oracle_score


def test_an_entropy_of_ln_2_in_float32_is_the_largest_and_not_above_it() -> None:
    uncertainty = row(log(2.0), 0.0, kind=np.float32)
    assert float(uncertainty[0, 0, 0]) > log(2.0)
    result = qu_brats(pair_of(row(1, 0), row(1, 0)), uncertainty, row(1, 1), largest=log(2.0))
    assert result.filtered_tp[-2:].tolist() == [1.0, 0.0]


def test_empty_masks_and_an_empty_brain() -> None:
    nothing, something, brain = row(0, 0), row(1, 0), row(1, 1)
    map_ = row(0.4, 0.2, kind=float)

    def score(prediction: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> QuBrats:
        return qu_brats(pair_of(prediction, truth), map_, inside, largest=1.0)

    both = score(nothing, nothing, brain)
    assert both.dice.tolist() == [1.0] * 41
    assert both.filtered_tp.tolist() == [0.0] * 41
    assert both.null_score == both.oracle_score == 1.0
    missed = score(nothing, something, brain)
    assert missed.dice.tolist() == [1.0] * 16 + [0.0] * 25  # a missed voxel that is filtered out costs nothing
    assert missed.null_score == pytest.approx(2 / 3)
    nowhere = score(something, something, nothing)
    assert nowhere.filtered_tp.tolist() == nowhere.filtered_tn.tolist() == [0.0] * 41


def test_a_constant_map_filters_all_or_nothing() -> None:
    result = qu_brats(pair_of(row(1, 0), row(1, 0)), row(0.5, 0.5, kind=float), row(1, 1), largest=1.0)
    assert result.filtered_tp.tolist() == [1.0] * 20 + [0.0] * 21


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1, np.inf])
def test_an_uncertainty_out_of_range_is_refused(bad: float) -> None:
    with pytest.raises(ImplausibleValues, match="uncertainty"):
        qu_brats(pair_of(row(1, 0), row(1, 0)), row(0.0, bad, kind=float), row(1, 1), largest=1.0)


def test_invalid_arguments_are_refused() -> None:
    pair, map_, brain = pair_of(row(1, 0), row(1, 0)), row(0, 1, kind=float), row(1, 1)
    with pytest.raises(GridMismatch, match="uncertainty"):
        qu_brats(pair, map_[:1], brain, largest=1.0)
    with pytest.raises(GridMismatch, match="brain"):
        qu_brats(pair, map_, brain[:1], largest=1.0)
    with pytest.raises(ImplausibleValues, match="brain"):
        qu_brats(pair, map_, brain.astype(float), largest=1.0)
    for largest in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputRejected, match="largest"):
            qu_brats(pair, map_, brain, largest=largest)
