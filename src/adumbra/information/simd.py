"""Numbers of several problems at once, each in a lane of the processor's vectors, for loops that numba compiles.

A loop written with what is here serves one problem or ``LANES``: its arrays have no axis for the lane, or a last one of
``LANES``, and ``at`` then gives a number or a vector. Both are rounded alike, so that a problem has the same result
with others as alone, if it is ``compiled`` and not ``compiled_loosely``: sums keep their order.

What is kept of compiled loops (see ``compiled``) does not notice a change in here: remove ``__pycache__`` after one.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types
from numba.extending import models, overload, register_model

LANES = 8

_DOUBLE, _INTEGER = ir.DoubleType(), ir.IntType(64)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # the first has 32 bits
_LOG2E = 1.44269504088896340736
_ROUNDER = 6755399441055744.0  # 1.5 2^52: a sum with it is an integer, in its low bits
_ROOT_HALF = 0x3FE6A09E667F3BCD


class _Lanes(types.Type):  # type: ignore[misc]
    """A vector of doubles."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"lanes({width})")


_LANES, _FOUR = _Lanes(LANES), _Lanes(4)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(_DOUBLE, kind.width))


def intrinsic(define: Callable[..., Any]) -> Callable[..., Any]:
    """What compiled loops call, of what says its type and writes its instructions."""
    return cast(Callable[..., Any], extending.intrinsic(define))


def combined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for compiled loops to call with numbers or vectors; what wraps it is taken off."""
    return cast(Callable[..., Any], extending.register_jitable(inspect.unwrap(function)))


def _of(kind: ir.Type, scalar: ir.Type) -> ir.Type:
    """The scalar, or a vector of it where the kind is one."""
    return ir.VectorType(scalar, kind.count) if isinstance(kind, ir.VectorType) else scalar


def _constant(kind: ir.Type, value: float) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def _spread(builder: ir.IRBuilder, number: ir.Value, width: int) -> ir.Value:
    """The number in each lane."""
    integer, vector = ir.IntType(32), ir.VectorType(_DOUBLE, width)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(integer, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(integer, width), [0] * width))


def _elementwise(emit: Callable[..., ir.Value], *kinds: types.Type) -> tuple[Any, Any]:
    """What an intrinsic returns: of numbers a number; of vectors, or of vectors and numbers, a vector."""
    result = next((kind for kind in kinds if isinstance(kind, _Lanes)), types.float64)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        wide = []
        for value, kind in zip(values, signature.args, strict=True):
            number = value if kind == result else context.cast(builder, value, kind, types.float64)
            wide.append(
                _spread(builder, number, result.width) if isinstance(result, _Lanes) and kind != result else number
            )
        return emit(builder, *wide)

    return result(*kinds), generate


def _called(name: str) -> Callable[..., ir.Value]:
    def emit(builder: ir.IRBuilder, *values: ir.Value) -> ir.Value:
        kind = values[0].type
        suffix = f"v{kind.count}f64" if isinstance(kind, ir.VectorType) else "f64"
        function = ir.FunctionType(kind, [kind] * len(values))
        module = builder.module
        known = module.globals.get(f"llvm.{name}.{suffix}")
        return builder.call(known or ir.Function(module, function, f"llvm.{name}.{suffix}"), values)

    return emit


def _positive(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    return builder.select(builder.fcmp_ordered(">", a, _constant(a.type, 0.0)), b, c)


def _power(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    integers = _of(a.type, _INTEGER)
    bits = builder.add(builder.bitcast(a, integers), _constant(integers, 1023))
    return builder.bitcast(builder.shl(bits, _constant(integers, 52)), a.type)


def _exponent(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    integers = _of(a.type, _INTEGER)
    bits = builder.sub(builder.bitcast(a, integers), _constant(integers, _ROOT_HALF))
    return builder.sitofp(builder.ashr(bits, _constant(integers, 52)), a.type)


def _mantissa(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
    integers = _of(a.type, _INTEGER)
    bits = builder.sub(builder.bitcast(a, integers), _constant(integers, _ROOT_HALF))
    bits = builder.and_(bits, _constant(integers, (1 << 52) - 1))
    return builder.bitcast(builder.add(bits, _constant(integers, _ROOT_HALF)), a.type)


def _place(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> ir.Value:
    """The place, of the first lane, in the array that is first of the values, at the index that is second."""
    kind, array = kinds[0], context.make_array(kinds[0])(context, builder, values[0])
    index = context.cast(builder, values[1], kinds[1], types.intp)
    return builder.gep(array.data, [builder.mul(index, ir.Constant(_INTEGER, LANES)) if kind.ndim == 2 else index])


def _loaded(element: types.Type, *kinds: types.Type) -> tuple[Any, Any]:
    """What an intrinsic that reads returns."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        place = _place(context, builder, signature.args, values)
        place = builder.bitcast(place, context.get_value_type(element).as_pointer())
        return builder.load(place, align=8)

    return element(*kinds), generate


