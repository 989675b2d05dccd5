"""Entropy, mutual information and specific information by hand."""

from math import log2

import numpy as np
import pytest

from adumbra.information.shannon import entropy, specific_information, specific_informations, table_mutual_information
from information.distributions import random_distribution


def test_entropy_by_hand():
    assert entropy(np.array([0.5, 0.25, 0.25, 0.0])) == 1.5
    assert entropy(np.array([1.0, 0.0])) == 0.0
    assert entropy(np.full((2, 8), 1 / 8), axis=1).tolist() == [3.0, 3.0]
    assert entropy(np.full((3, 2, 2), 1 / 4), axis=(1, 2)).tolist() == [2.0] * 3


def test_information_by_hand():
    assert table_mutual_information(np.eye(4) / 4) == 2.0
    assert table_mutual_information(np.outer([0.3, 0.7], [0.1, 0.2, 0.7])) == 0.0
    noisy = np.array([[0.45, 0.05], [0.05, 0.45]])
    assert table_mutual_information(noisy) == pytest.approx(1.0 + 0.9 * log2(0.9) + 0.1 * log2(0.1), abs=1e-15)
    assert table_mutual_information(np.stack([noisy, np.eye(2) / 2])).shape == (2,)
    assert table_mutual_information(np.zeros((0, 2, 2))).shape == (0,)


def test_information_is_the_difference_of_entropies(rng):
    p = random_distribution("sparse", (1, 9, 7), rng)[0]
    difference = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p)
    assert table_mutual_information(p) == pytest.approx(float(difference), abs=1e-14)


def test_specific_information_by_hand():
    """T = 1 occurs only with A = 1; p(T = 1) = 1/4 and p(A = 1) = 1/2."""
    specific = specific_information(np.array([[0.5, 0.25], [0.0, 0.25]]))
    assert specific[1] == pytest.approx(0.25 * 1.0, abs=1e-15)  # 1/4 log2 (1/4) / (1/4 · 1/2)
    assert specific[0] == pytest.approx(0.5 * log2(4 / 3) + 0.25 * log2(2 / 3), abs=1e-15)


def test_symbols_of_tiny_mass_and_of_none_have_finite_information():
    tiny = np.array([[1.0 - 1e-300, 0.0, 0.0], [0.0, 1e-300, 0.0]])
    assert specific_information(tiny)[1] == pytest.approx(1e-300 * 300 * log2(10), rel=1e-12)
    assert np.isfinite(specific_information(tiny)).all()


def test_both_sources_have_at_least_the_information_of_either(rng):
    for kind in ("dense", "sparse", "chain", "deterministic"):
        p = np.stack([random_distribution(kind, (3, 4, 5), rng) for _ in range(20)])
        specific, tx, ty = specific_informations(p)
        assert (specific[2] >= np.maximum(specific[0], specific[1])).all()
        assert np.abs(tx - p.sum(3)).max() < 1e-15
        assert np.abs(ty - p.sum(2)).max() < 1e-15
        assert np.abs(specific[0] - specific_information(p.sum(3))).max() < 1e-15
        assert np.abs(specific[2].sum(1) - table_mutual_information(p.reshape(20, 3, 20))).max() < 1e-14
