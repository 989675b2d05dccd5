"""The vector type of numba's type system, and what the intrinsics share when they generate LLVM instructions."""

import inspect
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types
from numba.extending import models, register_model

LANES = 8
"""Doubles in one vector: an AVX-512 register, or two of AVX2."""

DOUBLE, INTEGER = ir.DoubleType(), ir.IntType(64)


class Vector(types.Type):  # type: ignore[misc]
    """A vector of ``width`` doubles, which the processor adds and multiplies lane by lane."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"vector({width})")


LANES_VECTOR, FOUR_VECTOR = Vector(LANES), Vector(4)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(DOUBLE, kind.width))


def intrinsic(define: Callable[..., Any]) -> Callable[..., Any]:
    """A function that compiled loops can call, from the one that declares its type and emits its instructions."""
    return cast(Callable[..., Any], extending.intrinsic(define))


def jitable(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that compiled loops can call with numbers or vectors; wrappers around it are removed."""
    return cast(Callable[..., Any], extending.register_jitable(inspect.unwrap(function)))


def broadcast(builder: ir.IRBuilder, number: ir.Value, width: int) -> ir.Value:
    """The vector that holds the number in each lane."""
    integer, vector = ir.IntType(32), ir.VectorType(DOUBLE, width)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(integer, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(integer, width), [0] * width))


def elementwise(emit: Callable[..., ir.Value], *kinds: types.Type) -> tuple[Any, Any]:
    """Signature and code of an intrinsic that works lane by lane.

    Args:
        emit: Emits the instruction, given the builder and operands of one type.
        kinds: numba types of the operands.

    Returns:
        The signature and the code generator. The result is a vector if any operand is one; operands that are numbers
        are then broadcast. Otherwise the result is a number.
    """
    result = next((kind for kind in kinds if isinstance(kind, Vector)), types.float64)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        operands = []
        for value, kind in zip(values, signature.args, strict=True):
            number = value if kind == result else context.cast(builder, value, kind, types.float64)
            if isinstance(result, Vector) and kind != result:
                number = broadcast(builder, number, result.width)
            operands.append(number)
        return emit(builder, *operands)

    return result(*kinds), generate
