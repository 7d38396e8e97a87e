"""Symmetric b-bit integers with a zero: to nearest, or one column after another, the others making up for each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.types import Bools, Doubles
from qpsnn_core.compression.weights.eliminate import check_inverted
from qpsnn_core.kernels.linalg.factor import pitch_of, room_of
from qpsnn_core.kernels.linalg.obs import TOGETHER, round_rows
from qpsnn_core.kernels.linalg.rows import order_and_factor, round_kept_rows
from qpsnn_core.kernels.linalg.sums import dot_rows
from qpsnn_core.kernels.threads import chunks, parallel_for, parallel_map

SCALES = ("max", "search")

FRACTIONS = np.linspace(1, 0.2, 81)
"""Of the largest weight, which the search for a scale tries."""


class Rounded(NamedTuple):
    """weight: [O, d], each a whole multiple k of its row's step, `|k| <= limit`; gamma: `limit * step`, float32 [O]."""

    weight: Doubles
    gamma: npt.NDArray[np.float32]


def limit(bits: int) -> int:
    """The largest integer, `2**(b-1) - 1`."""
    return int(2 ** (bits - 1) - 1)


def gammas(weight: Doubles, bits: int, scale: str = "max") -> npt.NDArray[np.float32]:
    """Each row's largest representable weight: its largest magnitude, or the fraction of it with the least error.

    1 for a row of zeros.
    """
    largest = np.abs(weight).max(1)
    best = largest
    if scale == "search":
        least, off = np.full(len(weight), np.inf), np.empty(len(weight))
        for fraction in FRACTIONS:
            tried = np.where(largest > 0, largest * fraction, 1.0)
            apart = round_to_multiples(weight, tried, bits) - weight
            parallel_for(dot_rows, len(weight), 1, apart, apart, off)
            best = np.where(off < least, tried, best)
            least = np.minimum(off, least)
    found: npt.NDArray[np.float32] = np.where(largest > 0, best, 1.0).astype(np.float32)
    return found


def round_to_multiples(weight: Doubles, gamma: npt.NDArray[Any], bits: int) -> Doubles:
    """The nearest multiples of `gamma / limit`, at most `limit` of them; [O, ...] and [O]."""
    top = limit(bits)
    step = (gamma.astype(np.float64) / top).reshape(-1, *(1,) * (weight.ndim - 1))
    found: Doubles = np.clip(np.rint(weight / step), -top, top) * step
    return found


def to_nearest(weight: Doubles, bits: int, scale: str = "max") -> Rounded:
    """Every weight by itself."""
    gamma = gammas(weight, bits, scale)
    return Rounded(round_to_multiples(weight, gamma, bits), gamma)


def compensating(place: str, weight: Doubles, kept: Bools, hessian: Doubles, bits: int, scale: str = "max") -> Rounded:
    """OBQ: `w += (quant(w_c) - w_c) / H^-1[c, c] * H^-1[c, :]`, the inverse reduced after every column c.

    Rows with the same kept weights together, by the Hessian of these; pruned weights stay 0. weight, kept: [O, d].
    """
    gamma, top = gammas(weight, bits, scale), float(limit(bits))
    steps, out = gamma.astype(np.float64) / top, np.zeros_like(weight)
    if kept.all():
        order, upper = factored(place, hessian)
        left = np.ascontiguousarray(weight[:, order])
        found = np.empty_like(left)
        parallel_for(round_rows, len(left), TOGETHER, left, upper, steps, top, found)
        out[:, order] = found
    else:
        failed = np.zeros(len(weight), np.bool_)
        parallel_map(round_kept_rows, chunks(len(weight)), weight, kept, hessian, steps, top, out, failed)
        check_inverted(not failed.any(), f"{place}.damping")
    return Rounded(out, gamma)


def factored(place: str, hessian: Doubles) -> tuple[npt.NDArray[np.intp], Doubles]:
    """The order of columns, by the rising diagonal of `H^-1`, and in it U [d, d] of `H^-1 = U^T U`."""
    size = len(hessian)
    upper, scratch = np.empty(room_of(size)), np.empty(room_of(size))
    order = order_and_factor(hessian, np.arange(size), upper, scratch)
    check_inverted(order is not None, f"{place}.damping")
    return order, np.ascontiguousarray(upper[: size * pitch_of(size)].reshape(size, -1)[:, :size])
