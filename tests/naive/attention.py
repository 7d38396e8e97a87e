"""Loops-only twins of attention: q, k `[M, N, C]`, v `[M, N, C_v]`, any numbers; float64."""

from __future__ import annotations

import numpy as np


def forward(query, key, value, heads):
    """`A[i] = sum_j (q[i] . k[j]) v[j]` of each head."""
    images, tokens, channels = query.shape
    matched, given = channels // heads, value.shape[2] // heads
    out = np.zeros(value.shape)
    for m, h, i, j in np.ndindex(images, heads, tokens, tokens):
        product = 0.0
        for a in range(h * matched, (h + 1) * matched):
            product += float(query[m, i, a]) * float(key[m, j, a])
        for c in range(h * given, (h + 1) * given):
            out[m, i, c] += product * float(value[m, j, c])
    return out


def backward(query, key, value, gradient, heads):
    """dL/dq, dL/dk, dL/dv of dL/dA."""
    images, tokens, channels = query.shape
    matched, given = channels // heads, value.shape[2] // heads
    of_query, of_key, of_value = (np.zeros(one.shape) for one in (query, key, value))
    for m, h, i, j in np.ndindex(images, heads, tokens, tokens):
        product, slope = 0.0, 0.0
        for a in range(h * matched, (h + 1) * matched):
            product += float(query[m, i, a]) * float(key[m, j, a])
        for c in range(h * given, (h + 1) * given):
            of_value[m, j, c] += product * float(gradient[m, i, c])
            slope += float(value[m, j, c]) * float(gradient[m, i, c])
        for a in range(h * matched, (h + 1) * matched):
            of_query[m, i, a] += slope * float(key[m, j, a])
            of_key[m, j, a] += slope * float(query[m, i, a])
    return of_query, of_key, of_value
