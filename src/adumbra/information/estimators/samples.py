"""Validation of samples: finite numbers, in rows of one length."""

from math import isfinite
from typing import Any

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected

AS_GIVEN = ("f4", "f8")
"""Types that are used without conversion."""


def finite_row(values: Any, name: str) -> np.ndarray:
    """The values in C order, (N,), contiguous: float32 and float64 as they are, others as float64.

    Args:
        values: Any shape, at least one number.
        name: The name of the values in errors.

    Raises:
        ImplausibleValues: There is no value, one is NaN or infinite, or these are not numbers.
    """
    return row_and_range(values, name)[0]


def row_and_range(values: Any, name: str) -> tuple[np.ndarray, float, float]:
    """The result of ``finite_row``, and the least and the greatest of the values."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise _values_error(name, "numbers", f"values of type {array.dtype}", "give an array of numbers")
    if array.size == 0:
        raise _values_error(
            name, "at least one value", f"none, shape {array.shape}", "choose a region that is not empty"
        )
    row = np.ascontiguousarray(array).ravel()
    if row.dtype.str[1:] not in AS_GIVEN or not row.dtype.isnative:
        row = row.astype(np.float64)
    low, high = float(row.min()), float(row.max())
    if not (isfinite(low) and isfinite(high)):  # NaN passes through both: no array of flags is made
        raise _values_error(
            name,
            "finite numbers",
            f"{np.count_nonzero(~np.isfinite(row))} of {row.size} are NaN or infinite",
            "exclude these voxels, or fill them",
        )
    return row, low, high


def finite_columns(values: Any, name: str) -> np.ndarray:
    """The values as (N, D), float64: N samples of a variable of D components. A row (N,) becomes one column.

    Raises:
        InputRejected: The shape is neither (N,) nor (N, D).
        ImplausibleValues: There is no value, one is NaN or infinite, or these are not numbers.
    """
    array = np.asarray(values)
    if array.ndim not in (1, 2):
        raise InputRejected(
            name,
            expected="samples (N,), or (N, D) for a variable of D components",
            found=f"shape {array.shape}",
            do="pick the voxels of a region first",
        )
    return finite_row(array, name).astype(np.float64, copy=False).reshape(array.shape[0], -1)


def require_same_length(first: np.ndarray, **others: np.ndarray | None) -> None:
    """Checks that all arrays have the same number of samples along their first axis; None is skipped.

    Raises:
        InputRejected: An array has another number; the error states its name.
    """
    for name, other in others.items():
        if other is not None and other.shape[0] != first.shape[0]:
            raise InputRejected(
                name,
                expected=f"{first.shape[0]} samples, as many as the first variable has",
                found=f"{other.shape[0]}",
                do="give the same voxels of every variable, in the same order",
            )


def require_same_shape(first: Any, **others: Any) -> None:
    """Checks that all arrays have the shape of the first; None is skipped.

    Raises:
        InputRejected: An array has another shape; the error states its name.
    """
    for name, other in others.items():
        if other is not None and np.shape(other) != np.shape(first):
            raise InputRejected(
                name,
                expected=f"the shape of the first variable, {np.shape(first)}",
                found=f"{np.shape(other)}",
                do="give the same voxels of every variable, in the same order",
            )


def require_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Checks that the value is one of the known ones.

    Raises:
        InputRejected: It is not.
    """
    if value not in known:
        raise InputRejected(name, expected=f"one of {', '.join(known)}", found=f"{value!r}", do="choose one of these")


def require_whole_number(name: str, value: int, *, least: int, most: int) -> int:
    """The value as an int.

    Raises:
        InputRejected: It is not a whole number from ``least`` to ``most``.
    """
    if isinstance(value, bool | np.bool_) or int(value) != value or not least <= value <= most:
        raise InputRejected(
            name, expected=f"a whole number from {least} to {most}", found=f"{value!r}", do="choose another"
        )
    return int(value)


def _values_error(name: str, expected: str, problem: str, do: str) -> ImplausibleValues:
    return ImplausibleValues(name, expected=expected, found=problem, do=do)
