"""The exponential and the natural logarithm of numbers and vectors, within two units in the last place."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

from adumbra.information.simd.arithmetic import fmuladd, maximum, minimum, where_positive
from adumbra.information.simd.vectors import INTEGER, elementwise, intrinsic, jitable

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # the first has 32 bits
_LOG2E = 1.44269504088896340736
_ROUNDER = 6755399441055744.0  # 1.5 2^52: a sum with it is an integer, in its low bits
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


def _integers(kind: ir.Type) -> ir.Type:
    """The type of 64-bit integers, or of their vector where ``kind`` is a vector of doubles."""
    return ir.VectorType(INTEGER, kind.count) if isinstance(kind, ir.VectorType) else INTEGER


def _constant(kind: ir.Type, value: int) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def _emit_power(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    integers = _integers(a.type)
    bits = builder.add(builder.bitcast(a, integers), _constant(integers, 1023))
    return builder.bitcast(builder.shl(bits, _constant(integers, 52)), a.type)


def _emit_exponent(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    integers = _integers(a.type)
    bits = builder.sub(builder.bitcast(a, integers), _constant(integers, _SQRT_HALF_BITS))
    return builder.sitofp(builder.ashr(bits, _constant(integers, 52)), a.type)


def _emit_mantissa(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    integers = _integers(a.type)
    bits = builder.sub(builder.bitcast(a, integers), _constant(integers, _SQRT_HALF_BITS))
    bits = builder.and_(bits, _constant(integers, (1 << 52) - 1))
    return builder.bitcast(builder.add(bits, _constant(integers, _SQRT_HALF_BITS)), a.type)


@intrinsic
def _power_of_two(_: Any, a: Any) -> Any:
    """2^k, given k + ``_ROUNDER``."""
    return elementwise(_emit_power, a)


@intrinsic
def _exponent(_: Any, a: Any) -> Any:
    """The k of a = 2^k f, where f is from √½ to √2."""
    return elementwise(_emit_exponent, a)


@intrinsic
def _mantissa(_: Any, a: Any) -> Any:
    """The f of a = 2^k f, where f is from √½ to √2."""
    return elementwise(_emit_mantissa, a)


@jitable
def exp(a: Any) -> Any:
    """The exponential; 0 for arguments up to -700, and constant for arguments from 700 on."""
    clipped = minimum(maximum(a, -700.0), 700.0)
    shifted = fmuladd(clipped, _LOG2E, _ROUNDER)
    k = shifted - _ROUNDER
    r = fmuladd(k, -_LN2_LOW, fmuladd(k, -_LN2_HIGH, clipped))
    p = fmuladd(r, 1 / 6227020800, 1 / 479001600)  # the Taylor series, up to r^13 / 13!
    p = fmuladd(p, r, 1 / 39916800)
    p = fmuladd(p, r, 1 / 3628800)
    p = fmuladd(p, r, 1 / 362880)
    p = fmuladd(p, r, 1 / 40320)
    p = fmuladd(p, r, 1 / 5040)
    p = fmuladd(p, r, 1 / 720)
    p = fmuladd(p, r, 1 / 120)
    p = fmuladd(p, r, 1 / 24)
    p = fmuladd(p, r, 1 / 6)
    p = fmuladd(p, r, 0.5)
    p = fmuladd(p * r, r, r) + 1.0
    return where_positive(a + 700.0, p * _power_of_two(shifted), 0.0)


@jitable
def log(a: Any) -> Any:
    """The natural logarithm, for arguments from 1e-300 to 1e300."""
    k, f = _exponent(a), _mantissa(a) - 1.0
    s = f / (f + 2.0)  # ln(1 + f) = 2 artanh(s)
    z = s * s
    p = fmuladd(z, 2 / 21, 2 / 19)
    p = fmuladd(p, z, 2 / 17)
    p = fmuladd(p, z, 2 / 15)
    p = fmuladd(p, z, 2 / 13)
    p = fmuladd(p, z, 2 / 11)
    p = fmuladd(p, z, 2 / 9)
    p = fmuladd(p, z, 2 / 7)
    p = fmuladd(p, z, 2 / 5)
    p = fmuladd(p, z, 2 / 3) * z
    half = f * f * 0.5
    rest = fmuladd(s, half + p, k * _LN2_LOW)
    return fmuladd(k, _LN2_HIGH, f - (half - rest))
