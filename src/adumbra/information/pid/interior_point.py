"""The convex problem of the union information, solved by a primal-dual interior point: see ``union``.

Mehrotra's predictor and corrector (1992), with one step for all unknowns, follow w s = μ ω to μ = 0. With w(x,y) the
multiplier of the constraint c(x,y) ≤ 0, and π = exp(α + β - c), which is q(t|x,y):

    s  is a slack of its own for c + s = 0: with s = -c in its place the iteration stalls
    ω  goes with the mass that (x, y) may have. With ω = 1, as is usual, a symbol of mass 1e-6 would ask for s of 1e6 μ,
       and the path to a target of low prevalence would begin far away
    H  Newton's matrix, has the block w diag(π) + w (1/s - 1) π πᵀ at each (x, y). The α of one x meet those of no
       other, so they are eliminated one x after another, and T Y equations remain
"""

from math import inf, log

import numpy as np

from adumbra.information.jit import compiled
from adumbra.information.simd import (
    LANES,
    at,
    exp_of,
    four_at,
    if_positive,
    larger,
    log_of,
    magnitude,
    one_at,
    plus_product,
    put,
    put_four,
    put_one,
    root,
    smaller,
)

TOLERANCE = 1e-10
"""Nats between the bounds that the solution gives."""

FLOOR = 1e-300
NATS_OF_MOVED = 2.0  # what it changes, about, to move a unit of mass
FEW = 4  # problems that are solved sooner one by one
SIDE = 4  # of the factor's tiles


