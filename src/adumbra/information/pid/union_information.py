"""Bounds of the union information of two sources, for a target of three symbols or more.

The union information is the least I(T; X, Y) of all q with the given marginals (T, X) and (T, Y) (Bertschinger et al.
2014), which is H(T) + min Σ q ln q(t|x,y). The dual of this convex problem has T (X + Y) unknowns α and β:

    max  Σ p(t,x) α(t,x) + Σ p(t,y) β(t,y)    such that    c(x,y) = ln Σ_t exp(α(t,x) + β(t,y)) ≤ 0

``interior_point`` finds α, β, and w(x,y), the mass of each pair in the optimal q. Its result is not trusted but
certified by two bounds:

    lower    any α and β give a lower bound, once they are shifted so that every c ≤ 0
    upper    any q with the marginals gives an upper bound: here w exp(α + β - c), rounded to the marginals by the
             method of Altschuler et al. (2017)
"""

import numpy as np

from adumbra.information.jit import compiled_loosely
from adumbra.information.pid.interior_point import TOLERANCE, solve_dual
from adumbra.information.simd import exp, log, maximum, minimum

DROPPED = 1e-12
"""Largest total mass of the cells that are dropped because they are too small for the arithmetic."""

NEGLIGIBLE_NATS = 40.0
"""Nats below the largest at which a term of a sum no longer counts: exp(-40) is below the rounding of 1."""

FLOOR = 1e-300


def bounds(p: np.ndarray) -> np.ndarray:
    """Bounds of min -H(T|X,Y) over all distributions with the marginals of p.

    A dropped cell keeps the upper bound valid: added to any q, it lowers Σ q ln q(t|x,y). It costs the lower bound its
    mass times its -α or -β, of which none need exceed the others by more than ``NEGLIGIBLE_NATS``.

    Args:
        p: (N, T, X, Y), probabilities of N problems.

    Returns:
        (N, 2), the lower and the upper bound of each problem, in nats.
    """
    cells = np.where(p > DROPPED / p[0].size, p, 0.0)
    lost = (p - cells).sum((1, 2, 3))
    used = [cells.any(axis=tuple({0, 1, 2, 3} - {axis})) for axis in (1, 2, 3)]
    cells = cells[:, used[0]][:, :, used[1]][:, :, :, used[2]]
    if cells.shape[2] < cells.shape[3]:  # the work grows with the cube of the last axis
        cells = cells.swapaxes(2, 3)
    tx, ty = np.ascontiguousarray(cells.sum(3).swapaxes(1, 2)), np.ascontiguousarray(cells.sum(2))
    limits = _certify(tx, ty, lost, *solve_dual(tx, ty, careful=False))
    again = ~(limits[:, 1] - limits[:, 0] <= 2.0 * TOLERANCE)
    if again.any():
        tx, ty, lost = tx[again], ty[again], lost[again]
        more = _certify(tx, ty, lost, *solve_dual(tx, ty, careful=True))
        limits[again, 0] = np.fmax(limits[again, 0], more[:, 0])
        limits[again, 1] = np.fmin(limits[again, 1], more[:, 1])
    return limits


@compiled_loosely
def _certify(
    tx: np.ndarray, ty: np.ndarray, lost: np.ndarray, alpha: np.ndarray, beta: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """Lower and upper bound of each problem (N, 2).

    Args:
        tx: (N, X, T), the marginals p(t,x).
        ty: (N, T, Y), the marginals p(t,y).
        lost: (N,), the mass of the dropped cells.
        alpha: (N, X, T).
        beta: (N, T, Y).
        w: (N, X, Y), the mass q(x,y).
    """
    N, m, T = tx.shape
    n = ty.shape[2]
    limits, pi, c, z = np.empty((N, 2)), np.empty((m, T, n)), np.empty((m, n)), np.empty(n)
    for i in range(N):
        for x in range(m):
            z[:] = 0.0
            for t in range(T):
                a, b, row = alpha[i, x, t], beta[i, t], pi[x, t]
                for y in range(n):
                    row[y] = exp(a + b[y])
                    z[y] += row[y]
            of_x = c[x]
            for y in range(n):
                of_x[y] = log(maximum(z[y], FLOOR))
                z[y] = 1.0 / maximum(z[y], FLOOR)
            for t in range(T):
                row = pi[x, t]
                for y in range(n):
                    row[y] *= z[y]
        limits[i, 0] = _lower(tx[i], ty[i], lost[i], alpha[i], beta[i], c)
        limits[i, 1] = _upper(tx[i], ty[i], pi, w[i])
    return limits


@compiled_loosely
def _lower(tx: np.ndarray, ty: np.ndarray, lost: float, alpha: np.ndarray, beta: np.ndarray, c: np.ndarray) -> float:
    """The value of the dual, once the α of each x are lowered until its constraints are fulfilled."""
    (m, T), n = alpha.shape, beta.shape[1]
    total, largest = 0.0, 0.0
    for x in range(m):
        above = 0.0
        for y in range(n):
            above = max(above, c[x, y])
        for t in range(T):
            if tx[x, t] > 0.0:
                total += tx[x, t] * (alpha[x, t] - above)
                largest = max(largest, abs(alpha[x, t] - above))
    for t in range(T):
        for y in range(n):
            if ty[t, y] > 0.0:
                total += ty[t, y] * beta[t, y]
                largest = max(largest, abs(beta[t, y]))
    return total - lost * (largest + NEGLIGIBLE_NATS)


@compiled_loosely
def _upper(tx: np.ndarray, ty: np.ndarray, pi: np.ndarray, w: np.ndarray) -> float:
    """Σ q ln q(t|x,y) of q = w π, once its rows and columns are cut to the marginals and the missing mass is added."""
    m, T, n = pi.shape
    q, of_x, of_y = np.empty((m, T, n)), tx.copy(), np.zeros((T, n))
    cuts, lack = np.empty((T, n)), np.zeros(T)
    for x in range(m):
        wx = w[x]
        for t in range(T):
            row, sums, total = q[x, t], of_y[t], 0.0
            from_pi = pi[x, t]
            for y in range(n):
                row[y] = wx[y] * from_pi[y]
                total += row[y]
            cut = min(1.0, tx[x, t] / max(total, FLOOR))
            for y in range(n):
                row[y] *= cut
                sums[y] += row[y]
    for t in range(T):
        for y in range(n):
            cuts[t, y] = minimum(1.0, ty[t, y] / maximum(of_y[t, y], FLOOR))
            of_y[t, y] = ty[t, y]
    for x in range(m):
        for t in range(T):
            row, sums, cut_of, total = q[x, t], of_y[t], cuts[t], 0.0
            for y in range(n):
                row[y] *= cut_of[y]
                total += row[y]
                sums[y] -= row[y]
            of_x[x, t] -= total
            lack[t] += max(of_x[x, t], 0.0)
    value, z = 0.0, np.empty(n)
    for x in range(m):
        z[:] = 0.0
        for t in range(T):
            row, sums, share = q[x, t], of_y[t], max(of_x[x, t], 0.0) / max(lack[t], FLOOR)
            for y in range(n):
                row[y] += share * maximum(sums[y], 0.0)
                z[y] += row[y]
        for y in range(n):
            z[y] = 1.0 / maximum(z[y], FLOOR)
        for t in range(T):
            row = q[x, t]
            for y in range(n):
                value += row[y] * log(maximum(row[y] * z[y], FLOOR))
    return value
