"""Masks, from whatever numbers they were stored in."""

import numpy as np

from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.types import Mask

_TOLERANCE = 1e-3
"""Share of the larger value by which a voxel may differ from it: 0.9999999998 and 1 are the same."""


def mask_from_values(values: np.ndarray, *, where: str, name: str) -> tuple[Mask, tuple[Conversion, ...]]:
    """True inside the mask. Files hold 0 and 1, 0 and 255, 0 and 0.9999999998, or 0 alone.

    Args:
        values: (X, Y, Z), finite numbers of any type.
        where: Name of the file, for errors.
        name: Name of the mask.

    Returns:
        The mask (an empty one is valid), and a note where the larger value was not 1.

    Raises:
        AmbiguousInput: Several labels, so that it is not clear which one is meant.
        ImplausibleValues: Values between the two, negative values, or no background.
    """
    low, high = float(values.min()), float(values.max())
    if low == high == 0:
        return np.zeros(values.shape, dtype=bool), ()
    tolerance = _TOLERANCE * abs(high)
    inside, outside = np.abs(values - high) <= tolerance, np.abs(values.astype(np.float64)) <= tolerance
    if high <= 0 or not outside.any() or not (inside | outside).all():
        raise _not_a_mask(values, where, name)
    if abs(high - 1) <= 1e-12:
        return inside, ()
    what = f"Voxels of value {high:.10g} were read as inside, voxels of value 0 as outside"
    return inside, (Conversion("cases.masks", name, what, {"inside": high}),)


def _not_a_mask(values: np.ndarray, where: str, name: str) -> AmbiguousInput | ImplausibleValues:
    distinct = np.unique(values)
    listed = ", ".join(f"{value:g}" for value in distinct[:6]) + (" ..." if len(distinct) > 6 else "")
    if distinct[0] >= 0 and 2 < len(distinct) <= 256 and (distinct == np.round(distinct)).all():
        do = f"store the label of the {name} as a mask of its own"
        return AmbiguousInput(where, expected=f"a {name} mask of two values", found=f"labels {listed}", do=do)
    return ImplausibleValues(
        where,
        expected=f"a {name} mask: 0 outside, one other value inside",
        found=f"{len(distinct)} values: {listed}",
        do="give a binary mask; threshold a probability map first, and leave background around the mask",
    )
