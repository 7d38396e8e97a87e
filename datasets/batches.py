"""Goes through a set in batches; order and changes of any batch follow from seed, epoch and batch number alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Array, Images
from qpsnn_core.common.validation import whole

from .augment import Augment
from .schema import Dataset
from .seeding import AUGMENT, SHUFFLE, bit_stream, permutation


def batch_count(samples: int, size: int, *, drop_last: bool = False) -> int:
    """How many batches of `size` an epoch over `samples` has; ConfigError if there is none."""
    size, samples = whole("batch size", size, 1), whole("samples", samples, 1)
    if drop_last and size > samples:
        raise ConfigError(expected("batch size", f"at most {samples}, as short batches are dropped", size))
    return samples // size if drop_last else -(-samples // size)


def epoch_order(samples: int, seed: int | None, epoch: int = 0) -> NDArray[np.int64]:
    """The order of the samples in an epoch, `[samples]`: shuffled by (seed, epoch), or as they are if seed is None."""
    epoch = whole("epoch", epoch, 0)
    return np.arange(samples, dtype=np.int64) if seed is None else permutation(samples, seed, SHUFFLE, epoch)


def batches(
    dataset: Dataset,
    size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    augment: Augment | None = None,
    drop_last: bool = False,
    start: int = 0,
) -> Iterator[tuple[Images, Array]]:
    """Images uint8 `[B, (T,) H, W, C]` and labels `[B]` or `[B, K]`, copied; every sample once, the last may be short.

    seed: None goes in order and changes nothing; a number shuffles by (seed, epoch) and draws the changes of batch k
    by (seed, epoch, k). start: the batch to begin with; what follows is what an uninterrupted epoch gives.
    Raises ConfigError at the call, not at the first batch: size, seed, epoch, start, or changes without a seed.
    """
    count = batch_count(len(dataset), size, drop_last=drop_last)
    if whole("start", start, 0) > count:
        raise ConfigError(expected("start", f"0 to {count}, the number of batches", start))
    if augment and seed is None:
        raise ConfigError(expected("seed", "a seed, as the images are to be changed at random", None))
    order = epoch_order(len(dataset), seed, epoch)

    def generate() -> Iterator[tuple[Images, Array]]:
        for k in range(start, count):
            chosen = order[k * size : (k + 1) * size]
            images = dataset.images[chosen]
            if augment and seed is not None:
                images = augment(images, np.random.Generator(bit_stream(seed, AUGMENT, epoch, k)))
            yield images, dataset.labels[chosen]

    return generate()
