"""The arc tangent, the same bits everywhere: additions, products and divisions in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

HALF_TURN = math.pi / 2

BREAKS = (math.tan(math.pi / 16), math.tan(3 * math.pi / 16))
"""Up to the first the series alone, up to the second around 1/8 of a turn of pi, beyond it around pi/4."""

CENTRES = (0.0, float.fromhex("0x1.a827999fcef32p-2"), 1.0)
"""tan(0), tan(pi/8), tan(pi/4)."""

ANGLES = (0.0, math.pi / 8, math.pi / 4)

SERIES = tuple((-1) ** (n // 2) / n for n in range(25, 2, -2))
"""Coefficients of x**25 to x**3 of arctan x, |x| <= tan(pi/16) = 0.199: what is left out is below 2**-67."""


def arctangent(x: Any) -> Any:
    """arctan x of numbers or arrays of at least 0; it errs by less than two units in the last place of pi/2."""
    x = np.asarray(x, np.float64)
    turned = x > 1
    part = np.where(turned, 1 / np.where(turned, x, 1.0), x)
    which = (part > BREAKS[0]).astype(np.int64) + (part > BREAKS[1])
    centre = np.asarray(CENTRES)[which]
    rest = (part - centre) / (1 + part * centre)
    square = rest * rest
    found = np.full_like(rest, SERIES[0])
    for coefficient in SERIES[1:]:
        found = found * square + coefficient
    angle = np.asarray(ANGLES)[which] + (rest + rest * square * found)
    return np.where(turned, HALF_TURN - angle, angle)
