"""SIMD arithmetic for loops that numba compiles: several problems at once, one in each lane of a vector register.

A loop that uses these functions serves one problem or ``LANES`` problems. Its arrays have no lane axis, or a last axis
of ``LANES``; ``load`` then returns a number or a vector. Both are rounded alike and sums keep their order, so a problem
has the same result alone and in a batch, as long as the loop is ``compiled`` and not ``compiled_loosely``.
"""

from adumbra.information.simd.arithmetic import absolute, fmuladd, maximum, minimum, sqrt, where_positive
from adumbra.information.simd.elementary import exp, log
from adumbra.information.simd.memory import load, load4, load_lane, store, store4, store_lane
from adumbra.information.simd.vectors import LANES

__all__ = [
    "LANES",
    "absolute",
    "exp",
    "fmuladd",
    "load",
    "load4",
    "load_lane",
    "log",
    "maximum",
    "minimum",
    "sqrt",
    "store",
    "store4",
    "store_lane",
    "where_positive",
]
