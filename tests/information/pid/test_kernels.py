"""The compiled kernels of the interior-point method against a plain NumPy reference and a general-purpose optimiser."""

import numpy as np
import pytest
from numba import njit
from scipy.optimize import minimize

from adumbra.information.pid.interior_point import solve_dual
from adumbra.information.pid.interior_point.newton import factorise_newton, solve_newton
from adumbra.information.pid.interior_point.residuals import duality_gap, infeasibility, update_posterior
from adumbra.information.pid.interior_point.start import start
from adumbra.information.pid.interior_point.workspace import Factor, Iterate, Step, allocate
from adumbra.information.pid.union_information import bounds
from adumbra.information.simd import LANES, store
from information.distributions import random_distribution
from information.pid import reference_interior_point as reference


@njit(error_model="numpy")
def _direction(iterate, step, factor, length):
    factorise_newton(iterate, step, factor)
    store(length, 0, solve_newton(iterate, step, factor))


@njit(error_model="numpy")
def _residuals(iterate, step, sums):
    update_posterior(iterate)
    store(sums, 0, duality_gap(iterate, step, 0.5))
    store(sums, 1, infeasibility(iterate))


def bounds_of(tx: np.ndarray, ty: np.ndarray) -> np.ndarray:
    """Certified bounds of the problem with these marginals, (2,)."""
    q = np.einsum("xt,ty->txy", tx / tx.sum(0), ty)
    return bounds(q[None])[0]


SHAPES = ((2, 2, 2), (3, 2, 4), (3, 5, 3), (4, 3, 6))


def problems(shape, count, rng) -> tuple[np.ndarray, np.ndarray]:
    """Marginals (N, X, T) and (N, T, Y), all positive."""
    p = np.stack([random_distribution("dense", shape, rng) for _ in range(count)])
    return np.ascontiguousarray(p.sum(3).swapaxes(1, 2)), np.ascontiguousarray(p.sum(2))


def workspace(some: list[reference.Point], lanes: tuple[int, ...]) -> tuple[Iterate, Step, Factor]:
    """The workspace that holds these points, one for each lane."""
    first = some[0]
    iterate, step, factor = allocate(*first.alpha.shape, first.beta.shape[1], lanes)
    for lane, point in enumerate(some):
        at = (..., lane) if lanes else ...
        start(point.tx, point.ty, iterate, lane, False)
        iterate.dual[at] = np.concatenate([point.alpha.ravel(), point.beta.ravel()])
        iterate.pi[at], iterate.c[at], iterate.w[at], iterate.s[at] = point.pi, point.c, point.w, point.s
    step.inverse_w[:], step.inverse_s[:] = 1.0 / iterate.w, 1.0 / iterate.s
    return iterate, step, factor


def points(shape, count, rng) -> list[reference.Point]:
    """Iterates of several problems, some steps after their start."""
    result = []
    for tx, ty in zip(*problems(shape, count, rng), strict=True):
        point = reference.first_point(tx, ty, careful=False)
        for _ in range(3):
            point = reference.iterate(point, careful=False)
        result.append(point)
    return result


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_iterate(shape, careful, rng):
    (tx,), (ty,) = problems(shape, 1, rng)
    iterate, _, _ = allocate(*tx.shape, ty.shape[1], ())
    start(tx, ty, iterate, 0, careful)
    expected = reference.first_point(tx, ty, careful=careful)
    assert iterate.dual == pytest.approx(np.concatenate([expected.alpha.ravel(), expected.beta.ravel()]), rel=1e-13)
    for name in ("pi", "c", "w", "s", "omega"):
        assert getattr(iterate, name) == pytest.approx(getattr(expected, name), rel=1e-12), name


@pytest.mark.parametrize("lanes", [(), (LANES,)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_posterior_and_the_residuals(shape, lanes, rng):
    some = points(shape, LANES if lanes else 1, rng)
    iterate, step, _ = workspace(some, lanes)
    step.w[:], step.s[:] = 0.1 * iterate.w, -0.2 * iterate.s
    iterate.pi[:], iterate.c[:] = np.nan, np.nan
    sums = np.empty((2, *lanes))
    _residuals(iterate, step, sums)
    for lane, point in enumerate(some):
        at = (..., lane) if lanes else ...
        assert iterate.pi[at] == pytest.approx(point.pi, rel=1e-13)
        assert iterate.c[at] == pytest.approx(point.c, rel=1e-12, abs=1e-14)
        gap, misfit = sums[at]
        assert gap == pytest.approx(1.05 * 0.9 * (point.w * point.s).sum(), rel=1e-13)
        assert misfit == pytest.approx(reference.infeasibility(point), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("lanes", [(), (LANES,)])
@pytest.mark.parametrize("shape", SHAPES)
def test_newtons_direction_is_that_of_a_dense_solver(shape, lanes, rng):
    """Assembly, elimination, tiled Cholesky factor and substitution, for one problem and for a vector of problems."""
    some = points(shape, LANES if lanes else 1, rng)
    iterate, step, factor = workspace(some, lanes)
    step.central[:] = 1e-3 * iterate.omega
    length = np.empty((1, *lanes))
    _direction(iterate, step, factor, length)
    for lane, point in enumerate(some):
        at = (..., lane) if lanes else ...
        d_alpha, d_beta, d_w, d_s, expected = reference.newton_direction(point, 1e-3 * iterate.omega[at])
        both = np.concatenate([d_alpha.ravel(), d_beta.ravel()])
        assert step.dual[at][: both.size] == pytest.approx(both, rel=1e-7, abs=1e-9)
        assert step.w[at] == pytest.approx(d_w, rel=1e-7, abs=1e-10)
        assert step.s[at] == pytest.approx(d_s, rel=1e-7, abs=1e-9)
        assert length[at] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_solution_is_that_of_the_reference(shape, careful, rng):
    tx, ty = problems(shape, 5, rng)
    alpha, beta, w = solve_dual(tx, ty, careful=careful)
    for i in range(5):
        expected = reference.solve(tx[i], ty[i], careful=careful)
        assert w[i] == pytest.approx(expected.w, abs=1e-5)
        for limits in ((alpha[i], beta[i], w[i]), (expected.alpha, expected.beta, expected.w)):
            dual = (tx[i] * limits[0]).sum() + (ty[i] * limits[1]).sum()
            lower, upper = bounds_of(tx[i], ty[i])
            assert lower - 1e-9 <= dual <= upper + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_the_bounds_are_the_minimum_of_a_general_purpose_optimiser(seed):
    """min Σ q ln q(t|x,y) over q with the marginals: for X = Y = 2 one number of each t is free."""
    p = random_distribution("dense", (3, 2, 2), np.random.default_rng(seed))
    square = np.array([[1.0, -1.0], [-1.0, 1.0]])
    limits = [(-min(table[0, 0], table[1, 1]), min(table[0, 1], table[1, 0])) for table in p]

    def objective(moved: np.ndarray) -> float:
        q = np.maximum(p + moved[:, None, None] * square, 1e-300)
        return float((q * np.log(q / q.sum(0))).sum())

    starts = [np.array([low + share * (high - low) for low, high in limits]) for share in (0.25, 0.5, 0.75)]
    options = {"ftol": 1e-15, "gtol": 1e-10}
    best = min(minimize(objective, x, bounds=limits, method="L-BFGS-B", options=options).fun for x in starts)
    lower, upper = bounds(p[None])[0]
    assert lower - 1e-12 <= best
    assert best == pytest.approx(upper, abs=1e-6)
