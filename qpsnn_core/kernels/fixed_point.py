"""Rounding to fixed point: an integer with many fraction bits becomes the code that is stored, with fewer.

A quantity in floating point has no `Grid` (None): it is stored as it is. Numba compiles a variant for each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.kernels.counter_random import WORD, random_word
from qpsnn_core.kernels.threads import kernel

TRUNCATION, NEAREST, STOCHASTIC = range(3)


class Grid(NamedTuple):
    """How an int64 with `shift` fraction bits too many is stored.

    offset: what is added before they are dropped: 0 truncates (floor), `2**(shift-1)` rounds to nearest, half up.
    low, high: the smallest and largest code; what lies beyond saturates. random: True: what is added is drawn
    instead; None: it is not.
    """

    shift: int
    offset: int
    low: int
    high: int
    random: bool | None


@kernel
def dither(offset, random, shift, step, element, key):
    """What is added before `shift` bits are dropped: `offset`, or, unless `random` is None, a number below 2**shift.

    The 32 upper bits of the number are drawn; those below are 0. step, element, key: as for `random_word`.
    """
    if random is None:
        return offset
    word = np.int64(random_word(step, element, key))
    if shift >= WORD:
        return word << (shift - WORD)
    return word >> (WORD - shift)


@kernel
def rounded(wide, grid, step, element, key):
    """The code below or above `wide`, by the rounding of `grid`; not yet saturated.

    step, element, key: the counters and key of the draw, if there is one.
    """
    if grid is None:
        return wide
    return (wide + dither(grid.offset, grid.random, grid.shift, step, element, key)) >> grid.shift


@kernel
def saturated(code, grid):
    """The `code` within the range of `grid`."""
    if grid is None:
        return code
    return min(max(code, grid.low), grid.high)


@kernel
def outside(code, grid):
    """1 where the `code` is beyond the range of `grid`, else 0."""
    if grid is None:
        return 0
    return np.int64(code < grid.low) + np.int64(code > grid.high)


@kernel
def quantize(start, stop, values, codes, scale, rounding, low, high, key):
    """Codes of real numbers start..stop-1; how many saturated.

    values: float64. codes: int64, written. scale: `2**f`. rounding: TRUNCATION, NEAREST (half up) or STOCHASTIC, which
    draws by the counters (0, index) and `key`. low, high: the smallest and largest code.
    """
    count = 0
    for i in range(start, stop):
        exact = values[i] * scale
        below = np.floor(exact)
        rest = exact - below
        up = rounding == NEAREST and rest >= 0.5
        if rounding == STOCHASTIC:
            up = np.float64(np.int64(random_word(0, i, key))) < rest * 4294967296.0
        code = below + 1.0 if up else below
        if code < low:
            count += 1
            code = np.float64(low)
        elif code > high:
            count += 1
            code = np.float64(high)
        codes[i] = np.int64(code)
    return count
