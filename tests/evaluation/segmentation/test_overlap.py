"""Voxel-wise metrics, by hand on a row of voxels, and against a slow reference."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, ImplausibleValues
from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.segmentation.overlap import dice, precision, sensitivity, volume_difference
from adumbra.evaluation.segmentation.pair import MaskPair

MASKS = arrays(bool, (4, 4, 3))


def pair_of(prediction: list[int], truth: list[int], spacing_mm: tuple[float, float, float] = (1, 1, 1)) -> MaskPair:
    masks = (np.array(row, dtype=bool).reshape(-1, 1, 1) for row in (prediction, truth))
    return MaskPair(*masks, Grid((len(truth), 1, 1), np.diag([*spacing_mm, 1.0])))


def test_four_voxels_by_hand() -> None:
    pair = pair_of([1, 1, 1, 0], [0, 1, 1, 0], (2, 5, 10))
    assert dice(pair) == 4 / 5
    assert sensitivity(pair) == 1.0
    assert precision(pair) == 2 / 3
    assert volume_difference(pair) == pytest.approx(0.1)  # one voxel of 2 x 5 x 10 mm


def test_both_empty() -> None:
    pair = pair_of([0, 0], [0, 0])
    assert dice(pair) == 1.0
    assert volume_difference(pair) == 0.0
    assert isnan(sensitivity(pair))
    assert isnan(precision(pair))


def test_one_empty() -> None:
    missed, invented = pair_of([0, 0], [1, 0]), pair_of([1, 0], [0, 0])
    assert dice(missed) == dice(invented) == 0.0
    assert sensitivity(missed) == 0.0
    assert isnan(precision(missed))
    assert precision(invented) == 0.0
    assert isnan(sensitivity(invented))


@settings(max_examples=60, deadline=None)
@given(MASKS, MASKS)
def test_dice_is_that_of_two_sets_of_indices(prediction: np.ndarray, truth: np.ndarray) -> None:
    a, b = ({tuple(index) for index in np.argwhere(mask).tolist()} for mask in (prediction, truth))
    expected = 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0
    pair = MaskPair(prediction, truth, Grid((4, 4, 3), np.eye(4)))
    assert dice(pair) == pytest.approx(expected, abs=1e-12)
    if a and b and a & b:
        share, purity = sensitivity(pair), precision(pair)
        assert dice(pair) == pytest.approx(2 * share * purity / (share + purity))


def test_another_shape_is_refused_and_named() -> None:
    grid, mask = Grid((2, 2, 2), np.eye(4)), np.zeros((2, 2, 2), dtype=bool)
    with pytest.raises(GridMismatch, match="prediction"):
        MaskPair(np.zeros((2, 2, 3), dtype=bool), mask, grid)
    with pytest.raises(GridMismatch, match="truth"):
        MaskPair(mask, np.zeros((1, 2, 2), dtype=bool), grid)


def test_probabilities_are_not_masks() -> None:
    mask = np.zeros((2, 2, 2), dtype=bool)
    with pytest.raises(ImplausibleValues, match="threshold it first"):
        MaskPair(mask.astype(np.float32), mask, Grid((2, 2, 2), np.eye(4)))
