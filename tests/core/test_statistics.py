"""The coefficient of variation: by hand, and against NumPy."""

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.statistics import coefficient_of_variation


def test_three_volumes_by_hand() -> None:
    """Deviations of -1, 0 and 1 from 8: a sample variance of 2 / (3 - 1) = 1."""
    assert coefficient_of_variation([7.0, 8.0, 9.0]) == pytest.approx(1 / 8)
    assert coefficient_of_variation([1.0, 2.0]) == pytest.approx(sqrt(0.5) / 1.5)


@given(arrays(np.float64, 7, elements=st.floats(0.0, 1e6)))
def test_it_is_the_sample_standard_deviation_over_the_mean(values: np.ndarray) -> None:
    if values.min() == values.max():
        assert coefficient_of_variation(values) == 0.0 or not values.any()
    elif values.mean() > 0.0:
        assert coefficient_of_variation(values) == pytest.approx(values.std(ddof=1) / values.mean())


def test_it_does_not_depend_on_the_unit() -> None:
    assert coefficient_of_variation([100, 120, 90]) == pytest.approx(coefficient_of_variation([0.1, 0.12, 0.09]))


def test_equal_values_do_not_vary_at_all() -> None:
    assert coefficient_of_variation([0.1] * 3) == 0.0
    assert coefficient_of_variation(np.full(7, 0.3)) == 0.0


def test_it_is_undefined_for_one_value_for_none_and_for_a_mean_of_zero() -> None:
    for values in ([], [2.0], [0.0, 0.0, 0.0]):
        assert isnan(coefficient_of_variation(values))
