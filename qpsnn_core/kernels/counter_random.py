"""Random words that are a function of counters: Philox2x32-10 (Salmon et al. 2011), whatever thread asks for them."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.threads import kernel

WORD = 32
"""Bits of a random word."""

SEEDS = 2**31
"""The counter of the draws that make one word of several."""

_MULTIPLIER = np.uint64(0xD256D193)
_WEYL = np.uint64(0x9E3779B9)
_MASK = np.uint64(0xFFFFFFFF)
_BITS = np.uint64(WORD)


@kernel
def random_word(step, element, key):
    """The first of the two words of Philox2x32-10 with the counters `step` and `element` and the 32-bit `key`, uint64.

    All below 2**32. Products of two 32-bit words fit uint64: nothing overflows.
    """
    left, right, round_key = np.uint64(step), np.uint64(element), np.uint64(key)
    for _ in range(10):
        product = _MULTIPLIER * (left & _MASK)
        left = (product >> _BITS) ^ round_key ^ right
        right = product & _MASK
        round_key = (round_key + _WEYL) & _MASK
    return left


@kernel
def sample_key(seed, stream, sample):
    """The key of a `sample`'s draws for one purpose (`stream`) of a run with this `seed`; all below 2**32."""
    return random_word(sample, seed, stream)


def seed_word(seed: int) -> int:
    """The word below 2**32 that `sample_key` takes for a seed of any size, a function of all its bits.

    Of a seed below 2**32 it is the seed; else its words of 32 bits are mixed, the highest first.
    """
    if seed < 2**WORD:
        return seed
    return int(random_word(np.uint64(seed % 2**WORD), np.uint64(SEEDS), np.uint64(seed_word(seed >> WORD))))


@kernel
def one_of(count, step, key):
    """A number of 0..count-1, all equally likely to within count/2**32; step, key: as for `random_word`."""
    return np.int64((random_word(step, 0, key) * np.uint64(count)) >> _BITS)


@kernel
def random_words(start, stop, step, key, words):
    """`words[element] = random_word(step, element, key)` for elements start..stop-1; words: uint32, flat, written."""
    for element in range(start, stop):
        words[element] = random_word(step, element, key)
