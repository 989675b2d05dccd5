"""Information of tables of counts: the plug-in estimate, which takes frequencies for probabilities. In bits.

It is the information of the samples at hand. That of what they were drawn from is lower: see ``bias``.
"""

from typing import Any, Literal, get_args

import numpy as np

from adumbra.core.errors import ImplausibleValues
from adumbra.information.entropy import entropy
from adumbra.information.estimators.samples import one_of

Norm = Literal["min", "mean", "max", "joint", "sqrt"]
NORMS: tuple[Norm, ...] = get_args(Norm)


def local_information(counts: Any) -> np.ndarray:
    """log2 p(a, b) / (p(a) p(b)) of each cell, of the shape of the counts; 0 where a cell is empty.

    Args:
        counts: (..., A, B), from 0 up, not all 0 in any table.

    Raises:
        ImplausibleValues: The counts are not so.
    """
    return _local(checked_counts(counts, axes=2))


def table_information(counts: Any) -> np.ndarray:
    """I(A; B) of each table, shape (...); never below 0.

    Args:
        counts: (..., A, B), from 0 up, not all 0 in any table.

    Raises:
        ImplausibleValues: The counts are not so.
    """
    checked = checked_counts(counts, axes=2)
    return _mean(_local(checked), checked, (-2, -1))


def conditional_table_information(counts: Any) -> np.ndarray:
    """I(A; B | C) of each table, shape (...); never below 0.

    Args:
        counts: (..., C, A, B), from 0 up, not all 0 in any table.

    Raises:
        ImplausibleValues: The counts are not so.
    """
    checked = checked_counts(counts, axes=3)
    return _mean(_local(checked), checked, (-3, -2, -1))


def normalised_table_information(counts: Any, *, by: Norm) -> np.ndarray:
    """I(A; B) of each table over an entropy, shape (...), in [0, 1]; nan where both variables have one value only.

    Args:
        counts: (..., A, B), from 0 up, not all 0 in any table.
        by: ``"min"``, ``"mean"``, ``"max"`` or ``"sqrt"``, the geometric mean, of H(A) and H(B); or ``"joint"``,
            H(A, B). Where one variable alone is constant the information is 0, and so is the quotient by any of them.

    Raises:
        ImplausibleValues: The counts are not so.
        InputRejected: ``by`` is none of these.
    """
    one_of("by", by, NORMS)
    checked = checked_counts(counts, axes=2)
    share = checked / checked.sum((-2, -1), keepdims=True)
    of_a, of_b, of_both = entropy(share.sum(-1), -1), entropy(share.sum(-2), -1), entropy(share, (-2, -1))
    over = {
        "min": np.minimum(of_a, of_b),
        "mean": (of_a + of_b) / 2.0,
        "max": np.maximum(of_a, of_b),
        "joint": of_both,
        "sqrt": np.sqrt(of_a * of_b),
    }[by]
    shared = _mean(_local(checked), checked, (-2, -1))
    quotient = np.divide(shared, over, out=np.zeros_like(shared), where=over > 0)
    return np.asarray(np.where(of_both > 0, np.minimum(quotient, 1.0), np.nan))


def checked_counts(counts: Any, *, axes: int) -> np.ndarray:
    """The counts as float64.

    Raises:
        ImplausibleValues: Fewer axes, a count below 0 or not finite, or a table without any.
    """
    array = np.asarray(counts)
    if array.dtype.kind not in "buif" or array.ndim < axes:
        raise _refused(f"tables of {axes} axes", f"shape {array.shape} of type {array.dtype}")
    array = array.astype(np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        raise _refused("counts from 0 up", "others")
    if array.size == 0 or not array.any(axis=tuple(range(-axes, 0))).all():
        raise _refused("at least one sample in each table", "none")
    return array


def _local(counts: np.ndarray) -> np.ndarray:
    """Of counts that are checked; a table that is all 0, as that of one c may be, is 0 throughout."""
    a, b, all_of_it = counts.sum(-1, keepdims=True), counts.sum(-2, keepdims=True), counts.sum((-2, -1), keepdims=True)
    ratio = np.divide(counts * all_of_it, a * b, out=np.ones_like(counts), where=counts > 0)
    return np.log2(ratio)


def _mean(local: np.ndarray, counts: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Over the samples; below 0 it is rounding."""
    return np.asarray(np.maximum((counts * local).sum(axes) / counts.sum(axes), 0.0))


def _refused(expected: str, found: str) -> ImplausibleValues:
    return ImplausibleValues("counts", expected=expected, found=found, do="give how many samples each cell has")
