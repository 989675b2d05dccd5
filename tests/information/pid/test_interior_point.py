"""The solution fulfils the conditions of an optimum."""

import numpy as np
import pytest

from adumbra.information.pid.interior_point import TOLERANCE, solve_dual
from information.distributions import KINDS, random_distribution


def marginals(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(p.sum(3).swapaxes(1, 2)), np.ascontiguousarray(p.sum(2))


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_solution_is_an_optimum(kind, careful, rng):
    """Constraints hold, q has the marginals, and a pair (x, y) has mass only where its constraint is active."""
    for T, X, Y in ((2, 3, 3), (3, 6, 5), (4, 4, 9)):
        tx, ty = marginals(np.stack([random_distribution(kind, (T, X, Y), rng) for _ in range(5)]))
        alpha, beta, w = solve_dual(tx, ty, careful=careful)
        scores = np.exp(alpha[:, :, :, None] + beta[:, None])  # (N, X, T, Y)
        total = scores.sum(2)
        with np.errstate(divide="ignore"):
            c = np.log(total)
        assert np.sum(tx.sum(2) * np.maximum(c, 0).max(2)) < TOLERANCE
        assert c.max() < 1e-6  # also where there is hardly any mass
        assert -np.sum(w * np.maximum(c, -700)) < 3 * TOLERANCE
        q = w[:, :, None] * scores / np.where(total > 0, total, 1.0)[:, :, None]
        assert np.abs(q.sum(3) - tx).max() < TOLERANCE
        assert np.abs(q.sum(1) - ty).max() < TOLERANCE
        assert np.isneginf(alpha[tx == 0]).all()
        assert np.isneginf(beta[ty == 0]).all()


def test_the_same_problem_has_the_same_solution_in_any_batch(rng):
    tx, ty = marginals(np.stack([random_distribution("dense", (3, 4, 4), rng) for _ in range(7)]))
    batch, single = solve_dual(tx, ty, careful=False), solve_dual(tx[3:4], ty[3:4], careful=False)
    for whole, part in zip(batch, single, strict=True):
        assert np.array_equal(whole[3], part[0])


def test_numbers_of_rows_that_are_no_multiple_of_a_tile(rng):
    """T Y from 2 to 15: rows are padded to a multiple of four."""
    for T, Y in ((2, 1), (3, 1), (2, 3), (3, 3), (5, 2), (3, 5)):
        tx, ty = marginals(random_distribution("dense", (T, 6, Y), rng)[None])
        alpha, beta, w = solve_dual(tx, ty, careful=False)
        q = w[:, :, None] * np.exp(alpha[:, :, :, None] + beta[:, None])
        assert np.abs(q.sum(3) - tx).max() < TOLERANCE