def solved(tx: np.ndarray, ty: np.ndarray, *, careful: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """α (N, X, T), β (N, T, Y) and w (N, X, Y) of problems with the marginals (N, X, T) and (N, T, Y).

    Where a marginal is 0, α or β is minus infinity. One in a thousand has no solution unless asked to be careful: there
    a step too bold comes too near to w = 0 or s = 0.
    """
    alpha, beta = np.empty(tx.shape), np.empty(ty.shape)
    w = np.empty((tx.shape[0], tx.shape[1], ty.shape[2]))
    _solve_all(tx, ty, alpha, beta, w, careful, () if len(tx) <= FEW else (LANES,))
    return alpha, beta, w


@compiled
def _solve_all(
    tx: np.ndarray,
    ty: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    w: np.ndarray,
    careful: bool,
    lanes: tuple[int, ...],
) -> None:
    """Each lane takes the next problem once its own is solved, until there are none; the arrays end with ``lanes``.

    A step goes ``share`` of the way to where the first w or s is 0. A predictor that gets no further than ``straight``
    of its way says nothing of the curve: the corrector leaves it.
    """
    most, share, straight = (1000, 0.9, 0.3) if careful else (60, 0.995, 0.1)
    N, m, T = tx.shape
    n = ty.shape[2]
    K, J = m * T, T * n
    rows = (J + SIDE - 1) // SIDE * SIDE
    p, z, dz = np.empty((K + J, *lanes)), np.empty((K + J, *lanes)), np.zeros((K + rows, *lanes))
    v, s, omega, gauge = (
        np.empty((m, n, *lanes)),
        np.empty((m, n, *lanes)),
        np.empty((m, n, *lanes)),
        np.empty((J, *lanes)),
    )
    dv, ds, target = np.zeros((m, n, *lanes)), np.zeros((m, n, *lanes)), np.zeros((m, n, *lanes))
    per_v, per_s = np.empty((m, n, *lanes)), np.empty((m, n, *lanes))
    pi, c = np.empty((m, T, n, *lanes)), np.empty((m, n, *lanes))
    L, W = np.empty((m, T * T, *lanes)), np.zeros(((K + rows) * rows, *lanes))
    seen, width = np.empty((2, *lanes)), v.size // (m * n)
    problem, count, following, left = np.arange(width), np.zeros(width, np.int64), min(width, N), N
    for lane in range(width):
        first = min(lane, N - 1)  # a lane without a problem does another's, for nothing
        _start(tx[first], ty[first], p, z, pi, c, v, s, omega, gauge, lane, careful)
    while True:
        gap = _complementarity(v, s, dv, ds, 0.0)
        put(seen, 0, gap)
        put(seen, 1, gap)
        for lane in range(width):
            if problem[lane] < N and one_at(seen, 0, lane) < TOLERANCE:
                put(seen, 1, gap + _misfit(p, pi, c, v))
                break
        changed = False
        for lane in range(width):
            i = problem[lane]
            if i >= N or not (count[lane] == most or max(one_at(seen, 0, lane), one_at(seen, 1, lane)) < TOLERANCE):
                continue
            _write(z, v, lane, alpha[i], beta[i], w[i])
            problem[lane], count[lane], left = following, 0, left - 1
            if following < N:
                _start(tx[following], ty[following], p, z, pi, c, v, s, omega, gauge, lane, careful)
                following, changed = following + 1, True
        if left == 0:
            return
        if changed:
            gap = _complementarity(v, s, dv, ds, 0.0)
        count += 1
        for x in range(m):
            vx, sx, qx, rx, goal = v[x], s[x], per_v[x], per_s[x], target[x]
            for y in range(n):
                put(qx, y, 1.0 / larger(at(vx, y), FLOOR))
                put(rx, y, 1.0 / at(sx, y))
                put(goal, y, 0.0)
        _factor(pi, v, per_s, gauge, L, W)
        step = _direction(p, pi, c, v, s, per_v, per_s, target, L, W, dz, dv, ds)
        left_over = _complementarity(v, s, dv, ds, step) / gap
        mu = larger(left_over * left_over * left_over * left_over * gap, 0.1 * TOLERANCE)
        for x in range(m):
            goal, ox, dvx, dsx = target[x], omega[x], dv[x], ds[x]
            for y in range(n):
                put(goal, y, mu * at(ox, y) - if_positive(step - straight, at(dvx, y) * at(dsx, y), 0.0))
        step = _direction(p, pi, c, v, s, per_v, per_s, target, L, W, dz, dv, ds)
        largest = step * 0.0 + FLOOR
        for k in range(K + J):
            largest = larger(largest, magnitude(at(dz, k)))
        step = smaller(smaller(step * share, 3.0 / largest), 1.0)
        for k in range(K + J):
            put(z, k, plus_product(step, at(dz, k), at(z, k)))
        for x in range(m):
            vx, sx, dvx, dsx = v[x], s[x], dv[x], ds[x]
            for y in range(n):
                put(vx, y, plus_product(step, at(dvx, y), at(vx, y)))
                put(sx, y, plus_product(step, at(dsx, y), at(sx, y)))
        _posterior(z, pi, c)


@compiled
def _start(
    tx: np.ndarray,
    ty: np.ndarray,
    p: np.ndarray,
    z: np.ndarray,
    pi: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    s: np.ndarray,
    omega: np.ndarray,
    gauge: np.ndarray,
    lane: int,
    careful: bool,
) -> None:
    """Fills a lane of them. The q of α, β and w is of sources independent given the target: its marginals are right.

    ω is the most that (x, y) can have, or its power of 3/4: that path is shorter, but not for masses below 1e-10. A
    pair without any t keeps π = 0, c = -1: with w = 0, s = 1 it asks nothing.
    """
    (m, T), n = tx.shape, ty.shape[1]
    px, pt, py, log_px, log_py = np.zeros(m), np.zeros(T), np.zeros(n), np.empty(m), np.empty(n)
    mass, per_mass, height, most, q = np.empty(n), np.empty(n), np.empty(n), np.empty((m, n)), np.empty((T, n))
    for t in range(T):
        for x in range(m):
            px[x] += tx[x, t]
            pt[t] += tx[x, t]
        for y in range(n):
            py[y] += ty[t, y]
    for x in range(m):
        log_px[x] = log_of(larger(px[x], FLOOR))
    for y in range(n):
        log_py[y] = log_of(larger(py[y], FLOOR))
    for t in range(T):
        heaviest, half = 0, 0.5 * log_of(larger(pt[t], FLOOR))
        for x in range(m):
            put_one(p, x * T + t, lane, tx[x, t])
            put_one(z, x * T + t, lane, log(tx[x, t]) - log_px[x] - half if tx[x, t] > 0.0 else -inf)
        for y in range(n):
            heaviest = y if ty[t, y] > ty[t, heaviest] else heaviest
            j = t * n + y
            put_one(p, m * T + j, lane, ty[t, y])
            put_one(z, m * T + j, lane, log(ty[t, y]) - log_py[y] - half if ty[t, y] > 0.0 else -inf)
            put_one(gauge, j, lane, 1.0)
        put_one(gauge, t * n + heaviest, lane, 2.0)
    total = 0.0
    for x in range(m):
        row, wx, sx, cx = most[x], w[x], s[x], c[x]
        mass[:] = 0.0
        row[:] = 0.0
        for t in range(T):
            a, b, part = tx[x, t], ty[t], q[t]
            share = a / larger(pt[t], FLOOR)
            for y in range(n):
                part[y] = share * b[y]
                mass[y] += part[y]
                row[y] += smaller(a, b[y])
        for y in range(n):
            known = mass[y] - FLOOR
            per_mass[y] = if_positive(known, 1.0 / mass[y], 0.0)
            height[y] = if_positive(known, log_of(larger(mass[y], FLOOR)) - log_px[x] - log_py[y], -1.0)
            h = if_positive(known, row[y], 0.0)
            row[y] = h if careful else root(h * root(h))
        for y in range(n):
            total += row[y]
            put_one(wx, y, lane, mass[y])
            put_one(cx, y, lane, height[y])
            put_one(sx, y, lane, larger(-height[y], 0.1))
        for t in range(T):
            part, pt_row = q[t], pi[x, t]
            for y in range(n):
                put_one(pt_row, y, lane, part[y] * per_mass[y])
    for x in range(m):
        ox, row = omega[x], most[x]
        for y in range(n):
            put_one(ox, y, lane, row[y] / total)


@compiled
def _write(z: np.ndarray, v: np.ndarray, lane: int, alpha: np.ndarray, beta: np.ndarray, w: np.ndarray) -> None:
    """A lane's α, β and w go to where they are wanted."""
    (m, T), n = alpha.shape, beta.shape[1]
    for x in range(m):
        vx = v[x]
        for t in range(T):
            alpha[x, t] = one_at(z, x * T + t, lane)
        for y in range(n):
            w[x, y] = one_at(vx, y, lane)
    for t in range(T):
        for y in range(n):
            beta[t, y] = one_at(z, m * T + t * n + y, lane)


@compiled
def _posterior(z: np.ndarray, pi: np.ndarray, c: np.ndarray) -> None:
    """Fills π (X, T, Y) and c (X, Y)."""
    m, T, n = pi.shape[:3]
    scores, inverse = np.empty_like(z), np.empty_like(c[0])
    for k in range(z.shape[0]):
        put(scores, k, exp_of(at(z, k)))
    for x in range(m):
        cx = c[x]
        for y in range(n):
            put(cx, y, 0.0)
        for t in range(T):
            a, row, b = at(scores, x * T + t), pi[x, t], scores[m * T + t * n :]
            for y in range(n):
                h = a * at(b, y)
                put(row, y, h)
                put(cx, y, at(cx, y) + h)
        for y in range(n):
            total = at(cx, y)
            known = total - FLOOR
            put(cx, y, if_positive(known, log_of(larger(total, FLOOR)), -1.0))
            put(inverse, y, if_positive(known, 1.0 / total, 0.0))
        for t in range(T):
            row = pi[x, t]
            for y in range(n):
                put(row, y, at(row, y) * at(inverse, y))


@compiled
def _complementarity(w: np.ndarray, s: np.ndarray, dw: np.ndarray, ds: np.ndarray, step: float) -> float:
    """Σ w s after the step: the distance of the bounds, were all equations fulfilled."""
    total = at(w[0], 0) * 0.0
    for x in range(w.shape[0]):
        wx, sx, dwx, dsx = w[x], s[x], dw[x], ds[x]
        for y in range(w.shape[1]):
            slack = plus_product(step, at(dsx, y), at(sx, y))
            total = plus_product(plus_product(step, at(dwx, y), at(wx, y)), slack, total)
    return total


@compiled
def _misfit(p: np.ndarray, pi: np.ndarray, c: np.ndarray, w: np.ndarray) -> float:
    """About what the bounds will lose, in nats, when the constraints and the marginals are made to fit."""
    m, T, n = pi.shape[:3]
    none = at(p, 0) * 0.0
    total, of_y = none, p[m * T :].copy()
    for x in range(m):
        above, of_x, cx, wx = none, none, c[x], w[x]
        for y in range(n):
            above = larger(at(cx, y), above)
        for t in range(T):
            row, rest = pi[x, t], of_y[t * n :]
            left = at(p, x * T + t)
            of_x = of_x + left
            for y in range(n):
                h = at(wx, y) * at(row, y)
                left = left - h
                put(rest, y, at(rest, y) - h)
            total = total + magnitude(left) * NATS_OF_MOVED
        total = total + of_x * above
    for j in range(T * n):
        total = total + magnitude(at(of_y, j)) * NATS_OF_MOVED
    return total


@compiled
def _factor(pi: np.ndarray, w: np.ndarray, per_s: np.ndarray, gauge: np.ndarray, L: np.ndarray, W: np.ndarray) -> None:
    """Fills the Cholesky factor of H: L (X, T T) of each x, and W, the rows of the β. Diagonals are inverse.

    The first X T columns of W are what binds the β to the α, divided by L; the others, up to the diagonal, their own.
    W is laid out as its tiles are read: four rows at a time, and of these one column after another.
    """
    m, T, n = pi.shape[:3]
    K, J = m * T, T * n
    blocks = (J + SIDE - 1) // SIDE
    depth = K + blocks * SIDE
    curve, own, g = np.empty_like(w[0]), np.zeros((T, *gauge.shape)), np.empty((T, *gauge.shape))
    for x in range(m):
        wx, rx, Lx = w[x], per_s[x], L[x]
        for y in range(n):
            put(curve, y, at(wx, y) * (at(rx, y) - 1.0))
        for t in range(T):
            pt, mine = pi[x, t], own[t]
            for u in range(t + 1):
                pu, ours, part, other = pi[x, u], mine[u * n :], g[t, u * n :], g[u, t * n :]
                total, alone = at(wx, 0) * 0.0, 1.0 if u == t else 0.0
                for y in range(n):
                    h = plus_product(at(curve, y), at(pu, y), at(wx, y) * alone) * at(pt, y)
                    put(part, y, h)
                    put(other, y, h)
                    put(ours, y, at(ours, y) + h)
                    total = total + h
                put(Lx, t * T + u, total)
        _eliminate(Lx, g)
        for t in range(T):
            row, k = g[t], x * T + t
            for j in range(J):
                put(W, (j // SIDE * depth + k) * SIDE + j % SIDE, at(row, j))
    for b in range(blocks):
        for k in range((b * depth + K) * SIDE, (b * depth + K + b * SIDE + SIDE) * SIDE):
            put(W, k, 0.0)
    for t in range(T):
        for u in range(t + 1):
            row = own[t]
            for y in range(n):
                j, k = t * n + y, u * n + y
                h = at(row, k) * at(gauge, k) if u == t else at(row, k)
                put(W, (j // SIDE * depth + K + k) * SIDE + j % SIDE, h)
    for b in range(blocks):
        for i in range(b, blocks):
            _less_products(W, i * depth * SIDE, b * depth * SIDE, K + b * SIDE)
        _triangular(W, b, blocks, depth, K + b * SIDE)


@compiled
def _eliminate(L: np.ndarray, g: np.ndarray) -> None:
    """L (T T) becomes its Cholesky factor, g (T, N) is divided by it; a row of what is not allowed, by infinity."""
    T, N = g.shape[:2]
    for t in range(T):
        row = g[t]
        for u in range(t):
            h, above = at(L, t * T + u), g[u]
            for k in range(u):
                h = h - at(L, t * T + k) * at(L, u * T + k)
            h = h * at(L, u * T + u)
            put(L, t * T + u, h)
            for j in range(N):
                put(row, j, plus_product(h, -at(above, j), at(row, j)))
        h = at(L, t * T + t)
        for k in range(t):
            h = h - at(L, t * T + k) * at(L, t * T + k)
        scale = if_positive(h, 1.0 / root(h), 0.0)
        put(L, t * T + t, scale)
        for j in range(N):
            put(row, j, at(row, j) * scale)


@compiled
def _less_products(W: np.ndarray, i: int, j: int, stop: int) -> None:
    """The tile at the column ``stop`` loses the products of four rows, which begin at i, with four that begin at j."""
    if W.ndim == 1:
        c0 = c1 = c2 = c3 = four_at(W, i) * 0.0
        for k in range(0, stop * SIDE, SIDE):
            a = four_at(W, i + k)
            c0, c1 = plus_product(a, at(W, j + k), c0), plus_product(a, at(W, j + k + 1), c1)
            c2, c3 = plus_product(a, at(W, j + k + 2), c2), plus_product(a, at(W, j + k + 3), c3)
        k = i + stop * SIDE
        put_four(W, k, four_at(W, k) - c0)
        put_four(W, k + 4, four_at(W, k + 4) - c1)
        put_four(W, k + 8, four_at(W, k + 8) - c2)
        put_four(W, k + 12, four_at(W, k + 12) - c3)
        return
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = at(W, i) * 0.0
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = s00
    for k in range(0, stop * SIDE, SIDE):  # no array, so that the sixteen sums stay in registers
        a0, a1, a2, a3 = at(W, i + k), at(W, i + k + 1), at(W, i + k + 2), at(W, i + k + 3)
        b0, b1, b2, b3 = at(W, j + k), at(W, j + k + 1), at(W, j + k + 2), at(W, j + k + 3)
        s00, s10 = plus_product(a0, b0, s00), plus_product(a1, b0, s10)
        s20, s30 = plus_product(a2, b0, s20), plus_product(a3, b0, s30)
        s01, s11 = plus_product(a0, b1, s01), plus_product(a1, b1, s11)
        s21, s31 = plus_product(a2, b1, s21), plus_product(a3, b1, s31)
        s02, s12 = plus_product(a0, b2, s02), plus_product(a1, b2, s12)
        s22, s32 = plus_product(a2, b2, s22), plus_product(a3, b2, s32)
        s03, s13 = plus_product(a0, b3, s03), plus_product(a1, b3, s13)
        s23, s33 = plus_product(a2, b3, s23), plus_product(a3, b3, s33)
    columns = ((s00, s10, s20, s30), (s01, s11, s21, s31), (s02, s12, s22, s32), (s03, s13, s23, s33))
    for c in range(SIDE):
        for r in range(SIDE):
            k = i + (stop + c) * SIDE + r
            put(W, k, at(W, k) - columns[c][r])


@compiled
def _triangular(W: np.ndarray, b: int, blocks: int, depth: int, stop: int) -> None:
    """The four columns from ``stop`` on, of the rows from the block b on, are divided by their own factor."""
    d = (b * depth + stop) * SIDE  # of the tile on the diagonal
    for c in range(SIDE):
        h = at(W, d + c * SIDE + c)
        for e in range(c):
            h = h - at(W, d + e * SIDE + c) * at(W, d + e * SIDE + c)
        scale = if_positive(h, 1.0 / root(h), 0.0)  # 0: a symbol that is not allowed
        put(W, d + c * SIDE + c, scale)
        for r in range(c + 1, SIDE):
            h = at(W, d + c * SIDE + r)
            for e in range(c):
                h = h - at(W, d + e * SIDE + r) * at(W, d + e * SIDE + c)
            put(W, d + c * SIDE + r, h * scale)
    f0, f1, f2, f3 = at(W, d), at(W, d + 5), at(W, d + 10), at(W, d + 15)
    f01, f02, f03, f12, f13, f23 = at(W, d + 1), at(W, d + 2), at(W, d + 3), at(W, d + 6), at(W, d + 7), at(W, d + 11)
    for i in range(b + 1, blocks):
        k = (i * depth + stop) * SIDE
        for r in range(k, k + SIDE):
            h0 = at(W, r) * f0
            h1 = plus_product(h0, -f01, at(W, r + 4)) * f1
            h2 = plus_product(h1, -f12, plus_product(h0, -f02, at(W, r + 8))) * f2
            h3 = plus_product(h2, -f23, plus_product(h1, -f13, plus_product(h0, -f03, at(W, r + 12)))) * f3
            put(W, r, h0)
            put(W, r + 4, h1)
            put(W, r + 8, h2)
            put(W, r + 12, h3)


@compiled
def _direction(
    p: np.ndarray,
    pi: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    s: np.ndarray,
    per_w: np.ndarray,
    per_s: np.ndarray,
    target: np.ndarray,
    L: np.ndarray,
    W: np.ndarray,
    dz: np.ndarray,
    dw: np.ndarray,
    ds: np.ndarray,
) -> float:
    """Fills Newton's step to w s = target, dz that of α and β; the share of it, 1 at most, that keeps w and s ≥ 0."""
    m, T, n = pi.shape[:3]
    K, z = m * T, np.empty_like(w[0])
    for k in range(dz.shape[0]):
        put(dz, k, 0.0)
    for k in range(p.shape[0]):
        put(dz, k, at(p, k))
    for x in range(m):
        goal, wx, cx, sx, rx, new = target[x], w[x], c[x], s[x], per_s[x], dw[x]
        for y in range(n):
            h = plus_product(at(wx, y), at(cx, y) + at(sx, y), at(goal, y)) * at(rx, y)
            put(new, y, if_positive(at(wx, y), h, 0.0))
        for t in range(T):
            total, row, rest = at(dz, x * T + t), pi[x, t], dz[K + t * n :]
            for y in range(n):
                h = at(row, y) * at(new, y)
                total = total - h
                put(rest, y, at(rest, y) - h)
            put(dz, x * T + t, total)
    _solve(L, W, dz, T)
    of_s = of_w = at(z, 0) * 0.0 + 1.0
    for x in range(m):
        wx, cx, sx, qx, rx, new, dsx = w[x], c[x], s[x], per_w[x], per_s[x], dw[x], ds[x]
        for y in range(n):
            put(z, y, 0.0)
        for t in range(T):
            a, row, rest = at(dz, x * T + t), pi[x, t], dz[K + t * n :]
            for y in range(n):
                put(z, y, plus_product(at(row, y), a + at(rest, y), at(z, y)))
        for y in range(n):
            h = at(z, y)
            put(dsx, y, -(at(cx, y) + at(sx, y)) - h)
            put(new, y, plus_product(at(wx, y), at(rx, y) * h - 1.0, at(new, y)))
        for y in range(n):
            of_s = larger(-(at(dsx, y) * at(rx, y)), of_s)
            of_w = larger(-(at(new, y) * at(qx, y)), of_w)
    return 1.0 / larger(of_s, of_w)


@compiled
def _solve(L: np.ndarray, W: np.ndarray, z: np.ndarray, T: int) -> None:
    """The right-hand side z, of the α and then the β, becomes the solution."""
    m = L.shape[0]
    depth, K = z.shape[0], m * T
    for x in range(m):
        Lx, a = L[x], z[x * T :]
        for t in range(T):
            h = at(a, t)
            for u in range(t):
                h = h - at(Lx, t * T + u) * at(a, u)
            put(a, t, h * at(Lx, t * T + t))
    for stop in range(K, depth, SIDE):
        i = (stop - K) * depth
        h0, h1, h2, h3 = at(z, stop), at(z, stop + 1), at(z, stop + 2), at(z, stop + 3)
        for k in range(stop):
            h, r = -at(z, k), i + k * SIDE
            h0, h1 = plus_product(at(W, r), h, h0), plus_product(at(W, r + 1), h, h1)
            h2, h3 = plus_product(at(W, r + 2), h, h2), plus_product(at(W, r + 3), h, h3)
        d = i + stop * SIDE
        h0 = h0 * at(W, d)
        h1 = (h1 - at(W, d + 1) * h0) * at(W, d + 5)
        h2 = (h2 - at(W, d + 2) * h0 - at(W, d + 6) * h1) * at(W, d + 10)
        h3 = (h3 - at(W, d + 3) * h0 - at(W, d + 7) * h1 - at(W, d + 11) * h2) * at(W, d + 15)
        put(z, stop, h0)
        put(z, stop + 1, h1)
        put(z, stop + 2, h2)
        put(z, stop + 3, h3)
    for stop in range(depth - SIDE, K - 1, -SIDE):
        i = (stop - K) * depth
        d = i + stop * SIDE
        h3 = at(z, stop + 3) * at(W, d + 15)
        h2 = (at(z, stop + 2) - at(W, d + 11) * h3) * at(W, d + 10)
        h1 = (at(z, stop + 1) - at(W, d + 7) * h3 - at(W, d + 6) * h2) * at(W, d + 5)
        h0 = (at(z, stop) - at(W, d + 3) * h3 - at(W, d + 2) * h2 - at(W, d + 1) * h1) * at(W, d)
        put(z, stop, h0)
        put(z, stop + 1, h1)
        put(z, stop + 2, h2)
        put(z, stop + 3, h3)
        h0, h1, h2, h3 = -h0, -h1, -h2, -h3
        for k in range(stop):
            r = i + k * SIDE
            h = plus_product(at(W, r), h0, at(z, k))
            h = plus_product(at(W, r + 1), h1, h)
            h = plus_product(at(W, r + 2), h2, h)
            put(z, k, plus_product(at(W, r + 3), h3, h))
    for x in range(m):
        Lx, a = L[x], z[x * T :]
        for t in range(T - 1, -1, -1):
            h = at(a, t)
            for u in range(t + 1, T):
                h = h - at(Lx, u * T + t) * at(a, u)
            put(a, t, h * at(Lx, t * T + t))
