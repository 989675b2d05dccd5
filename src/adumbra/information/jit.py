"""Loops that NumPy has no word for: compiled by numba at their first call, kept on disk for the next run.

What is kept does not notice that a function of another module, which it has compiled into itself, was changed since:
functions that call each other stay in one module. Only what is in ``lanes`` is called from others.
"""

import inspect
from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function, compiled at its first call; until then nothing is.

    What wraps it, such as the checks of annotations in tests, is taken off: numba reads the function itself. Its
    arguments are therefore what the caller has checked. Other threads run while it does; x / 0 is infinite or NaN.
    """
    return _compiled(function, fastmath=False)


def compiled_loosely(function: F) -> F:
    """The same, but sums may be taken in another order and a product be added unrounded; infinities stay infinite."""
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


def _compiled(function: F, *, fastmath: bool | set[str]) -> F:
    plain = inspect.unwrap(function)
    try:
        loop = njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath)(plain)
    except RuntimeError:  # there is no folder to keep it in
        loop = njit(nogil=True, error_model="numpy", fastmath=fastmath)(plain)
    return cast(F, loop)
