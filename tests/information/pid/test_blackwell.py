"""The union information of a binary target: by hand, by garblings, and by a linear program."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from adumbra.information.pid.blackwell import binary_union_information
from adumbra.information.shannon import BITS, table_mutual_information


def union(tx, ty) -> float:
    """The union information in bits."""
    return BITS * float(
        binary_union_information(np.asarray(tx, dtype=float)[None], np.asarray(ty, dtype=float)[None])[0]
    )


def random_pair(seed: int, X: int, Y: int) -> tuple[np.ndarray, np.ndarray]:
    """Random marginals of two sources with p(T) = 0.3 and 0.7."""
    rng = np.random.default_rng(seed)
    of_t = np.array([[0.3], [0.7]])
    return of_t * rng.dirichlet(np.ones(X), 2), of_t * rng.dirichlet(np.ones(Y), 2)


def test_a_source_equal_to_the_target_is_the_union():
    all_of_it = np.diag([0.25, 0.75])
    assert union(all_of_it, np.outer([0.25, 0.75], [0.4, 0.6])) == pytest.approx(
        float(table_mutual_information(all_of_it))
    )


def test_two_erasures_by_hand():
    """X reveals T = 0 half of the time, Y reveals T = 1: the least source above both reveals either, half of the time.

    Its curve runs over (0, 1/4), (1/4, 1/2) and (1/2, 1/2): the middle symbol, of probability 1/2, is uninformative.
    """
    tx, ty = [[0.25, 0.25], [0.0, 0.5]], [[0.0, 0.5], [0.25, 0.25]]
    assert union(tx, ty) == pytest.approx(0.5, abs=1e-15)


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9))
def test_the_union_of_a_source_and_its_garbling_is_the_source(seed, X, Y):
    tx, _ = random_pair(seed, X, 2)
    garbling = np.random.default_rng(seed).dirichlet(np.ones(Y), X)
    assert union(tx, tx @ garbling) == pytest.approx(float(table_mutual_information(tx)), abs=1e-14)
    assert union(tx, tx) == pytest.approx(float(table_mutual_information(tx)), abs=1e-14)


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 6))
def test_it_is_above_both_and_invariant_under_relabelling(seed, X, Y):
    tx, ty = random_pair(seed, X, Y)
    found = union(tx, ty)
    assert found >= max(table_mutual_information(tx), table_mutual_information(ty)) - 1e-14
    rng = np.random.default_rng(seed)
    assert union(ty, tx) == pytest.approx(found, abs=1e-14)
    assert union(tx[::-1], ty[::-1]) == pytest.approx(found, abs=1e-14)
    assert union(tx[:, rng.permutation(X)], ty[:, rng.permutation(Y)]) == pytest.approx(found, abs=1e-14)
    split = np.concatenate([tx[:, :-1], 0.3 * tx[:, -1:], 0.7 * tx[:, -1:], np.zeros((2, 2))], axis=1)
    assert union(split, ty) == pytest.approx(found, abs=1e-14)


@pytest.mark.parametrize("seed", range(8))
def test_both_sources_are_garblings_of_it(seed):
    """Its symbols are the steps of the upper hull of both curves, and garblings to both sources exist."""
    tx, ty = random_pair(seed, 3, 3)
    steps = hull_steps(tx, ty)
    assert union(tx, ty) == pytest.approx(float(table_mutual_information(steps)), abs=1e-13)
    for source in (tx, ty):
        J, A = steps.shape[1], source.shape[1]
        equal = np.zeros((J + 2 * A, J * A))
        for j in range(J):
            equal[j, j * A : (j + 1) * A] = 1.0
            for t in (0, 1):
                equal[J + t * A + np.arange(A), j * A + np.arange(A)] = steps[t, j]
        found = linprog(np.zeros(J * A), A_eq=equal, b_eq=np.concatenate([np.ones(J), source.ravel()]))
        assert found.status == 0


def hull_steps(tx: np.ndarray, ty: np.ndarray) -> np.ndarray:
    """(2, J): over each u the hull is as high as the highest of all lines between two vertices."""
    points = [np.zeros((1, 2))]
    for table in (tx, ty):
        order = np.argsort(-table[1] / table.sum(0))
        points.append(np.cumsum(table.T[order], axis=0))
    points = np.unique(np.concatenate(points).round(15), axis=0)
    at = np.unique(points[:, 0])
    height = [
        max(
            a[1] + (b[1] - a[1]) * ((u - a[0]) / (b[0] - a[0]) if b[0] > a[0] else 1.0)
            for a in points
            for b in points
            if a[0] <= u <= b[0]
        )
        for u in at
    ]
    curve = np.concatenate([np.zeros((1, 2)), np.stack([at, height], axis=1)])
    return np.diff(curve, axis=0).T
