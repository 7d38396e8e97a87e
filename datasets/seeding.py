"""Seeded orders and stratified choices whose bits do not depend on the NumPy version.

Only the raw 64-bit stream of PCG64 and the hash of SeedSequence are used: NumPy keeps those, but not the
streams of `Generator.permutation`, the same from release to release.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.common.validation import whole

# Streams that must not meet although they share a seed.
SPLIT, SHUFFLE, AUGMENT, LIMIT, EVENTS, NOISE, FOLDS, VALIDATION, MIXUP, BOXES, ANCHORS = range(11)


def bit_stream(seed: int, *key: int) -> np.random.PCG64:
    """The bit generator of `(seed, key)`; different keys give independent streams. ConfigError: a negative seed."""
    return np.random.PCG64(np.random.SeedSequence(whole("seed", seed, 0), spawn_key=key))


def permutation(count: int, seed: int, *key: int) -> Longs:
    """The numbers 0..count-1 in the order of `(seed, key)`, `[count]` int64."""
    ranks: NDArray[np.uint64] = bit_stream(seed, *key).random_raw(count)
    return np.argsort(ranks, kind="stable").astype(np.int64)


def stratified(labels: Longs, count: int, seed: int, stream: int) -> Longs:
    """`count` indices into `labels` `[N]`, rising, each class in its proportion (largest remainder).

    Raises ConfigError when `count` is not in 0..N.
    """
    total = len(labels)
    if not 0 <= count <= total:
        raise ConfigError(expected("count", f"0 to {total}", count))
    present, sizes = np.unique(labels, return_counts=True)
    quotas = sizes.astype(np.int64) * count // total
    remainders = sizes * count % total
    quotas[np.argsort(-remainders, kind="stable")[: count - int(quotas.sum())]] += 1
    shuffled = permutation(total, seed, stream)
    chosen = [shuffled[labels[shuffled] == label][:quota] for label, quota in zip(present, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def folds(labels: Longs, count: int, seed: int) -> list[Longs]:
    """`count` parts of all indices into `labels` `[N]`, rising, their sizes and those of each class at most 1 apart.

    Raises ConfigError when `count` is not in 2..N.
    """
    if not 2 <= whole("folds", count, 2) <= len(labels):
        raise ConfigError(expected("folds", f"2 to {len(labels)}", count))
    shuffled = permutation(len(labels), seed, FOLDS)
    dealt = np.concatenate([shuffled[labels[shuffled] == label] for label in np.unique(labels)])
    return [np.sort(dealt[part::count]) for part in range(count)]


def uniforms(count: int, seed: int, *key: int) -> Doubles:
    """`count` numbers of [0, 1) by `(seed, key)`, float64: the upper 53 bits of each word, times 2**-53."""
    words: NDArray[np.uint64] = bit_stream(seed, *key).random_raw(count)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
