"""Lesion-wise metrics: by hand, and against a slow reference that visits every component with SciPy."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.segmentation.lesions import (
    count_difference,
    detected,
    detected_strictly,
    false_positives,
    lesion_f1,
)
from adumbra.evaluation.segmentation.pair import MaskPair

SHAPE = (6, 5, 4)
MASKS = arrays(bool, SHAPE, elements=st.sampled_from([False, False, False, True]))


def pair_of(prediction: np.ndarray, truth: np.ndarray, spacing_mm: float = 1.0) -> MaskPair:
    return MaskPair(prediction, truth, Grid(truth.shape, np.diag([spacing_mm] * 3 + [1.0])))


def mask_of(
    *blocks: tuple[slice | int, slice | int, slice | int], shape: tuple[int, int, int] = (20, 6, 6)
) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for block in blocks:
        mask[block] = True
    return mask


def components_by_scipy(mask: np.ndarray) -> list[np.ndarray]:
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return [labels == number for number in range(1, count + 1)]


def lesion_f1_by_walking(prediction: np.ndarray, truth: np.ndarray) -> float:
    """The definition of ISLES'22, one component at a time."""
    detected_count = missed = false = 0
    for lesion in components_by_scipy(truth):
        if (lesion & prediction).any():
            detected_count += 1
        else:
            missed += 1
    for lesion in components_by_scipy(prediction):
        if not (lesion & truth).any():
            false += 1
    return 1.0 if detected_count + missed + false == 0 else detected_count / (detected_count + (false + missed) / 2)


def strictly_by_walking(prediction: np.ndarray, truth: np.ndarray, spacing_mm: float) -> bool:
    for a in components_by_scipy(prediction):
        for b in components_by_scipy(truth):
            overlap = (a & b).sum() / (a | b).sum()
            apart = np.linalg.norm((np.argwhere(a).mean(axis=0) - np.argwhere(b).mean(axis=0)) * spacing_mm)
            if overlap >= 0.1 or apart <= 5.0:
                return True
    return False


def test_by_hand() -> None:
    """Three true lesions: one prediction overlaps two of them, one is missed, and one prediction is false."""
    truth = mask_of((0, 0, 0), (2, 0, 0), (10, 3, 3))
    prediction = mask_of((slice(0, 3), 0, 0), (16, 5, 5))
    pair = pair_of(prediction, truth)
    assert lesion_f1(pair) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert count_difference(pair) == 1.0
    assert false_positives(pair) == 1.0
    assert detected(pair) == 1.0


def test_lesions_joined_at_a_corner_are_one() -> None:
    pair = pair_of(mask_of((0, 0, 0)), mask_of((0, 0, 0), (1, 1, 1)))
    assert lesion_f1(pair) == 1.0
    assert count_difference(pair) == 0.0


def test_empty_masks() -> None:
    empty, lesion = mask_of(), mask_of((3, 3, 3))
    both, missed, invented = pair_of(empty, empty), pair_of(empty, lesion), pair_of(lesion, empty)
    assert [lesion_f1(pair) for pair in (both, missed, invented)] == [1.0, 0.0, 0.0]
    assert [count_difference(pair) for pair in (both, missed, invented)] == [0.0, 1.0, 1.0]
    assert [false_positives(pair) for pair in (both, missed, invented)] == [0.0, 0.0, 1.0]
    for rule in (detected, detected_strictly):
        assert isnan(rule(both))
        assert isnan(rule(invented))
        assert rule(missed) == 0.0


def test_a_huge_prediction_is_detected_but_not_strictly() -> None:
    truth = mask_of((0, 0, 0))
    prediction = mask_of((slice(0, 20), slice(0, 1), slice(0, 1)))
    pair = pair_of(prediction, truth)
    assert detected(pair) == 1.0
    assert detected_strictly(pair) == 0.0  # IoU 1/20, centroids 9.5 mm apart


def test_near_without_touching_is_strictly_but_not_leniently_detected() -> None:
    truth, prediction = mask_of((0, 0, 0)), mask_of((4, 0, 0))
    assert detected(pair_of(prediction, truth)) == 0.0
    assert detected_strictly(pair_of(prediction, truth)) == 1.0
    assert detected_strictly(pair_of(prediction, truth, spacing_mm=2.0)) == 0.0  # then 8 mm apart


@settings(max_examples=80, deadline=None)
@given(MASKS, MASKS, st.sampled_from([1.0, 4.0]))
def test_like_the_slow_reference(prediction: np.ndarray, truth: np.ndarray, spacing_mm: float) -> None:
    pair = pair_of(prediction, truth, spacing_mm)
    assert lesion_f1(pair) == pytest.approx(lesion_f1_by_walking(prediction, truth))
    counts = [len(components_by_scipy(mask)) for mask in (prediction, truth)]
    assert count_difference(pair) == abs(counts[0] - counts[1])
    if truth.any():
        assert detected_strictly(pair) == strictly_by_walking(prediction, truth, spacing_mm)
        assert detected(pair) == (prediction & truth).any()
