"""Whole-number ratios of scales, biases and thresholds: what ties in real numbers must tie in integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.types import Doubles, Longs

NEAR = ((2.0**-44, 2.0**30), (2.0**-24, 2.0**12))
"""A number within the first, relatively, of a fraction `n/d`, `n*d` at most the second, is that fraction.

The first pair is the noise of float64, the second the rounding of float32: 1/sqrt(1 - 1e-5 + 1e-5) is 1. A random
number is near such a fraction once in a few thousand times, and taken for it is off by less than float32 can tell.
"""

LARGEST_TERM = 2.0**31
MOST_TERMS = 40


class Fractions(NamedTuple):
    """`n/d` in lowest terms, int64; d = 0: the number is no such fraction."""

    n: Longs
    d: Longs


def fractions(values: Doubles) -> Fractions:
    """The simplest fractions that numbers are near to, element by element.

    values: positive; others have none. By continued fractions: `n/d` near a number to less than `1/(2*d*d)` is one of
    its convergents.
    """
    target = np.where((values > 1 / LARGEST_TERM) & (values < LARGEST_TERM), values, 0)
    rest, found = target, Fractions(np.zeros(values.shape, np.int64), np.zeros(values.shape, np.int64))
    n, d, last_n, last_d = np.ones_like(target), np.zeros_like(target), np.zeros_like(target), np.ones_like(target)
    open_ = target > 0
    for _ in range(MOST_TERMS):
        if not open_.any():
            break
        whole = np.floor(rest)
        n, d, last_n, last_d = whole * n + last_n, whole * d + last_d, n, d
        off = np.abs(n / np.maximum(d, 1) - target)
        near = np.any([(off <= share * target) & (n * d <= most) for share, most in NEAR], axis=0) & open_ & (n > 0)
        found.n[near], found.d[near] = n[near].astype(np.int64), d[near].astype(np.int64)
        left = rest - whole
        open_ = open_ & ~near & (left > 0) & (n * d <= LARGEST_TERM)
        rest = 1 / np.where(open_, left, 1)
    return found


def common(ratios: Fractions, wanted: npt.NDArray[np.bool_], limit: Doubles) -> tuple[Longs, npt.NDArray[np.bool_]]:
    """The least common multiple of the denominators of each column, and whose they are.

    ratios: [rows, C]. wanted: of which rows, [rows, C]. limit: [C]; a row that would take the multiple beyond it is
    left out.
    """
    multiple = np.ones(limit.shape, np.int64)
    members = np.zeros(wanted.shape, bool)
    for row, d in enumerate(ratios.d):
        trial = np.lcm(multiple, np.maximum(d, 1))
        members[row] = wanted[row] & (d > 0) & (trial <= limit)
        multiple = np.where(members[row], trial, multiple)
    return multiple, members
