"""Symmetric b-bit integers with a zero: to nearest, or one column after another, the others making up for each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.compression.pruning import inverse
from qpsnn_core.kernels.parallel import chunks, each, single_blas

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SCALES = ("max", "search")

FRACTIONS = np.linspace(1, 0.2, 81)
"""Of the largest weight, which the search for a scale tries."""

COLUMNS = 128
"""Columns after which the others are caught up with, in one product."""


class Rounded(NamedTuple):
    """weight: [O, d], each a whole multiple k of its row's step, `|k| <= limit`; gamma: `limit * step`, float32 [O]."""

    weight: Doubles
    gamma: npt.NDArray[np.float32]


def limit(bits: int) -> int:
    """The largest integer, `2**(b-1) - 1`."""
    return int(2 ** (bits - 1) - 1)


def gammas(weight: Doubles, bits: int, scale: str = "max") -> npt.NDArray[np.float32]:
    """Each row's largest representable weight: its largest size, or the fraction of it that rounds with least error.

    1 for a row of zeros.
    """
    largest = np.abs(weight).max(1)
    best = largest
    if scale == "search":
        least = np.full(len(weight), np.inf)
        for fraction in FRACTIONS:
            tried = np.where(largest > 0, largest * fraction, 1.0)
            off = ((nearest(weight, tried, bits) - weight) ** 2).sum(1)
            best = np.where(off < least, tried, best)
            least = np.minimum(off, least)
    found: npt.NDArray[np.float32] = np.where(largest > 0, best, 1.0).astype(np.float32)
    return found


def nearest(weight: Doubles, gamma: npt.NDArray[Any], bits: int) -> Doubles:
    """The nearest multiples of `gamma / limit`, at most `limit` of them; [O, ...] and [O]."""
    top = limit(bits)
    step = (gamma.astype(np.float64) / top).reshape(-1, *(1,) * (weight.ndim - 1))
    found: Doubles = np.clip(np.rint(weight / step), -top, top) * step
    return found


def to_nearest(weight: Doubles, bits: int, scale: str = "max") -> Rounded:
    """Every weight by itself."""
    gamma = gammas(weight, bits, scale)
    return Rounded(nearest(weight, gamma, bits), gamma)


def compensating(place: str, weight: Doubles, kept: Bools, hessian: Doubles, bits: int, scale: str = "max") -> Rounded:
    """Rows with the same kept weights together, by the Hessian of these; pruned weights stay 0.

    weight, kept: [O, d].
    """
    gamma = gammas(weight, bits, scale)
    out = np.zeros_like(weight)
    with single_blas():
        if kept.all():
            out[...] = in_order(place, weight, hessian, gamma, bits)
            return Rounded(out, gamma)

        def part(low: int, high: int) -> None:
            for row in range(low, high):
                some = np.flatnonzero(kept[row])
                if some.size:
                    inner = hessian[np.ix_(some, some)]
                    own = weight[row : row + 1, some]
                    out[row, some] = in_order(place, own, inner, gamma[row : row + 1], bits)[0]

        each(part, chunks(len(weight)))
    return Rounded(out, gamma)


def in_order(place: str, weight: Doubles, hessian: Doubles, gamma: npt.NDArray[np.float32], bits: int) -> Doubles:
    """OBQ in the order of the rising diagonal of `H^-1`, one for all rows, by the Cholesky factor `H^-1 = U^T U`.

    Of each column the error `e = (w - quant(w)) / U[c, c]`; `w -= e U[c, :]` for the columns behind it. This is
    `w += (quant(w) - w) / H^-1[c, c] * H^-1[c, :]` with the inverse reduced column by column.
    """
    inverted = inverse(place, hessian)
    order = np.argsort(np.diag(inverted), kind="stable")
    upper = np.linalg.cholesky(inverted[np.ix_(order, order)]).T
    left = np.ascontiguousarray(weight[:, order])
    out = np.empty_like(left)
    for low in range(0, left.shape[1], COLUMNS):
        high = min(low + COLUMNS, left.shape[1])
        errors = np.empty((len(left), high - low))
        for column in range(low, high):
            out[:, column] = nearest(left[:, column], gamma, bits)
            off = (left[:, column] - out[:, column]) / upper[column, column]
            left[:, column:high] -= np.outer(off, upper[column, column:high])
            errors[:, column - low] = off
        left[:, high:] -= errors @ upper[low:high, high:]
    back = np.empty_like(out)
    back[:, order] = out
    return back
