"""One pass over the weights: their codes (Eq. 4), the mean of their magnitudes (Eq. 9), and where gradients pass."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.cyclic_channels import after, fold, gather_sum
from qpsnn_core.kernels.simd.vector import at_least, fill16, load16, nearest, negative, put, select, take16, to
from qpsnn_core.kernels.threads import kernel


@kernel
def absolute(vector, zero):
    """The magnitudes of real numbers."""
    return select(at_least(vector, zero), vector, negative(vector))


@kernel
def sum_abs(low, high, weight, sums):
    """`sums[c] += sum of |W|` of channel c in float64, rows low..high-1; weight: flat, channels last."""
    channels, phase = len(sums), 0
    parts = np.zeros(channels + 16)
    zero = fill16(0, weight)
    for i in range(low * channels, high * channels, 16):
        gather_sum(parts, phase, absolute(take16(weight, i, high * channels - i), zero))
        phase = after(phase, channels)
    fold(parts, sums)


@kernel
def encode(low, high, weight, scale, levels, codes, sums):
    """`2*round(levels/2 * (clamp(W/gamma, -1, 1) + 1)) - levels`, and sums of magnitudes: `sums[c] += |code|`.

    Rows low..high-1; weight, codes: flat, channels last; scale: gamma, float32, `around`; sums: int64 [C].
    """
    channels, phase = len(sums), 0
    parts = np.zeros(channels + 16, np.int32)
    one, zero = fill16(1, weight), fill16(0, parts)
    least, half, top = negative(one), fill16(np.float32(levels / 2), weight), fill16(levels, parts)
    for i in range(low * channels, high * channels, 16):
        count = high * channels - i
        ratio = take16(weight, i, count) / load16(scale, phase)
        clamped = select(at_least(ratio, one), one, select(at_least(least, ratio), least, ratio))
        code = to(nearest((clamped + one) * half), parts)
        code = code + code - top
        put(codes, i, to(code, codes), count)
        magnitude = select(at_least(code, zero), code, zero - code)
        put(parts, phase, load16(parts, phase) + magnitude, count)
        phase = after(phase, channels)
    fold(parts, sums)


@kernel
def pass_within(low, high, gradient, weight, scale, out):
    """`gradient` where `|W| <= gamma`, else 0, rows low..high-1; all flat, scale `around`."""
    channels, phase = len(scale) - 16, 0
    zero = fill16(0, weight)
    for i in range(low * channels, high * channels, 16):
        count = high * channels - i
        inside = at_least(load16(scale, phase), absolute(take16(weight, i, count), zero))
        put(out, i, select(inside, take16(gradient, i, count), zero), count)
        phase = after(phase, channels)
