"""Validation of tables of probabilities."""

from typing import Any

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected

TOLERANCE = 1e-9
"""Largest difference of a distribution's sum from 1."""

AXES = ("T", "X", "Y", "Z")


def validate_distribution(p: Any, *, sources: int = 2) -> np.ndarray:
    """The distributions as float64, in C order, each divided by its sum; always a new array.

    Args:
        p: (..., T, X, Y) for two sources, (..., T, X, Y, Z) for three: the probability of each symbol of the target
            with each symbol of the sources. Leading axes are a batch, which may be empty.
        sources: Number of sources.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a sum is not 1 within 1e-9.
        InputRejected: There are too few axes, one of the last is empty, or the type is not a real number.
    """
    axes, array = 1 + sources, np.asarray(p)
    names = f"(..., {', '.join(AXES[:axes])})"
    if array.dtype.kind not in "buif":
        raise InputRejected("p", expected="real numbers", found=f"{array.dtype}", do="give probabilities as float64")
    if array.ndim < axes or 0 in array.shape[-axes:]:
        raise InputRejected(
            "p",
            expected=f"the shape {names}, none of them empty",
            found=f"{array.shape}",
            do=f"put the target before the sources: {names}",
        )
    values = array.astype(np.float64, order="C")
    totals = values.sum(axis=tuple(range(-axes, 0)), keepdims=True)
    if not (values.min(initial=0.0) >= 0.0 and (np.abs(totals - 1.0) <= TOLERANCE).all()):
        raise _refused(values, totals, axes)
    values /= totals
    return values


def _refused(values: np.ndarray, totals: np.ndarray, axes: int) -> ImplausibleValues:
    for wrong, expected in ((~np.isfinite(values), "finite probabilities"), (values < 0, "probabilities from 0 up")):
        if wrong.any():
            first = tuple(np.argwhere(wrong)[0].tolist())
            return ImplausibleValues(
                "p",
                expected=expected,
                found=f"{values[first]} at {first}; {np.count_nonzero(wrong)} of them",
                do="look at how the table was made",
            )
    batch = totals.reshape(totals.shape[:-axes])
    first = tuple(np.argwhere(np.abs(batch - 1.0) > TOLERANCE)[0].tolist())
    within = f" in the distribution {first}" if first else ""
    return ImplausibleValues(
        "p",
        expected=f"distributions, each with the sum 1 within {TOLERANCE:g}",
        found=f"the sum {float(batch[first]):.12g}{within}",
        do=f"divide counts by their sum: p / p.sum(axis={tuple(range(-axes, 0))}, keepdims=True), in float64",
    )