def _stored(element: types.Type, *kinds: types.Type) -> tuple[Any, Any]:
    """What an intrinsic that writes returns."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        kind, value = signature.args[2], values[2]
        if kind != element:
            value = context.cast(builder, value, kind, types.float64)
            value = _spread(builder, value, element.width) if isinstance(element, _Lanes) else value
        place = _place(context, builder, signature.args, values)
        builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(*kinds), generate


@intrinsic
def at(_: Any, array: Any, index: Any) -> Any:
    """The number at the index of an array (n,), or the vector at that of (n, LANES)."""
    return _loaded(_LANES if array.ndim == 2 else types.float64, array, index)


@intrinsic
def put(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes the number, or the vector, there. A number goes to every lane."""
    return _stored(_LANES if array.ndim == 2 else types.float64, array, index, value)


@intrinsic
def four_at(_: Any, array: Any, index: Any) -> Any:
    """The vector of four numbers of an array (n,), from the index on."""
    return _loaded(_FOUR, array, index)


@intrinsic
def put_four(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes them."""
    return _stored(_FOUR, array, index, value)


@intrinsic
def one_at(_: Any, array: Any, index: Any, lane: Any) -> Any:
    """The number of one lane, which is 0 where there is no axis for it."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        place = _place(context, builder, signature.args, values)
        return builder.load(builder.gep(place, [context.cast(builder, values[2], signature.args[2], types.intp)]))

    return types.float64(array, index, lane), generate


@intrinsic
def put_one(_: Any, array: Any, index: Any, lane: Any, value: Any) -> Any:
    """Writes the number of one lane."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        place = _place(context, builder, signature.args, values)
        number = context.cast(builder, values[3], signature.args[3], types.float64)
        builder.store(number, builder.gep(place, [context.cast(builder, values[2], signature.args[2], types.intp)]))
        return context.get_dummy_value()

    return types.void(array, index, lane, value), generate


@intrinsic
def plus_product(_: Any, a: Any, b: Any, c: Any) -> Any:
    """The sum c + a b, rounded once where the processor can."""
    return _elementwise(_called("fmuladd"), a, b, c)


@intrinsic
def if_positive(_: Any, a: Any, b: Any, c: Any) -> Any:
    """Where a > 0 it is b, and c elsewhere."""
    return _elementwise(_positive, a, b, c)


@intrinsic
def larger(_: Any, a: Any, b: Any) -> Any:
    """The larger one, and b where one is NaN."""
    return _elementwise(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b), a, b)


@intrinsic
def smaller(_: Any, a: Any, b: Any) -> Any:
    """The smaller one, and b where one is NaN."""
    return _elementwise(lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b), a, b)


@intrinsic
def root(_: Any, a: Any) -> Any:
    """The square root."""
    return _elementwise(_called("sqrt"), a)


@intrinsic
def magnitude(_: Any, a: Any) -> Any:
    """The absolute value."""
    return _elementwise(_called("fabs"), a)


@intrinsic
def _sum(_: Any, a: Any, b: Any) -> Any:
    return _elementwise(lambda builder, a, b: builder.fadd(a, b), a, b)


@intrinsic
def _difference(_: Any, a: Any, b: Any) -> Any:
    return _elementwise(lambda builder, a, b: builder.fsub(a, b), a, b)


@intrinsic
def _product(_: Any, a: Any, b: Any) -> Any:
    return _elementwise(lambda builder, a, b: builder.fmul(a, b), a, b)


@intrinsic
def _quotient(_: Any, a: Any, b: Any) -> Any:
    return _elementwise(lambda builder, a, b: builder.fdiv(a, b), a, b)


@intrinsic
def _power_of_two(_: Any, a: Any) -> Any:
    """2^k, of k + _ROUNDER."""
    return _elementwise(_power, a)


@intrinsic
def _exponent_of(_: Any, a: Any) -> Any:
    """The k of a = 2^k f with f from √½ to √2."""
    return _elementwise(_exponent, a)


@intrinsic
def _mantissa_of(_: Any, a: Any) -> Any:
    """That f."""
    return _elementwise(_mantissa, a)


@overload(operator.neg, strict=False)
def _negative(a: Any) -> Any:
    return (lambda a: a * -1.0) if isinstance(a, _Lanes) else None


def _operator(symbol: Any, function: Any) -> None:
    def chosen(a: Any, b: Any) -> Any:
        return (lambda a, b: function(a, b)) if isinstance(a, _Lanes) or isinstance(b, _Lanes) else None

    overload(symbol, strict=False)(chosen)


for _symbol, _function in (
    (operator.add, _sum),
    (operator.sub, _difference),
    (operator.mul, _product),
    (operator.truediv, _quotient),
    (operator.iadd, _sum),
    (operator.isub, _difference),
    (operator.imul, _product),
):
    _operator(_symbol, _function)


@combined
def exp_of(a: Any) -> Any:
    """The exponential within two ulp; 0 from -700 on down, and from 700 on up that of 700."""
    near = smaller(larger(a, -700.0), 700.0)
    shifted = plus_product(near, _LOG2E, _ROUNDER)
    k = shifted - _ROUNDER
    r = plus_product(k, -_LN2_LOW, plus_product(k, -_LN2_HIGH, near))
    p = plus_product(r, 1 / 6227020800, 1 / 479001600)
    p = plus_product(p, r, 1 / 39916800)
    p = plus_product(p, r, 1 / 3628800)
    p = plus_product(p, r, 1 / 362880)
    p = plus_product(p, r, 1 / 40320)
    p = plus_product(p, r, 1 / 5040)
    p = plus_product(p, r, 1 / 720)
    p = plus_product(p, r, 1 / 120)
    p = plus_product(p, r, 1 / 24)
    p = plus_product(p, r, 1 / 6)
    p = plus_product(p, r, 0.5)
    p = plus_product(p * r, r, r) + 1.0
    return if_positive(a + 700.0, p * _power_of_two(shifted), 0.0)


@combined
def log_of(a: Any) -> Any:
    """The natural logarithm within two ulp, of a from 1e-300 to 1e300."""
    k, f = _exponent_of(a), _mantissa_of(a) - 1.0
    s = f / (f + 2.0)  # ln(1 + f) = 2 artanh(s)
    z = s * s
    p = plus_product(z, 2 / 21, 2 / 19)
    p = plus_product(p, z, 2 / 17)
    p = plus_product(p, z, 2 / 15)
    p = plus_product(p, z, 2 / 13)
    p = plus_product(p, z, 2 / 11)
    p = plus_product(p, z, 2 / 9)
    p = plus_product(p, z, 2 / 7)
    p = plus_product(p, z, 2 / 5)
    p = plus_product(p, z, 2 / 3) * z
    half = f * f * 0.5
    rest = plus_product(s, half + p, k * _LN2_LOW)
    return plus_product(k, _LN2_HIGH, f - (half - rest))
