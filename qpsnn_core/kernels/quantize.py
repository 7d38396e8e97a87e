"""One pass over the weights: their codes (Eq. 4), the mean of their magnitudes (Eq. 9), and where gradients pass."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.cyclic_channels import gather_sum, next_phase, sum_tiled
from qpsnn_core.kernels.simd.vector import (
    fill16,
    greater_equal,
    load16,
    negative,
    rint,
    select,
    store_masked,
    take16,
    to,
)
from qpsnn_core.kernels.threads import kernel


@kernel
def absolute(vector, zero):
    """The magnitudes of a vector of real numbers; zero: a vector of zeros of its type."""
    return select(greater_equal(vector, zero), vector, negative(vector))


@kernel
def sum_abs(start, stop, weight, sums):
    """`sums[c] += sum of |W|` of channel c in float64, rows start..stop-1.

    weight: float32, flat, channels last. sums: float64 `[C]`.
    """
    channels, phase = len(sums), 0
    parts = np.zeros(channels + 16)
    zero = fill16(0, weight)
    for i in range(start * channels, stop * channels, 16):
        gather_sum(parts, phase, absolute(take16(weight, i, stop * channels - i), zero))
        phase = next_phase(phase, channels)
    sum_tiled(parts, sums)


@kernel
def encode(start, stop, weight, scale, levels, codes, sums):
    """`2*round(levels/2 * (clamp(W/gamma, -1, 1) + 1)) - levels`, and sums of magnitudes: `sums[c] += |code|`.

    Rows start..stop-1. weight: float32, codes: integers, written; both flat, channels last. scale: gamma, float32,
    from `tile_channels`. levels: codes are odd integers -levels..levels. sums: int64 `[C]`.
    """
    channels, phase = len(sums), 0
    parts = np.zeros(channels + 16, np.int32)
    one, zero = fill16(1, weight), fill16(0, parts)
    least, half, top = negative(one), fill16(np.float32(levels / 2), weight), fill16(levels, parts)
    for i in range(start * channels, stop * channels, 16):
        count = stop * channels - i
        ratio = take16(weight, i, count) / load16(scale, phase)
        clamped = select(greater_equal(ratio, one), one, select(greater_equal(least, ratio), least, ratio))
        code = to(rint((clamped + one) * half), parts)
        code = code + code - top
        store_masked(codes, i, to(code, codes), count)
        magnitude = select(greater_equal(code, zero), code, zero - code)
        store_masked(parts, phase, load16(parts, phase) + magnitude, count)
        phase = next_phase(phase, channels)
    sum_tiled(parts, sums)


@kernel
def pass_within(start, stop, gradient, weight, scale, out):
    """`gradient` where `|W| <= gamma`, else 0, rows start..stop-1.

    gradient, weight, out (written): float32, flat, channels last. scale: gamma, float32, from `tile_channels`.
    """
    channels, phase = len(scale) - 16, 0
    zero = fill16(0, weight)
    for i in range(start * channels, stop * channels, 16):
        count = stop * channels - i
        inside = greater_equal(load16(scale, phase), absolute(take16(weight, i, count), zero))
        store_masked(out, i, select(inside, take16(gradient, i, count), zero), count)
        phase = next_phase(phase, channels)
