"""Joint histograms of two variables, or of a target and two sources, in one pass over the voxels.

For bins of equal width the bin indices are computed on the way, without an array of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.binning import MOST_BINS, Bins
from adumbra.information.estimators.counting import MOST_SAMPLES, even_counts, label_counts, triple_counts
from adumbra.information.estimators.samples import finite_row, require_same_shape

MOST_CELLS = 1 << 27  # half a gigabyte of counts


def joint_counts(a: Any, b: Any, *, bins: tuple[Bins, Bins], names: tuple[str, str] = ("a", "b")) -> np.ndarray:
    """The joint histogram of two variables: int64, (bins of a, bins of b).

    Args:
        a: Any shape, finite. float32 and float64 are read as they are.
        b: The second variable, of the same shape.
        bins: The bins of a and of b.
        names: The names of the two in errors.

    Raises:
        ImplausibleValues: A value is NaN or infinite, or there is none.
        InputRejected: The shapes differ, or the table would have more than 2 ** 27 cells.
    """
    require_same_shape(a, **{names[1]: b})
    return row_counts(finite_row(a, names[0]), finite_row(b, names[1]), bins=bins)


def row_counts(first: np.ndarray, second: np.ndarray, *, bins: tuple[Bins, Bins]) -> np.ndarray:
    """The joint histogram of rows (N,) that are known to be finite and of one length."""
    rows, columns = (b.count for b in bins)
    if not (bins[0].scale and bins[1].scale):
        return binned_counts(bins[0].indices(first), bins[1].indices(second), shape=(rows, columns))
    if first.dtype != second.dtype:
        first, second = first.astype(np.float64), second.astype(np.float64)
    of_a, of_b = ((float(b.edges[0]), b.scale, b.count - 1.0) for b in bins)
    return _summed((rows, columns), (first, second), lambda x, y: even_counts(x, y, of_a, of_b, rows, columns))


def binned_counts(a: Any, b: Any, *, shape: tuple[int, int], names: tuple[str, str] = ("a", "b")) -> np.ndarray:
    """The joint histogram of bin indices: int64, of the given shape. uint8 is read fastest.

    Raises:
        ImplausibleValues: An index is not a whole number, is below 0, or exceeds the shape; or there is none.
        InputRejected: The shapes differ, or the table would have more than 2 ** 27 cells.
    """
    rows, columns = shape
    labels = _labels((a, b), shape, names)
    return _summed(shape, labels, lambda x, y: label_counts(x, y, rows, columns))


def target_counts(
    target: Any,
    x: Any,
    y: Any,
    *,
    shape: tuple[int, int, int],
    names: tuple[str, str, str] = ("target", "x", "y"),
) -> np.ndarray:
    """The joint histogram of a target and the bin indices of two sources: int64, (T, X, Y).

    Args:
        target: Labels as whole numbers, or a mask; any shape.
        x: Bin indices of the first source, as ``Bins.indices`` returns them.
        y: Bin indices of the second source.
        shape: Numbers of labels, and of bins of either source.
        names: The names of the three in errors.

    Raises:
        ImplausibleValues: An index is not a whole number, is below 0, or exceeds the shape; or there is none.
        InputRejected: The shapes differ, or the table would have more than 2 ** 27 cells.
    """
    labels = _labels((target, x, y), shape, names)
    slabs, rows, columns = shape
    return _summed(shape, labels, lambda *some: triple_counts(some[0], some[1], some[2], slabs, rows, columns))


def _labels(rows: tuple[Any, ...], shape: tuple[int, ...], names: tuple[str, ...]) -> list[np.ndarray]:
    """All indices as rows of uint8, or of uint16 if one of the variables has more than 256 bins."""
    if len(shape) != len(rows) or not all(1 <= n <= MOST_BINS for n in shape):
        raise InputRejected(
            "shape",
            expected=f"{len(rows)} numbers of bins, from 1 to {MOST_BINS}",
            found=f"{shape}",
            do="give the counts of the bins that were used",
        )
    require_same_shape(rows[0], **dict(zip(names[1:], rows[1:], strict=True)))
    labels = [_whole(row, n, name) for row, n, name in zip(rows, shape, names, strict=True)]
    kind = np.uint8 if max(shape) <= 256 else np.uint16
    return [label.astype(kind, copy=False) for label in labels]


def _whole(values: Any, bins: int, name: str) -> np.ndarray:
    row = np.ascontiguousarray(values).ravel()
    if row.dtype.kind not in "bui" or row.size == 0 or row.min() < 0 or row.max() >= bins:
        span = f"{row.min()} to {row.max()}" if row.dtype.kind in "bui" and row.size else f"{row.size} values"
        raise ImplausibleValues(
            name,
            expected=f"whole numbers from 0 to {bins - 1}, at least one",
            found=f"{span} of type {row.dtype}",
            do="bin the values first, and give as many bins as were used",
        )
    return row


def _summed(shape: tuple[int, ...], rows: Any, count: Callable[..., np.ndarray]) -> np.ndarray:
    """The tables of all samples, summed over blocks that 32 bits can count."""
    cells = int(np.prod(shape, dtype=np.int64))
    if cells > MOST_CELLS:
        raise InputRejected("bins", expected=f"at most {MOST_CELLS} cells", found=f"{shape}", do="use fewer bins")
    total = np.zeros(cells, dtype=np.int64)
    for start in range(0, rows[0].size, MOST_SAMPLES):
        tables = count(*(row[start : start + MOST_SAMPLES] for row in rows))
        total += tables[:, :cells].sum(axis=0, dtype=np.int64)
    return total.reshape(shape)
