"""The first iterate of a problem."""

import math
from typing import NamedTuple

import numpy as np

from adumbra.information.jit import compiled, inlined
from adumbra.information.pid.interior_point.workspace import FLOOR, Iterate
from adumbra.information.simd import log, maximum, minimum, sqrt, store_lane, where_positive


class Sums(NamedTuple):
    """Marginals of single variables.

    Attributes:
        pt: (T,), p(t).
        log_px: (X,), ln p(x).
        log_py: (Y,), ln p(y).
    """

    pt: np.ndarray
    log_px: np.ndarray
    log_py: np.ndarray


@compiled
def start(tx: np.ndarray, ty: np.ndarray, iterate: Iterate, lane: int, careful: bool) -> None:
    """Fills a lane of the iterate, for the marginals (X, T) and (T, Y) of its problem.

    The first q has sources that are independent given the target, q = p(t,x) p(t,y) / p(t). It fulfils (1) and (2).
    """
    sums = _sums(tx, ty)
    _start_dual(tx, ty, sums, iterate, lane)
    _start_primal(tx, ty, sums, iterate, lane, careful)


@inlined
def _sums(tx: np.ndarray, ty: np.ndarray) -> Sums:
    (X, T), Y = tx.shape, ty.shape[1]
    px, pt, py = np.zeros(X), np.zeros(T), np.zeros(Y)
    for t in range(T):
        for x in range(X):
            px[x] += tx[x, t]
            pt[t] += tx[x, t]
        for y in range(Y):
            py[y] += ty[t, y]
    for x in range(X):
        px[x] = log(maximum(px[x], FLOOR))
    for y in range(Y):
        py[y] = log(maximum(py[y], FLOOR))
    return Sums(pt, px, py)


@inlined
def _start_dual(tx: np.ndarray, ty: np.ndarray, sums: Sums, iterate: Iterate, lane: int) -> None:
    """Fills the marginals, the gauge, and α = ln p(t,x) / p(x) - ½ ln p(t), β = ln p(t,y) / p(y) - ½ ln p(t)."""
    (X, T), Y = tx.shape, ty.shape[1]
    marginals, dual, gauge = iterate.marginals, iterate.dual, iterate.gauge
    for t in range(T):
        heaviest, half = 0, 0.5 * log(maximum(sums.pt[t], FLOOR))
        for x in range(X):
            store_lane(marginals, x * T + t, lane, tx[x, t])
            alpha = math.log(tx[x, t]) - sums.log_px[x] - half if tx[x, t] > 0.0 else -math.inf
            store_lane(dual, x * T + t, lane, alpha)
        for y in range(Y):
            j = t * Y + y
            heaviest = y if ty[t, y] > ty[t, heaviest] else heaviest
            store_lane(marginals, X * T + j, lane, ty[t, y])
            beta = math.log(ty[t, y]) - sums.log_py[y] - half if ty[t, y] > 0.0 else -math.inf
            store_lane(dual, X * T + j, lane, beta)
            store_lane(gauge, j, lane, 1.0)
        store_lane(gauge, t * Y + heaviest, lane, 2.0)


@inlined
def _start_primal(tx: np.ndarray, ty: np.ndarray, sums: Sums, iterate: Iterate, lane: int, careful: bool) -> None:
    """Fills π, c, w, s and ω.

    ω is proportional to the most that (x, y) can have, Σ_t min(p(t,x), p(t,y)), if careful; otherwise to its power of
    3/4, for which the path is shorter unless masses are below 1e-10. A pair without any t keeps π = 0 and c = -1: with
    w = 0 and s = 1 it fulfils its equations.
    """
    (X, T), Y = tx.shape, ty.shape[1]
    mass, inverse, height = np.empty(Y), np.empty(Y), np.empty(Y)
    most, q, total = np.empty((X, Y)), np.empty((T, Y)), 0.0
    for x in range(X):
        row, w, s, c = most[x], iterate.w[x], iterate.s[x], iterate.c[x]
        mass[:] = 0.0
        row[:] = 0.0
        for t in range(T):
            a, b, part = tx[x, t], ty[t], q[t]
            share = a / maximum(sums.pt[t], FLOOR)
            for y in range(Y):
                part[y] = share * b[y]
                mass[y] += part[y]
                row[y] += minimum(a, b[y])
        for y in range(Y):
            allowed = mass[y] - FLOOR
            inverse[y] = where_positive(allowed, 1.0 / mass[y], 0.0)
            log_ratio = log(maximum(mass[y], FLOOR)) - sums.log_px[x] - sums.log_py[y]
            height[y] = where_positive(allowed, log_ratio, -1.0)
            h = where_positive(allowed, row[y], 0.0)
            row[y] = h if careful else sqrt(h * sqrt(h))
        for y in range(Y):
            total += row[y]
            store_lane(w, y, lane, mass[y])
            store_lane(c, y, lane, height[y])
            store_lane(s, y, lane, maximum(-height[y], 0.1))
        for t in range(T):
            part, pi = q[t], iterate.pi[x, t]
            for y in range(Y):
                store_lane(pi, y, lane, part[y] * inverse[y])
    for x in range(X):
        omega, row = iterate.omega[x], most[x]
        for y in range(Y):
            store_lane(omega, y, lane, row[y] / total)
