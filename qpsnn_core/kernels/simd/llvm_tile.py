"""What the instructions of tile.py become: byte products by VNNI, by AVX-512BW or AVX2, or by plain LLVM code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.np import arrayobj

from qpsnn_core.kernels.simd import llvm
from qpsnn_core.kernels.simd.llvm import AVX2, AVX512, INT32, INT64, MASKS, Vector, called, everywhere
from qpsnn_core.kernels.simd.llvm_memory import store_masked

_PAIRS = {256: ("avx2.pmadd.ub.sw", "avx2.pmadd.wd"), 512: ("avx512.pmaddubs.w.512", "avx512.pmaddw.d.512")}
"""Instructions that add two products each, of bytes (where the sum fits 16 bits) and of 16-bit numbers."""

VNNI = any(f"+{name}" in llvm.host_features for name in ("avxvnni", "avx512vnni"))
"""Whether one instruction multiplies and adds four bytes for each sum, without an intermediate sum of 16 bits."""

WIDE = (AVX512 and "+avx512vnni" in llvm.host_features) or (MASKS and not VNNI)
LANES = 16 if WIDE else 8
"""Sums that one instruction adds to."""

PIXELS = 6 if WIDE or VNNI else 4
"""Vectors of a tile: with 32 (16 where registers are 32 bytes) sums each they fill registers, with some to spare."""


def tile(wide: Any) -> Any:
    """The kind of a tile: PIXELS vectors of 32 numbers, or of 16 where `wide` is None."""
    return types.UniTuple(Vector(types.int32, 16 if wide == types.none else 32), PIXELS)


def zeros(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """A tile of zeros."""
    return context.make_tuple(builder, sig.return_type, [ir.Constant(sig.return_type.dtype.llvm, None)] * PIXELS)


def places(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """PIXELS numbers of an array."""
    data = _at(context, builder, sig.args[0], values[0], values[1])
    found = [builder.load(builder.gep(data, [ir.Constant(INT64, i)])) for i in range(PIXELS)]
    return context.make_tuple(builder, sig.return_type, found)


def shift_tile(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Each number times a power of two."""
    kind = sig.args[0].dtype.llvm
    by = everywhere(builder, builder.trunc(values[1], INT32), kind)
    moved = [builder.shl(builder.extract_value(values[0], i), by) for i in range(PIXELS)]
    return context.make_tuple(builder, sig.return_type, moved)


def add_products(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One word of each pixel, broadcast, times the weights' words; the parts of a vector one after another."""
    sums, counts, pixels, offset, weights, at = values
    width = sig.args[0].dtype.count
    piece = ir.VectorType(ir.IntType(8), 4 * LANES)
    base = _at(context, builder, sig.args[1], counts, offset)
    table = _at(context, builder, sig.args[4], weights, at)
    rows = []
    for part in range(width // LANES):
        place = builder.gep(table, [ir.Constant(INT64, 4 * LANES * part)])
        rows.append(builder.load(builder.bitcast(place, piece.as_pointer()), align=1))
    found = []
    for i in range(PIXELS):
        place = builder.gep(base, [builder.extract_value(pixels, i)])
        word = builder.load(builder.bitcast(place, INT32.as_pointer()), align=1)
        four = builder.bitcast(everywhere(builder, word, ir.VectorType(INT32, LANES)), piece)
        old = _parts(builder, builder.extract_value(sums, i), LANES)
        found.append(_joined(builder, [_four(builder, one, four, row) for one, row in zip(old, rows, strict=True)]))
    return context.make_tuple(builder, sig.return_type, found)


def _four(builder: Any, sums: Any, counts: Any, weights: Any) -> Any:
    """Sums plus four products each: counts unsigned, weights signed; what `tile.add_products` says of saturation."""
    bits = 32 * LANES
    kind = sums.type
    if VNNI:
        given = sums, builder.bitcast(counts, kind), builder.bitcast(weights, kind)
        return called(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", kind, *given)
    if MASKS or AVX2:
        of_bytes, of_words = _PAIRS[bits]
        short = ir.VectorType(ir.IntType(16), 2 * LANES)
        two = called(builder, f"llvm.x86.{of_bytes}", short, counts, weights)
        ones = ir.Constant(short, [1] * 2 * LANES)
        return builder.add(sums, called(builder, f"llvm.x86.{of_words}", kind, two, ones))
    for place in range(4):
        lanes = ir.Constant(ir.VectorType(INT32, LANES), list(range(place, 4 * LANES, 4)))
        count = builder.zext(builder.shuffle_vector(counts, counts, lanes), kind)
        weight = builder.sext(builder.shuffle_vector(weights, weights, lanes), kind)
        sums = builder.add(sums, builder.mul(count, weight))
    return sums


def store_tile(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Vector after vector, in the array's type, as many as are wanted."""
    array, at, pitch, sums, pixels, lanes = values
    array_type, vector = sig.args[0], Vector(sig.args[0].dtype, sig.args[3].dtype.count)
    inner = types.none(array_type, types.int64, vector, types.int64)
    whole = builder.icmp_signed(">=", lanes, ir.Constant(INT64, vector.count))
    for i in range(PIXELS):
        with builder.if_then(builder.icmp_signed("<", ir.Constant(INT64, i), pixels)):
            numbers = builder.extract_value(sums, i)
            if vector.scalar.bitwidth < 32:
                numbers = builder.trunc(numbers, vector.llvm)
            place = builder.add(at, builder.mul(pitch, ir.Constant(INT64, i)))
            with builder.if_else(whole) as (then, otherwise):
                with then:
                    pointer = _at(context, builder, array_type, array, place)
                    pointer = builder.bitcast(pointer, vector.llvm.as_pointer())
                    builder.store(numbers, pointer, align=vector.scalar.bitwidth // 8)
                with otherwise:
                    store_masked(context, builder, inner, [array, place, numbers, lanes])
    return context.get_dummy_value()


def _at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(arrayobj.make_array(kind)(context, builder, array).data, [index])


def _parts(builder: Any, vector: Any, lanes: int) -> list[Any]:
    """A vector as several of `lanes` numbers."""
    starts = range(0, vector.type.count, lanes)
    orders = [ir.Constant(ir.VectorType(INT32, lanes), list(range(start, start + lanes))) for start in starts]
    return [builder.shuffle_vector(vector, vector, order) for order in orders]


def _joined(builder: Any, parts: list[Any]) -> Any:
    """Vectors of one length as one."""
    while len(parts) > 1:
        order = ir.Constant(ir.VectorType(INT32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
        parts = [builder.shuffle_vector(a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
