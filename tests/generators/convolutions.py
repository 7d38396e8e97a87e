"""Convolutions of all sorts: geometries, and weights of every width."""

from __future__ import annotations

import numpy as np

GEOMETRIES = [
    ((1, 1), 1, 1, 1, 1, 0),
    ((1, 1), 2, 3, 3, 1, 1),
    ((1, 5), 2, 1, 1, 1, 0),
    ((4, 4), 3, 2, 1, 2, 0),
    ((5, 4), 2, 3, 2, 1, 0),
    ((5, 4), 2, 3, 2, 1, 1),
    ((5, 7), 3, 4, 3, 1, 0),
    ((5, 7), 3, 4, 3, 1, 1),
    ((5, 7), 3, 4, 3, 1, 2),
    ((5, 7), 3, 4, 3, 2, 0),
    ((6, 5), 3, 4, 3, 2, 1),
    ((6, 5), 3, 4, 3, 2, 2),
    ((7, 7), 1, 2, 3, 3, 1),
    ((7, 6), 2, 2, 3, 4, 0),
    ((4, 6), 2, 2, 4, 1, 3),
    ((4, 6), 2, 2, 4, 3, 2),
    ((6, 5), 2, 5, 5, 1, 0),
    ((6, 5), 2, 5, 5, 2, 2),
    ((3, 3), 1, 1, 5, 1, 4),
    ((3, 2), 9, 3, 3, 1, 1),
    ((2, 3), 65, 2, 3, 1, 1),
]
"""(height, width), inputs, outputs, kernel, stride, padding."""

CODES = {bits: np.arange(1 - 2**bits, 2**bits, 2) for bits in range(1, 9)}
"""The codes of each width: the odd integers from -s to s, s = 2**bits - 1."""


def weights(kind, shape, rng):
    """Codes of so many bits, any int8 or int16, or real numbers; with the largest and the smallest."""
    if kind == "float":
        return rng.normal(0, 1, shape).astype(np.float32)
    limits = {"int8": np.arange(-128, 128), "int16": np.arange(-(2**15), 2**15)}
    values = limits[kind] if kind in limits else CODES[kind]
    drawn = rng.choice(values, shape)
    drawn.flat[0], drawn.flat[-1] = values[0], values[-1]
    return drawn.astype(np.int8 if np.abs(values).max() <= 128 else np.int16)
