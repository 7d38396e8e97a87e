"""What the instructions of vector.py that read, write and move numbers become."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from qpsnn_core.kernels.emit import AVX512, INT32, INT64, MASKS, Vector, everywhere


def _place(context: Any, builder: Any, sig: Any, values: Any, vector: Vector) -> tuple[Any, int]:
    data = arrayobj.make_array(sig.args[0])(context, builder, values[0]).data
    return builder.bitcast(builder.gep(data, [values[1]]), vector.llvm.as_pointer()), sig.args[0].dtype.bitwidth // 8


def load(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Numbers side by side, as a vector."""
    pointer, align = _place(context, builder, sig, values, sig.return_type)
    return builder.load(pointer, align=align)


def item(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One number."""
    data = arrayobj.make_array(sig.args[0])(context, builder, values[0]).data
    return builder.load(builder.gep(data, [values[1]]))


def set_item(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One number, in the array's type."""
    data = arrayobj.make_array(sig.args[0])(context, builder, values[0]).data
    value = context.cast(builder, values[2], sig.args[2], sig.return_type)
    builder.store(value, builder.gep(data, [values[1]]))
    return value


def store(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """A vector, to numbers side by side."""
    pointer, align = _place(context, builder, sig, values, sig.args[2])
    builder.store(values[2], pointer, align=align)
    return context.get_dummy_value()


def _some(context: Any, builder: Any, sig: Any, values: Any, vector: Vector, count: Any) -> tuple[Any, Any, Any]:
    """The array's place, a vector of zeros on the stack, and the bytes of `count` numbers."""
    pointer, align = _place(context, builder, sig, values, vector)
    room = cgutils.alloca_once(builder, vector.llvm)
    return pointer, room, builder.mul(count, ir.Constant(INT64, align))


def _masked(builder: Any, vector: Vector, count: Any) -> tuple[Any, str]:
    """Which of the numbers are among the first `count`, and LLVM's name of the vector."""
    kind, size = ir.VectorType(ir.IntType(8), vector.count), ir.Constant(INT64, vector.count)
    some = builder.select(builder.icmp_signed("<", count, size), count, size)
    wide = everywhere(builder, builder.trunc(some, kind.element), kind)
    there = builder.icmp_signed("<", ir.Constant(kind, list(range(vector.count))), wide)
    return there, f"v{vector.count}{'f' if isinstance(vector.scalar, types.Float) else 'i'}{vector.scalar.bitwidth}.p0"


def take(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """As load, of `count` numbers where that is less than the vector's, and zeros.

    No branch and no call where masks do it: no vector stays in its register across a call.
    """
    vector = sig.return_type
    if MASKS:
        pointer, align = _place(context, builder, sig, values, vector)
        there, name = _masked(builder, vector, values[2])
        kind = ir.FunctionType(vector.llvm, [pointer.type, INT32, there.type, vector.llvm])
        masked = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.{name}")
        return builder.call(masked, [pointer, ir.Constant(INT32, align), there, ir.Constant(vector.llvm, None)])
    pointer, room, size = _some(context, builder, sig, values, vector, values[2])
    whole = builder.icmp_signed(">=", values[2], ir.Constant(INT64, vector.count))
    with builder.if_else(whole) as (then, otherwise):
        with then:
            quick, from_quick = builder.load(pointer, align=sig.args[0].dtype.bitwidth // 8), builder.block
        with otherwise:
            builder.store(ir.Constant(vector.llvm, None), room)
            cgutils.raw_memcpy(builder, room, pointer, size, 1)
            slow, from_slow = builder.load(room), builder.block
    either = builder.phi(vector.llvm)
    either.add_incoming(quick, from_quick)
    either.add_incoming(slow, from_slow)
    return either


def put(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """As store, of `count` numbers where that is less than the vector's."""
    vector = sig.args[2]
    if MASKS:
        pointer, align = _place(context, builder, sig, values, vector)
        there, name = _masked(builder, vector, values[3])
        kind = ir.FunctionType(ir.VoidType(), [vector.llvm, pointer.type, INT32, there.type])
        masked = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.{name}")
        builder.call(masked, [values[2], pointer, ir.Constant(INT32, align), there])
        return context.get_dummy_value()
    pointer, room, size = _some(context, builder, sig, values, vector, values[3])
    whole = builder.icmp_signed(">=", values[3], ir.Constant(INT64, vector.count))
    with builder.if_else(whole) as (then, otherwise):
        with then:
            builder.store(values[2], pointer, align=sig.args[0].dtype.bitwidth // 8)
        with otherwise:
            builder.store(values[2], room)
            cgutils.raw_memcpy(builder, pointer, room, size, 1)
    return context.get_dummy_value()


def front(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One instruction of AVX-512; elsewhere each number is written where the next one goes."""
    vector = sig.return_type
    kind, where, numbers = vector.llvm, *values
    zeros = ir.Constant(kind, None)
    if AVX512 and vector.scalar.bitwidth == 32 and vector.count == 16:
        wanted = ir.FunctionType(kind, [kind, kind, where.type])
        name = f"llvm.x86.avx512.mask.compress.v16{'f' if isinstance(vector.scalar, types.Float) else 'i'}32"
        return builder.call(cgutils.get_or_insert_function(builder.module, wanted, name), [numbers, zeros, where])
    room = cgutils.alloca_once(builder, ir.ArrayType(kind.element, vector.count + 1))
    at = ir.Constant(INT32, 0)
    for lane in range(vector.count):
        place = ir.Constant(INT32, lane)
        builder.store(builder.extract_element(numbers, place), builder.gep(room, [ir.Constant(INT32, 0), at]))
        at = builder.add(at, builder.zext(builder.extract_element(where, place), INT32))
    whole = builder.load(builder.bitcast(room, kind.as_pointer()), align=vector.scalar.bitwidth // 8)
    kept = builder.icmp_signed(
        "<",
        ir.Constant(ir.VectorType(INT32, vector.count), list(range(vector.count))),
        everywhere(builder, at, ir.VectorType(INT32, vector.count)),
    )
    return builder.select(kept, whole, zeros)


def truths(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """The bits of the comparison, counted."""
    bits = builder.bitcast(values[0], ir.IntType(sig.args[0].count))
    wide = bits if bits.type == INT64 else builder.zext(bits, INT64)
    return builder.ctpop(wide)
