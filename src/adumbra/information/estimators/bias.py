"""The bias of plug-in information for few samples: two corrections, and a warning where they fail.

With N samples and A by B bins, the plug-in mutual information of two independent variables is not 0 but about
(A - 1)(B - 1) / (2 N ln 2) bits, since sampling noise makes the cells differ. Two corrections work on counts:

    Miller–Madow   the first term of the bias in 1 / N, for the number of occupied cells instead of possible ones
    quadratic      the estimates at N, N / 2 and N / 4 samples, extrapolated to infinitely many by a0 + a1 / N + a2 / N²

Both need several samples in each cell. Below ``SAMPLES_PER_CELL`` for each occupied cell of the joint table, terms
beyond the second matter and no correction is reliable: ``FewSamples`` then warns. Neighbouring voxels are correlated,
so the effective number of samples is smaller than the number of voxels, and the true bias is larger.
"""

import warnings
from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.information.estimators.plugin import validate_counts
from adumbra.information.estimators.samples import require_whole_number

SAMPLES_PER_CELL = 5
MOST_SAMPLES = 999_999_999  # the most from which NumPy draws without replacement


class FewSamples(UserWarning):
    """There are so few samples for the cells that the information is mostly noise."""


@cites("Paninski2003", "Panzeri2007")
def mutual_information_bias(counts: Any) -> np.ndarray:
    """The bias of the plug-in I(A; B) of each table in bits, to first order in 1 / N, shape (...).

    Args:
        counts: (..., A, B), numbers of samples.

    Raises:
        ImplausibleValues: These are not counts, or a table has no sample.
    """
    table = validate_counts(counts, axes=2)
    cells = _occupied(table, 2) - _occupied(table.sum(-1), 1) - _occupied(table.sum(-2), 1) + 1
    return np.asarray(cells / (2.0 * log(2.0) * table.sum((-2, -1))))


@cites("Paninski2003", "Panzeri2007")
def conditional_mutual_information_bias(counts: Any) -> np.ndarray:
    """The bias of the plug-in I(A; B | C) of each table in bits, to first order in 1 / N, shape (...).

    Args:
        counts: (..., C, A, B), numbers of samples.

    Raises:
        ImplausibleValues: These are not counts, or a table has no sample.
    """
    table = validate_counts(counts, axes=3)
    cells = _occupied(table, 3) - _occupied(table.sum(-1), 2) - _occupied(table.sum(-2), 2)
    cells = cells + _occupied(table.sum((-2, -1)), 1)
    return np.asarray(cells / (2.0 * log(2.0) * table.sum((-3, -2, -1))))


@cites("Strong1998")
def quadratic_extrapolation(
    counts: Any,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    generator: np.random.Generator,
    repeats: int = 20,
) -> np.ndarray:
    """A statistic of a table, extrapolated to infinitely many samples; it may be below 0.

    The samples are split at random into halves, and these into quarters. The means of the statistic over the whole, the
    halves and the quarters determine a parabola in 1 / N (Strong et al. 1998).

    Args:
        counts: One table of any shape, whole numbers, at least 4 samples.
        statistic: Maps a table of that shape to a number or an array, such as ``plugin_mutual_information``.
        generator: Splits the samples.
        repeats: Number of random splits; the noise of the result falls with their square root.

    Returns:
        An array of the statistic's shape.

    Raises:
        ImplausibleValues: These are not counts.
        InputRejected: Counts are not whole, samples are fewer than 4 or more than 999,999,999, or there is no repeat.
    """
    table = _whole_counts(counts)
    total, repeats = int(table.sum()), require_whole_number("repeats", repeats, least=1, most=1_000_000)
    halves, quarters = [], []
    for _ in range(repeats):
        pair = _split(table, generator)
        halves += [statistic(half) for half in pair]
        quarters += [statistic(quarter) for half in pair for quarter in _split(half, generator)]
    means = np.stack([np.asarray(statistic(table)), np.mean(halves, axis=0), np.mean(quarters, axis=0)])
    return np.asarray(np.tensordot(_weights(total), means, axes=1))


def warn_of_few_samples(counts: np.ndarray, bias: float, *, stacklevel: int) -> None:
    """Warns with ``FewSamples`` if there are fewer than ``SAMPLES_PER_CELL`` samples for each occupied cell.

    Args:
        counts: A joint table of any shape.
        bias: The estimated bias in bits, which the warning states.
        stacklevel: The argument of ``warnings.warn``, counted from the caller.
    """
    total, cells = int(counts.sum()), np.count_nonzero(counts)
    if total < SAMPLES_PER_CELL * cells:
        warnings.warn(
            f"{total} samples in {cells} occupied cells, fewer than {SAMPLES_PER_CELL} for each: about {bias:.2g} bits"
            " of the information are noise, and no correction can be trusted. Use fewer bins, or more voxels.",
            FewSamples,
            stacklevel=stacklevel + 1,
        )


def _occupied(counts: np.ndarray, axes: int) -> np.ndarray:
    return np.asarray(np.count_nonzero(counts, axis=tuple(range(-axes, 0))))


def _whole_counts(counts: Any) -> np.ndarray:
    table = validate_counts(counts, axes=1)
    if not ((table == np.floor(table)).all() and 4 <= table.sum() <= MOST_SAMPLES):
        raise InputRejected(
            "counts",
            expected=f"whole numbers, 4 to {MOST_SAMPLES} samples in all",
            found=f"{table.sum():g} samples, or parts of one",
            do="give the counts themselves, not their shares",
        )
    return table.astype(np.int64)


def _split(table: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The samples of a table in two random halves, the first smaller by one if their number is odd."""
    flat = table.ravel()
    first = generator.multivariate_hypergeometric(flat, int(flat.sum()) // 2, method="marginals")
    return first.reshape(table.shape), (flat - first).reshape(table.shape)


def _weights(total: int) -> np.ndarray:
    """Weights of the means of whole, halves and quarters at 1 / N = 0; 8/3, -2 and 1/3 if sizes are even."""
    half = total // 2
    sizes = [[total], [half, total - half]]
    sizes.append([part for n in sizes[1] for part in (n // 2, n - n // 2)])
    inverse = [total / np.array(size) for size in sizes]
    powers = np.array([[1.0, shares.mean(), np.square(shares).mean()] for shares in inverse])
    return np.linalg.solve(powers.T, np.array([1.0, 0.0, 0.0]))
