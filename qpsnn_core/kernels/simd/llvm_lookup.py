"""What the instructions of lookup.py become: shuffles of bytes whose indices are spikes, and sums of what they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.np import arrayobj

from qpsnn_core.kernels.simd import llvm
from qpsnn_core.kernels.simd.llvm import AVX2, INT32, INT64, MASKS, Vector, called, converted, everywhere
from qpsnn_core.kernels.simd.llvm_memory import store_masked

PERMUTES = "+avx512vbmi" in llvm.host_features and MASKS
"""Whether one instruction takes any of 64 bytes for each of 64 indices; else of 16, in every part of 16 bytes."""

BITS = 6 if PERMUTES else 4
"""Spikes of an index: tables have 2**BITS entries."""

AT_ONCE = 8 if PERMUTES else 16
"""Indices that a word of 64 bits holds, those that eight bytes can be made of."""

LANES = 64 if MASKS else 32
"""Indices of a vector."""

VECTORS, OUTPUTS = (4, 2) if MASKS else (2, 2)
"""Vectors of indices that meet a table, and tables that meet a vector, while all sums stay in registers."""

PART = types.UniTuple(Vector(types.uint8, LANES), VECTORS * OUTPUTS)
SUMS = types.UniTuple(Vector(types.uint16, LANES // 2), 2 * VECTORS * OUTPUTS)


def zeros(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Sums of nothing."""
    return context.make_tuple(builder, SUMS, [ir.Constant(SUMS.dtype.llvm, None)] * SUMS.count)


