"""Exponential, logarithm, sine, cosine and whole powers, the same bits everywhere: additions, products and divisions.

Those of the C library, of NumPy and of Numba choose their code by processor and version, and differ in the last bit.
All of these take numbers or arrays in float64, and err by less than one unit in the last place (cosine and sine: of 1).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qpsnn_core.kernels.simd.vector import greater_equal, narrow, power_of_two, repeat, rint, select, widen
from qpsnn_core.kernels.threads import kernel

LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
"""ln 2 in two parts, the first of 33 bits, so that its product with a whole number below 2**20 is exact."""

PER_LN2 = float.fromhex("0x1.71547652b82fep0")
"""1 / ln 2."""

FACTORIALS = tuple(1 / math.factorial(n) for n in range(20))

EXPONENTIAL = FACTORIALS[13:1:-1]
"""Taylor's coefficients of r**13 to r**2 of e**r, |r| <= ln(2)/2: what is left out is below 2**-57."""

LOGARITHM = tuple(2 / n for n in range(23, 2, -2))
"""Coefficients of s**23 to s**3 of log((1 + s)/(1 - s)), |s| <= 0.172: what is left out is below 2**-65."""

SINE = tuple((-1) ** (n // 2) * FACTORIALS[n] for n in range(19, 2, -2))
COSINE = tuple((-1) ** (n // 2) * FACTORIALS[n] for n in range(18, 3, -2))
"""Taylor's coefficients of x**19 to x**3, and of x**18 to x**4, |x| <= pi/4."""


def exp(x: Any) -> Any:
    """`e**x`: 0 and infinity where float64 holds no more; NaN of NaN."""
    x = np.clip(x, -746.0, 710.0)
    n = np.rint(x * PER_LN2)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.ldexp(1 + (r + r * r * _polynomial(r, EXPONENTIAL)), np.asarray(n).astype(np.int32))


def log(x: Any) -> Any:
    """The natural logarithm of finite numbers above 0; 0 of exactly 1."""
    part, n = np.frexp(x)
    low = part < math.sqrt(0.5)
    part, n = np.where(low, 2 * part, part), n - low
    s = (part - 1) / (part + 1)
    f = part - 1
    half = 0.5 * f * f
    # log(1 + f) = f - (f*f/2 - s*(f*f/2 + R)), so that only small numbers are rounded.
    rest = s * s * _polynomial(s * s, LOGARITHM)
    return n * LN2_HIGH - ((half - (s * (half + rest) + n * LN2_LOW)) - f)


def sine(x: Any) -> Any:
    """sin x, |x| <= pi/4."""
    return x + x * (x * x) * _polynomial(x * x, SINE)


def cosine(x: Any) -> Any:
    """cos x, |x| <= pi/4."""
    return 1 - ((x * x) / 2 - (x * x) * (x * x) * _polynomial(x * x, COSINE))


def cosine_of_half_turns(share: float) -> float:
    """cos(pi * share), 0 <= share <= 1."""
    if share > 0.5:
        return -cosine_of_half_turns(1 - share)
    return float(cosine(math.pi * share) if share <= 0.25 else sine(math.pi * (0.5 - share)))


def power(base: float, exponent: int) -> float:
    """`base**exponent` for a whole exponent of at least 0, by squaring."""
    found, square = 1.0, float(base)
    while exponent:
        if exponent & 1:
            found *= square
        square *= square
        exponent >>= 1
    return found


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """Horner's rule, the highest power first."""
    found = coefficients[0]
    for coefficient in coefficients[1:]:
        found = found * x + coefficient
    return found


@kernel
def exponential(vector):
    """`e**x` of a vector of float32, computed in float64 and rounded once; NaN of NaN."""
    x = widen(vector)
    low, high = repeat(-120.0, x), repeat(100.0, x)
    x = select(greater_equal(low, x), low, select(greater_equal(x, high), high, x))
    n = rint(x * repeat(PER_LN2, x))
    r = (x - n * repeat(LN2_HIGH, x)) - n * repeat(LN2_LOW, x)
    found = repeat(EXPONENTIAL[0], x)
    for coefficient in EXPONENTIAL[1:]:
        found = found * r + repeat(coefficient, x)
    one = repeat(1.0, x)
    return narrow((one + (r + r * r * found)) * power_of_two(n))
