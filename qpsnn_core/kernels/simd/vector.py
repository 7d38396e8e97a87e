"""Vectors as values: a few neighbouring numbers of a flat array that a kernel adds, multiplies and compares at once.

LLVM turns a Vector into whatever registers the processor has, so that sums stay in registers where a loop over array
slices would go through memory and check for overlaps. Each instruction below is written twice: as the Python that says
what it does (and runs when the compiler is off, on small NumPy arrays), and as the LLVM code that it becomes (llvm.py,
llvm_memory.py). `+ - * /` of two vectors of a type are what they are of NumPy arrays.
"""

from __future__ import annotations

import numpy as np
from numba import types

from qpsnn_core.kernels.simd import llvm, llvm_memory
from qpsnn_core.kernels.simd.llvm import Vector, instruction


@instruction(llvm.one, llvm_memory.item)
def item(array, index):
    """`array[index]` of a flat array, where the index is known not to be negative: Numba would look each time."""
    return array[index]


@instruction(llvm.one, llvm_memory.fresh)
def fresh(array, index):
    """`array[index]`, which another thread may just have changed."""
    return array[index]


@instruction(llvm.one, llvm_memory.set_item)
def set_item(array, index, value):
    """`array[index] = value`, likewise; gives what is there then."""
    array[index] = value
    return array[index]


@instruction(llvm.of(8), llvm_memory.load)
def load8(array, index):
    """The 8 numbers of a flat array from `index` on; nobody checks that they are there."""
    return array[index : index + 8].copy()


@instruction(llvm.of(16), llvm_memory.load)
def load16(array, index):
    """The 16 numbers from `index` on."""
    return array[index : index + 16].copy()


@instruction(llvm.of(32), llvm_memory.load)
def load32(array, index):
    """The 32 numbers from `index` on."""
    return array[index : index + 32].copy()


@instruction(llvm.of(64), llvm_memory.load)
def load64(array, index):
    """The 64 numbers from `index` on."""
    return array[index : index + 64].copy()


@instruction(llvm.written, llvm_memory.store)
def store(array, index, vector):
    """Write a vector to a flat array of its type, from `index` on."""
    array[index : index + len(vector)] = vector


@instruction(llvm.of(16), llvm_memory.take)
def take16(array, index, count):
    """The next 16 numbers, or the next `count` if that is less, and zeros."""
    part = np.zeros(16, array.dtype)
    part[: min(count, 16)] = array[index : index + min(count, 16)]
    return part


@instruction(llvm.of(64), llvm_memory.take)
def take64(array, index, count):
    """The next 64 numbers, or the next `count` if that is less, and zeros."""
    part = np.zeros(64, array.dtype)
    part[: min(count, 64)] = array[index : index + min(count, 64)]
    return part


@instruction(llvm.written, llvm_memory.store_masked)
def store_masked(array, index, vector, count):
    """Write a vector, or its first `count` numbers if that is less."""
    count = min(count, len(vector))
    array[index : index + count] = vector[:count]


@instruction(llvm.like(8), llvm.fill)
def fill8(value, like):
    """8 times a value, in the type of the array `like`, cut to its bits."""
    return np.full(8, value).astype(like.dtype)


@instruction(llvm.like(16), llvm.fill)
def fill16(value, like):
    """16 times a value."""
    return np.full(16, value).astype(like.dtype)


@instruction(llvm.like(32), llvm.fill)
def fill32(value, like):
    """32 times a value."""
    return np.full(32, value).astype(like.dtype)


@instruction(llvm.like(64), llvm.fill)
def fill64(value, like):
    """64 times a value."""
    return np.full(64, value).astype(like.dtype)


@instruction(lambda vector, like: Vector(like.dtype, vector.count), llvm.convert)
def to(vector, like):
    """The vector in the type of the array `like`; integers are cut to its bits."""
    return vector.astype(like.dtype)


@instruction(lambda a, b: Vector(types.boolean, a.count), llvm.greater_equal)
def greater_equal(a, b):
    """Where `a >= b`."""
    return a >= b


@instruction(lambda where, a, b: a, llvm.select)
def select(where, a, b):
    """`a` where it holds, `b` elsewhere."""
    return np.where(where, a, b)


