"""Weights to codes and back, one number at a time, as Eqs. 4 to 6, 9 and 10 state it; loops only."""

from __future__ import annotations

import math

import numpy as np

ONE = np.float32(1)


def channels(weight):
    """The weights of each output channel (the last axis) as lists."""
    rows = [[] for _ in range(weight.shape[-1])]
    for index in np.ndindex(weight.shape):
        rows[index[-1]].append(weight[index])
    return rows


def percentile(values, share):
    """The value below which `share` of the sorted values lie, linear between neighbours."""
    ordered = sorted(float(v) for v in values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def gamma_of(values, kind, share=0.99, bits=4):
    """Eq. 9 of one group of weights; of "mean_scaled" for so many bits."""
    if kind == "one":
        return 1.0
    if kind == "mean":
        value = math.fsum(abs(float(v)) for v in values) / len(values)
    elif kind == "mean_scaled":
        value = math.fsum(abs(float(v)) for v in values) / len(values) * (2**bits - 1) / 2 ** (bits - 1)
    elif kind == "sawb":
        value = 2 * math.fsum(abs(float(v)) for v in values) / len(values)
    elif kind == "ternary":
        kept = [abs(float(v)) for v in values if abs(v) > np.float32(0.05) * max(map(abs, values))]
        value = math.fsum(kept) / max(len(kept), 1)
    elif kind == "max":
        value = max(abs(float(v)) for v in values)
    else:
        value = max(abs(percentile(values, share)), abs(percentile(values, 1 - share)))
    return value if np.float32(value) > 0 else 1.0


def gamma(weight, kind="mean", granularity="channel", share=0.99):
    """Of each output channel."""
    groups = channels(weight)
    if granularity == "layer":
        groups = [[v for group in groups for v in group]] * len(groups)
    return [gamma_of(group, kind, share) for group in groups]


def half_to_even(value):
    """The nearest integer, the even one of two that are equally near."""
    below = math.floor(value)
    if value - below < 0.5:
        return below
    if value - below > 0.5:
        return below + 1
    return below if below % 2 == 0 else below + 1


def integer(weight, scale, bits):
    """Eq. 4 of `weight / scale`: 0 to `2**bits - 1`; the quotient and the product in float32, as training has them."""
    ratio = np.float32(weight) / np.float32(scale)
    clamped = min(max(ratio, -ONE), ONE)
    return half_to_even(float((clamped + ONE) * np.float32((2**bits - 1) / 2)))


def codes(weight, scales, bits):
    """`2 * integer - s` of every weight; scales: of each output channel."""
    out = np.empty(weight.shape, np.int64)
    for index in np.ndindex(weight.shape):
        out[index] = 2 * integer(weight[index], scales[index[-1]], bits) - (2**bits - 1)
    return out


def dequantized(weight, scales, bits):
    """Eq. 10 as printed: `gamma * (2/s * integer - 1)`."""
    out = np.empty(weight.shape, np.float64)
    for index in np.ndindex(weight.shape):
        scale = float(scales[index[-1]])
        out[index] = scale * (2 / (2**bits - 1) * integer(weight[index], scale, bits) - 1)
    return out


def straight_through(gradient, weight, scales, ste):
    """The gradient of W from that of W_hat."""
    out = np.empty(weight.shape, np.float64)
    for index in np.ndindex(weight.shape):
        scale = float(scales[index[-1]])
        if ste == "pass":
            out[index] = float(gradient[index]) / scale
        else:
            out[index] = float(gradient[index]) if abs(float(weight[index])) <= scale else 0.0
    return out


def utilization(weight, scales, bits):
    """Eq. 8: distinct integers in use, over `2**bits`."""
    used = {integer(weight[index], scales[index[-1]], bits) for index in np.ndindex(weight.shape)}
    return len(used) / 2**bits
