"""Shannon entropy and mutual information of tables of probabilities, in bits, with 0 log 0 = 0."""

from math import log

import numpy as np

from adumbra.information.jit import compiled_loosely

BITS = 1.0 / log(2.0)
"""Bits in a nat."""

NEGLIGIBLE = 1e-290
"""Probabilities up to this count as 0, for their reciprocal is out of the range of numbers."""

ROUNDING = 2e-15
"""Share of a probability that rounding may add where logarithms of ratios that should be 1 are summed."""


def entropy(p: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """The entropy H = -Σ p log2 p.

    Args:
        p: Probabilities, any shape.
        axis: The axes that are summed over; all by default.

    Returns:
        Bits, of the shape of the other axes.
    """
    logs = np.log2(p, out=np.zeros(p.shape), where=p > 0)
    return np.asarray(np.abs((p * logs).sum(axis)))


def table_mutual_information(p: np.ndarray) -> np.ndarray:
    """The mutual information I(A; B) of each table of probabilities (..., A, B), shape (...).

    It is never below 0, and exactly 0 where it is within rounding of 0.
    """
    return np.asarray(specific_information(p).sum(-1))


def specific_information(p: np.ndarray) -> np.ndarray:
    """The specific information of A about each symbol t (Williams and Beer 2010), times p(t).

    It is Σ_a p(t,a) log2 p(t,a) / (p(t) p(a)), and its sum over t is I(T; A). No value is below 0, and one that is
    within rounding of 0 is 0.

    Args:
        p: (..., T, A), probabilities.

    Returns:
        (..., T), bits.
    """
    tables = np.ascontiguousarray(p, dtype=np.float64).reshape(-1, *p.shape[-2:])
    specific = np.empty(tables.shape[:2])
    _fill_specific(tables, specific)
    return specific.reshape(p.shape[:-1])


def specific_informations(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The specific information of two sources, apart and together, and the marginals of each with the target.

    The information of both is at least that of either, for every symbol, and equal to the larger where the difference
    is within rounding.

    Args:
        p: (N, T, X, Y), probabilities of N problems.

    Returns:
        The specific information of the first source, the second and both, weighted by p(t), bits (3, N, T); and the
        marginals (N, T, X) and (N, T, Y).
    """
    N, T, X, Y = p.shape
    specific, tx, ty = np.empty((3, N, T)), np.empty((N, T, X)), np.empty((N, T, Y))
    _fill_specific_informations(p, specific, tx, ty)
    return specific, tx, ty


@compiled_loosely
def _fill_specific(p: np.ndarray, specific: np.ndarray) -> None:
    of_a = np.empty(p.shape[2])
    for i in range(p.shape[0]):
        _fill_one(p[i], of_a, specific[i])


@compiled_loosely
def _fill_specific_informations(p: np.ndarray, specific: np.ndarray, tx: np.ndarray, ty: np.ndarray) -> None:
    N, T, X, Y = p.shape
    of_a = np.empty(X * Y)
    for i in range(N):
        tx[i], ty[i] = 0.0, 0.0
        for t in range(T):
            for x in range(X):
                for y in range(Y):
                    tx[i, t, x] += p[i, t, x, y]
                    ty[i, t, y] += p[i, t, x, y]
        _fill_one(tx[i], of_a, specific[0, i])
        _fill_one(ty[i], of_a, specific[1, i])
        _fill_one(p[i].reshape(T, X * Y), of_a, specific[2, i])
        for t in range(T):
            of_t, least = 0.0, max(specific[0, i, t], specific[1, i, t])
            for x in range(X):
                of_t += tx[i, t, x]
            specific[2, i, t] = specific[2, i, t] if specific[2, i, t] > least + ROUNDING * of_t else least


@compiled_loosely
def _fill_one(p: np.ndarray, of_a: np.ndarray, specific: np.ndarray) -> None:
    """Fills the specific information (T,) of one table (T, A); ``of_a`` is scratch space for p(a)."""
    T, A = p.shape
    of_a[:A] = 0.0
    for t in range(T):
        for a in range(A):
            of_a[a] += p[t, a]
    for t in range(T):
        of_t, total = 0.0, 0.0
        for a in range(A):
            of_t += p[t, a]
        share = 1.0 / of_t if of_t > NEGLIGIBLE else 0.0
        for a in range(A):
            if p[t, a] > NEGLIGIBLE:
                total += p[t, a] * np.log(p[t, a] * share / of_a[a])
        specific[t] = BITS * total if total > ROUNDING * of_t else 0.0
