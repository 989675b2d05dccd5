"""Bounds of the union information of two sources, for a target of three symbols or more.

Of all distributions q with the marginals (T, X) and (T, Y) that are given, it is the least I(T; X, Y) (Bertschinger et
al. 2014): H(T) + min Σ q ln q(t|x,y). That is a convex problem, and its dual has T (X + Y) unknowns:

    max  Σ p(t,x) α(t,x) + Σ p(t,y) β(t,y)    such that    c(x,y) = ln Σ_t exp(α(t,x) + β(t,y)) ≤ 0

``interior`` finds α, β, and w(x,y), the mass that each pair has in the best q. Here nothing is taken from it on trust:

    lower bound    any α and β give one, once they are shifted so that every c ≤ 0
    upper bound    any q with the marginals gives one: w(x,y) exp(α + β - c), rounded to them (Altschuler et al. 2017)
"""

import numpy as np

from adumbra.information.jit import compiled_loosely
from adumbra.information.pid.interior_point import TOLERANCE, solved
from adumbra.information.simd import exp_of, larger, log_of, smaller

LOST = 1e-12  # the mass that cells which are left out, too small for the arithmetic, have together at the most
UNSEEN = 40.0  # nats: exp(-40) beside 1 is none
FLOOR = 1e-300


def bounds(p: np.ndarray) -> np.ndarray:
    """(N, 2): the lower and the upper bound of min -H(T|X,Y), in nats, of each of the problems (N, T, X, Y).

    A cell that is left out makes no upper bound wrong: put back to any q, it changes Σ q ln q(t|x,y) by less than
    nothing. The lower bound it costs its mass times its -α or -β, and they need not be lower than the others by more
    than ``UNSEEN``.
    """
    kept = np.where(p > LOST / p[0].size, p, 0.0)
    lost = (p - kept).sum((1, 2, 3))
    used = [kept.any(axis=tuple({0, 1, 2, 3} - {axis})) for axis in (1, 2, 3)]
    kept = kept[:, used[0]][:, :, used[1]][:, :, :, used[2]]
    if kept.shape[2] < kept.shape[3]:  # the work grows with the cube of the last
        kept = kept.swapaxes(2, 3)
    tx, ty = np.ascontiguousarray(kept.sum(3).swapaxes(1, 2)), np.ascontiguousarray(kept.sum(2))
    found = _certified(tx, ty, lost, *solved(tx, ty, careful=False))
    again = ~(found[:, 1] - found[:, 0] <= 2.0 * TOLERANCE)
    if again.any():
        tx, ty, lost = tx[again], ty[again], lost[again]
        more = _certified(tx, ty, lost, *solved(tx, ty, careful=True))
        found[again, 0] = np.fmax(found[again, 0], more[:, 0])
        found[again, 1] = np.fmin(found[again, 1], more[:, 1])
    return found


@compiled_loosely
def _certified(
    tx: np.ndarray, ty: np.ndarray, lost: np.ndarray, alpha: np.ndarray, beta: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """(N, 2), of the marginals (N, X, T) and (N, T, Y), α and β like them, and w (N, X, Y)."""
    N, m, T = tx.shape
    n = ty.shape[2]
    found, pi, c, z = np.empty((N, 2)), np.empty((m, T, n)), np.empty((m, n)), np.empty(n)
    for i in range(N):
        for x in range(m):
            z[:] = 0.0
            for t in range(T):
                a, b, row = alpha[i, x, t], beta[i, t], pi[x, t]
                for y in range(n):
                    row[y] = exp_of(a + b[y])
                    z[y] += row[y]
            of_x = c[x]
            for y in range(n):
                of_x[y] = log_of(larger(z[y], FLOOR))
                z[y] = 1.0 / larger(z[y], FLOOR)
            for t in range(T):
                row = pi[x, t]
                for y in range(n):
                    row[y] *= z[y]
        found[i, 0] = _lower(tx[i], ty[i], lost[i], alpha[i], beta[i], c)
        found[i, 1] = _upper(tx[i], ty[i], pi, w[i])
    return found


@compiled_loosely
def _lower(tx: np.ndarray, ty: np.ndarray, lost: float, alpha: np.ndarray, beta: np.ndarray, c: np.ndarray) -> float:
    """The dual's value once the α of each x are lowered until its constraints hold."""
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
    return total - lost * (largest + UNSEEN)


@compiled_loosely
def _upper(tx: np.ndarray, ty: np.ndarray, pi: np.ndarray, w: np.ndarray) -> float:
    """Σ q ln q(t|x,y) of q = w π, its rows and columns cut to the marginals, and what they then lack put back."""
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
            cuts[t, y] = smaller(1.0, ty[t, y] / larger(of_y[t, y], FLOOR))
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
                row[y] += share * larger(sums[y], 0.0)
                z[y] += row[y]
        for y in range(n):
            z[y] = 1.0 / larger(z[y], FLOOR)
        for t in range(T):
            row = q[x, t]
            for y in range(n):
                value += row[y] * log_of(larger(row[y] * z[y], FLOOR))
    return value
