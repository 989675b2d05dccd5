"""Loops that NumPy has no function for: numba compiles them at their first call and keeps the result on disk.

numba considers a result on disk fresh while the file of its function is unchanged, although functions of other files
are compiled into it. Here a result is fresh while none of the files of ``adumbra.information`` that take part in
compilation has changed, so compiled functions may call each other across files.
"""

import hashlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function, compiled at its first call for the types of its arguments.

    Wrappers of the function, such as the type checks of the tests, are removed, for numba reads the function itself:
    the caller has to check the arguments. Other threads run during the call. x / 0 is infinite or NaN.
    """
    return _compiled(function, fastmath=False)


def compiled_loosely(function: F) -> F:
    """The same as ``compiled``, but sums may be reordered and products fused into them; infinities stay infinite."""
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


def inlined(function: F) -> F:
    """A part of a compiled function that stands on its own to be read, and costs no call: numba copies it in."""
    return cast(F, njit(inline="always", nogil=True, error_model="numpy")(inspect.unwrap(function)))


def _compiled(function: F, *, fastmath: bool | set[str]) -> F:
    plain = inspect.unwrap(function)
    loop: Any = njit(nogil=True, error_model="numpy", fastmath=fastmath)(plain)
    with suppress(RuntimeError):  # no folder can be written to: then nothing is stored
        loop._cache = _PackageCache(plain)
    return cast(F, loop)


class _PackageCache(FunctionCache):  # type: ignore[misc]
    """Compiled code on disk, fresh while ``_source_digest`` is the same."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = _source_digest()


@cache
def _source_digest() -> str:
    """SHA-256 of the files of ``adumbra.information`` that take part in compilation: those that name numba or jit."""
    sources = (path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
    return hashlib.sha256(b"".join(text for text in sources if b"numba" in text or b"jit" in text)).hexdigest()
