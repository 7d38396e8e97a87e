"""Elementary functions of a few numbers, the same bits on every processor and under every C library.

Each is computed with DIGITS decimal digits and rounded once to float64. They cost microseconds, so they are for
settings (time constants, angles, tables), not for the numbers of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.types import Doubles, Longs

DIGITS = 40

TINY = Decimal(10) ** -18
"""Below it, `e**x - 1` rounds to x."""

GUARD_BITS = 160
"""Behind the point: three times as many as a float64 of 1 has."""

MOST_RADIANS = 1000

_context = Context(prec=DIGITS, Emin=-(10**9), Emax=10**9, traps=[])


def exp(values: npt.ArrayLike) -> Doubles:
    """e**x of each number."""
    return _each(lambda x: x.exp(_context), values)


def expm1(values: npt.ArrayLike) -> Doubles:
    """e**x - 1 of each number."""
    return _each(lambda x: x if abs(x) < TINY else _context.subtract(x.exp(_context), Decimal(1)), values)


def log(values: npt.ArrayLike) -> Doubles:
    """The natural logarithm of each number; minus infinity of 0, NaN below it."""
    return _each(lambda x: x.ln(_context), values)


def circular(angle: float) -> tuple[float, float, float]:
    """Sine, cosine and tangent of an angle in radians, of a magnitude up to 1000; ValueError beyond.

    Taylor's series in whole numbers of `2**-bits`, more bits the larger its terms are before they shrink.
    """
    if not abs(angle) <= MOST_RADIANS:
        raise ValueError(f"circular: expected an angle of at most {MOST_RADIANS} radians, got {angle}")
    if abs(angle) < 2.0**-28:  # what the series adds rounds away
        return angle, 1.0, angle
    bits = GUARD_BITS + int(2 * abs(angle))
    over, under = angle.as_integer_ratio()
    x = (over << bits) // under
    square = (x * x) >> bits
    sums = []
    for n, term in ((1, x), (0, 1 << bits)):
        total = 0
        while term not in (0, -1):  # a negative number shifted right ends at -1
            total += term
            n += 2
            term = -((term * square) >> bits) // (n * (n - 1))
        sums.append(total)
    sine, cosine = sums
    return sine / (1 << bits), cosine / (1 << bits), sine / cosine


def _each(function: Callable[[Decimal], Decimal], values: npt.ArrayLike) -> Doubles:
    """The function of each number, computed once for equal ones."""
    array = np.asarray(values, np.float64)
    different, places = np.unique(array, return_inverse=True)
    found = np.array([float(function(Decimal(value))) for value in different.tolist()], np.float64)
    return found[places].reshape(array.shape)


def floor_log2(values: npt.NDArray[Any]) -> Longs:
    """The largest n with `2**n <= x` of each number above 0."""
    found: Longs = np.frexp(values)[1].astype(np.int64) - 1
    return found


def ceil_log2(values: npt.NDArray[Any]) -> Longs:
    """The smallest n with `2**n >= x` of each number above 0."""
    mantissa, exponent = np.frexp(values)
    found: Longs = exponent.astype(np.int64) - (mantissa == 0.5)
    return found


def powers(base: float, count: int) -> Doubles:
    """`base**0` to `base**(count - 1)`, one product after another."""
    found = np.ones(count)
    for n in range(1, count):
        found[n] = found[n - 1] * base
    return found


def sum_of_powers(base: float, count: int) -> float:
    """`base**0 + ... + base**(count - 1)` of a base of at least 0, by doubling; infinity beyond float64.

    `S(2n) = S(n) (1 + base**n)` and `S(n + 1) = 1 + base S(n)`: nothing cancels.
    """
    total, power = 0.0, 1.0  # S(n), base**n
    for bit in bin(count)[2:]:
        total, power = total * (1 + power), power * power
        if bit == "1":
            total, power = 1 + base * total, power * base
        if not math.isfinite(total):
            return math.inf
    return total
