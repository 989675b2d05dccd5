"""Bounds of the union information: against the closed form of a binary target, by hand, and for tiny masses."""

import numpy as np
import pytest

from adumbra.information.pid.blackwell import binary_union_information
from adumbra.information.pid.interior_point import TOLERANCE
from adumbra.information.pid.union_information import bounds
from adumbra.information.shannon import BITS, entropy
from information.distributions import KINDS, random_distribution


def unions(p: np.ndarray) -> np.ndarray:
    """Bounds of the union information (N, 2), in bits."""
    return entropy(p.sum((2, 3)), axis=1)[:, None] + BITS * bounds(p)


@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_the_closed_form_of_a_binary_target(kind, rng):
    for X, Y in ((2, 2), (5, 3), (4, 9), (16, 16)):
        p = np.stack([random_distribution(kind, (2, X, Y), rng) for _ in range(10)])
        found, exact = unions(p), BITS * binary_union_information(p.sum(3), p.sum(2))
        assert (found[:, 0] <= exact + 1e-13).all()
        assert (found[:, 1] >= exact - 1e-13).all()
        assert (found[:, 1] - found[:, 0]).max() <= 2.0 * BITS * TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_the_bounds_meet_for_larger_targets(kind, rng):
    for T, X, Y in ((3, 2, 2), (3, 8, 5), (4, 5, 12), (5, 10, 10)):
        found = bounds(np.stack([random_distribution(kind, (T, X, Y), rng) for _ in range(10)]))
        assert (found[:, 0] <= found[:, 1] + 1e-14).all()
        assert (found[:, 1] - found[:, 0]).max() <= 2.0 * TOLERANCE


def test_independent_bits_of_the_target_by_hand():
    """T = (X, Y): under every q with these marginals X and Y determine T, so that H(T|X,Y) = 0."""
    p = np.zeros((1, 4, 2, 2))
    p[0, [0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 0, 1]] = 0.25
    assert bounds(p)[0] == pytest.approx([0.0, 0.0], abs=2.0 * TOLERANCE)


def test_an_uninformative_source_leaves_the_information_of_the_other():
    """I(T; Y) = 0: min -H(T|X,Y) = -H(T|X) = -ln 2, since X halves a target of four symbols."""
    p = np.zeros((1, 4, 2, 3))
    p[0, [0, 1, 2, 3], [0, 0, 1, 1]] = 1 / 12
    assert bounds(p)[0] == pytest.approx([-np.log(2)] * 2, abs=2.0 * TOLERANCE)


def test_symbols_without_mass_change_nothing(rng):
    p = random_distribution("dense", (3, 4, 3), rng)
    padded = np.zeros((5, 6, 9))
    padded[np.ix_([0, 2, 4], [1, 2, 3, 5], [0, 7, 8])] = p
    assert bounds(padded[None])[0] == pytest.approx(bounds(p[None])[0], abs=1e-12)
    both = np.zeros((2, 3, 4, 4))
    both[0, :, :, :3], both[1, :, 1:, 1:] = p, random_distribution("dense", (3, 3, 3), rng)
    assert bounds(both)[0] == pytest.approx(bounds(p[None])[0], abs=2.0 * TOLERANCE)


@pytest.mark.parametrize("concentration", [0.02, 0.005, 0.001])
def test_masses_of_many_magnitudes(concentration, rng):
    """Most cells are below 1e-15 of the largest: they are dropped, and the bounds include the effect."""
    for T, X, Y in ((3, 3, 3), (4, 6, 5)):
        p = rng.dirichlet(np.full(T * X * Y, concentration), 30).reshape(30, T, X, Y)
        found = bounds(p)
        assert (found[:, 1] - found[:, 0]).max() <= 3 * TOLERANCE


def test_a_target_of_low_prevalence(rng):
    """Two of three symbols have 1e-3 to 1e-6 of the mass."""
    p = np.stack([random_distribution("gaussian", (3, 9, 8), rng) for _ in range(30)])
    p *= 10.0 ** np.stack([np.zeros(30), -rng.uniform(3, 6, 30), -rng.uniform(3, 6, 30)], axis=1)[:, :, None, None]
    found = bounds(p / p.sum((1, 2, 3), keepdims=True))
    assert (found[:, 1] - found[:, 0]).max() <= 3 * TOLERANCE


def test_no_feasible_q_is_below_the_lower_bound(rng):
    """Random q with the same marginals, from moving mass around squares, are all above the lower bound."""
    p = random_distribution("dense", (3, 3, 3), rng)
    lower, upper = bounds(p[None])[0]
    for _ in range(200):
        q = p.copy()
        for _ in range(20):
            t, (x, u), (y, v) = rng.integers(3), rng.permutation(3)[:2], rng.permutation(3)[:2]
            moved = rng.random() * min(q[t, x, y], q[t, u, v])
            q[t, x, y] -= moved
            q[t, u, v] -= moved
            q[t, x, v] += moved
            q[t, u, y] += moved
        assert np.abs(q.sum(2) - p.sum(2)).max() < 1e-14
        value = float(np.sum(q[q > 0] * np.log((q / q.sum(0))[q > 0])))
        assert value >= lower - 1e-14
    assert upper - lower <= 2.0 * TOLERANCE
