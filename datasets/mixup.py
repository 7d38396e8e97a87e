"""Mixup: each image of a batch and another of the batch as one, in shares that a seed draws.

Zhang et al. 2018 (arXiv:1710.09412): `x = share * x_i + (1 - share) * x_j`, and the loss is that of label i times the
share plus that of label j times the rest. The share is Beta(alpha, alpha), drawn once for a batch, and at least one
half: which image of a pair is the first is drawn, too. The same (seed, epoch, batch) gives the same bits anywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Images, Longs
from qpsnn_core.kernels.elementary import exp, log

from .seeding import MIXUP, bit_stream

UNITS = 1 << 16
"""A share is a whole number of these, so that mixing is integer arithmetic, rounded once."""


class Mixed(NamedTuple):
    """A batch. labels: of the image that weighs `share`, from 1/2 to 1; others: of the image that weighs the rest."""

    images: Images
    labels: Array
    others: Array
    share: float


def mixed(images: Images, labels: Array, alpha: float, seed: int, epoch: int, batch: int) -> Mixed:
    """The batch mixed. images: integers [B, ...]; labels: [B] or [B, K]; alpha: above 0."""
    stream = bit_stream(seed, MIXUP, epoch, batch)
    units = max(1, round(drawn(alpha, stream) * UNITS))
    ranks = stream.random_raw(len(images))
    partners: Longs = np.argsort(ranks, kind="stable").astype(np.int64)
    sums = images.astype(np.int32) * np.int32(units)
    sums += images[partners].astype(np.int32) * np.int32(UNITS - units)
    made: Images = ((sums + np.int32(UNITS // 2)) >> np.int32(16)).astype(images.dtype)
    return Mixed(made, labels, labels[partners], units / UNITS)


def drawn(alpha: float, stream: np.random.PCG64) -> float:
    """The larger share, 1/2 to 1, of Beta(alpha, alpha), by the method of Joehnk (1964) in logarithms.

    `u**(1/alpha)` and `v**(1/alpha)` of two uniform numbers are in the shares asked for whenever their sum is at most
    1.
    """
    while True:
        raw = stream.random_raw(2)
        logs = log(((raw >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53) / alpha
        if float(exp(logs).sum()) <= 1:
            return float(1 / (1 + exp(-np.abs(logs[:1] - logs[1:]))[0]))
