"""Products of matrices, one sum at a time."""

from __future__ import annotations

import numpy as np


def products(left, right):
    """`left[p] @ right[p]` in float64."""
    out = np.zeros((len(left), left.shape[1], right.shape[2]))
    for p, row, column in np.ndindex(out.shape):
        out[p, row, column] = sum(float(a) * float(b) for a, b in zip(left[p, row], right[p, :, column], strict=True))
    return out
