"""What every measure asks of its volumes: that they have one shape, and that masks are masks."""

import numpy as np

from adumbra.core.errors import GridMismatch, ImplausibleValues


def require_one_shape(what: str, shape: tuple[int, ...], *others: np.ndarray) -> None:
    """Refuses volumes that have another shape than the first one has.

    Raises:
        GridMismatch: One has.
    """
    found = [other.shape for other in others if other.shape != shape]
    if found:
        raise GridMismatch(
            what,
            expected=f"one shape, {shape}",
            found=" and ".join(map(str, found)),
            do="bring all onto one grid first (adumbra.preprocessing.resampling), and take the same region of each",
        )


def require_masks(**masks: np.ndarray) -> None:
    """Refuses masks that are not boolean, by their names.

    Raises:
        ImplausibleValues: One is not.
    """
    for name, mask in masks.items():
        if mask.dtype != bool:
            raise ImplausibleValues(
                name, expected="a boolean mask", found=f"values of type {mask.dtype}", do="threshold it first"
            )
