"""What a caller gives as samples, checked once: numbers that are finite, in rows of one length."""

from math import isfinite
from typing import Any

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected

AS_GIVEN = ("f4", "f8")


def finite_row(values: Any, name: str) -> np.ndarray:
    """The values in C order, (N,), contiguous: float32 and float64 as they are, others as float64.

    Args:
        values: Any shape, at least one number.
        name: Of the caller's argument, for the errors.

    Raises:
        ImplausibleValues: There is no value, or they are not numbers, or one is NaN or infinite.
    """
    return row_and_range(values, name)[0]


def row_and_range(values: Any, name: str) -> tuple[np.ndarray, float, float]:
    """What ``finite_row`` gives, and the least and the greatest of the values."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise _refused(name, "numbers", f"values of type {array.dtype}", "give an array of numbers")
    if array.size == 0:
        raise _refused(name, "at least one value", f"none, shape {array.shape}", "choose a region that is not empty")
    row = np.ascontiguousarray(array).ravel()
    if row.dtype.str[1:] not in AS_GIVEN or not row.dtype.isnative:
        row = row.astype(np.float64)
    low, high = float(row.min()), float(row.max())
    if not (isfinite(low) and isfinite(high)):  # NaN passes through both: no array of flags is made
        raise _refused(
            name,
            "finite numbers",
            f"{np.count_nonzero(~np.isfinite(row))} of {row.size} are NaN or infinite",
            "leave these voxels out, or fill them",
        )
    return row, low, high


def finite_columns(values: Any, name: str) -> np.ndarray:
    """The values as (N, D), float64: N samples of a variable of D numbers. A row (N,) becomes one column.

    Raises:
        InputRejected: Neither (N,) nor (N, D).
        ImplausibleValues: As ``finite_row``.
    """
    array = np.asarray(values)
    if array.ndim not in (1, 2):
        raise InputRejected(
            name,
            expected="samples (N,), or (N, D) for a variable of D numbers",
            found=f"shape {array.shape}",
            do="pick the voxels of a region first",
        )
    return finite_row(array, name).astype(np.float64, copy=False).reshape(array.shape[0], -1)


def as_many(first: np.ndarray, **others: np.ndarray | None) -> None:
    """Nothing, where all arrays have as many samples along their first axis; None is left out.

    Raises:
        InputRejected: One has not; it is named.
    """
    for name, other in others.items():
        if other is not None and other.shape[0] != first.shape[0]:
            raise InputRejected(
                name,
                expected=f"{first.shape[0]} samples, as many as the first variable has",
                found=f"{other.shape[0]}",
                do="give the same voxels of every variable, in the same order",
            )


def same_shape(first: Any, **others: Any) -> None:
    """Nothing, where all have the shape of the first; None is left out.

    Raises:
        InputRejected: One has not; it is named.
    """
    for name, other in others.items():
        if other is not None and np.shape(other) != np.shape(first):
            raise InputRejected(
                name,
                expected=f"the shape of the first variable, {np.shape(first)}",
                found=f"{np.shape(other)}",
                do="give the same voxels of every variable, in the same order",
            )


def one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    """Nothing, where the value is a known one.

    Raises:
        InputRejected: It is not.
    """
    if value not in known:
        raise InputRejected(name, expected=f"one of {', '.join(known)}", found=f"{value!r}", do="choose one of these")


def whole_number(name: str, value: int, *, least: int, most: int) -> int:
    """The value as an int.

    Raises:
        InputRejected: It is not a whole number from ``least`` to ``most``.
    """
    if isinstance(value, bool | np.bool_) or int(value) != value or not least <= value <= most:
        raise InputRejected(
            name, expected=f"a whole number from {least} to {most}", found=f"{value!r}", do="choose another"
        )
    return int(value)


def _refused(name: str, expected: str, found: str, do: str) -> ImplausibleValues:
    return ImplausibleValues(name, expected=expected, found=found, do=do)
