"""Fixed point by NumPy, as the kernels round it: random words are a function of counters, the same in Lava."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qpsnn_core.common.types import Array

MULTIPLIER, WEYL, MASK, BITS = (np.uint64(x) for x in (0xD256D193, 0x9E3779B9, 0xFFFFFFFF, 32))


def random_words(step: int, elements: Array, key: int) -> Array:
    """The first word of Philox2x32-10 of each element, int64; step, key: the other counter, and the key."""
    right = elements.astype(np.uint64)
    left, round_key = np.full(elements.shape, step, np.uint64), np.array(key, np.uint64)
    for _ in range(10):
        product = MULTIPLIER * left
        left = (product >> BITS) ^ round_key ^ right
        right = product & MASK
        round_key = (round_key + WEYL) & MASK
    return left.astype(np.int64)


def sample_key(seed: int, stream: int, sample: int) -> int:
    """The key of a sample's draws for one purpose."""
    return int(random_words(sample, np.array([seed]), stream)[0])


def stored(wide: Array, grid: Mapping[str, Any], step: int, elements: Array, key: int) -> Array:
    """Codes of wide numbers, int64: bits dropped as the grid says, then kept within its range.

    grid: `shift`, `offset`, `low`, `high`, and whether what is added is `random`. elements: counters of the draws.
    """
    shift = grid["shift"]
    added: Any = grid["offset"]
    if grid["random"]:
        words = random_words(step, elements, key)
        added = words << (shift - 32) if shift >= 32 else words >> (32 - shift)
    codes: Array = np.clip((wide + added) >> shift, grid["low"], grid["high"])
    return codes
