"""Mutual information of Gaussians in closed form, and of anything by its Gaussian copula. In bits.

Mutual information does not change when either variable is mapped monotonely. Each is therefore mapped to a normal one
by its ranks, and what is left, the copula, is taken for Gaussian. Of all with these correlations the Gaussian shares
least, so the result is a lower bound, with a variance and a bias that are known.

All is read from canonical correlations r: I = -1/2 sum log2(1 - r²). Directions in which a variable does not vary, such
as a constant or a column that doubles another, tell nothing and are left out; r = 1 is infinite information.
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
from adumbra.information.estimators.samples import as_many, finite_columns

NO_VARIANCE = 1e-12  # of a direction, where each variable's is 1: what rounding leaves of none
SAME = 1e-14  # of 1 - r², likewise


def gaussian_mutual_information(
    covariance: np.ndarray, a: Sequence[int], b: Sequence[int], *, given: Sequence[int] = ()
) -> float:
    """I(A; B | given) of jointly Gaussian variables, in bits; infinite if one determines a part of the other.

    Args:
        covariance: (D, D), symmetric, no variance below 0 in any direction.
        a: Which of the D belong to the first variable.
        b: Which belong to the second.
        given: Which are known.

    Raises:
        ImplausibleValues: The matrix is no covariance.
        InputRejected: A or b is empty, or an index is named twice or is out of range.
    """
    scaled = _correlations(np.asarray(covariance, dtype=np.float64))
    _checked_indices(len(scaled), a, b, given)
    return _information(_canonical(scaled, list(a), list(b), list(given))[0])


@cites("Ince2017")
def copula_information(a: Any, b: Any, *, given: Any = None, correct: bool = True) -> float:
    """I(A; B), or I(A; B | given), in bits, of the Gaussian copula; infinite if one determines a part of the other.

    Args:
        a: (N,), or (N, D) for a variable of D numbers. Equal values share their mean rank.
        b: As many samples.
        given: As many samples.
        correct: Whether the bias of a Gaussian estimate from N samples is taken off; it is known exactly, and the value
            may then be below 0.

    Raises:
        ImplausibleValues: Values are NaN or infinite, or there is none.
        InputRejected: There are not as many samples of each, or not two more than there are columns in all.
    """
    first, second = finite_columns(a, "a"), finite_columns(b, "b")
    known = None if given is None else finite_columns(given, "given")
    as_many(first, b=second, given=known)
    variables = [first, second] if known is None else [first, second, known]
    _enough(variables)
    scores = np.concatenate([normal_scores(variable) for variable in variables], axis=1)
    ends = np.cumsum([0, *(variable.shape[1] for variable in variables)])
    columns = [list(range(start, end)) for start, end in pairwise(ends)]
    known_columns = columns[2] if known is not None else []
    covariance = np.atleast_2d(np.cov(scores, rowvar=False))
    found, sizes = _canonical(_correlations(covariance), columns[0], columns[1], known_columns)
    return _information(found) - (gaussian_bias(len(scores), *sizes) if correct else 0.0)


def normal_scores(columns: np.ndarray) -> np.ndarray:
    """Each value's normal quantile at rank / (N + 1), of the shape (N, D); equal values share their mean rank."""
    scores: np.ndarray = ndtri(rankdata(columns, axis=0) / (len(columns) + 1.0))
    return scores


@cites("Ince2017")
def gaussian_bias(samples: int, a: int, b: int, given: int = 0) -> float:
    """By how many bits the information from a covariance of N samples is too high in the mean, for normal samples.

    The log-determinant of a D-dimensional Wishart matrix of N - 1 degrees of freedom has a mean that differs from that
    of its expectation by a sum of digamma functions; what does not depend on the order of the sum cancels.

    Args:
        samples: N, more than all dimensions together.
        a: Dimensions of the first variable; ``b`` of the second, ``given`` of what is known.
    """

    def share(dimensions: int) -> float:
        return float(digamma((samples - np.arange(1, dimensions + 1)) / 2.0).sum()) / (2.0 * log(2.0))

    return share(a + given) + share(b + given) - share(a + b + given) - share(given)


def _correlations(covariance: np.ndarray) -> np.ndarray:
    """The covariance with all variances 1, or 0 where there is none."""
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1] > 0
    if not (square and np.isfinite(covariance).all() and _symmetric(covariance)):
        raise _no_covariance(f"shape {covariance.shape}, not symmetric, or not finite")
    variance = np.diagonal(covariance)
    if (variance < 0).any():
        raise _no_covariance(f"a variance of {variance.min():g}")
    scale = np.divide(1.0, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
    scaled = covariance * scale[:, None] * scale
    if np.linalg.eigvalsh(scaled).min() < -1e-9 or (covariance[variance == 0] != 0).any():
        raise _no_covariance("a direction whose variance is below 0")
    return scaled


def _symmetric(square: np.ndarray) -> bool:
    return bool(np.abs(square - square.T).max() <= 1e-12 * np.abs(square).max())


def _canonical(
    correlations: np.ndarray, a: list[int], b: list[int], given: list[int]
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Canonical correlations of a and b once what is given is known, and the dimensions of the three."""
    known = _whitened(correlations[np.ix_(given, given)])
    shared = known @ correlations[np.ix_(given, a + b)]
    left = correlations[np.ix_(a + b, a + b)] - shared.T @ shared
    of_a, of_b = _whitened(left[: len(a), : len(a)]), _whitened(left[len(a) :, len(a) :])
    between = of_a @ left[: len(a), len(a) :] @ of_b.T
    found = np.linalg.svd(between, compute_uv=False) if between.size else np.zeros(0)
    return found, (len(of_a), len(of_b), len(known))


def _whitened(covariance: np.ndarray) -> np.ndarray:
    """Rows that map the variables to uncorrelated ones of variance 1; as many as there are directions that vary."""
    variance, directions = np.linalg.eigh(covariance)
    varies = variance > NO_VARIANCE * max(len(covariance), 1)
    return (directions[:, varies] / np.sqrt(variance[varies])).T


def _information(correlations: np.ndarray) -> float:
    left = (1.0 - correlations) * (1.0 + correlations)
    if (left < SAME).any():
        return inf
    return float(-0.5 * np.log1p(-np.square(correlations)).sum() / log(2.0)) + 0.0  # no -0


def _enough(variables: list[np.ndarray]) -> None:
    needed = sum(variable.shape[1] for variable in variables) + 2
    if len(variables[0]) < needed:
        raise InputRejected(
            "a",
            expected=f"at least {needed} samples, two more than there are columns in all",
            found=f"{len(variables[0])}",
            do="take a larger region, or fewer columns",
        )


def _checked_indices(size: int, a: Sequence[int], b: Sequence[int], given: Sequence[int]) -> None:
    named = [*a, *b, *given]
    if not (len(a) and len(b)) or len(set(named)) < len(named) or not all(0 <= i < size for i in named):
        raise InputRejected(
            "a, b and given",
            expected=f"indices from 0 to {size - 1}, each once, at least one of a and of b",
            found=f"{list(a)}, {list(b)}, {list(given)}",
            do="name the rows of the covariance that belong to each",
        )


def _no_covariance(found: str) -> ImplausibleValues:
    return ImplausibleValues(
        "covariance", expected="a symmetric matrix, no variance below 0", found=found, do="take it from numpy.cov"
    )
