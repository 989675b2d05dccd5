"""Newton's direction: the matrix H is factorised once, and solved for the predictor and the corrector."""

import numpy as np

from adumbra.information.jit import compiled, inlined
from adumbra.information.pid.interior_point.cholesky import eliminate, factorise, solve
from adumbra.information.pid.interior_point.workspace import SIDE, Factor, Iterate, Step
from adumbra.information.simd import fmuladd, load, maximum, store, where_positive


@inlined
def factorise_newton(iterate: Iterate, step: Step, factor: Factor) -> None:
    """Fills the Cholesky factor of H = Σ w diag(π) + w (1/s - 1) π πᵀ, its diagonal of β multiplied by the gauge.

    The first X T columns of G couple β to α and are divided by L; the others, up to the diagonal, are the block of β
    itself, less what the elimination of α subtracts.
    """
    pi, all_w, gauge = iterate.pi, iterate.w, iterate.gauge
    all_inverse_s, L, G = step.inverse_s, factor.L, factor.G
    X, T, Y = pi.shape[:3]
    K, J = X * T, T * Y
    blocks = (J + SIDE - 1) // SIDE
    depth = K + blocks * SIDE
    curvature, own, g = np.empty_like(all_w[0]), np.zeros((T, *gauge.shape)), np.empty((T, *gauge.shape))
    for x in range(X):
        w, inverse_s, Lx = all_w[x], all_inverse_s[x], L[x]
        for y in range(Y):
            store(curvature, y, load(w, y) * (load(inverse_s, y) - 1.0))
        for t in range(T):
            pi_t, own_t = pi[x, t], own[t]
            for u in range(t + 1):
                pi_u, own_tu, g_tu, g_ut = pi[x, u], own_t[u * Y :], g[t, u * Y :], g[u, t * Y :]
                total, diagonal = load(w, 0) * 0.0, 1.0 if u == t else 0.0
                for y in range(Y):
                    h = fmuladd(load(curvature, y), load(pi_u, y), load(w, y) * diagonal) * load(pi_t, y)
                    store(g_tu, y, h)
                    store(g_ut, y, h)
                    store(own_tu, y, load(own_tu, y) + h)
                    total = total + h
                store(Lx, t * T + u, total)
        eliminate(Lx, g)
        for t in range(T):
            row, k = g[t], x * T + t
            for j in range(J):
                store(G, (j // SIDE * depth + k) * SIDE + j % SIDE, load(row, j))
    for b in range(blocks):
        for k in range((b * depth + K) * SIDE, (b * depth + K + b * SIDE + SIDE) * SIDE):
            store(G, k, 0.0)
    for t in range(T):
        for u in range(t + 1):
            row = own[t]
            for y in range(Y):
                j, k = t * Y + y, u * Y + y
                h = load(row, k) * load(gauge, k) if u == t else load(row, k)
                store(G, (j // SIDE * depth + K + k) * SIDE + j % SIDE, h)
    factorise(G, blocks, K)


@compiled
def solve_newton(iterate: Iterate, step: Step, factor: Factor) -> float:
    """Fills Newton's direction to w s = ``step.central``; the largest length up to 1 that keeps w and s from 0 up.

    With (3) and (4) linearised, Δw = (central + w (c + s)) / s - w + w/s π·(Δα + Δβ) and Δs = -(c + s) - π·(Δα + Δβ).
    Both in (1) and (2) give H (Δα, Δβ) = p - Σ π (central + w (c + s)) / s.
    """
    marginals, pi, all_w, all_c, all_s = iterate.marginals, iterate.pi, iterate.w, iterate.c, iterate.s
    dual, all_dw, all_ds, all_central = step.dual, step.w, step.s, step.central
    all_inverse_w, all_inverse_s = step.inverse_w, step.inverse_s
    X, T, Y = pi.shape[:3]
    K, z = X * T, np.empty_like(all_w[0])
    for k in range(dual.shape[0]):
        store(dual, k, 0.0)
    for k in range(marginals.shape[0]):
        store(dual, k, load(marginals, k))
    for x in range(X):
        w, c, s, inverse_s, central, dw = all_w[x], all_c[x], all_s[x], all_inverse_s[x], all_central[x], all_dw[x]
        for y in range(Y):
            h = fmuladd(load(w, y), load(c, y) + load(s, y), load(central, y)) * load(inverse_s, y)
            store(dw, y, where_positive(load(w, y), h, 0.0))
        for t in range(T):
            total, row, rest = load(dual, x * T + t), pi[x, t], dual[K + t * Y :]
            for y in range(Y):
                h = load(row, y) * load(dw, y)
                total = total - h
                store(rest, y, load(rest, y) - h)
            store(dual, x * T + t, total)
    solve(factor, dual, T)
    of_s = of_w = load(z, 0) * 0.0 + 1.0  # Newton's length over the length that reaches 0
    for x in range(X):
        w, c, s, dw, ds = all_w[x], all_c[x], all_s[x], all_dw[x], all_ds[x]
        inverse_w, inverse_s = all_inverse_w[x], all_inverse_s[x]
        for y in range(Y):
            store(z, y, 0.0)
        for t in range(T):
            a, row, rest = load(dual, x * T + t), pi[x, t], dual[K + t * Y :]
            for y in range(Y):
                store(z, y, fmuladd(load(row, y), a + load(rest, y), load(z, y)))
        for y in range(Y):
            h = load(z, y)
            store(ds, y, -(load(c, y) + load(s, y)) - h)
            store(dw, y, fmuladd(load(w, y), load(inverse_s, y) * h - 1.0, load(dw, y)))
        for y in range(Y):
            of_s = maximum(-(load(ds, y) * load(inverse_s, y)), of_s)
            of_w = maximum(-(load(dw, y) * load(inverse_w, y)), of_w)
    return 1.0 / maximum(of_s, of_w)
