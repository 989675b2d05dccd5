"""Partial information decomposition of two sources by a named method."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.information.pid import broja, williams_beer
from adumbra.information.pid.atoms import Atoms

Method = Literal["broja", "williams-beer", "imin"]

_METHODS: Mapping[str, Callable[[np.ndarray], Atoms]] = MappingProxyType(
    {"broja": broja.atoms, "williams-beer": williams_beer.atoms, "imin": williams_beer.atoms}
)


def pid(p: np.ndarray, method: Method = "broja") -> Atoms:
    """Redundancy, unique information and synergy of two sources about a target, in bits.

    Args:
        p: (..., T, X, Y), the probability of each symbol of the target with each symbol of the sources; any batch.
        method: ``"broja"``, of Bertschinger et al. (2014); or ``"williams-beer"``, also called ``"imin"``, of Williams
            and Beer (2010).

    Returns:
        Atoms of the batch's shape.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: The method is unknown, there are fewer than three axes, or one of the last three is empty.
    """
    if method not in _METHODS:
        known = ", ".join(get_args(Method))
        raise InputRejected("method", expected=f"one of {known}", found=f"{method!r}", do="choose one of these")
    return _METHODS[method](p)
