"""Rows of weights that lose some: what the others make up for, and how these are rounded, by a part of a Hessian."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.linalg.factor import DONE, STRIP, factorize, gather, invert, solve
from qpsnn_core.kernels.linalg.obs import round_rows, subtract_four, subtract_one
from qpsnn_core.kernels.threads import kernel


@kernel
def driven_by(weight, gone, hessian, out):
    """`out[j] = sum over the i of `gone` of weight[i] * hessian[i, j]`, four rows at a time.

    weight: float64 [d]. gone: int64, their numbers. hessian: float64 [d, d]. out: float64 [d], written.
    """
    out[:] = 0.0
    whole = len(gone) // 4 * 4
    for n in range(0, whole, 4):
        a, b, c, d = gone[n], gone[n + 1], gone[n + 2], gone[n + 3]
        lines = hessian[a], hessian[b], hessian[c], hessian[d]
        subtract_four(out, (-weight[a], -weight[b], -weight[c], -weight[d]), lines)
    for n in range(whole, len(gone)):
        subtract_one(out, -weight[gone[n]], hessian[gone[n]])


@kernel
def compensate_rows(start, stop, weights, kept, hessian, out, failed):
    """Rows start..stop-1 without their pruned weights P: `out[K] = w_K + H[K, K]^-1 H[K, P] w_P`, `out[P] = 0`.

    weights: float64 [O, d]. kept: bool [O, d]. hessian: float64 [d, d]. out: float64 [O, d], written. failed: bool [O],
    set where H[K, K] is not positive definite.
    """
    size = weights.shape[1]
    pitch = -(-size // STRIP) * STRIP
    part, driven = np.empty(size * pitch), np.empty(size)
    vector, room = np.empty(pitch), np.empty(pitch)
    for row in range(start, stop):
        some, gone = np.nonzero(kept[row])[0], np.nonzero(~kept[row])[0]
        out[row] = weights[row]
        for i in gone:
            out[row, i] = 0.0
        if len(some) == 0 or len(gone) == 0:
            continue
        driven_by(weights[row], gone, hessian, driven)
        gather(hessian.ravel(), size, some, part)
        failed[row] = factorize(part, len(some)) != DONE
        if failed[row]:
            continue
        for n in range(len(some)):
            vector[n] = driven[some[n]]
        solve(part, len(some), vector, room)
        for n in range(len(some)):
            out[row, some[n]] += vector[n]


@kernel
def order_and_factor(hessian, index, part, scratch):
    """The order of columns, by the rising diagonal of `H^-1`, and in it U of `H^-1 = U^T U`; H of a part of a Hessian.

    None instead of an order where H is not positive definite. hessian: float64 [d, d]. index: int64, rows and columns
    of the part. part: float64, flat, U, written; scratch: as large; both of `room_of(len(index))` numbers.
    """
    size = len(index)
    pitch = -(-size // STRIP) * STRIP
    gather(hessian.ravel(), hessian.shape[1], index, part)
    if invert(part, size, scratch) != DONE:
        return None
    diagonal = np.empty(size)
    for n in range(size):
        diagonal[n] = part[n * pitch + n]
    order = np.argsort(diagonal, kind="mergesort")
    scratch[: size * pitch] = part[: size * pitch]
    gather(scratch, pitch, order, part)
    if factorize(part, size) != DONE:
        return None
    return order


@kernel
def round_kept_rows(start, stop, weights, kept, hessian, steps, limit, out, failed):
    """`round_rows` of the kept weights of each of the rows start..stop-1, by the Hessian of these alone.

    weights, out (written where a weight is kept): float64 [O, d]. kept: bool [O, d]. hessian: float64 [d, d]. steps:
    float64 [O]. limit: the largest multiple. failed: bool [O], set where the Hessian is not positive definite.
    """
    size = weights.shape[1]
    room = size * (-(-size // STRIP) * STRIP)
    part, scratch = np.empty(room), np.empty(room)
    for row in range(start, stop):
        some = np.nonzero(kept[row])[0]
        if len(some) == 0:
            continue
        order = order_and_factor(hessian, some, part, scratch)
        if order is None:
            failed[row] = True
            continue
        left, found = np.empty((1, len(some))), np.empty((1, len(some)))
        for n in range(len(some)):
            left[0, n] = weights[row, some[order[n]]]
        pitch = -(-len(some) // STRIP) * STRIP
        round_rows(0, 1, left, part[: len(some) * pitch].reshape(-1, pitch), steps[row : row + 1], limit, found)
        for n in range(len(some)):
            out[row, some[order[n]]] = found[0, n]
