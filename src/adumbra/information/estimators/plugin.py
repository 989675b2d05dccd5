"""Plug-in estimates of information from tables of counts, in bits: relative frequencies stand for probabilities.

The estimate is biased upwards for few samples: see ``bias``.
"""

from typing import Any, Literal, get_args

import numpy as np

from adumbra.core.errors import ImplausibleValues
from adumbra.information.estimators.samples import require_choice
from adumbra.information.shannon import entropy

Norm = Literal["min", "mean", "max", "joint", "sqrt"]
NORMS: tuple[Norm, ...] = get_args(Norm)


def plugin_pointwise_information(counts: Any) -> np.ndarray:
    """The pointwise mutual information log2 p(a, b) / (p(a) p(b)) of each cell, (..., A, B); 0 where a cell is empty.

    Args:
        counts: (..., A, B), at least 0, and not all 0 in any table.

    Raises:
        ImplausibleValues: A count is below 0 or not finite, or a table has no sample.
    """
    return _local(validate_counts(counts, axes=2))


def plugin_mutual_information(counts: Any) -> np.ndarray:
    """The mutual information I(A; B) of each table, shape (...); never below 0.

    Args:
        counts: (..., A, B), at least 0, and not all 0 in any table.

    Raises:
        ImplausibleValues: A count is below 0 or not finite, or a table has no sample.
    """
    validated = validate_counts(counts, axes=2)
    return _mean(_local(validated), validated, (-2, -1))


def plugin_conditional_mutual_information(counts: Any) -> np.ndarray:
    """The conditional mutual information I(A; B | C) of each table, shape (...); never below 0.

    Args:
        counts: (..., C, A, B), at least 0, and not all 0 in any table.

    Raises:
        ImplausibleValues: A count is below 0 or not finite, or a table has no sample.
    """
    validated = validate_counts(counts, axes=3)
    return _mean(_local(validated), validated, (-3, -2, -1))


def plugin_normalised_mutual_information(counts: Any, *, by: Norm) -> np.ndarray:
    """I(A; B) of each table divided by an entropy, shape (...), in [0, 1]; nan where both variables are constant.

    Args:
        counts: (..., A, B), at least 0, and not all 0 in any table.
        by: ``"min"``, ``"mean"``, ``"max"`` or ``"sqrt"``, the geometric mean, of H(A) and H(B); or ``"joint"``,
            H(A, B). Where only one variable is constant, the information and the quotient are 0.

    Raises:
        ImplausibleValues: A count is below 0 or not finite, or a table has no sample.
        InputRejected: ``by`` is not one of these.
    """
    require_choice("by", by, NORMS)
    validated = validate_counts(counts, axes=2)
    share = validated / validated.sum((-2, -1), keepdims=True)
    of_a, of_b, of_both = entropy(share.sum(-1), -1), entropy(share.sum(-2), -1), entropy(share, (-2, -1))
    over = {
        "min": np.minimum(of_a, of_b),
        "mean": (of_a + of_b) / 2.0,
        "max": np.maximum(of_a, of_b),
        "joint": of_both,
        "sqrt": np.sqrt(of_a * of_b),
    }[by]
    shared = _mean(_local(validated), validated, (-2, -1))
    quotient = np.divide(shared, over, out=np.zeros_like(shared), where=over > 0)
    return np.asarray(np.where(of_both > 0, np.minimum(quotient, 1.0), np.nan))


def validate_counts(counts: Any, *, axes: int) -> np.ndarray:
    """The counts as float64.

    Raises:
        ImplausibleValues: There are fewer axes, a count is below 0 or not finite, or a table has no sample.
    """
    array = np.asarray(counts)
    if array.dtype.kind not in "buif" or array.ndim < axes:
        raise _counts_error(f"tables of {axes} axes", f"shape {array.shape} of type {array.dtype}")
    array = array.astype(np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        raise _counts_error("counts from 0 up", "others")
    if array.size == 0 or not array.any(axis=tuple(range(-axes, 0))).all():
        raise _counts_error("at least one sample in each table", "none")
    return array


def _local(counts: np.ndarray) -> np.ndarray:
    """The pointwise information of validated counts; 0 for a table without samples, as that of one c may be."""
    a, b, total = counts.sum(-1, keepdims=True), counts.sum(-2, keepdims=True), counts.sum((-2, -1), keepdims=True)
    ratio = np.divide(counts * total, a * b, out=np.ones_like(counts), where=counts > 0)
    return np.log2(ratio)


def _mean(local: np.ndarray, counts: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean over the samples; a negative mean is rounding and becomes 0."""
    return np.asarray(np.maximum((counts * local).sum(axes) / counts.sum(axes), 0.0))


def _counts_error(expected: str, problem: str) -> ImplausibleValues:
    return ImplausibleValues("counts", expected=expected, found=problem, do="give the number of samples of each cell")
