"""Fixed-point formats Qi.f: a sign, i integer bits, f fraction bits, two's complement (Q-SpiNN, Section II-B)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, NumericsError, Unquoted, expected
from qpsnn_core.common.types import Array, Doubles, Integers, Longs
from qpsnn_core.common.validation import check_at_least, check_choice, check_number, numbers_of, whole
from qpsnn_core.kernels import fixed_point as kernels

ROUNDINGS = {
    "truncation": kernels.TRUNCATION,
    "nearest": kernels.NEAREST,
    "stochastic": kernels.STOCHASTIC,
}
"""Truncation is floor; nearest rounds half up (Eq. 3); stochastic rounds up with the chance of the fraction (Eq. 4)."""

MOST_BITS = 32
"""Of a stored number, its sign included."""


@dataclass(frozen=True)
class FixedPoint:
    """Qi.f: numbers `code * 2**-f`, codes from `-2**(i+f)` to `2**(i+f) - 1`: the range is `[-2**i, 2**i - 2**-f]`."""

    integer: int
    fraction: int

    def __post_init__(self) -> None:
        check_at_least("fixed point: integer bits", self.integer, 0)
        check_at_least("fixed point: fraction bits", self.fraction, 0)
        if self.bits > MOST_BITS:
            raise ConfigError(expected(f"fixed point {self}", f"at most {MOST_BITS} bits with the sign", self.bits))

    @classmethod
    def parse(cls, text: str) -> FixedPoint:
        """The format that is written "Q1.6". ConfigError for any other text."""
        match = re.fullmatch(r"Q(\d{1,3})\.(\d{1,3})", text) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(expected("fixed point", "a format such as 'Q1.6'", text))
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def covering(cls, low: float, high: float, fraction: int) -> FixedPoint:
        """The format with so many fraction bits and the fewest integer bits that holds all from `low` to `high`.

        Raises ConfigError where no format of at most 32 bits does, or the range is empty or not finite.
        """
        check_at_least("fixed point: fraction bits", fraction, 0)
        for name, value in (("low", low), ("high", high)):
            check_number(f"fixed point: {name}", value, "a finite number", lambda one: bool(np.isfinite(one)))
        if low > high:
            raise ConfigError(expected("fixed point: range", "low <= high", Unquoted(f"{low} > {high}")))
        for integer in range(MOST_BITS - fraction):
            if -(2**integer) <= low and high <= 2**integer - 2.0**-fraction:
                return cls(integer, fraction)
        raise ConfigError(
            expected("fixed point: range", f"one that {MOST_BITS} bits hold", Unquoted(f"{low} to {high}"))
        )

    def __str__(self) -> str:
        return f"Q{self.integer}.{self.fraction}"

    @property
    def bits(self) -> int:
        """1 + i + f."""
        return 1 + self.integer + self.fraction

    @property
    def low(self) -> int:
        """The smallest code."""
        return int(-(2 ** (self.integer + self.fraction)))

    @property
    def high(self) -> int:
        """The largest code."""
        return int(2 ** (self.integer + self.fraction) - 1)

    @property
    def step(self) -> float:
        """ε, the distance of two numbers: `2**-f`."""
        return float(2.0**-self.fraction)

    @property
    def dtype(self) -> np.dtype[np.signedinteger[Any]]:
        """The narrowest of int8, int16 and int32 that holds the codes."""
        return np.dtype(np.int8 if self.bits <= 8 else np.int16 if self.bits <= 16 else np.int32)


@dataclass(frozen=True)
class Quantized:
    """What `quantize` gives: codes in the format's type, and how many numbers saturated."""

    codes: Integers
    saturated: int


def quantize(values: Array, form: FixedPoint, rounding: str, seed: int | None = None) -> Quantized:
    """Real numbers as codes of a format.

    seed: 0 to 2**32 - 1, needed by stochastic rounding alone: the draw depends on it and the number's place in the
    array. Raises ConfigError (rounding, seed), DataError (no numbers), NumericsError (NaN or infinity).
    """
    check_choice("rounding", rounding, tuple(ROUNDINGS))
    numbers: Doubles = np.ascontiguousarray(numbers_of("values", values), np.float64).reshape(-1)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise NumericsError(expected(f"values[{wrong[0]}]", "a finite number", numbers[wrong[0]]))
    codes: Longs = np.empty(len(numbers), np.int64)
    key = check_seed(rounding, seed)
    count = kernels.quantize(
        0, len(numbers), numbers, codes, 2.0**form.fraction, ROUNDINGS[rounding], form.low, form.high, np.uint64(key)
    )
    return Quantized(codes.astype(form.dtype).reshape(np.shape(values)), int(count))


def check_seed(rounding: str, seed: int | None) -> int:
    """The seed; 0 where none is needed. ConfigError if stochastic rounding has none."""
    if seed is None:
        if rounding == "stochastic":
            raise ConfigError(expected("seed", "a whole number for stochastic rounding", None))
        return 0
    if whole("seed", seed, 0) >= 2**32:
        raise ConfigError(expected("seed", "a whole number below 2**32", seed))
    return int(seed)


def values_of(codes: Integers, form: FixedPoint) -> Doubles:
    """The numbers that codes stand for, float64, exactly."""
    return np.asarray(codes, np.float64) * form.step


def constant(value: float, form: FixedPoint, rounding: str, place: str) -> int:
    """The code of a constant: as `rounding` says, stochastic rounding taking the nearest, for it is stored but once.

    Raises ConfigError, naming `place`, if the format does not hold it.
    """
    exact = Decimal(repr(float(value))) * 2**form.fraction
    below = int(exact.to_integral_value("ROUND_FLOOR"))
    code = below + (1 if rounding != "truncation" and exact - below >= Decimal("0.5") else 0)
    if not form.low <= code <= form.high:
        low, high = form.low * form.step, form.high * form.step
        raise ConfigError(expected(place, f"a number from {low:g} to {high:g}, the range of {form}", value))
    return code
