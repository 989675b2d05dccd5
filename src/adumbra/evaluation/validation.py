"""Checks that every measure makes of its volumes: one shape, and boolean masks."""

import numpy as np

from adumbra.core.errors import GridMismatch, ImplausibleValues


def require_one_shape(what: str, shape: tuple[int, ...], *others: np.ndarray) -> None:
    """Refuses volumes whose shapes differ.

    Args:
        what: Name of the volumes in the error.
        shape: The expected shape.
        others: The volumes.

    Raises:
        GridMismatch: A volume has another shape.
    """
    mismatched = [other.shape for other in others if other.shape != shape]
    if mismatched:
        raise GridMismatch(
            what,
            expected=f"one shape, {shape}",
            found=" and ".join(map(str, mismatched)),
            do="resample all onto one grid first (adumbra.preprocessing.resampling) and use the same region of each",
        )


def require_masks(**masks: np.ndarray) -> None:
    """Refuses masks that are not boolean; the keywords are their names in the error.

    Raises:
        ImplausibleValues: A mask is not boolean.
    """
    for name, mask in masks.items():
        if mask.dtype != bool:
            raise ImplausibleValues(
                name, expected="a boolean mask", found=f"values of type {mask.dtype}", do="threshold it first"
            )
