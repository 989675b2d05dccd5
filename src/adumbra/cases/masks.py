"""Masks, from whatever numbers they were stored in."""

import numpy as np

from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.types import Mask

_SLACK = 1e-3  # of the larger value: 0.9999999998 and 1 are the same


def mask_from(values: np.ndarray, *, where: str, name: str) -> tuple[Mask, tuple[Conversion, ...]]:
    """True where an outline was drawn: files hold 0 and 1, 0 and 255, 0 and 0.9999999998, or nothing but 0.

    Args:
        values: (X, Y, Z), finite numbers of any type.
        where: The file's name, for errors.
        name: The mask's.

    Returns:
        The mask (an empty one is valid), and a note where the larger value was not 1.

    Raises:
        AmbiguousInput: Several labels, so that it is open which is meant.
        ImplausibleValues: Values between the two, negative values, or no background.
    """
    low, high = float(values.min()), float(values.max())
    if low == high == 0:
        return np.zeros(values.shape, dtype=bool), ()
    slack = _SLACK * abs(high)
    inside, outside = np.abs(values - high) <= slack, np.abs(values.astype(np.float64)) <= slack
    if high <= 0 or not outside.any() or not (inside | outside).all():
        raise _no_mask(values, where, name)
    if abs(high - 1) <= 1e-12:
        return inside, ()
    what = f"Voxels of value {high:.10g} were read as inside, voxels of value 0 as outside"
    return inside, (Conversion("cases.masks", name, what, {"inside": high}),)


def _no_mask(values: np.ndarray, where: str, name: str) -> AmbiguousInput | ImplausibleValues:
    found = np.unique(values)
    told = ", ".join(f"{value:g}" for value in found[:6]) + (" ..." if len(found) > 6 else "")
    labels = found[0] >= 0 and len(found) <= 256 and (found == np.round(found)).all() and len(found) > 2
    if labels:
        do = f"store the label that is the {name} as a mask of its own"
        return AmbiguousInput(where, expected=f"a {name} mask of two values", found=f"labels {told}", do=do)
    return ImplausibleValues(
        where,
        expected=f"a {name} mask: 0 outside, one other value inside",
        found=f"{len(found)} values: {told}",
        do="give the outlined mask; binarise a probability map first, and leave background around it",
    )
