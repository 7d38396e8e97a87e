"""What the instructions of vector.py that read, write and move numbers become."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from qpsnn_core.kernels.simd.llvm import AVX2, AVX512, INT32, INT64, MASKS, Vector, called, converted, everywhere


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


def fresh(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One number, read from memory each time, and a breath before it: on x86, so that another thread gets on."""
    if "x86" in builder.module.triple:
        called(builder, "llvm.x86.sse2.pause", ir.VoidType())
    data = arrayobj.make_array(sig.args[0])(context, builder, values[0]).data
    return builder.load_atomic(builder.gep(data, [values[1]]), "acquire", sig.args[0].dtype.bitwidth // 8)


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
        given = pointer, ir.Constant(INT32, align), there, ir.Constant(vector.llvm, None)
        return called(builder, f"llvm.masked.load.{name}", vector.llvm, *given)
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


def store_masked(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """As store, of `count` numbers where that is less than the vector's."""
    vector = sig.args[2]
    if MASKS:
        pointer, align = _place(context, builder, sig, values, vector)
        there, name = _masked(builder, vector, values[3])
        given = values[2], pointer, ir.Constant(INT32, align), there
        called(builder, f"llvm.masked.store.{name}", ir.VoidType(), *given)
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


def append(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """16 numbers of 32 bits by one instruction of AVX-512, or 8 by a table of orders with AVX2; else one by one."""
    vector, where, numbers, at = sig.args[3], values[2], values[3], values[1]
    data = arrayobj.make_array(sig.args[0])(context, builder, values[0]).data

    def write(some: Any) -> None:
        kind = Vector(sig.args[0].dtype, some.type.count)
        cut = converted(builder, some, vector.scalar, kind.scalar, kind.llvm)
        place = builder.bitcast(builder.gep(data, [at]), kind.llvm.as_pointer())
        builder.store(cut, place, align=kind.scalar.bitwidth // 8)

    bits = builder.zext(builder.bitcast(where, ir.IntType(vector.count)), INT64)
    usual = vector.llvm == ir.VectorType(INT32, 16)
    if usual and AVX512:
        given = numbers, ir.Constant(vector.llvm, None), where
        write(called(builder, "llvm.x86.avx512.mask.compress.v16i32", vector.llvm, *given))
        return builder.add(at, builder.ctpop(bits))
    if usual and AVX2:
        for half in range(2):
            chosen = builder.and_(builder.lshr(bits, ir.Constant(INT64, 8 * half)), ir.Constant(INT64, 255))
            order = builder.zext(builder.load(_orders(builder, chosen), align=8), ir.VectorType(INT32, 8))
            lanes = ir.Constant(ir.VectorType(INT32, 8), list(range(8 * half, 8 * half + 8)))
            part = builder.shuffle_vector(numbers, numbers, lanes)
            write(called(builder, "llvm.x86.avx2.permd", part.type, part, order))
            at = builder.add(at, builder.ctpop(chosen))
        return at
    for lane in range(vector.count):
        write(builder.shuffle_vector(numbers, numbers, ir.Constant(ir.VectorType(INT32, 1), [lane])))
        bit = builder.and_(builder.lshr(bits, ir.Constant(INT64, lane)), ir.Constant(INT64, 1))
        at = builder.add(at, bit)
    return at


def _orders(builder: Any, chosen: Any) -> Any:
    """Where 8 bits, as a number, say in which order 8 numbers go: those whose bit is set first."""
    orders = [sorted(range(8), key=lambda lane: not bits >> lane & 1) for bits in range(256)]
    kind = ir.VectorType(ir.IntType(8), 8)
    table = ir.Constant(ir.ArrayType(kind, 256), [ir.Constant(kind, order) for order in orders])
    found = cgutils.global_constant(builder.module, "orders", table)
    return builder.gep(found, [ir.Constant(INT64, 0), chosen])
