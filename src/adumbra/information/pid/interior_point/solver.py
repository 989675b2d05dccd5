"""The iteration: the predictor-corrector method, applied to as many problems at once as a vector has lanes."""

import numpy as np

from adumbra.information.jit import compiled, inlined
from adumbra.information.pid.interior_point.newton import factorise_newton, solve_newton
from adumbra.information.pid.interior_point.residuals import duality_gap, infeasibility, update_posterior
from adumbra.information.pid.interior_point.start import start
from adumbra.information.pid.interior_point.workspace import FLOOR, TOLERANCE, Factor, Iterate, Step, allocate
from adumbra.information.simd import (
    LANES,
    absolute,
    fmuladd,
    load,
    load_lane,
    maximum,
    minimum,
    store,
    where_positive,
)

FEW = 4
"""Batches up to this size are solved one problem after another, which is faster than vectors with idle lanes."""

LARGEST_STEP = 3.0
"""No α or β changes by more in one iteration, in nats."""


def solve_dual(tx: np.ndarray, ty: np.ndarray, *, careful: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solves the dual of each problem of a batch.

    Args:
        tx: (N, X, T), the marginals p(t,x).
        ty: (N, T, Y), the marginals p(t,y).
        careful: Take shorter steps and more of them. About one problem in a thousand does not converge otherwise, for
            a long step comes too near to w = 0 or s = 0.

    Returns:
        α (N, X, T), β (N, T, Y) and w (N, X, Y). Where a marginal is 0, α or β is minus infinity. Nothing is certified
        here: see ``union_information``.
    """
    alpha, beta = np.empty(tx.shape), np.empty(ty.shape)
    w = np.empty((tx.shape[0], tx.shape[1], ty.shape[2]))
    _solve_batch(tx, ty, alpha, beta, w, careful, () if len(tx) <= FEW else (LANES,))
    return alpha, beta, w


@compiled
def _solve_batch(
    tx: np.ndarray,
    ty: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    w: np.ndarray,
    careful: bool,
    lanes: tuple[int, ...],
) -> None:
    """Fills the solutions. Each lane takes the next problem once its own is solved, until there are none left."""
    most_iterations = 1000 if careful else 60
    N, X, T = tx.shape
    iterate, step, factor = allocate(X, T, ty.shape[2], lanes)
    width = iterate.w.size // (X * ty.shape[2])
    distance = np.empty((2, *lanes))
    problem, count, following, left = np.arange(width), np.zeros(width, np.int64), min(width, N), N
    for lane in range(width):
        first = min(lane, N - 1)  # a lane without a problem repeats the last one, and its result is dropped
        start(tx[first], ty[first], iterate, lane, careful)
    while True:
        gap = duality_gap(iterate, step, 0.0)
        _measure_distance(iterate, gap, problem, N, distance)
        changed = False
        for lane in range(width):
            i = problem[lane]
            converged = max(load_lane(distance, 0, lane), load_lane(distance, 1, lane)) < TOLERANCE
            if i >= N or not (converged or count[lane] == most_iterations):
                continue
            _write(iterate, lane, alpha[i], beta[i], w[i])
            problem[lane], count[lane], left = following, 0, left - 1
            if following < N:
                start(tx[following], ty[following], iterate, lane, careful)
                following, changed = following + 1, True
        if left == 0:
            return
        if changed:
            gap = duality_gap(iterate, step, 0.0)
        count += 1
        _iterate(iterate, step, factor, gap, careful)


@inlined
def _measure_distance(iterate: Iterate, gap: float, problem: np.ndarray, N: int, distance: np.ndarray) -> None:
    """Fills the duality gap, and its sum with the infeasibility: the latter only once a gap is below the tolerance."""
    store(distance, 0, gap)
    store(distance, 1, gap)
    for lane in range(problem.size):
        if problem[lane] < N and load_lane(distance, 0, lane) < TOLERANCE:
            store(distance, 1, gap + infeasibility(iterate))
            return


@inlined
def _iterate(iterate: Iterate, step: Step, factor: Factor, gap: float, careful: bool) -> None:
    """One iteration: the predictor aims at μ = 0, the corrector at the μ that the predictor's success suggests.

    The step ends at ``fraction`` of the way to where the first w or s is 0. A predictor that gets no further than
    ``straight`` of its way says nothing about the curvature of the path: the corrector then leaves out its Δw Δs.
    """
    fraction, straight = (0.9, 0.3) if careful else (0.995, 0.1)
    _prepare_predictor(iterate, step)
    factorise_newton(iterate, step, factor)
    length = solve_newton(iterate, step, factor)
    ratio = duality_gap(iterate, step, length) / gap
    mu = maximum(ratio * ratio * ratio * ratio * gap, 0.1 * TOLERANCE)
    _prepare_corrector(iterate, step, mu, length - straight)
    length = solve_newton(iterate, step, factor)
    largest, d_dual = length * 0.0 + FLOOR, step.dual
    for k in range(iterate.dual.shape[0]):
        largest = maximum(largest, absolute(load(d_dual, k)))
    _advance(iterate, step, minimum(minimum(length * fraction, LARGEST_STEP / largest), 1.0))
    update_posterior(iterate)


@inlined
def _prepare_predictor(iterate: Iterate, step: Step) -> None:
    """Fills the reciprocals of w and s, and 0 for what w s is to become."""
    all_w, all_s, all_central = iterate.w, iterate.s, step.central
    all_inverse_w, all_inverse_s = step.inverse_w, step.inverse_s
    for x in range(all_w.shape[0]):
        w, s, central, inverse_w, inverse_s = all_w[x], all_s[x], all_central[x], all_inverse_w[x], all_inverse_s[x]
        for y in range(all_w.shape[1]):
            store(inverse_w, y, 1.0 / maximum(load(w, y), FLOOR))
            store(inverse_s, y, 1.0 / load(s, y))
            store(central, y, 0.0)


@inlined
def _prepare_corrector(iterate: Iterate, step: Step, mu: float, is_straight: float) -> None:
    """Fills what w s is to become, μ ω - Δw Δs; only μ ω where ``is_straight`` is not above 0."""
    all_central, all_omega, all_dw, all_ds = step.central, iterate.omega, step.w, step.s
    for x in range(all_omega.shape[0]):
        central, omega, dw, ds = all_central[x], all_omega[x], all_dw[x], all_ds[x]
        for y in range(all_omega.shape[1]):
            second_order = where_positive(is_straight, load(dw, y) * load(ds, y), 0.0)
            store(central, y, mu * load(omega, y) - second_order)


@inlined
def _advance(iterate: Iterate, step: Step, length: float) -> None:
    """Moves α, β, w and s along the direction."""
    dual, d_dual = iterate.dual, step.dual
    all_w, all_s, all_dw, all_ds = iterate.w, iterate.s, step.w, step.s
    for k in range(dual.shape[0]):
        store(dual, k, fmuladd(length, load(d_dual, k), load(dual, k)))
    for x in range(all_w.shape[0]):
        w, s, dw, ds = all_w[x], all_s[x], all_dw[x], all_ds[x]
        for y in range(all_w.shape[1]):
            store(w, y, fmuladd(length, load(dw, y), load(w, y)))
            store(s, y, fmuladd(length, load(ds, y), load(s, y)))


@compiled
def _write(iterate: Iterate, lane: int, alpha: np.ndarray, beta: np.ndarray, w: np.ndarray) -> None:
    """Copies a lane's α (X, T), β (T, Y) and w (X, Y) to where the caller wants them."""
    (X, T), Y = alpha.shape, beta.shape[1]
    for x in range(X):
        mass = iterate.w[x]
        for t in range(T):
            alpha[x, t] = load_lane(iterate.dual, x * T + t, lane)
        for y in range(Y):
            w[x, y] = load_lane(mass, y, lane)
    for t in range(T):
        for y in range(Y):
            beta[t, y] = load_lane(iterate.dual, X * T + t * Y + y, lane)
