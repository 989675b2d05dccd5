"""Entropy and information of tables of probabilities, in bits, with 0 log 0 = 0."""

from math import log

import numpy as np

from adumbra.information.jit import compiled_loosely

BITS = 1.0 / log(2.0)
"""Of a nat."""

NOTHING = 1e-290  # a probability whose inverse, and what it tells, are out of the range of numbers
ROUNDING = 2e-15  # of a probability, where logarithms of ratios that should be 1 are summed


def entropy(p: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """-Σ p log2 p over the axes, by default over all; of the shape of the others."""
    logs = np.log2(p, out=np.zeros(p.shape), where=p > 0)
    return np.asarray(np.abs((p * logs).sum(axis)))


def mutual_information_of(p: np.ndarray) -> np.ndarray:
    """I(A; B) of each table (..., A, B), shape (...); never below 0, and 0 where it is nothing but rounding."""
    return np.asarray(specific_information(p).sum(-1))


def specific_information(p: np.ndarray) -> np.ndarray:
    """What A tells of each symbol t, times p(t): Σ_a p(t,a) log2 p(t,a) / (p(t) p(a)). Shape (..., T), of (..., T, A).

    Their sum is I(T; A). None is below 0, and one that is nothing but rounding is 0.
    """
    tables = np.ascontiguousarray(p, dtype=np.float64).reshape(-1, *p.shape[-2:])
    found = np.empty(tables.shape[:2])
    _fill_specific(tables, found)
    return found.reshape(p.shape[:-1])


def told(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of problems (N, T, X, Y): the specific information of the first source, the second and both, (3, N, T).

    Both tell at least what either does, of every symbol, and just that where more is nothing but rounding. And the
    marginals (N, T, X) and (N, T, Y).
    """
    N, T, X, Y = p.shape
    found, tx, ty = np.empty((3, N, T)), np.empty((N, T, X)), np.empty((N, T, Y))
    _fill_told(p, found, tx, ty)
    return found, tx, ty


@compiled_loosely
def _fill_specific(p: np.ndarray, found: np.ndarray) -> None:
    of_a = np.empty(p.shape[2])
    for i in range(p.shape[0]):
        _fill_one(p[i], of_a, found[i])


@compiled_loosely
def _fill_told(p: np.ndarray, found: np.ndarray, tx: np.ndarray, ty: np.ndarray) -> None:
    N, T, X, Y = p.shape
    of_a = np.empty(X * Y)
    for i in range(N):
        tx[i], ty[i] = 0.0, 0.0
        for t in range(T):
            for x in range(X):
                for y in range(Y):
                    tx[i, t, x] += p[i, t, x, y]
                    ty[i, t, y] += p[i, t, x, y]
        _fill_one(tx[i], of_a, found[0, i])
        _fill_one(ty[i], of_a, found[1, i])
        _fill_one(p[i].reshape(T, X * Y), of_a, found[2, i])
        for t in range(T):
            of_t, least = 0.0, max(found[0, i, t], found[1, i, t])
            for x in range(X):
                of_t += tx[i, t, x]
            found[2, i, t] = found[2, i, t] if found[2, i, t] > least + ROUNDING * of_t else least


@compiled_loosely
def _fill_one(p: np.ndarray, of_a: np.ndarray, found: np.ndarray) -> None:
    T, A = p.shape
    of_a[:A] = 0.0
    for t in range(T):
        for a in range(A):
            of_a[a] += p[t, a]
    for t in range(T):
        of_t, total = 0.0, 0.0
        for a in range(A):
            of_t += p[t, a]
        share = 1.0 / of_t if of_t > NOTHING else 0.0
        for a in range(A):
            if p[t, a] > NOTHING:
                total += p[t, a] * np.log(p[t, a] * share / of_a[a])
        found[t] = BITS * total if total > ROUNDING * of_t else 0.0
