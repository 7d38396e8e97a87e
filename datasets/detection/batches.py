"""Goes through a set with boxes in batches; each batch follows from seed, epoch and its number alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.detection import BoxTargets
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Images, Longs
from qpsnn_core.common.validation import whole

from ..batches import batch_count, epoch_order
from .augment import DetectionAugment, samples
from .schema import DetectionDataset


class DetectionBatch(NamedTuple):
    """images: uint8 `[B, H, W, C]` or `[B, T, H, W, C]`. targets: their boxes. indices: int64 `[B]`, of the set."""

    images: Images
    targets: BoxTargets
    indices: Longs


def detection_batches(
    dataset: DetectionDataset,
    size: int,
    *,
    seed: int | None = None,
    epoch: int = 0,
    augment: DetectionAugment | None = None,
    drop_last: bool = False,
    start: int = 0,
) -> Iterator[DetectionBatch]:
    """Every image once, the last batch may be short.

    seed: None goes in order and changes nothing; a number shuffles by (seed, epoch) and draws the changes of an image
    by (seed, epoch, its index). start: the batch to begin with; what follows is what an uninterrupted epoch gives.
    Raises ConfigError at the call: size, seed, epoch, start, or changes without a seed.
    """
    count = batch_count(len(dataset), size, drop_last=drop_last)
    if whole("start", start, 0) > count:
        raise ConfigError(expected("start", f"0 to {count}, the number of batches", start))
    if augment and seed is None:
        raise ConfigError(expected("seed", "a seed, as the images are to be changed at random", None))
    order = epoch_order(len(dataset), seed, epoch)

    def generate() -> Iterator[DetectionBatch]:
        for k in range(start, count):
            indices = order[k * size : (k + 1) * size]
            found = list(samples(dataset, indices, augment, seed, epoch))
            offsets = np.cumsum([0, *(len(one.classes) for one in found)], dtype=np.int64)
            edges = np.concatenate([one.edges for one in found]).astype(np.float32)
            targets = BoxTargets(edges, np.concatenate([one.classes for one in found]), offsets)
            yield DetectionBatch(np.stack([one.images for one in found]), targets, indices)

    return generate()
