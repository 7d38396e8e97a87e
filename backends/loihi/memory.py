"""Bits of synapse memory: of a weight, of an axon's synapses, of all that ends on one core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qpsnn_backends.loihi.limits import BLOCK_HEAD_BITS, INDEX_WIDTHS, MEMORY_UNIT_BITS, SYNAPSES_PER_BLOCK, Chip
from qpsnn_backends.loihi.projections import Projection
from qpsnn_core.common.types import Longs

Counted = tuple[Longs, Longs]
"""Distinct numbers, and how often each occurs."""


def weight_bits(weights: Longs, chip: Chip, scale: int) -> int:
    """The bits that the weights need, a sign among them where they have both, once all are shifted.

    `weights * 2**scale` must be `mantissa * 2**shift` with one shift up to the chip's for all; the smallest mantissas.
    """
    nonzero = weights[weights != 0]
    if nonzero.size == 0:
        return 1
    every = int(np.bitwise_or.reduce(nonzero))
    zeros = (every & -every).bit_length() - 1
    shift = min(chip.weight_shift, zeros + scale)
    lowest, highest = (int(end) for end in (weights.min(), weights.max()))
    low, high = ((end << scale) >> shift for end in (lowest, highest))
    mixed = low < 0 < high
    magnitude = max(high.bit_length(), (-low - 1 if mixed else -low).bit_length())
    return magnitude + mixed


def stored_width(bits: int, chip: Chip) -> int:
    """The narrowest width in which the chip stores weights of so many bits; its widest where there is none."""
    return next((width for width in chip.weight_widths if width >= bits), chip.weight_widths[-1])


def axon_bits(synapses: Any, width: int, index: int) -> Any:
    """Memory of one axon's synapses: blocks of 64, a head on each, rounded up to whole words."""
    blocks, rest = np.divmod(synapses, SYNAPSES_PER_BLOCK)
    return blocks * _block(SYNAPSES_PER_BLOCK, width + index) + np.where(rest > 0, _block(rest, width + index), 0)


def index_width(neurons: int) -> int:
    """Bits that name one of so many neurons of a core."""
    need = (neurons - 1).bit_length()
    return next((width for width in INDEX_WIDTHS if width >= need), need)


def core_bits(
    projection: Projection, read: tuple[Counted, Counted, Counted], neurons: int, width: int, chip: Chip
) -> int:
    """Memory of a projection's synapses on one core.

    read: by row, column and channel of the source, what it reaches of the core: numbers of rows, columns, channels,
    and how many reach so much; the synapses of an axon are the product of three. neurons: on the core. width: bits of
    a stored weight.
    """
    if chip.shared_kernels:
        reached = [int((sizes * times).sum()) for sizes, times in read]
        if projection.shared:
            return projection.shared * reached[2] * width
        return math.prod(reached) * width
    index = 0 if projection.regular else index_width(neurons)
    sizes, times = zip(*read, strict=True)
    synapses = np.einsum("i,j,k->ijk", *sizes)
    axons = np.einsum("i,j,k->ijk", *times)
    return int((axons * axon_bits(synapses, width, index)).sum())


def _block(synapses: Any, bits: int) -> Any:
    return -(-(synapses * bits + BLOCK_HEAD_BITS) // MEMORY_UNIT_BITS) * MEMORY_UNIT_BITS
