"""What an integer of an input stands for: a range, and the real number of one unit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.types import Array

SIGNED, UNSIGNED = (-128, 127), (0, 255)
"""The integers of a byte, with and without a sign."""


def image_type(low: int, peak: int) -> Any:
    """The narrowest integer that holds images from `low` to `peak`: signed where `low` is below 0."""
    if low < 0:
        return np.int8 if SIGNED[0] <= low and peak <= SIGNED[1] else np.int16
    return np.uint8 if peak <= UNSIGNED[1] else np.uint16 if peak < 2**16 else np.uint32


class InputRange(NamedTuple):
    """Integers from `low` to `peak`; each times `scale` is the real number for which it stands."""

    low: int
    peak: int
    scale: float

    def quantize(self, values: Array) -> Array:
        """Real numbers of any shape as integers: divided by `scale`, rounded to nearest (halves to even), cut at the
        ends. int8 or uint8; uint16 or int16 of a larger range.

        Raises DataError for NaN or infinity, ConfigError where the range has no scale.
        """
        if not self.scale > 0:
            raise ConfigError(expected("quantize.scale", "a range that says for what a unit stands", self.scale))
        real = np.asarray(values)
        if real.dtype.kind not in "biuf" or not np.isfinite(real).all():
            got = "NaN or infinity" if real.dtype.kind in "biuf" else str(real.dtype)
            raise DataError(expected("quantize.values", "finite numbers", Unquoted(got)))
        units = np.rint(real.astype(np.float64) / self.scale)
        cut: Array = np.clip(units, self.low, self.peak).astype(image_type(self.low, self.peak))
        return cut

    def outside(self, values: Array) -> int:
        """How many of these real numbers lie beyond the ends, so that `quantize` cuts them."""
        units = np.rint(np.asarray(values, np.float64) / self.scale)
        return int(np.count_nonzero((units < self.low) | (units > self.peak)))


def measured(values: Array, place: str, *, signed: bool) -> InputRange:
    """The finest range of a byte that holds all `values`: `scale = max |x| / 127` with a sign, else `/ 255`.

    Raises DataError where nothing can be measured: all are 0.
    """
    largest = float(np.abs(np.asarray(values, np.float64)).max(initial=0.0))
    low, peak = SIGNED if signed else UNSIGNED
    scale = largest / peak
    if not scale > 0:
        raise DataError(expected(place, "a number other than 0, to measure the scale with", Unquoted(f"{largest:g}")))
    return InputRange(low, peak, scale)
