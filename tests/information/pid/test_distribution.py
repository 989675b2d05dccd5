"""What is a distribution, and what the refusals of others say."""

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.pid.distribution import checked

EVEN = np.full((2, 2, 2), 0.125)


def test_it_is_float64_with_the_sum_one_and_not_what_was_given():
    given = EVEN.astype(np.float32)
    found = checked(given)
    assert found.dtype == np.float64
    assert found.tolist() == EVEN.tolist()
    assert checked(EVEN) is not EVEN
    nearly = EVEN * (1.0 + 5e-10)
    assert checked(nearly).sum() == pytest.approx(1.0, abs=1e-15)


def test_any_batch_and_none():
    assert checked(np.broadcast_to(EVEN, (3, 1, 2, 2, 2))).shape == (3, 1, 2, 2, 2)
    assert checked(np.zeros((0, 2, 2, 2))).shape == (0, 2, 2, 2)
    assert checked(np.full((2, 2, 2, 2), 1 / 16), sources=3).shape == (2, 2, 2, 2)
    assert checked(np.ones((1, 1, 1), dtype=int)).tolist() == [[[1.0]]]


def test_a_bad_value_is_named_with_its_place():
    bad = np.stack([EVEN, EVEN, EVEN])
    bad[1, 0, 1, 0] = -0.25
    with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*from 0 up.*-0\.25 at \(1, 0, 1, 0\); 1 of them"):
        checked(bad)
    bad[2, 1, 1, 1] = np.nan
    with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*finite.*nan at \(2, 1, 1, 1\); 1 of them"):
        checked(bad)
    for value in (np.inf, -np.inf):
        with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*finite"):
            checked(np.where(EVEN > 0, value, EVEN))


def test_counts_are_refused_with_what_to_do():
    counts = np.arange(8).reshape(2, 2, 2)
    with pytest.raises(ImplausibleValues, match=r"(?s)^p\n.*the sum 28\n.*p / p\.sum\(axis=\(-3, -2, -1\), keepdims"):
        checked(counts)
    with pytest.raises(ImplausibleValues, match=r"(?s)the sum 1\.00000001 in the distribution \(1,\)"):
        checked(np.stack([EVEN, EVEN * (1 + 1e-8)]))
    with pytest.raises(ImplausibleValues, match=r"the sum 0"):
        checked(np.zeros((2, 2, 2)))
    assert checked(counts / counts.sum(axis=(-3, -2, -1), keepdims=True)).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(), (2,), (2, 2), (0, 2, 2), (2, 0, 2), (4, 2, 2, 0)])
def test_a_shape_that_is_none_of_a_decomposition(shape):
    with pytest.raises(InputRejected, match=r"(?s)^p\n.*\(\.\.\., T, X, Y\), none of them empty"):
        checked(np.ones(shape))


def test_three_sources_ask_for_four_axes():
    with pytest.raises(InputRejected, match=r"(?s)^p\n.*\(\.\.\., T, X, Y, Z\)"):
        checked(EVEN, sources=3)


def test_what_is_no_number():
    for given in (np.full((2, 2, 2), 0.125j), np.full((2, 2, 2), "a"), np.full((2, 2, 2), None)):
        with pytest.raises(InputRejected, match=r"(?s)^p\n.*real numbers"):
            checked(given)
