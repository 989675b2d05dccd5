"""The binary entropy and the threshold of uncertain voxels: by hand."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.entropy import LN2, UNCERTAIN_NATS, binary_entropy


def test_certainty_has_no_entropy() -> None:
    assert binary_entropy(np.array([0.0, 1.0])).tolist() == [0.0, 0.0]
    assert binary_entropy(np.array([0.5])).item() == pytest.approx(log(2), rel=1e-15)
    assert pytest.approx(log(2), rel=1e-15) == LN2


def test_a_quarter_by_hand() -> None:
    expected = -(0.25 * log(0.25) + 0.75 * log(0.75))
    assert binary_entropy(np.array([[0.25], [0.75]])).ravel().tolist() == pytest.approx([expected, expected])


@given(st.floats(0.0, 1.0))
def test_the_entropy_lies_between_zero_and_ln_2(probability: float) -> None:
    entropy = binary_entropy(np.array([probability])).item()
    assert 0.0 <= entropy <= LN2 * (1.0 + 1e-15)
    assert entropy == pytest.approx(binary_entropy(np.array([1.0 - probability])).item(), abs=1e-12)


def test_the_result_is_float64_for_any_input() -> None:
    assert binary_entropy(np.array([0.3], dtype=np.float32)).dtype == np.float64
    assert binary_entropy(np.array([0, 1])).dtype == np.float64


def test_the_threshold_is_a_probability_of_nine_percent() -> None:
    low, high = binary_entropy(np.array([0.0885, 0.0895]))
    assert low < UNCERTAIN_NATS < high
