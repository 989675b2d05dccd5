"""The convex problem of the union information, solved by a primal-dual interior point: see ``union``.

Mehrotra's predictor and corrector (1992), with one step for all unknowns, follow w s = μ ω to μ = 0. With w(x,y) the
multiplier of the constraint c(x,y) ≤ 0, and π = exp(α + β - c), which is q(t|x,y):

    s  is a slack of its own for c + s = 0: with s = -c in its place the iteration stalls
    ω  goes with the mass that (x, y) may have. With ω = 1, as is usual, a symbol of mass 1e-6 would ask for s of 1e6 μ,
       and the path to a target of low prevalence would begin far away
    H  Newton's matrix, has the block w diag(π) + w (1/s - 1) π πᵀ at each (x, y). The α of one x meet those of no
       other, so they are eliminated one x after another, and T Y equations remain
"""

from math import exp, inf, log, sqrt

import numpy as np

from adumbra.information.compiled import compiled_loosely

TOLERANCE = 1e-10
"""Nats between the bounds that the solution gives."""

FLOOR = 1e-300
NATS_OF_MOVED = 2.0  # what it changes, about, to move a unit of mass


def solved(tx: np.ndarray, ty: np.ndarray, *, careful: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """α (N, X, T), β (N, T, Y) and w (N, X, Y) of problems with the marginals (N, X, T) and (N, T, Y).

    Where a marginal is 0, α or β is minus infinity. One in a thousand has no solution unless asked to be careful: there
    a step too bold comes too near to w = 0 or s = 0.
    """
    alpha, beta = np.empty(tx.shape), np.empty(ty.shape)
    w = np.empty((tx.shape[0], tx.shape[1], ty.shape[2]))
    _solve_all(tx, ty, alpha, beta, w, careful)
    return alpha, beta, w


@compiled_loosely
def _solve_all(
    tx: np.ndarray, ty: np.ndarray, alpha: np.ndarray, beta: np.ndarray, w: np.ndarray, careful: bool
) -> None:
    """A step goes ``share`` of the way to where the first w or s is 0.

    A predictor that gets no further than ``straight`` of its way says nothing of the curve: the corrector leaves it.
    """
    most, share, straight = (1000, 0.9, 0.3) if careful else (60, 0.995, 0.1)
    N, m, T = tx.shape
    n = ty.shape[2]
    rows = (T * n + 3) // 4 * 4  # the tiles of the factor are four wide
    dz = np.zeros(m * T + rows)  # of α, of β and of what fills the last tile
    da, db = dz[: m * T].reshape(m, T), dz[m * T : m * T + T * n].reshape(T, n)
    s, omega, slope = np.empty((m, n)), np.empty((m, n)), np.empty((m, n))
    dw, ds, target = np.zeros((m, n)), np.zeros((m, n)), np.empty((m, n))
    pi, c, L, W = np.empty((m, T, n)), np.empty((m, n)), np.empty((m, T, T)), np.empty((rows, dz.size))
    for i in range(N):
        _start(tx[i], ty[i], alpha[i], beta[i], w[i], s, omega, careful)
        for _ in range(most):
            _posterior(alpha[i], beta[i], pi, c)
            gap = _complementarity(w[i], s, dw, ds, 0.0)
            if gap < TOLERANCE and gap + _misfit(tx[i], ty[i], pi, c, w[i]) < TOLERANCE:
                break
            for x in range(m):
                for y in range(n):
                    slope[x, y], target[x, y] = 1.0 / s[x, y], 0.0
            _factor(pi, w[i], slope, ty[i], L, W)
            for corrector in (False, True):
                step = _direction(tx[i], ty[i], pi, c, w[i], s, slope, target, L, W, dz, dw, ds)
                if not corrector:
                    mu = max((_complementarity(w[i], s, dw, ds, step) / gap) ** 4 * gap, 0.1 * TOLERANCE)
                    for x in range(m):
                        for y in range(n):
                            target[x, y] = mu * omega[x, y] - (dw[x, y] * ds[x, y] if step >= straight else 0.0)
            largest = FLOOR
            for k in range(dz.size):
                largest = max(largest, abs(dz[k]))
            step = min(1.0, share * step, 3.0 / largest)
            for x in range(m):
                for t in range(T):
                    alpha[i, x, t] += step * da[x, t]
                for y in range(n):
                    w[i, x, y] += step * dw[x, y]
                    s[x, y] += step * ds[x, y]
            for t in range(T):
                for y in range(n):
                    beta[i, t, y] += step * db[t, y]


@compiled_loosely
def _start(
    tx: np.ndarray,
    ty: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    w: np.ndarray,
    s: np.ndarray,
    omega: np.ndarray,
    careful: bool,
) -> None:
    """Fills them. The q of α, β and w is that of sources independent given the target: its marginals are right.

    ω is the most that (x, y) can have, or its power of 3/4: that path is shorter, but not for masses below 1e-10.
    """
    (m, T), n = tx.shape, ty.shape[1]
    px, pt, py = np.zeros(m), np.zeros(T), np.zeros(n)
    for t in range(T):
        for x in range(m):
            px[x] += tx[x, t]
            pt[t] += tx[x, t]
        for y in range(n):
            py[y] += ty[t, y]
    for t in range(T):
        for x in range(m):
            alpha[x, t] = log(tx[x, t] / px[x]) - 0.5 * log(pt[t]) if tx[x, t] > 0.0 else -inf
        for y in range(n):
            beta[t, y] = log(ty[t, y] / py[y]) - 0.5 * log(pt[t]) if ty[t, y] > 0.0 else -inf
    total = 0.0
    for x in range(m):
        for y in range(n):
            w[x, y], s[x, y], omega[x, y] = 0.0, 1.0, 0.0
            for t in range(T):
                w[x, y] += tx[x, t] * (ty[t, y] / max(pt[t], FLOOR))
                omega[x, y] += min(tx[x, t], ty[t, y])
            if w[x, y] > 0.0:
                s[x, y] = max(log(px[x]) + log(py[y]) - log(w[x, y]), 0.1)
            else:  # no symbol of the target is with both
                omega[x, y] = 0.0
            omega[x, y] = omega[x, y] if careful else sqrt(omega[x, y] * sqrt(omega[x, y]))
            total += omega[x, y]
    for x in range(m):
        for y in range(n):
            omega[x, y] /= total


@compiled_loosely
def _posterior(alpha: np.ndarray, beta: np.ndarray, pi: np.ndarray, c: np.ndarray) -> None:
    """Fills π (X, T, Y) and c (X, Y). A pair without any t keeps π = 0, c = -1: with w = 0, s = 1 it asks nothing."""
    (m, T), n = alpha.shape, beta.shape[1]
    b, z = np.empty((T, n)), np.empty(n)
    for t in range(T):
        for y in range(n):
            b[t, y] = exp(beta[t, y])
    for x in range(m):
        z[:] = 0.0
        for t in range(T):
            a, bt, row = exp(alpha[x, t]), b[t], pi[x, t]
            for y in range(n):
                row[y] = a * bt[y]
                z[y] += row[y]
        for y in range(n):
            c[x, y] = log(z[y]) if z[y] > 0.0 else -1.0
            z[y] = 1.0 / z[y] if z[y] > 0.0 else 0.0
        for t in range(T):
            row = pi[x, t]
            for y in range(n):
                row[y] *= z[y]


@compiled_loosely
def _complementarity(w: np.ndarray, s: np.ndarray, dw: np.ndarray, ds: np.ndarray, step: float) -> float:
    """Σ w s after the step: the distance of the bounds, were all equations fulfilled."""
    total = 0.0
    for x in range(w.shape[0]):
        for y in range(w.shape[1]):
            total += (w[x, y] + step * dw[x, y]) * (s[x, y] + step * ds[x, y])
    return total


@compiled_loosely
def _misfit(tx: np.ndarray, ty: np.ndarray, pi: np.ndarray, c: np.ndarray, w: np.ndarray) -> float:
    """About what the bounds will lose, in nats, when the constraints and the marginals are made to fit."""
    m, T, n = pi.shape
    total, of_y = 0.0, ty.copy()
    for x in range(m):
        above, of_x = 0.0, 0.0
        for y in range(n):
            above = max(above, c[x, y])
        for t in range(T):
            left = tx[x, t]
            for y in range(n):
                left -= w[x, y] * pi[x, t, y]
                of_y[t, y] -= w[x, y] * pi[x, t, y]
            total += NATS_OF_MOVED * abs(left)
            of_x += tx[x, t]
        total += of_x * above
    for t in range(T):
        for y in range(n):
            total += NATS_OF_MOVED * abs(of_y[t, y])
    return total


@compiled_loosely
def _factor(pi: np.ndarray, w: np.ndarray, slope: np.ndarray, ty: np.ndarray, L: np.ndarray, W: np.ndarray) -> None:
    """Fills the Cholesky factor of H: L (X, T, T) of each x, and W, the rows of the β.

    The first X T columns of W are what binds the β to the α, divided by L; the others, up to the diagonal, their own.
    """
    m, T, n = pi.shape
    K, N = m * T, T * n
    v, D, g = np.empty(n), np.zeros((T, N)), np.empty((T, N))
    W[N:, :] = 0.0
    W[:, K:] = 0.0
    for x in range(m):
        wx, Lx = w[x], L[x]
        for y in range(n):
            v[y] = wx[y] * (slope[x, y] - 1.0)
        for t in range(T):
            pt, row, sums = pi[x, t], g[t], D[t]
            for u in range(T):
                pu, part, total = pi[x, u], row[u * n : (u + 1) * n], 0.0
                for y in range(n):
                    part[y] = (v[y] * pu[y] + (wx[y] if u == t else 0.0)) * pt[y]
                    total += part[y]
                Lx[t, u] = total
            for j in range(N):
                sums[j] += row[j]
        _eliminate(Lx, g)
        for j in range(N):
            for t in range(T):
                W[j, x * T + t] = g[t, j]
    for t in range(T):
        heaviest = 0
        for y in range(n):
            heaviest = y if ty[t, y] > ty[t, heaviest] else heaviest
            for u in range(t + 1):
                W[t * n + y, K + u * n + y] = D[t, u * n + y]
        # α(t) + a with β(t) - a is the same for every a: this keeps one β of each t where it is
        W[t * n + heaviest, K + t * n + heaviest] *= 2.0
    for k in range(0, W.shape[0], 4):
        for i in range(k, W.shape[0], 4):
            _less_products(W, i, k, K + k)
        _triangular(W, k, K)


@compiled_loosely
def _eliminate(L: np.ndarray, g: np.ndarray) -> None:
    """L (T, T) becomes its Cholesky factor, g (T, N) is divided by it; a row of what is not allowed, by infinity."""
    T, N = g.shape
    for t in range(T):
        row = g[t]
        for u in range(t):
            h, above = L[t, u], g[u]
            for k in range(u):
                h -= L[t, k] * L[u, k]
            h /= L[u, u]
            L[t, u] = h
            for j in range(N):
                row[j] -= h * above[j]
        h = L[t, t]
        for k in range(t):
            h -= L[t, k] * L[t, k]
        L[t, t] = sqrt(h) if h > 0.0 else 1.0
        scale = 1.0 / L[t, t] if h > 0.0 else 0.0
        for j in range(N):
            row[j] *= scale


@compiled_loosely
def _less_products(W: np.ndarray, i: int, j: int, stop: int) -> None:
    """Four rows from i on lose, in the four columns from ``stop`` on, their products with the four rows from j on."""
    a0, a1, a2, a3 = W[i, :stop], W[i + 1, :stop], W[i + 2, :stop], W[i + 3, :stop]
    b0, b1, b2, b3 = W[j, :stop], W[j + 1, :stop], W[j + 2, :stop], W[j + 3, :stop]
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
    for k in range(stop):  # no array, so that the sixteen sums stay in registers
        s00 += a0[k] * b0[k]
        s01 += a0[k] * b1[k]
        s02 += a0[k] * b2[k]
        s03 += a0[k] * b3[k]
        s10 += a1[k] * b0[k]
        s11 += a1[k] * b1[k]
        s12 += a1[k] * b2[k]
        s13 += a1[k] * b3[k]
        s20 += a2[k] * b0[k]
        s21 += a2[k] * b1[k]
        s22 += a2[k] * b2[k]
        s23 += a2[k] * b3[k]
        s30 += a3[k] * b0[k]
        s31 += a3[k] * b1[k]
        s32 += a3[k] * b2[k]
        s33 += a3[k] * b3[k]
    sums = ((s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33))
    for r in range(4):
        for c in range(4):
            W[i + r, stop + c] -= sums[r][c]


@compiled_loosely
def _triangular(W: np.ndarray, k: int, K: int) -> None:
    """The four columns of the rows from k on are divided by their own factor."""
    for c in range(k, k + 4):
        for d in range(k, c):
            W[c, K + c] -= W[c, K + d] * W[c, K + d]
        pivot = W[c, K + c]
        W[c, K + c] = sqrt(pivot) if pivot > 0.0 else 1.0
        scale = 1.0 / W[c, K + c] if pivot > 0.0 else 0.0  # 0: a symbol that is not allowed
        for i in range(c + 1, W.shape[0]):
            for d in range(k, c):
                W[i, K + c] -= W[i, K + d] * W[c, K + d]
            W[i, K + c] *= scale


@compiled_loosely
def _direction(
    tx: np.ndarray,
    ty: np.ndarray,
    pi: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    s: np.ndarray,
    slope: np.ndarray,
    target: np.ndarray,
    L: np.ndarray,
    W: np.ndarray,
    dz: np.ndarray,
    dw: np.ndarray,
    ds: np.ndarray,
) -> float:
    """Fills Newton's step to w s = target, dz that of α and β; the share of it, 1 at most, that keeps w and s ≥ 0."""
    m, T, n = pi.shape
    da, db, z = dz[: m * T].reshape(m, T), dz[m * T : m * T + T * n].reshape(T, n), np.empty(n)
    dz[m * T + T * n :] = 0.0
    for t in range(T):
        for y in range(n):
            db[t, y] = ty[t, y]
    for x in range(m):
        for y in range(n):
            dw[x, y] = (target[x, y] + w[x, y] * (c[x, y] + s[x, y])) * slope[x, y] if w[x, y] > 0.0 else 0.0
        for t in range(T):
            total, row, rest, new = 0.0, pi[x, t], db[t], dw[x]
            for y in range(n):
                h = row[y] * new[y]
                total += h
                rest[y] -= h
            da[x, t] = tx[x, t] - total
    _solve(L, W, dz)
    step = 1.0
    for x in range(m):
        z[:] = 0.0
        for t in range(T):
            a, row, rest = da[x, t], pi[x, t], db[t]
            for y in range(n):
                z[y] += row[y] * (a + rest[y])
        for y in range(n):
            ds[x, y] = -(c[x, y] + s[x, y]) - z[y]
            dw[x, y] += w[x, y] * (slope[x, y] * z[y] - 1.0)
        for y in range(n):
            if ds[x, y] * step < -s[x, y]:
                step = -s[x, y] / ds[x, y]
            if dw[x, y] * step < -w[x, y]:
                step = -w[x, y] / dw[x, y]
    return step


@compiled_loosely
def _solve(L: np.ndarray, W: np.ndarray, z: np.ndarray) -> None:
    """The right-hand side z, of the α and then the β, becomes the solution."""
    (m, T, _), K = L.shape, L.shape[0] * L.shape[1]
    a = z[:K].reshape(m, T)
    for x in range(m):
        for t in range(T):
            for u in range(t):
                a[x, t] -= L[x, t, u] * a[x, u]
            a[x, t] /= L[x, t, t]
    for i in range(K, z.size):
        h, row = z[i], W[i - K]
        for j in range(i):
            h -= row[j] * z[j]
        z[i] = h / row[i]
    for i in range(z.size - 1, K - 1, -1):
        row = W[i - K]
        z[i] /= row[i]
        h = z[i]
        for j in range(i):
            z[j] -= h * row[j]
    for x in range(m):
        for t in range(T - 1, -1, -1):
            for u in range(t + 1, T):
                a[x, t] -= L[x, u, t] * a[x, u]
            a[x, t] /= L[x, t, t]
