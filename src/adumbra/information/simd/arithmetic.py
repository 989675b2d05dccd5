"""Arithmetic of numbers and vectors: the operators + - * /, and functions that LLVM has an instruction for."""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import overload

from adumbra.information.simd.vectors import Vector, elementwise, intrinsic


def _instruction(name: str) -> Callable[..., ir.Value]:
    """Emits the LLVM intrinsic of this name, for numbers or vectors."""

    def emit(builder: ir.IRBuilder, *values: ir.Value) -> ir.Value:
        kind = values[0].type
        suffix = f"v{kind.count}f64" if isinstance(kind, ir.VectorType) else "f64"
        symbol, signature = f"llvm.{name}.{suffix}", ir.FunctionType(kind, [kind] * len(values))
        declared = builder.module.globals.get(symbol)
        return builder.call(declared or ir.Function(builder.module, signature, symbol), values)

    return emit


def _select_positive(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    zero = ir.Constant(a.type, [0.0] * a.type.count if isinstance(a.type, ir.VectorType) else 0.0)
    return builder.select(builder.fcmp_ordered(">", a, zero), b, c)


@intrinsic
def fmuladd(_: Any, a: Any, b: Any, c: Any) -> Any:
    """The sum a b + c, rounded once where the processor has a fused multiply-add."""
    return elementwise(_instruction("fmuladd"), a, b, c)


@intrinsic
def where_positive(_: Any, a: Any, b: Any, c: Any) -> Any:
    """``b`` where a > 0, and ``c`` elsewhere."""
    return elementwise(_select_positive, a, b, c)


@intrinsic
def maximum(_: Any, a: Any, b: Any) -> Any:
    """The larger of two, and ``b`` where one is NaN."""
    return elementwise(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b), a, b)


@intrinsic
def minimum(_: Any, a: Any, b: Any) -> Any:
    """The smaller of two, and ``b`` where one is NaN."""
    return elementwise(lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b), a, b)


@intrinsic
def sqrt(_: Any, a: Any) -> Any:
    """The square root."""
    return elementwise(_instruction("sqrt"), a)


@intrinsic
def absolute(_: Any, a: Any) -> Any:
    """The absolute value."""
    return elementwise(_instruction("fabs"), a)


@intrinsic
def _add(_: Any, a: Any, b: Any) -> Any:
    return elementwise(lambda builder, a, b: builder.fadd(a, b), a, b)


@intrinsic
def _subtract(_: Any, a: Any, b: Any) -> Any:
    return elementwise(lambda builder, a, b: builder.fsub(a, b), a, b)


@intrinsic
def _multiply(_: Any, a: Any, b: Any) -> Any:
    return elementwise(lambda builder, a, b: builder.fmul(a, b), a, b)


@intrinsic
def _divide(_: Any, a: Any, b: Any) -> Any:
    return elementwise(lambda builder, a, b: builder.fdiv(a, b), a, b)


@overload(operator.neg, strict=False)
def _negative(a: Any) -> Any:
    return (lambda a: a * -1.0) if isinstance(a, Vector) else None


def _define_operator(symbol: Any, function: Any) -> None:
    """Lets compiled loops apply an operator of Python where an operand is a vector."""

    def implementation(a: Any, b: Any) -> Any:
        return (lambda a, b: function(a, b)) if isinstance(a, Vector) or isinstance(b, Vector) else None

    overload(symbol, strict=False)(implementation)


for _symbol, _function in (
    (operator.add, _add),
    (operator.sub, _subtract),
    (operator.mul, _multiply),
    (operator.truediv, _divide),
    (operator.iadd, _add),
    (operator.isub, _subtract),
    (operator.imul, _multiply),
):
    _define_operator(_symbol, _function)
