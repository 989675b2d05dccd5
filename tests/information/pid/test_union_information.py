"""Bounds that hold and meet: against the closed form of a binary target, by hand, and for masses next to nothing."""

import numpy as np
import pytest

from adumbra.information.entropy import BITS, entropy
from adumbra.information.pid.blackwell import union_informations
from adumbra.information.pid.interior_point import TOLERANCE
from adumbra.information.pid.union_information import bounds
from information.distributions import KINDS, drawn


def unions(p: np.ndarray) -> np.ndarray:
    """(N, 2), bits."""
    return entropy(p.sum((2, 3)), axis=1)[:, None] + BITS * bounds(p)


@pytest.mark.parametrize("kind", KINDS)
def test_it_agrees_with_the_closed_form_of_a_binary_target(kind, rng):
    for X, Y in ((2, 2), (5, 3), (4, 9), (16, 16)):
        p = np.stack([drawn(kind, (2, X, Y), rng) for _ in range(10)])
        found, exact = unions(p), BITS * union_informations(p.sum(3), p.sum(2))
        assert (found[:, 0] <= exact + 1e-13).all()
        assert (found[:, 1] >= exact - 1e-13).all()
        assert (found[:, 1] - found[:, 0]).max() <= 2.0 * BITS * TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_the_bounds_meet_for_larger_targets(kind, rng):
    for T, X, Y in ((3, 2, 2), (3, 8, 5), (4, 5, 12), (5, 10, 10)):
        found = bounds(np.stack([drawn(kind, (T, X, Y), rng) for _ in range(10)]))
        assert (found[:, 0] <= found[:, 1] + 1e-14).all()
        assert (found[:, 1] - found[:, 0]).max() <= 2.0 * TOLERANCE


def test_independent_bits_of_the_target_by_hand():
    """T = (X, Y): under every q with the marginals both are known, so that H(T|X,Y) = 0."""
    p = np.zeros((1, 4, 2, 2))
    p[0, [0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 0, 1]] = 0.25
    assert bounds(p)[0] == pytest.approx([0.0, 0.0], abs=2.0 * TOLERANCE)


def test_a_blind_source_leaves_what_the_other_tells():
    """I(T; Y) = 0: the least is I(T; X), and min -H(T|X,Y) = -H(T|X) = -ln 2 for a target of four and a half of it."""
    p = np.zeros((1, 4, 2, 3))
    p[0, [0, 1, 2, 3], [0, 0, 1, 1]] = 1 / 12
    assert bounds(p)[0] == pytest.approx([-np.log(2)] * 2, abs=2.0 * TOLERANCE)


def test_symbols_without_mass_change_nothing(rng):
    p = drawn("dense", (3, 4, 3), rng)
    padded = np.zeros((5, 6, 9))
    padded[np.ix_([0, 2, 4], [1, 2, 3, 5], [0, 7, 8])] = p
    assert bounds(padded[None])[0] == pytest.approx(bounds(p[None])[0], abs=1e-12)
    both = np.zeros((2, 3, 4, 4))
    both[0, :, :, :3], both[1, :, 1:, 1:] = p, drawn("dense", (3, 3, 3), rng)
    assert bounds(both)[0] == pytest.approx(bounds(p[None])[0], abs=2.0 * TOLERANCE)


@pytest.mark.parametrize("concentration", [0.02, 0.005, 0.001])
def test_masses_from_one_to_nothing(concentration, rng):
    """Most cells are below 1e-15 of the largest: they are left out, and what that may change is in the bounds."""
    for T, X, Y in ((3, 3, 3), (4, 6, 5)):
        p = rng.dirichlet(np.full(T * X * Y, concentration), 30).reshape(30, T, X, Y)
        found = bounds(p)
        assert (found[:, 1] - found[:, 0]).max() <= 3 * TOLERANCE


def test_a_target_of_low_prevalence(rng):
    """Three symbols, of which two have 1e-3 to 1e-6 of the mass."""
    p = np.stack([drawn("gaussian", (3, 9, 8), rng) for _ in range(30)])
    p *= 10.0 ** np.stack([np.zeros(30), -rng.uniform(3, 6, 30), -rng.uniform(3, 6, 30)], axis=1)[:, :, None, None]
    found = bounds(p / p.sum((1, 2, 3), keepdims=True))
    assert (found[:, 1] - found[:, 0]).max() <= 3 * TOLERANCE


def test_no_feasible_q_is_below_the_lower_bound(rng):
    """Random q of the same marginals, made by moving mass around squares: every one of them is above."""
    p = drawn("dense", (3, 3, 3), rng)
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
