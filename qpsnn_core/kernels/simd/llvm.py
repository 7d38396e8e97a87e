"""What the instructions of vector.py become: the Vector type as Numba sees it, and the LLVM code of arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

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
        if getattr(config, "DISABLE_JIT"):  # noqa: B009 - numba fills its config at run time
            return meaning

        def typed(*arguments: Any) -> Any:
            return signature(kind(*arguments), *arguments), emit

        names = ", ".join(meaning.__code__.co_varnames[: meaning.__code__.co_argcount])
        scope: dict[str, Any] = {"typed": typed}
        exec(f"def {meaning.__name__}(context, {names}): return typed({names})", scope)  # intrinsic wants these names
        emitted: Any = intrinsic(scope[meaning.__name__])
        emitted.meaning = meaning
        return emitted

    return made


host_features = getattr(config, "CPU_FEATURES") or get_host_cpu_features()  # noqa: B009 - as above
"""Names of instruction sets, each after `+` where it is there: of this processor, or as NUMBA_CPU_FEATURES says."""

AVX2, AVX512, MASKS = (f"+avx{part}" in host_features for part in ("2", "512f", "512bw"))
"""Whether there are registers of 32 bytes, 32 of 64 bytes, and instructions that read and write some of a vector's
numbers: of this processor, or of that which NUMBA_CPU_FEATURES says."""


def everywhere(builder: Any, one: Any, kind: Any) -> Any:
    """One number in all places of a vector."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), one, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(INT32, kind.count), None))


def convert(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Each to another type."""
    return converted(builder, values[0], sig.args[0].scalar, sig.return_type.scalar, sig.return_type.llvm)


def converted(builder: Any, value: Any, old: Any, new: Any, llvm: Any) -> Any:
    """A number or a vector of type `old` as one of type `new`, whose LLVM type is `llvm`."""
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


def fill(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One number everywhere."""
    vector = sig.return_type
    one = converted(builder, values[0], sig.args[0], vector.scalar, vector.llvm.element)
    return everywhere(builder, one, vector.llvm)


def greater_equal(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One truth for each pair of numbers."""
    scalar = sig.args[0].scalar
    if isinstance(scalar, types.Float):
        return builder.fcmp_ordered(">=", *values)
    return (builder.icmp_signed if scalar.signed else builder.icmp_unsigned)(">=", *values)


def select(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """One of two numbers, by a truth."""
    return builder.select(*values)


def shift(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Bits moved down, signs kept."""
    by = converted(builder, values[1], sig.args[1], sig.args[0].scalar, sig.args[0].llvm.element)
    return builder.ashr(values[0], everywhere(builder, by, sig.args[0].llvm))


def low_nibble(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Four bits of each byte."""
    return builder.and_(values[0], ir.Constant(values[0].type, [15] * sig.return_type.count))


def high_nibble(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """The other four."""
    return builder.lshr(values[0], ir.Constant(values[0].type, [4] * sig.return_type.count))


def weave(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Numbers of both in turn."""
    count = sig.args[0].count
    order = [place + both for place in range(count) for both in (0, count)]
    return builder.shuffle_vector(*values, ir.Constant(ir.VectorType(INT32, 2 * count), order))


def each(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """A call of C code, whose address is the first value, for each number of a vector, with one more number."""
    address, vector, value = values
    kind = ir.FunctionType(ir.FloatType(), (ir.FloatType(), ir.FloatType())).as_pointer()
    function = builder.inttoptr(address, kind)
    for place in range(sig.return_type.count):
        at = ir.Constant(INT32, place)
        vector = builder.insert_element(
            vector, builder.call(function, (builder.extract_element(vector, at), value)), at
        )
    return vector


def of(count: int) -> Callable[..., Vector]:
    """The kind of what reads `count` numbers of an array."""
    return lambda array, *_: Vector(one(array), count)


def one(array: Any, *_: Any) -> Any:
    """The kind of one number of an array. TypingError unless its numbers lie side by side."""
    if array.layout != "C":
        raise TypingError(f"expected numbers side by side, got {array}")
    return array.dtype


def written(array: Any, index: Any, vector: Any, *_: Any) -> Any:
    """The kind of what writes a vector to an array: nothing. TypingError unless the types fit."""
    if one(array) != vector.scalar:
        raise TypingError(f"expected an array of {vector.scalar}, got {array}")
    return types.none


def appended(array: Any, index: Any, where: Any, vector: Any) -> Any:
    """The kind of what writes some of a vector's numbers to an array: the next index. TypingError unless integers."""
    if not isinstance(one(array), types.Integer) or not isinstance(vector.scalar, types.Integer):
        raise TypingError(f"expected integers, got {array} and {vector}")
    return types.int64


def like(count: int) -> Callable[..., Vector]:
    """The kind of a vector of `count` numbers of an array's type."""
    return lambda _, array: Vector(array.dtype, count)


def called(builder: Any, name: str, result: Any, *values: Any) -> Any:
    """What LLVM's function of that name gives, of type `result`."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def by_name(name: str) -> Callable[..., Any]:
    """LLVM's own function of that name."""

    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        vector = sig.return_type
        return called(builder, f"llvm.{name}.v{vector.count}f{vector.scalar.bitwidth}", vector.llvm, *values)

    return emit


def power_of_two(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """2**n: 2**52 + 1023 + n has n + 1023 in its lowest bits, which moved up are an exponent."""
    vector = sig.return_type.llvm
    moved = builder.fadd(values[0], ir.Constant(vector, [2.0**52 + 1023] * vector.count))
    bits = ir.VectorType(INT64, vector.count)
    shifted = builder.shl(builder.bitcast(moved, bits), ir.Constant(bits, [52] * vector.count))
    return builder.bitcast(shifted, vector)


def of_type(scalar: Any) -> Callable[..., Vector]:
    """The kind of a vector as long, of another type."""
    return lambda vector: Vector(scalar, vector.count)


def _register(name: str, function: Any) -> None:
    @infer_global(function)
    class Both(AbstractTemplate):  # Numba's way to type an operator of two vectors of one type
        def generic(self, arguments: Any, keywords: Any) -> Any:
            both = len(arguments) == 2 and isinstance(arguments[0], Vector) and arguments[0] == arguments[1]
            return signature(arguments[0], *arguments) if both else None

    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        real = isinstance(sig.return_type.scalar, types.Float)
        return getattr(builder, f"f{name}" if real else name)(*values)

    lower_builtin(function, Vector, Vector)(emit)


for _function in (operator.add, operator.sub, operator.mul, operator.truediv):
    _register(_function.__name__.removeprefix("true"), _function)
