"""The quantizer of a stored membrane (SpQuant-SNN), and in plain NumPy what replaces its derivative.

`v` is a membrane in units of the quantizer's step, `threshold / parts`. The kernels compute the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.types import Doubles
from qpsnn_core.common.validation import check_at_least, check_choice, check_number, is_positive

MEMBRANE_SURROGATES = ("stacked", "straight")
"""What stands in for the derivative of the rounding."""

MOST_LEVELS = 256
"""A stored membrane has at most 8 bits."""


def check_levels(place: str, low: int, high: int, parts: int) -> None:
    """ConfigError unless `low <= 0 <= high` are the ends of at least 2 and at most MOST_LEVELS levels."""
    for name, value in (("low", low), ("high", high)):
        if type(value) is not int:
            raise ConfigError(expected(f"{place}.{name}", "an integer (a multiple of the threshold)", value))
    check_at_least(f"{place}.parts", parts, 1)
    if not low <= 0 <= high or low == high:
        want = "low <= 0 <= high, not both 0: a membrane begins at 0"
        raise ConfigError(expected(f"{place}.low, high", want, Unquoted(f"{low}, {high}")))
    count = (high - low) * parts + 1
    if count > MOST_LEVELS:
        want = f"at most {MOST_LEVELS} levels (8 bits) from low to high"
        raise ConfigError(expected(f"{place}.low, high, parts", want, Unquoted(f"{count}")))


@dataclass(frozen=True)
class MembraneQuantizer:
    """`Q(u) = step * q(u / step)`, `step = threshold / parts`: q rounds to the nearest integer, ties to the lower one,

    and keeps it from `low*parts` to `high*parts`: `q(v) = ceil(min(max(v, low*parts), high*parts) - 1/2)`. Levels are
    low..high thresholds: (-1, 1) is ternary, (-3, 1) five levels. Backward, `dQ/du = q'(u / step)` is by `surrogate`
    "stacked": `sum_l k*s(k*(v - c_l))*(1 - s(k*(v - c_l)))`, s the logistic function, over all levels l but 0, each at
    its edge on the side of 0: `c_l = l + 1/2` below 0, `l - 1/2` above; "straight": 1 (`k` is not used). masked: it is
    0 where u is outside the levels.
    """

    low: int = -3
    high: int = 1
    surrogate: str = "stacked"
    k: float = 2.0
    masked: bool = False
    parts: int = 1

    def __post_init__(self) -> None:
        plain_fields(self)
        place = "membrane"
        check_levels(place, self.low, self.high, self.parts)
        check_choice(f"{place}.surrogate", self.surrogate, MEMBRANE_SURROGATES)
        check_number(f"{place}.k", self.k, "a positive number", is_positive)
        if type(self.masked) is not bool:
            raise ConfigError(expected(f"{place}.masked", "true or false", self.masked))

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest level, in steps."""
        return self.low * self.parts, self.high * self.parts

    @property
    def levels(self) -> int:
        """How many there are."""
        return (self.high - self.low) * self.parts + 1

    @property
    def bits(self) -> int:
        """Whole bits that hold a level; its information is `log2(levels)`: 1.58 of ternary, 2.32 of five levels."""
        return ceil(log2(self.levels))


def quantized(how: MembraneQuantizer, v: npt.ArrayLike) -> Doubles:
    """The level of each membrane: both in steps, float64."""
    found: Doubles = np.ceil(np.clip(np.asarray(v, np.float64), *how.ends) - 0.5)
    return found


def membrane_slope(how: MembraneQuantizer, v: npt.ArrayLike) -> Doubles:
    """q'(v) in float64: what the backward pass puts for the derivative of the level."""
    given = np.asarray(v, np.float64)
    slope = np.ones_like(given)
    if how.surrogate == "stacked":
        shares = [0.5 + 0.5 * np.tanh(how.k * (given - edge) / 2) for edge in edges(how)]
        slope = np.sum([how.k * share * (1 - share) for share in shares], axis=0)
    low, high = how.ends
    return np.where((given < low) | (given > high), 0.0, slope) if how.masked else slope


def membrane_primitive(how: MembraneQuantizer, v: npt.ArrayLike) -> Doubles:
    """The smooth function of v, 0 at 0 or near it, whose derivative is `membrane_slope`, float64."""
    given = np.asarray(v, np.float64)
    inside = np.clip(given, *how.ends) if how.masked else given
    if how.surrogate == "straight":
        return inside
    shares = [0.5 + 0.5 * np.tanh(how.k * (inside - edge) / 2) - (edge < 0) for edge in edges(how)]
    total: Doubles = np.sum(shares, axis=0)
    return total


def edges(how: MembraneQuantizer) -> list[float]:
    """c_l of each level but 0, from the lowest to the highest."""
    low, high = how.ends
    return [level + 0.5 if level < 0 else level - 0.5 for level in range(low, high + 1) if level]
