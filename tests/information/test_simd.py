"""Vectors give exactly the numbers of scalars, and those of NumPy within rounding."""

import numpy as np
import pytest
from numba import njit

from adumbra.information.simd import LANES, exp, fmuladd, load, log, maximum, minimum, store, where_positive


@njit(error_model="numpy")
def _logarithms(values, out):
    for i in range(values.shape[0]):
        store(out, i, log(load(values, i)))


@njit(error_model="numpy")
def _exponentials(values, out):
    for i in range(values.shape[0]):
        store(out, i, exp(load(values, i)))


@njit(error_model="numpy")
def _mixed(values, out):
    for i in range(values.shape[0]):
        a = load(values, i)
        store(out, i, fmuladd(a, 2.0, minimum(maximum(a, -0.5), 0.5)) / (1.0 + a * a) - where_positive(a, 1.0, -a))


def both(loop, values: np.ndarray) -> np.ndarray:
    """The result of the loop, which has to be the same for vectors and for numbers."""
    scalar, vector = np.empty_like(values), np.empty((values.size // LANES, LANES))
    loop(values, scalar)
    loop(values.reshape(-1, LANES), vector)
    assert np.array_equal(scalar, vector.ravel())
    return scalar


@pytest.mark.parametrize("spread", [1e-3, 1.0, 100.0])
def test_logarithms_and_exponentials_are_those_of_numpy(spread, rng):
    values = rng.normal(0.0, spread, 800 * LANES)
    assert both(_exponentials, values) == pytest.approx(np.exp(values), rel=5e-16)
    positive = np.exp(values)
    assert both(_logarithms, positive) == pytest.approx(np.log(positive), rel=5e-16, abs=1e-300)


def test_the_ends_of_the_exponential():
    values = np.array([-np.inf, -1e6, -700.0, 700.0, 1e6, np.inf, 0.0, 1.0])
    ends = np.exp(700.0)
    assert both(_exponentials, values) == pytest.approx([0.0, 0.0, 0.0, ends, ends, ends, 1.0, np.e], rel=5e-16)


def test_arithmetic_of_vectors_and_numbers(rng):
    a = rng.normal(0.0, 1.0, 8 * LANES)
    expected = (np.clip(a, -0.5, 0.5) + 2.0 * a) / (1.0 + a * a) - np.where(a > 0.0, 1.0, -a)
    assert both(_mixed, a) == pytest.approx(expected, rel=1e-14, abs=1e-15)
