"""Vectors as values: a few neighbouring numbers of a flat array that a kernel adds, multiplies and compares at once.

LLVM turns a Vector into whatever registers the processor has, so that sums stay in registers where a loop over array
slices would go through memory and check for overlaps. Each instruction below is written twice: as the Python that says
what it does (and runs when the compiler is off, on small NumPy arrays), and as the LLVM code that it becomes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic
from numba.np import arrayobj

INT32, INT64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """`count` numbers of one Numba type; booleans are what comparisons give."""

    def __init__(self, scalar: Any, count: int) -> None:
        self.scalar, self.count = scalar, count
        super().__init__(f"Vector({scalar}, {count})")

    @property
    def key(self) -> tuple[Any, int]:
        """What makes two of these types the same."""
        return self.scalar, self.count

    @property
    def llvm(self) -> ir.VectorType:
        """The LLVM type."""
        if self.scalar in (types.float32, types.float64):
            return ir.VectorType(ir.FloatType() if self.scalar == types.float32 else ir.DoubleType(), self.count)
        return ir.VectorType(ir.IntType(1 if self.scalar == types.boolean else self.scalar.bitwidth), self.count)


@register_default(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, vector.llvm)


def instruction(kind: Callable[..., Any], emit: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make of a Python function the instruction `emit`, whose result for arguments of given types has type `kind`."""

    def made(meaning: Callable[..., Any]) -> Any:
        if numba.config.DISABLE_JIT:
            return meaning

        def typed(*arguments: Any) -> Any:
            return signature(kind(*arguments), *arguments), emit

        names = ", ".join(meaning.__code__.co_varnames[: meaning.__code__.co_argcount])
        scope: dict[str, Any] = {"typed": typed}
        exec(f"def {meaning.__name__}(context, {names}): return typed({names})", scope)  # intrinsic wants these names
        emitted = intrinsic(scope[meaning.__name__])
        emitted.meaning = meaning
        return emitted

    return made


def _place(context: Any, builder: Any, sig: Any, values: Any, vector: Vector) -> tuple[Any, int]:
    data = arrayobj.make_array(sig.args[0])(context, builder, values[0]).data
    return builder.bitcast(builder.gep(data, [values[1]]), vector.llvm.as_pointer()), sig.args[0].dtype.bitwidth // 8


