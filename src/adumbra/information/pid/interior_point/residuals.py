"""What an iterate implies: the conditional distribution π, the duality gap and the infeasibility."""

import numpy as np

from adumbra.information.jit import compiled, inlined
from adumbra.information.pid.interior_point.workspace import FLOOR, Iterate, Step
from adumbra.information.simd import absolute, exp, fmuladd, load, log, maximum, store, where_positive

NATS_OF_MOVED = 2.0
"""By how many nats the bounds change, roughly, for each unit of mass that is moved."""


@inlined
def update_posterior(iterate: Iterate) -> None:
    """Fills π = exp(α + β - c) and c = ln Σ_t exp(α + β) of the iterate's α and β."""
    dual, pi, c = iterate.dual, iterate.pi, iterate.c
    X, T, Y = pi.shape[:3]
    scores, inverse = np.empty_like(dual), np.empty_like(c[0])
    for k in range(dual.shape[0]):
        store(scores, k, exp(load(dual, k)))
    for x in range(X):
        cx = c[x]
        for y in range(Y):
            store(cx, y, 0.0)
        for t in range(T):
            a, row, b = load(scores, x * T + t), pi[x, t], scores[X * T + t * Y :]
            for y in range(Y):
                h = a * load(b, y)
                store(row, y, h)
                store(cx, y, load(cx, y) + h)
        for y in range(Y):
            total = load(cx, y)
            allowed = total - FLOOR
            store(cx, y, where_positive(allowed, log(maximum(total, FLOOR)), -1.0))
            store(inverse, y, where_positive(allowed, 1.0 / total, 0.0))
        for t in range(T):
            row = pi[x, t]
            for y in range(Y):
                store(row, y, load(row, y) * load(inverse, y))


@inlined
def duality_gap(iterate: Iterate, step: Step, length: float) -> float:
    """Σ (w + length Δw) (s + length Δs): the duality gap after the step, were equations (1) to (3) fulfilled."""
    all_w, all_s, all_dw, all_ds = iterate.w, iterate.s, step.w, step.s
    total = load(all_w[0], 0) * 0.0
    for x in range(all_w.shape[0]):
        w, s, dw, ds = all_w[x], all_s[x], all_dw[x], all_ds[x]
        for y in range(all_w.shape[1]):
            slack = fmuladd(length, load(ds, y), load(s, y))
            total = fmuladd(fmuladd(length, load(dw, y), load(w, y)), slack, total)
    return total


@compiled
def infeasibility(iterate: Iterate) -> float:
    """Nats that the bounds lose, roughly, when c ≤ 0 and the marginals (1) and (2) are enforced."""
    marginals, pi = iterate.marginals, iterate.pi
    X, T, Y = pi.shape[:3]
    zero = load(marginals, 0) * 0.0
    total, of_y = zero, marginals[X * T :].copy()
    for x in range(X):
        violation, of_x, c, w = zero, zero, iterate.c[x], iterate.w[x]
        for y in range(Y):
            violation = maximum(load(c, y), violation)
        for t in range(T):
            row, rest = pi[x, t], of_y[t * Y :]
            left = load(marginals, x * T + t)
            of_x = of_x + left
            for y in range(Y):
                h = load(w, y) * load(row, y)
                left = left - h
                store(rest, y, load(rest, y) - h)
            total = total + absolute(left) * NATS_OF_MOVED
        total = total + of_x * violation
    for j in range(T * Y):
        total = total + absolute(load(of_y, j)) * NATS_OF_MOVED
    return total