def starts(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """VECTORS numbers of an array."""
    data = _at(context, builder, sig.args[0], values[0], values[1])
    found = [builder.load(builder.gep(data, [ir.Constant(INT64, v)])) for v in range(VECTORS)]
    return context.make_tuple(builder, sig.return_type, found)


def look_up(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """What the tables say."""
    return context.make_tuple(builder, PART, _found(context, builder, sig.args, values))


def add_look_up(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Bytes plus what the tables say."""
    found = _found(context, builder, sig.args[1:], values[1:])
    kind = PART.dtype.llvm
    ident = ir.InlineAsm(ir.FunctionType(kind, [kind]), "", "=v,0")
    added = [
        builder.call(ident, [builder.add(builder.extract_value(values[0], k), one)]) for k, one in enumerate(found)
    ]
    return context.make_tuple(builder, PART, added)


def widen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Pairs of bytes are added as they are, a number of 16 bits, and the upper ones again: their sum tells both."""
    kind, out = SUMS.dtype.llvm, []
    for k in range(PART.count):
        pairs = builder.bitcast(builder.extract_value(values[1], k), kind)
        upper = builder.lshr(pairs, ir.Constant(kind, [8] * kind.count))
        for place, more in enumerate((pairs, upper)):
            out.append(builder.add(builder.extract_value(values[0], 2 * k + place), more))
    return context.make_tuple(builder, SUMS, out)


def store_sums(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """The sums, and a number for each output."""
    _each(context, builder, sig.args, values, lambda new, place: new)
    return context.get_dummy_value()


def add_sums(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Likewise, plus what is there times a power of two."""

    def combine(new: Any, place: Any) -> Any:
        old = builder.load(place, align=new.type.element.width // 8)
        by = builder.trunc(values[8], new.type.element)
        return builder.add(builder.shl(old, everywhere(builder, by, new.type)), new)

    _each(context, builder, sig.args, values, combine)
    return context.get_dummy_value()


def store_columns(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Rows are woven until a part of 16 bytes is of one column; those of a column go where it says, if it is there."""
    room, at, total, origin, targets, lane, limit = values
    scalar = sig.args[0].dtype
    unit, across = 128 // scalar.bitwidth, 8 * LANES // scalar.bitwidth
    number, size = ir.IntType(scalar.bitwidth), scalar.bitwidth // 8
    row, part = ir.VectorType(number, across), ir.VectorType(number, unit)
    parts = range(0, across, unit)
    low = [p + i + k for p in parts for i in range(unit // 2) for k in (0, across)]
    orders = [ir.Constant(ir.VectorType(INT32, across), [lane + k for lane in low]) for k in (0, unit // 2)]
    for piece in range(0, 64, across):
        groups = []
        for first in range(0, 16, unit):
            rows = []
            for output in range(first, first + unit):
                place = builder.add(at, ir.Constant(INT64, 64 * output + piece))
                pointer = builder.bitcast(_at(context, builder, sig.args[0], room, place), row.as_pointer())
                rows.append(builder.load(pointer, align=size))
            for _ in range(unit.bit_length() - 1):
                pairs = zip(rows[: unit // 2], rows[unit // 2 :], strict=True)
                rows = [builder.shuffle_vector(one, other, order) for one, other in pairs for order in orders]
            groups.append(rows)
        for begin, j in ((begin, j) for begin in parts for j in range(unit)):
            chosen = ir.Constant(ir.VectorType(INT32, unit), list(range(begin, begin + unit)))
            index = builder.add(lane, ir.Constant(INT64, piece + begin + j))
            target = builder.load(_at(context, builder, sig.args[4], targets, index))
            with builder.if_then(builder.icmp_unsigned("<", target, limit)):
                place = builder.add(origin, target)
                for group, rows in enumerate(groups):
                    there = builder.add(place, ir.Constant(INT64, group * unit))
                    pointer = builder.bitcast(_at(context, builder, sig.args[2], total, there), part.as_pointer())
                    builder.store(builder.shuffle_vector(rows[j], rows[j], chosen), pointer, align=size)
    return context.get_dummy_value()


def nonzero(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """A bit for each number."""
    hit = builder.icmp_unsigned("!=", values[0], ir.Constant(values[0].type, None))
    return builder.bitcast(hit, INT64)


def store_indices(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Bytes of the first BITS bits of each word, of the next, and so on: bytes of one place are brought together."""
    planes, at, apart, groups, words, place, count = values
    kind, vector = ir.VectorType(ir.IntType(8), 64), Vector(types.uint8, 64)
    rows = []
    for word in range(0, 64, 8):
        index = builder.add(place, ir.Constant(INT64, word))
        pointer = builder.bitcast(_at(context, builder, sig.args[4], words, index), kind.as_pointer())
        rows.append(_bytes(builder, builder.load(pointer, align=8)))
    for _ in range(3):
        orders = [ir.Constant(ir.VectorType(INT32, 64), list(range(odd, 128, 2))) for odd in range(2)]
        pairs = list(zip(rows[::2], rows[1::2], strict=True))
        rows = [builder.shuffle_vector(one, other, order) for order in orders for one, other in pairs]
    inner = types.none(sig.args[0], types.int64, vector, types.int64)
    for group in range(AT_ONCE):
        there = builder.icmp_signed("<", ir.Constant(INT64, group), groups)
        with builder.if_then(there):
            each = rows[group] if PERMUTES else rows[group // 2]
            if not PERMUTES and group % 2:
                each = builder.lshr(each, ir.Constant(kind, [4] * 64))
            each = builder.and_(each, ir.Constant(kind, [2**BITS - 1] * 64))
            index = builder.add(at, builder.mul(apart, ir.Constant(INT64, group)))
            store_masked(context, builder, inner, [planes, index, each, count])
    return context.get_dummy_value()


def _bytes(builder: Any, words: Any) -> Any:
    """Eight words: of each, BITS bits a byte; or, of four bits, those that lie in a byte."""
    if not PERMUTES:
        return words
    shifts = ir.Constant(words.type, [BITS * i for i in range(8)] * 8)
    return called(builder, "llvm.x86.avx512.pmultishift.qb.512", words.type, shifts, words)


def _found(context: Any, builder: Any, kinds: Any, values: Any) -> list[Any]:
    """Of each table, for each vector of indices."""
    planes, places, offset, tables, at = values
    if PERMUTES:  # nor are later numbers to be loaded now
        nothing = ir.FunctionType(ir.VoidType(), [])
        builder.call(ir.InlineAsm(nothing, "", "~{memory}", side_effect=True), [])
    entries, kind = 2**BITS, PART.dtype.llvm
    base = _at(context, builder, kinds[0], planes, offset)
    given = []
    for v in range(VECTORS):
        place = builder.gep(base, [builder.extract_value(places, v)])
        given.append(builder.load(builder.bitcast(place, kind.as_pointer()), align=1))
    found, first = [], _at(context, builder, kinds[3], tables, at)
    for output in range(OUTPUTS):
        place = builder.gep(first, [ir.Constant(INT64, entries * output)])
        table = builder.load(builder.bitcast(place, ir.VectorType(kind.element, entries).as_pointer()), align=entries)
        found += [_shuffled(builder, table, indices) for indices in given]
    return found


def _shuffled(builder: Any, table: Any, indices: Any) -> Any:
    """The table's byte at each index."""
    kind = indices.type
    if PERMUTES:
        return called(builder, "llvm.x86.avx512.permvar.qi.512", kind, table, indices)
    if MASKS or AVX2:
        order = ir.Constant(ir.VectorType(INT32, LANES), [lane % 16 for lane in range(LANES)])
        name = "llvm.x86.avx512.pshuf.b.512" if MASKS else "llvm.x86.avx2.pshuf.b"
        return called(builder, name, kind, builder.shuffle_vector(table, table, order), indices)
    out = ir.Constant(kind, ir.Undefined)
    for lane in range(LANES):
        place = ir.Constant(INT32, lane)
        out = builder.insert_element(
            out, builder.extract_element(table, builder.extract_element(indices, place)), place
        )
    return out


def _each(context: Any, builder: Any, kinds: Any, values: Any, combine: Callable[[Any, Any], Any]) -> None:
    """Write the sums of each output and vector in the array's type, as `combine` makes them of the sums and a place."""
    room, at, apart, sums, base, first, shift, counted, *_ = values
    half, scalar = SUMS.dtype.llvm, kinds[0].dtype
    number, size = ir.IntType(scalar.bitwidth), scalar.bitwidth // 8
    target = ir.VectorType(number, LANES // 2)
    by = everywhere(builder, builder.trunc(shift, number), target)

    def pointer(index: Any, v: int, output: int, upper: int) -> Any:
        block, lane = divmod(v * LANES, 64)
        place = builder.add(index, builder.mul(apart, ir.Constant(INT64, block)))
        place = builder.add(place, ir.Constant(INT64, output * 64 + lane + upper * LANES // 2))
        return builder.bitcast(_at(context, builder, kinds[0], room, place), target.as_pointer())

    fixed = []
    for output in range(OUTPUTS):
        place = _at(context, builder, kinds[4], base, builder.add(first, ir.Constant(INT64, output)))
        one = converted(builder, builder.load(place), types.int32, scalar, number)
        fixed.append(everywhere(builder, one, target))
    for v in range(VECTORS):
        more = [builder.load(pointer(counted, v, 0, upper), align=size) for upper in range(2)]
        for output in range(OUTPUTS):
            k = 2 * (output * VECTORS + v)
            both, above = builder.extract_value(sums, k), builder.extract_value(sums, k + 1)
            below = builder.sub(both, builder.shl(above, ir.Constant(half, [8] * half.count)))
            for upper, numbers in enumerate((below, above)):
                wide = builder.shl(converted(builder, numbers, types.uint16, scalar, target), by)
                wide = builder.add(wide, builder.add(more[upper], fixed[output]))
                there = pointer(at, v, output, upper)
                builder.store(combine(wide, there), there, align=size)


def _at(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(arrayobj.make_array(kind)(context, builder, array).data, [index])