@instruction(llvm.appended, llvm_memory.append)
def append(array, index, where, vector):
    """Write the integers where it holds side by side from `index` on, cut to the array's type; the next index.

    As many numbers as the vector has may be written, of which those behind the next index say nothing.
    """
    chosen = vector[where].astype(array.dtype)
    array[index : index + len(chosen)] = chosen
    return index + len(chosen)


@instruction(lambda a, b: Vector(a.scalar, 2 * a.count), llvm.weave)
def weave(a, b):
    """Twice as many numbers: one of `a`, one of `b`, and so on."""
    return np.stack((a, b), 1).reshape(-1)


@instruction(lambda a, bits: a, llvm.shift)
def halve(a, bits):
    """`a >> bits` of signed integers: floor(a / 2**bits)."""
    return a >> a.dtype.type(bits)


@instruction(lambda vector: vector, llvm.low_nibble)
def low_nibble(vector):
    """The lower four bits of bytes."""
    return vector & 15


@instruction(lambda vector: vector, llvm.high_nibble)
def high_nibble(vector):
    """The upper four bits of bytes, moved down."""
    return vector >> 4


@instruction(lambda value, vector: vector, llvm.fill)
def repeat(value, vector):
    """A value as often as the vector has numbers, in its type."""
    return np.full(len(vector), value, vector.dtype)


@instruction(llvm.of_type(types.float64), llvm.convert)
def widen(vector):
    """float32 as float64."""
    return vector.astype(np.float64)


@instruction(llvm.of_type(types.float32), llvm.convert)
def narrow(vector):
    """float64 as float32, rounded."""
    with np.errstate(over="ignore", under="ignore"):
        return vector.astype(np.float32)


@instruction(lambda vector: vector, llvm.power_of_two)
def power_of_two(vector):
    """2**n of whole numbers n in float64, |n| <= 1022; anything of NaN."""
    with np.errstate(invalid="ignore"):
        return np.ldexp(1.0, vector.astype(np.int64))


@instruction(lambda a, b, c: a, llvm.by_name("fma"))
def multiply_add(a, b, c):
    """`a*b + c` of real numbers, rounded once.

    Of float32, the product is exact in float64. Of float64, it is the sum of two numbers, as long as the lower one is
    not below the smallest, nor a factor beyond 2**996. Of a sum that is not exact, the last bit is made odd, so that it
    is not taken for a half: it is then rounded as the exact sum is (Boldo and Melquiond 2008).
    """
    if a.dtype == np.float32:
        product = a.astype(np.float64) * b
        return odd(*exact_sum(product, c)).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        product, low = exact_product(a, b)
        total, rest = exact_sum(c, low)
        total, lost = exact_sum(product, total)
        found = total + odd(*exact_sum(rest, lost))
        given = np.where(np.isfinite(a) & np.isfinite(b) & np.isinf(c), c, a * b + c)
        return np.where(np.isfinite(found), found, given)


def exact_product(a, b):
    """`a*b` of float64 numbers as the sum of two (Veltkamp, Dekker)."""
    high = []
    for number in (a, b):
        large = number * 134217729.0  # 2**27 + 1
        high.append(large - (large - number))
    (p, q), product = high, a * b
    return product, (a - p) * (b - q) - (((product - p * q) - (a - p) * q) - p * (b - q))


def exact_sum(a, b):
    """`a + b` of float64 numbers as the sum of two (Knuth)."""
    total = a + b
    added = total - a
    return total, (a - (total - added)) + (b - added)


def odd(total, lost):
    """`total`, with an odd last bit on the side of `lost` where that is not 0."""
    bits = total.view(np.int64)
    bits += np.where((lost != 0) & np.isfinite(lost) & (bits & 1 == 0), np.where((lost > 0) == (total > 0), 1, -1), 0)
    return total


@instruction(lambda vector: vector, llvm.by_name("rint"))
def rint(vector):
    """Real numbers rounded to the nearest integers, halves to even ones."""
    return np.rint(vector)


@instruction(lambda vector: vector, lambda c, builder, s, values: builder.fneg(values[0]))
def negative(vector):
    """`-x` of real numbers."""
    return -vector


@instruction(lambda function, vector, value: vector, llvm.each)
def each(function, vector, value):
    """`function(x, value)` of each number x of float32; function: the address of C code of two float32 and one."""
    return np.array([function(x, value) for x in vector], vector.dtype)
