"""The narrowest NumPy types that hold counts and sums exactly."""

from __future__ import annotations

from typing import Any

import numpy as np


def count_type(largest: int | None) -> Any:
    """The narrowest unsigned integer that holds counts up to `largest`; None: a spike, up to 1."""
    return np.uint8 if (largest or 1) < 2**8 else np.uint16 if (largest or 1) < 2**16 else np.uint32


def sum_type(largest: int) -> Any:
    """The narrowest integer that holds sums of at most `largest` in magnitude: int16 or int32, if `largest < 2**31`."""
    return np.int16 if largest < 2**15 else np.int32


def exact_float(largest: int) -> Any:
    """The narrowest float that holds every integer up to `largest` in magnitude; no partial sum may exceed it."""
    return np.float32 if largest < 2**24 else np.float64
