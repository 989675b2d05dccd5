"""Mutual information of Gaussian variables in closed form, and of others by their Gaussian copula, in bits.

Mutual information is invariant under monotone maps of each variable. Each variable is therefore mapped to a normal one
by its ranks, and the remaining dependence, the copula, is taken to be Gaussian (Ince et al. 2017). Of all
distributions with these correlations the Gaussian has the least mutual information, so the result is a lower bound. Its
bias is known.

Everything follows from the canonical correlations r: I = -1/2 Σ log2(1 - r²). Directions in which a variable does not
vary, such as a constant or a column that repeats another, carry no information and are dropped. The information is
infinite for r = 1.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, log
from typing import Any

import numpy as np
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.information.estimators.samples import finite_columns, require_same_length

NO_VARIANCE = 1e-12  # a variance that rounding may leave of 0, where that of each variable is 1
SAME = 1e-14  # a difference 1 - r² that rounding may leave of 0


def gaussian_mutual_information(
    covariance: np.ndarray, a: Sequence[int], b: Sequence[int], *, given: Sequence[int] = ()
) -> float:
    """I(A; B | given) of jointly Gaussian variables, in bits; infinite if one determines part of the other.

    Args:
        covariance: (D, D), symmetric and positive semidefinite.
        a: Indices of the rows that belong to the first variable.
        b: Indices of the second variable.
        given: Indices of the variable that is conditioned on.

    Raises:
        ImplausibleValues: The matrix is not a covariance.
        InputRejected: An index is repeated or out of range, or there is none for a or b.
    """
    scaled = _correlations(np.asarray(covariance, dtype=np.float64))
    _validate_indices(len(scaled), a, b, given)
    return _information(_canonical(scaled, list(a), list(b), list(given))[0])


@cites("Ince2017")
def gaussian_copula_mutual_information(a: Any, b: Any, *, given: Any = None, correct: bool = True) -> float:
    """I(A; B), or I(A; B | given), of the Gaussian copula, in bits; infinite if one determines part of the other.

    Args:
        a: (N,), or (N, D) for a variable of D components. Equal values share their mean rank.
        b: The same N samples of the second variable.
        given: The same N samples of the variable that is conditioned on.
        correct: Subtract the bias of a Gaussian estimate from N samples, which is known exactly. The result may then be
            below 0.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: The numbers of samples differ, or do not exceed the number of columns in all by two.
    """
    first, second = finite_columns(a, "a"), finite_columns(b, "b")
    condition = None if given is None else finite_columns(given, "given")
    require_same_length(first, b=second, given=condition)
    variables = [first, second] if condition is None else [first, second, condition]
    _require_enough_samples(variables)
    scores = np.concatenate([normal_scores(variable) for variable in variables], axis=1)
    ends = np.cumsum([0, *(variable.shape[1] for variable in variables)])
    columns = [list(range(start, end)) for start, end in pairwise(ends)]
    given_columns = columns[2] if condition is not None else []
    covariance = np.atleast_2d(np.cov(scores, rowvar=False))
    canonical, sizes = _canonical(_correlations(covariance), columns[0], columns[1], given_columns)
    return _information(canonical) - (gaussian_bias(len(scores), *sizes) if correct else 0.0)


def normal_scores(columns: np.ndarray) -> np.ndarray:
    """The normal quantile of each value at rank / (N + 1), shape (N, D); equal values share their mean rank."""
    scores: np.ndarray = ndtri(rankdata(columns, axis=0) / (len(columns) + 1.0))
    return scores


@cites("Ince2017")
def gaussian_bias(samples: int, a: int, b: int, given: int = 0) -> float:
    """The bias in bits of the mutual information from the sample covariance of N normal samples.

    The log-determinant of a D-dimensional Wishart matrix of N - 1 degrees of freedom has a mean that differs from that
    of its expectation by a sum of digamma functions; what does not depend on the order of the sum cancels.

    Args:
        samples: N, more than all dimensions together.
        a: Number of dimensions of the first variable.
        b: Number of dimensions of the second variable.
        given: Number of dimensions of the variable that is conditioned on.
    """

    def share(dimensions: int) -> float:
        return float(digamma((samples - np.arange(1, dimensions + 1)) / 2.0).sum()) / (2.0 * log(2.0))

    return share(a + given) + share(b + given) - share(a + b + given) - share(given)


def _correlations(covariance: np.ndarray) -> np.ndarray:
    """The correlation matrix; rows and columns of variables without variance are 0."""
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1] > 0
    if not (square and np.isfinite(covariance).all() and _symmetric(covariance)):
        raise _covariance_error(f"shape {covariance.shape}, not symmetric, or not finite")
    variance = np.diagonal(covariance)
    if (variance < 0).any():
        raise _covariance_error(f"a variance of {variance.min():g}")
    scale = np.divide(1.0, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
    scaled = covariance * scale[:, None] * scale
    if np.linalg.eigvalsh(scaled).min() < -1e-9 or (covariance[variance == 0] != 0).any():
        raise _covariance_error("a direction whose variance is below 0")
    return scaled


def _symmetric(square: np.ndarray) -> bool:
    return bool(np.abs(square - square.T).max() <= 1e-12 * np.abs(square).max())


def _canonical(
    correlations: np.ndarray, a: list[int], b: list[int], given: list[int]
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Canonical correlations of a and b conditioned on ``given``, and the dimensions of the three."""
    condition = _whitened(correlations[np.ix_(given, given)])
    shared = condition @ correlations[np.ix_(given, a + b)]
    left = correlations[np.ix_(a + b, a + b)] - shared.T @ shared
    of_a, of_b = _whitened(left[: len(a), : len(a)]), _whitened(left[len(a) :, len(a) :])
    between = of_a @ left[: len(a), len(a) :] @ of_b.T
    canonical = np.linalg.svd(between, compute_uv=False) if between.size else np.zeros(0)
    return canonical, (len(of_a), len(of_b), len(condition))


def _whitened(covariance: np.ndarray) -> np.ndarray:
    """The matrix that maps the variables to uncorrelated ones of variance 1, one row for each direction that varies."""
    variance, directions = np.linalg.eigh(covariance)
    varies = variance > NO_VARIANCE * max(len(covariance), 1)
    return (directions[:, varies] / np.sqrt(variance[varies])).T


def _information(correlations: np.ndarray) -> float:
    left = (1.0 - correlations) * (1.0 + correlations)
    if (left < SAME).any():
        return inf
    return float(-0.5 * np.log1p(-np.square(correlations)).sum() / log(2.0)) + 0.0  # no -0


def _require_enough_samples(variables: list[np.ndarray]) -> None:
    needed = sum(variable.shape[1] for variable in variables) + 2
    if len(variables[0]) < needed:
        raise InputRejected(
            "a",
            expected=f"at least {needed} samples, two more than there are columns in all",
            found=f"{len(variables[0])}",
            do="take a larger region, or fewer columns",
        )


def _validate_indices(size: int, a: Sequence[int], b: Sequence[int], given: Sequence[int]) -> None:
    named = [*a, *b, *given]
    if not (len(a) and len(b)) or len(set(named)) < len(named) or not all(0 <= i < size for i in named):
        raise InputRejected(
            "a, b and given",
            expected=f"indices from 0 to {size - 1}, each once, at least one of a and of b",
            found=f"{list(a)}, {list(b)}, {list(given)}",
            do="name the rows of the covariance that belong to each",
        )


def _covariance_error(problem: str) -> ImplausibleValues:
    return ImplausibleValues(
        "covariance", expected="a symmetric matrix, no variance below 0", found=problem, do="compute it with numpy.cov"
    )
