"""Validation of distributions, and its errors."""

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.pid.distribution import validate_distribution

EVEN = np.full((2, 2, 2), 0.125)


def test_the_result_is_a_new_float64_array_with_the_sum_one():
    given = EVEN.astype(np.float32)
    found = validate_distribution(given)
    assert found.dtype == np.float64
    assert found.tolist() == EVEN.tolist()
    assert validate_distribution(EVEN) is not EVEN
    nearly = EVEN * (1.0 + 5e-10)
    assert validate_distribution(nearly).sum() == pytest.approx(1.0, abs=1e-15)


def test_batches_of_any_shape():
    assert validate_distribution(np.broadcast_to(EVEN, (3, 1, 2, 2, 2))).shape == (3, 1, 2, 2, 2)
    assert validate_distribution(np.zeros((0, 2, 2, 2))).shape == (0, 2, 2, 2)
    assert validate_distribution(np.full((2, 2, 2, 2), 1 / 16), sources=3).shape == (2, 2, 2, 2)
    assert validate_distribution(np.ones((1, 1, 1), dtype=int)).tolist() == [[[1.0]]]


def test_an_invalid_value_is_named_with_its_index():
    bad = np.stack([EVEN, EVEN, EVEN])
    bad[1, 0, 1, 0] = -0.25
    with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*from 0 up.*-0\.25 at \(1, 0, 1, 0\); 1 of them"):
        validate_distribution(bad)
    bad[2, 1, 1, 1] = np.nan
    with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*finite.*nan at \(2, 1, 1, 1\); 1 of them"):
        validate_distribution(bad)
    for value in (np.inf, -np.inf):
        with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*finite"):
            validate_distribution(np.where(EVEN > 0, value, EVEN))


def test_counts_are_refused_with_a_remedy():
    counts = np.arange(8).reshape(2, 2, 2)
    with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*the sum 28\n.*p / p\.sum\(axis=\(-3, -2, -1\), keepdims"):
        validate_distribution(counts)
    with pytest.raises(ImplausibleValues, match=r"(?s)the sum 1\.00000001 in the distribution \(1,\)"):
        validate_distribution(np.stack([EVEN, EVEN * (1 + 1e-8)]))
    with pytest.raises(ImplausibleValues, match=r"the sum 0"):
        validate_distribution(np.zeros((2, 2, 2)))
    assert validate_distribution(counts / counts.sum(axis=(-3, -2, -1), keepdims=True)).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(), (2,), (2, 2), (0, 2, 2), (2, 0, 2), (4, 2, 2, 0)])
def test_invalid_shapes_are_refused(shape):
    with pytest.raises(InputRejected, match=r"(?s)^p\n.*\(\.\.\., T, X, Y\), none of them empty"):
        validate_distribution(np.ones(shape))


def test_three_sources_need_four_axes():
    with pytest.raises(InputRejected, match=r"(?s)^p\n.*\(\.\.\., T, X, Y, Z\)"):
        validate_distribution(EVEN, sources=3)


def test_types_that_are_not_real_numbers_are_refused():
    for given in (np.full((2, 2, 2), 0.125j), np.full((2, 2, 2), "a"), np.full((2, 2, 2), None)):
        with pytest.raises(InputRejected, match=r"(?s)^p\n.*real numbers"):
            validate_distribution(given)
