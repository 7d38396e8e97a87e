"""What the C of a network of local learning is made of: objects that are counted, functions, and what it observes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qpsnn_backends.c.items import Item, table
from qpsnn_core.common.types import Array

KINDS = ((8, "int8_t", np.int8), (16, "int16_t", np.int16), (32, "int32_t", np.int32), (64, "int64_t", np.int64))
UNSIGNED = ((8, "uint8_t", np.uint8), (16, "uint16_t", np.uint16), (32, "uint32_t", np.uint32))


class CKind(NamedTuple):
    """A type of C: its name and bytes, and NumPy's."""

    text: str
    bytes: int
    dtype: type[np.generic]


class CLocalPlan(NamedTuple):
    """constants, state, scratch: objects. functions: of layers. reset, step: bodies of these functions.

    watched: each variable, with its expression of index `i`. answers: the array of answers, and its type. answer: the
    body of the function that gives the class, "" where it is not known. notes: lines of the header.
    """

    constants: list[Item]
    state: list[Item]
    scratch: list[Item]
    functions: str
    reset: str
    step: str
    watched: dict[str, str]
    answers: tuple[str, str]
    answer: str
    notes: list[str]


def kind_for(low: int, high: int) -> CKind:
    """The narrowest type that holds these integers."""
    bits = max(high.bit_length(), (-low - 1).bit_length()) + (low < 0)
    for width, text, dtype in UNSIGNED if low >= 0 else KINDS:
        if bits <= width:
            return CKind(text, width // 8, dtype)
    return CKind("int64_t", 8, np.int64)


def variable(owner: str, name: str, kind: CKind, count: int, what: str = "") -> Item:
    """An array of the state or of scratch; count 0: one number."""
    place = f"{name}[{count}]" if count else name
    said = f"{'':4}/* {what} */" if what else ""
    return Item(owner, f"static {kind.text} {place};{said}", kind.bytes * max(count, 1))


def constants(owner: str, name: str, array: Array, low: int, high: int) -> Item:
    """A table in the narrowest type that holds these bounds."""
    kind = kind_for(low, high)
    return table(owner, name, kind.text, array.astype(kind.dtype))


def wide(number: int) -> str:
    """A constant of 64 bits."""
    return f"INT64_C({number})" if number >= 0 else f"(-INT64_C({-number}))"


def power(bits: int) -> str:
    """Multiplies by `2**bits`: a negative number must not be shifted."""
    return f" * {wide(2**bits)}" if bits else ""


def rounding(shift: int, mode: str, low: int, high: int) -> Callable[[str, str], str]:
    """C that stores a wide number: of the number, and of the random word that stochastic rounding adds."""

    def stored(number: str, word: str) -> str:
        if shift and mode == "nearest":
            number = f"{number} + {wide(2 ** (shift - 1))}"
        elif shift and mode == "stochastic":
            number = f"{number} + dither({word}, {shift})"
        return f"kept(floored({number}, {shift}), {wide(low)}, {wide(high)})"

    return stored


SHARED = """\
/* x / 2**bits, rounded down; what >> makes of a negative number is the compiler's choice. */
static inline int64_t floored(int64_t x, int bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}

/* The code within the range of its format. */
static inline int32_t kept(int64_t code, int64_t low, int64_t high)
{
    return (int32_t)(code < low ? low : code > high ? high : code);
}
"""

RANDOM = """\
/* The first word of Philox2x32-10, a function of its counters and its key. */
static uint32_t random_word(uint32_t step, uint32_t element, uint32_t key)
{
    uint32_t left = step, right = element;
    for (int i = 0; i < 10; i++) {
        const uint64_t product = UINT64_C(0xD256D193) * left;
        left = (uint32_t)(product >> 32) ^ key ^ right;
        right = (uint32_t)product;
        key += 0x9E3779B9u;
    }
    return left;
}
"""

DITHER = """\
/* A number below 2**bits, of whose bits the 32 upper ones are drawn. */
static inline int64_t dither(uint32_t word, int bits)
{
    return bits >= 32 ? (int64_t)word * (INT64_C(1) << (bits - 32)) : (int64_t)word >> (32 - bits);
}
"""
