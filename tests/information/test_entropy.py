"""Entropies by hand, and what one variable tells of each symbol of another."""

from math import log2

import numpy as np
import pytest

from adumbra.information.entropy import entropy, mutual_information_of, specific_information, told
from information.distributions import drawn


def test_entropy_by_hand():
    assert entropy(np.array([0.5, 0.25, 0.25, 0.0])) == 1.5
    assert entropy(np.array([1.0, 0.0])) == 0.0
    assert entropy(np.full((2, 8), 1 / 8), axis=1).tolist() == [3.0, 3.0]
    assert entropy(np.full((3, 2, 2), 1 / 4), axis=(1, 2)).tolist() == [2.0] * 3


def test_information_by_hand():
    assert mutual_information_of(np.eye(4) / 4) == 2.0
    assert mutual_information_of(np.outer([0.3, 0.7], [0.1, 0.2, 0.7])) == 0.0
    noisy = np.array([[0.45, 0.05], [0.05, 0.45]])
    assert mutual_information_of(noisy) == pytest.approx(1.0 + 0.9 * log2(0.9) + 0.1 * log2(0.1), abs=1e-15)
    assert mutual_information_of(np.stack([noisy, np.eye(2) / 2])).shape == (2,)
    assert mutual_information_of(np.zeros((0, 2, 2))).shape == (0,)


def test_information_is_what_entropies_lack(rng):
    p = drawn("sparse", (1, 9, 7), rng)[0]
    lacks = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p)
    assert mutual_information_of(p) == pytest.approx(float(lacks), abs=1e-14)


def test_each_symbol_is_told_a_part():
    """T = 1 only with A = 1: that alone is told for certain. p(T = 1) = 1/4, p(A = 1) = 1/2."""
    found = specific_information(np.array([[0.5, 0.25], [0.0, 0.25]]))
    assert found[1] == pytest.approx(0.25 * 1.0, abs=1e-15)  # 1/4 log2 (1/4) / (1/4 · 1/2)
    assert found[0] == pytest.approx(0.5 * log2(4 / 3) + 0.25 * log2(2 / 3), abs=1e-15)


def test_symbols_of_tiny_mass_and_of_none_tell_what_they_should():
    tiny = np.array([[1.0 - 1e-300, 0.0, 0.0], [0.0, 1e-300, 0.0]])
    assert specific_information(tiny)[1] == pytest.approx(1e-300 * 300 * log2(10), rel=1e-12)
    assert np.isfinite(specific_information(tiny)).all()


def test_both_tell_at_least_what_either_does(rng):
    for kind in ("dense", "sparse", "chain", "deterministic"):
        p = np.stack([drawn(kind, (3, 4, 5), rng) for _ in range(20)])
        found, tx, ty = told(p)
        assert (found[2] >= np.maximum(found[0], found[1])).all()
        assert np.abs(tx - p.sum(3)).max() < 1e-15
        assert np.abs(ty - p.sum(2)).max() < 1e-15
        assert np.abs(found[0] - specific_information(p.sum(3))).max() < 1e-15
        assert np.abs(found[2].sum(1) - mutual_information_of(p.reshape(20, 3, 20))).max() < 1e-14
