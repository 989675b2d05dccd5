"""Contract of every metric in the registry."""

from math import isnan

import numpy as np
import pytest

from adumbra.core.errors import AdumbraError, InputRejected
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.segmentation.registry import METRICS, Metric

SHAPE = (40, 12, 10)
BLIND = {"volume_difference_ml", "count_difference"}
"""Metrics that do not depend on the position of the voxels."""
IN_MM = {"volume_difference_ml", "detected_strictly"}
"""Metrics whose value may depend on the size of a voxel."""


@pytest.fixture(params=METRICS.values(), ids=METRICS.keys())
def metric(request: pytest.FixtureRequest) -> Metric:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def name(metric: Metric) -> str:
    return next(key for key, value in METRICS.items() if value is metric)


def grid(spacing_mm: float = 2.0) -> Grid:
    return Grid(SHAPE, np.diag([spacing_mm] * 3 + [1.0]))


def empty() -> np.ndarray:
    return np.zeros(SHAPE, dtype=bool)


def lesions(*, start: int = 2) -> np.ndarray:
    mask = empty()
    mask[start : start + 3, 2:5, 2:5] = True
    mask[start + 5, 6, 6] = True
    return mask


def test_identical_masks_give_the_best_value(metric: Metric) -> None:
    assert metric.of(MaskPair(lesions(), lesions(), grid())) == metric.best


def test_masks_far_apart_give_the_worst_value(metric: Metric, name: str) -> None:
    value = metric.of(MaskPair(lesions(start=30), lesions(), grid()))
    if metric.worst is not None:
        assert value == metric.worst
    elif name not in BLIND:
        assert value > metric.best if metric.better == "lower" else value < metric.best


def test_a_shifted_mask_is_never_better_than_the_same_mask(metric: Metric) -> None:
    best, shifted = (metric.of(MaskPair(lesions(start=s), lesions(), grid())) for s in (2, 4))
    assert shifted <= best if metric.better == "higher" else shifted >= best


def test_a_flip_from_left_to_right_changes_nothing(metric: Metric) -> None:
    prediction, truth = lesions(start=3), lesions()
    flipped, other = reorient(prediction, grid(), "LAS")
    turned = metric.of(MaskPair(flipped, reorient(truth, grid(), "LAS")[0], other))
    assert turned == pytest.approx(metric.of(MaskPair(prediction, truth, grid())))


def test_the_size_of_a_voxel_counts_where_it_must_and_nowhere_else(metric: Metric, name: str) -> None:
    prediction = lesions()
    prediction[20:23, 2, 2] = True
    small, large = (metric.of(MaskPair(prediction, lesions(), grid(spacing))) for spacing in (1.0, 2.0))
    if name == "volume_difference_ml":
        assert small == pytest.approx(0.003)
        assert large == pytest.approx(0.024)
    elif name not in IN_MM:
        assert small == large


@pytest.mark.parametrize("which", ["both", "prediction", "truth"])
def test_empty_masks_have_a_stated_value(metric: Metric, which: str) -> None:
    """A number, or nan where the docstring says that it is undefined; never an exception or a warning."""
    prediction = empty() if which in ("both", "prediction") else lesions()
    truth = empty() if which in ("both", "truth") else lesions()
    value = metric.of(MaskPair(prediction, truth, grid()))
    assert isinstance(value, float)
    if isnan(value):
        assert metric.of.__doc__
        assert "nan" in metric.of.__doc__


def test_wrong_shapes_are_refused(metric: Metric) -> None:
    with pytest.raises(InputRejected) as caught:
        metric.of(MaskPair(lesions()[:-1], lesions(), grid()))
    assert isinstance(caught.value, AdumbraError)
    assert caught.value.do


def test_the_masks_are_left_as_they_were(metric: Metric) -> None:
    prediction, truth = lesions(start=3), lesions()
    metric.of(MaskPair(prediction, truth, grid()))
    np.testing.assert_array_equal(prediction, lesions(start=3))
    np.testing.assert_array_equal(truth, lesions())


def test_the_entry_is_complete(metric: Metric) -> None:
    assert metric.of.__doc__
    assert metric.label
    assert metric.better in ("higher", "lower")
    if metric.worst is not None:
        assert (metric.best > metric.worst) == (metric.better == "higher")