def _load(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    pointer, align = _place(context, builder, sig, values, sig.return_type)
    return builder.load(pointer, align=align)


def _store(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    pointer, align = _place(context, builder, sig, values, sig.args[2])
    builder.store(values[2], pointer, align=align)
    return context.get_dummy_value()


def _some(context: Any, builder: Any, sig: Any, values: Any, vector: Vector, count: Any) -> tuple[Any, Any, Any]:
    """The array's place, a vector of zeros on the stack, and the bytes of `count` numbers."""
    pointer, align = _place(context, builder, sig, values, vector)
    room = cgutils.alloca_once(builder, vector.llvm)
    return pointer, room, builder.mul(count, ir.Constant(INT64, align))


def _take(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    vector = sig.return_type
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


def _put(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    vector = sig.args[2]
    pointer, room, size = _some(context, builder, sig, values, vector, values[3])
    whole = builder.icmp_signed(">=", values[3], ir.Constant(INT64, vector.count))
    with builder.if_else(whole) as (then, otherwise):
        with then:
            builder.store(values[2], pointer, align=sig.args[0].dtype.bitwidth // 8)
        with otherwise:
            builder.store(values[2], room)
            cgutils.raw_memcpy(builder, pointer, room, size, 1)
    return context.get_dummy_value()


def _convert(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    return _converted(builder, values[0], sig.args[0].scalar, sig.return_type.scalar, sig.return_type.llvm)


def _converted(builder: Any, value: Any, old: Any, new: Any, llvm: Any) -> Any:
    if old == new:
        return value
    if isinstance(old, types.Float) and isinstance(new, types.Float):
        return builder.fpext(value, llvm) if new == types.float64 else builder.fptrunc(value, llvm)
    if isinstance(old, types.Float):
        return builder.fptosi(value, llvm) if new.signed else builder.fptoui(value, llvm)
    signed = getattr(old, "signed", False)
    if isinstance(new, types.Float):
        return builder.sitofp(value, llvm) if signed else builder.uitofp(value, llvm)
    if old != types.boolean and new.bitwidth <= old.bitwidth:
        return value if new.bitwidth == old.bitwidth else builder.trunc(value, llvm)
    return builder.sext(value, llvm) if signed else builder.zext(value, llvm)


def _fill(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    vector = sig.return_type
    one = _converted(builder, values[0], sig.args[0], vector.scalar, vector.llvm.element)
    first = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), one, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(INT32, vector.count), None))


def _nonzero(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    there = builder.icmp_unsigned("!=", values[0], ir.Constant(values[0].type, None))
    return builder.bitcast(there, INT64)


def _at_least(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    scalar = sig.args[0].scalar
    if isinstance(scalar, types.Float):
        return builder.fcmp_ordered(">=", *values)
    return (builder.icmp_signed if scalar.signed else builder.icmp_unsigned)(">=", *values)


def _select(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    return builder.select(*values)


def _shift(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    count = ir.Constant(sig.args[0].llvm, ir.Undefined)
    by = _converted(builder, values[1], sig.args[1], sig.args[0].scalar, sig.args[0].llvm.element)
    count = builder.insert_element(count, by, ir.Constant(INT32, 0))
    zeros = ir.Constant(ir.VectorType(INT32, sig.args[0].count), None)
    return builder.ashr(values[0], builder.shuffle_vector(count, count, zeros))


def _of(count: int) -> Callable[..., Vector]:
    def read(array: Any, *_: Any) -> Vector:
        if array.layout != "C":
            raise TypingError(f"expected numbers side by side, got {array}")
        return Vector(array.dtype, count)

    return read


def _written(array: Any, index: Any, vector: Any, *_: Any) -> Any:
    if array.layout != "C" or array.dtype != vector.scalar:
        raise TypingError(f"expected an array of {vector.scalar} side by side, got {array}")
    return types.none


def _like(count: int) -> Callable[..., Vector]:
    return lambda _, array: Vector(array.dtype, count)


@instruction(_of(16), _load)
def load16(array, index):
    """The 16 numbers of a flat array from `index` on; nobody checks that they are there."""
    return array[index : index + 16].copy()


@instruction(_of(64), _load)
def load64(array, index):
    """The 64 numbers from `index` on."""
    return array[index : index + 64].copy()


@instruction(_written, _store)
def store(array, index, vector):
    """Write a vector to a flat array of its type, from `index` on."""
    array[index : index + len(vector)] = vector


@instruction(_of(16), _take)
def take16(array, index, count):
    """The next 16 numbers, or the next `count` if that is less, and zeros."""
    part = np.zeros(16, array.dtype)
    part[: min(count, 16)] = array[index : index + min(count, 16)]
    return part


@instruction(_of(64), _take)
def take64(array, index, count):
    """The next 64 numbers, or the next `count` if that is less, and zeros."""
    part = np.zeros(64, array.dtype)
    part[: min(count, 64)] = array[index : index + min(count, 64)]
    return part


@instruction(_written, _put)
def put(array, index, vector, count):
    """Write a vector, or its first `count` numbers if that is less."""
    count = min(count, len(vector))
    array[index : index + count] = vector[:count]


@instruction(_like(16), _fill)
def fill16(value, like):
    """16 times a value, in the type of the array `like`, cut to its bits."""
    return np.full(16, value).astype(like.dtype)


@instruction(_like(64), _fill)
def fill64(value, like):
    """64 times a value."""
    return np.full(64, value).astype(like.dtype)


@instruction(lambda vector, like: Vector(like.dtype, vector.count), _convert)
def to(vector, like):
    """The vector in the type of the array `like`; integers are cut to its bits."""
    return vector.astype(like.dtype)


@instruction(lambda a, b: Vector(types.boolean, a.count), _at_least)
def at_least(a, b):
    """Where `a >= b`."""
    return a >= b


@instruction(lambda where, a, b: a, _select)
def select(where, a, b):
    """`a` where it holds, `b` elsewhere."""
    return np.where(where, a, b)


@instruction(lambda a, bits: a, _shift)
def halve(a, bits):
    """`a >> bits` of signed integers: floor(a / 2**bits)."""
    return a >> a.dtype.type(bits)


@instruction(lambda vector: types.uint64, _nonzero)
def nonzero(vector):
    """Which of 64 numbers are not 0, as the bits of an integer, the first lowest."""
    return sum(1 << int(i) for i in np.flatnonzero(vector))


@instruction(
    lambda bits: types.int64, lambda c, builder, s, values: builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))
)
def lowest(bits):
    """The place of the lowest bit of an integer other than 0."""
    return (bits & -bits).bit_length() - 1


def _first(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    bits, count = values
    ones = builder.sub(builder.shl(ir.Constant(INT64, 1), count), ir.Constant(INT64, 1))
    return builder.select(builder.icmp_signed("<", count, ir.Constant(INT64, 64)), builder.and_(bits, ones), bits)


@instruction(lambda bits, count: types.uint64, _first)
def first(bits, count):
    """The lowest `count` bits."""
    return bits & ((1 << int(count)) - 1)


@instruction(
    lambda bits: types.uint64,
    lambda c, builder, s, values: builder.and_(values[0], builder.sub(values[0], ir.Constant(INT64, 1))),
)
def without_lowest(bits):
    """The integer with its lowest bit cleared."""
    return bits & (bits - 1)


def _exponential(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    vector, double = sig.return_type, signature(types.float64, types.float64)
    exponential = context.get_function(math.exp, double)
    result = ir.Constant(vector.llvm, ir.Undefined)
    for lane in range(vector.count):
        place = ir.Constant(INT32, lane)
        wide = builder.fpext(builder.extract_element(values[0], place), ir.DoubleType())
        narrow = builder.fptrunc(exponential(builder, [wide]), ir.FloatType())
        result = builder.insert_element(result, narrow, place)
    return result


@instruction(lambda vector: vector, _exponential)
def exponential(vector):
    """e**x of float32 numbers, one by one in float64."""
    return np.exp(vector.astype(np.float64)).astype(np.float32)


def _intrinsic(name: str) -> Callable[..., Any]:
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        vector = sig.return_type
        kind = ir.FunctionType(vector.llvm, [vector.llvm] * len(values))
        whole = f"llvm.{name}.v{vector.count}f{vector.scalar.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, whole), values)

    return emit


@instruction(lambda a, b, c: a, _intrinsic("fma"))
def multiply_add(a, b, c):
    """`a*b + c` of real numbers, which the processor rounds once (and NumPy twice)."""
    return a * b + c


@instruction(lambda vector: vector, _intrinsic("rint"))
def nearest(vector):
    """Real numbers rounded to the nearest integers, halves to even ones."""
    return np.rint(vector)


@instruction(lambda vector: vector, lambda c, builder, s, values: builder.fneg(values[0]))
def negative(vector):
    """`-x` of real numbers."""
    return -vector


_OPERATORS = {operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.truediv: "div"}


def _register(function: Any, name: str) -> None:
    @infer_global(function)
    class Both(AbstractTemplate):  # Numba's way to type an operator of two vectors of one type
        def generic(self, arguments: Any, keywords: Any) -> Any:
            if len(arguments) == 2 and isinstance(arguments[0], Vector) and arguments[0] == arguments[1]:
                return signature(arguments[0], *arguments)
            return None

    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        real = isinstance(sig.return_type.scalar, types.Float)
        return getattr(builder, f"f{name}" if real else name)(*values)

    lower_builtin(function, Vector, Vector)(emit)


for _function, _name in _OPERATORS.items():
    _register(_function, _name)
