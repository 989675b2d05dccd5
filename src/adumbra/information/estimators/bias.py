"""What few samples do to information, how to take it off, and when to say so.

With N samples the plug-in information of two independent variables is not 0 but about (A - 1)(B - 1) / (2 N ln 2) bits
for A and B bins: noise makes cells differ, and a difference is information. Two corrections, both on counts:

    Miller–Madow   the first term of the bias in 1 / N, with the cells that are occupied for those that can be
    quadratic      the estimate at N, N / 2 and N / 4 samples, extrapolated to infinitely many by a0 + a1 / N + a2 / N²

Both need cells that hold some samples each. Where there are fewer than ``SAMPLES_PER_CELL`` for each occupied cell of
the joint table, terms beyond the second matter, no correction is to be trusted, and ``FewSamples`` warns. Voxels that
are neighbours resemble each other: they are fewer samples than they are voxels, and the true bias is larger.
"""

import warnings
from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.information.estimators.plugin import checked_counts
from adumbra.information.estimators.samples import whole_number

SAMPLES_PER_CELL = 5
MOST_SAMPLES = 999_999_999  # that NumPy draws from without replacement


class FewSamples(UserWarning):
    """Cells are so many, and samples so few, that the information is mostly noise."""


@cites("Paninski2003", "Panzeri2007")
def information_bias(counts: Any) -> np.ndarray:
    """How many bits too high I(A; B) of each table is, to the first order in 1 / N, shape (...).

    Args:
        counts: (..., A, B), numbers of samples.

    Raises:
        ImplausibleValues: They are no counts, or a table has no sample.
    """
    table = checked_counts(counts, axes=2)
    cells = _occupied(table, 2) - _occupied(table.sum(-1), 1) - _occupied(table.sum(-2), 1) + 1
    return np.asarray(cells / (2.0 * log(2.0) * table.sum((-2, -1))))


@cites("Paninski2003", "Panzeri2007")
def conditional_information_bias(counts: Any) -> np.ndarray:
    """How many bits too high I(A; B | C) of each table is, to the first order in 1 / N, shape (...).

    Args:
        counts: (..., C, A, B), numbers of samples.

    Raises:
        ImplausibleValues: They are no counts, or a table has no sample.
    """
    table = checked_counts(counts, axes=3)
    cells = _occupied(table, 3) - _occupied(table.sum(-1), 2) - _occupied(table.sum(-2), 2)
    cells = cells + _occupied(table.sum((-2, -1)), 1)
    return np.asarray(cells / (2.0 * log(2.0) * table.sum((-3, -2, -1))))


@cites("Strong1998")
def extrapolated(
    counts: Any,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    generator: np.random.Generator,
    repeats: int = 20,
) -> np.ndarray:
    """What a statistic of a table would be for infinitely many samples, of the statistic's shape; may be below 0.

    The samples are dealt at random into halves, and those into quarters. With the means of the statistic over the parts
    the parabola in 1 / N is determined.

    Args:
        counts: One table of any shape, whole numbers, 4 samples at least.
        statistic: Of a table of that shape: a number or an array, such as ``table_information`` or the atoms of a
            decomposition.
        generator: Deals the samples.
        repeats: How many times; the noise of the dealing falls with their root.

    Raises:
        ImplausibleValues: They are no counts.
        InputRejected: They are not whole, are fewer than 4 or more than 999,999,999, or there is no repeat.
    """
    table = _whole_counts(counts)
    total, repeats = int(table.sum()), whole_number("repeats", repeats, least=1, most=1_000_000)
    halves, quarters = [], []
    for _ in range(repeats):
        pair = _dealt(table, generator)
        halves += [statistic(half) for half in pair]
        quarters += [statistic(quarter) for half in pair for quarter in _dealt(half, generator)]
    means = np.stack([np.asarray(statistic(table)), np.mean(halves, axis=0), np.mean(quarters, axis=0)])
    return np.asarray(np.tensordot(_weights(total), means, axes=1))


def warn_of_few(counts: np.ndarray, bias: float, *, stacklevel: int) -> None:
    """Warns with ``FewSamples`` if there are fewer than ``SAMPLES_PER_CELL`` samples for each occupied cell.

    Args:
        counts: A joint table of any shape.
        bias: In bits, to be told.
        stacklevel: As ``warnings.warn`` has it, seen from the caller.
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
    table = checked_counts(counts, axes=1)
    if not ((table == np.floor(table)).all() and 4 <= table.sum() <= MOST_SAMPLES):
        raise InputRejected(
            "counts",
            expected=f"whole numbers, 4 to {MOST_SAMPLES} samples in all",
            found=f"{table.sum():g} samples, or parts of one",
            do="give the counts themselves, not their shares",
        )
    return table.astype(np.int64)


def _dealt(table: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The samples of a table in two halves, the first smaller by one if their number is odd."""
    flat = table.ravel()
    first = generator.multivariate_hypergeometric(flat, int(flat.sum()) // 2, method="marginals")
    return first.reshape(table.shape), (flat - first).reshape(table.shape)


def _weights(total: int) -> np.ndarray:
    """Of the estimates of whole, halves and quarters in the value at 1 / N = 0; 8 / 3, -2 and 1 / 3 if all is even."""
    half = total // 2
    sizes = [[total], [half, total - half]]
    sizes.append([part for n in sizes[1] for part in (n // 2, n - n // 2)])
    inverse = [total / np.array(size) for size in sizes]
    powers = np.array([[1.0, shares.mean(), np.square(shares).mean()] for shares in inverse])
    return np.linalg.solve(powers.T, np.array([1.0, 0.0, 0.0]))
