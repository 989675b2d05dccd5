"""Loads and stores of numbers, vectors and single lanes; indices are not checked."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from adumbra.information.simd.vectors import FOUR_VECTOR, INTEGER, LANES, LANES_VECTOR, Vector, broadcast, intrinsic


def _address(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> ir.Value:
    """The address of the first lane at ``values[1]`` of the array ``values[0]``."""
    kind, array = kinds[0], context.make_array(kinds[0])(context, builder, values[0])
    index = context.cast(builder, values[1], kinds[1], types.intp)
    return builder.gep(array.data, [builder.mul(index, ir.Constant(INTEGER, LANES)) if kind.ndim == 2 else index])


def _lane_address(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> ir.Value:
    """The address of the lane ``values[2]`` at ``values[1]`` of the array ``values[0]``."""
    lane = context.cast(builder, values[2], kinds[2], types.intp)
    return builder.gep(_address(context, builder, kinds, values), [lane])


def _load(element: types.Type, *kinds: types.Type) -> tuple[Any, Any]:
    """Signature and code of an intrinsic that loads an element."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        address = _address(context, builder, signature.args, values)
        address = builder.bitcast(address, context.get_value_type(element).as_pointer())
        return builder.load(address, align=8)

    return element(*kinds), generate


def _store(element: types.Type, *kinds: types.Type) -> tuple[Any, Any]:
    """Signature and code of an intrinsic that stores an element; a number is broadcast to every lane."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        kind, value = signature.args[2], values[2]
        if kind != element:
            value = context.cast(builder, value, kind, types.float64)
            value = broadcast(builder, value, element.width) if isinstance(element, Vector) else value
        address = _address(context, builder, signature.args, values)
        builder.store(value, builder.bitcast(address, value.type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(*kinds), generate


@intrinsic
def load(_: Any, array: Any, index: Any) -> Any:
    """The number at the index of an array (n,), or the vector at the index of an array (n, LANES)."""
    return _load(LANES_VECTOR if array.ndim == 2 else types.float64, array, index)


@intrinsic
def store(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes a number or a vector at the index; a number goes to every lane."""
    return _store(LANES_VECTOR if array.ndim == 2 else types.float64, array, index, value)


@intrinsic
def load4(_: Any, array: Any, index: Any) -> Any:
    """The vector of the four numbers of an array (n,) that begin at the index."""
    return _load(FOUR_VECTOR, array, index)


@intrinsic
def store4(_: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes a vector of four numbers from the index on."""
    return _store(FOUR_VECTOR, array, index, value)


@intrinsic
def load_lane(_: Any, array: Any, index: Any, lane: Any) -> Any:
    """The number of one lane; the lane is 0 where the array has no lane axis."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        return builder.load(_lane_address(context, builder, signature.args, values))

    return types.float64(array, index, lane), generate


@intrinsic
def store_lane(_: Any, array: Any, index: Any, lane: Any, value: Any) -> Any:
    """Writes the number of one lane."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
        address = _lane_address(context, builder, signature.args, values)
        builder.store(context.cast(builder, values[3], signature.args[3], types.float64), address)
        return context.get_dummy_value()

    return types.void(array, index, lane, value), generate
