"""Populations cut into tiles, one a core: contiguous rows, columns and channels, as few cores as fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from qpsnn_backends.loihi.limits import Chip
from qpsnn_backends.loihi.memory import core_bits
from qpsnn_backends.loihi.populations import Longs, Population, Projection

Tile = tuple[int, int, int]
Parts = tuple[Longs, Longs, Longs]


class Core(NamedTuple):
    """What the fullest core takes, of each resource the most that any core of the layer does."""

    neurons: int
    in_axons: int
    out_axons: int
    synapse_bits: int
    thresholds: int

    def most(self, other: Core) -> Core:
        """The larger of each."""
        return Core(*(max(pair) for pair in zip(self, other, strict=True)))

    def over(self, chip: Chip) -> list[str]:
        """The resources that the chip has not enough of."""
        limits = {name: getattr(chip, name).maximum for name in self._fields}
        return [name for name, limit in limits.items() if limit is not None and getattr(self, name) > limit]


@dataclass(frozen=True, eq=False)
class Placed:
    """A population on cores: the tile (rows, columns, channels), how many cores, the fullest of them.

    reach: of each neuron [H, W, C], on how many cores it has targets: its out-axons.
    """

    population: Population
    tile: Tile
    cores: int
    fullest: Core
    reach: Longs


def place(
    population: Population, chip: Chip, widths: dict[str, int], thresholds: Longs, reach: tuple[Parts, ...]
) -> Placed:
    """The tile that needs the fewest cores; of one neuron where not even that fits (its `fullest` says so).

    widths: bits of a stored weight, by synapse. thresholds: [C], equal where a core can share one. reach: for each
    projection that reads the population, on how many tiles of the reader each row, column and channel has targets.
    """
    height, width, channels = population.shape
    tiles = [(h, w, c) for h in _sizes(height) for w in _sizes(width) for c in _sizes(channels)]
    limit = chip.neurons.maximum or population.neurons
    read = dict.fromkeys(tiles, False)
    chosen, fullest = (1, 1, 1), None
    for tile in sorted(tiles, key=lambda tile: (_cores(population.shape, tile), -tile[2], -tile[1])):
        thin = (*tile[:2], 1)
        if int(np.prod(tile)) > limit or read.get(thin):
            continue
        used = fullest_core(population, tile, chip, widths, thresholds, reach)
        over = used.over(chip)
        if not over:
            chosen, fullest = tile, used
            break
        if "in_axons" in over and "in_axons" in fullest_core(population, thin, chip, widths, thresholds, reach).over(
            chip
        ):
            read[thin] = True
    fullest = fullest or fullest_core(population, chosen, chip, widths, thresholds, reach)
    total = np.zeros(population.shape, np.int64)
    for parts in reach:
        total += np.einsum("i,j,k->ijk", *parts)
    return Placed(population, chosen, _cores(population.shape, chosen), fullest, total)


class _Strip(NamedTuple):
    """A stretch of one axis: its length, its distinct thresholds; for each projection, how much of the stretch each
    position of the source reaches; for each reader, the out-axons of the stretch."""

    length: int
    kinds: int
    counts: tuple[Longs, ...]
    sent: tuple[int, ...]


def fullest_core(
    population: Population,
    tile: Tile,
    chip: Chip,
    widths: dict[str, int],
    thresholds: Longs,
    reach: tuple[Parts, ...],
) -> Core:
    """The most that any core takes of each resource; arguments as `place`."""
    axes = [_strips(population, axis, tile[axis], thresholds, reach) for axis in range(3)]
    fullest = Core(0, 0, 0, 0, 0)
    for strips in product(*axes):
        neurons = math.prod(strip.length for strip in strips)
        counts = list(zip(*(strip.counts for strip in strips), strict=True))
        bits = sum(
            core_bits(projection, count, neurons, widths[projection.synapse], chip)
            for projection, count in zip(population.projections, counts, strict=True)
        )
        axons = sum(math.prod(np.count_nonzero(part) for part in count) for count in counts)
        out = sum(math.prod(sent) for sent in zip(*(strip.sent for strip in strips), strict=True))
        fullest = fullest.most(Core(neurons, axons, out, bits, strips[2].kinds))
    return fullest


def _strips(population: Population, axis: int, size: int, thresholds: Longs, reach: tuple[Parts, ...]) -> list[_Strip]:
    """The stretches of an axis; of those that take the same of everything, one."""
    found: dict[bytes, _Strip] = {}
    whole = population.shape[axis]
    for low in range(0, whole, size):
        cut = slice(low, min(low + size, whole))
        counts = tuple(
            np.sort((p.rows, p.cols, p.channels)[axis][:, cut].sum(1, dtype=np.int64)) for p in population.projections
        )
        sent = tuple(int(parts[axis][cut].sum()) for parts in reach)
        kinds = len(np.unique(thresholds[cut])) if axis == 2 and thresholds.size else 0
        strip = _Strip(cut.stop - cut.start, kinds, counts, sent)
        key = repr((strip.length, kinds, sent)).encode() + b"".join(count.tobytes() for count in counts)
        found.setdefault(key, strip)
    return list(found.values())


def reached(projection: Projection, tile: Tile) -> Parts:
    """On how many tiles of its reader each row, column and channel of the source has targets."""
    matrices = (projection.rows, projection.cols, projection.channels)
    rows, cols, channels = (
        sum(
            (matrix[:, low : low + size].any(1).astype(np.int64) for low in range(0, matrix.shape[1], size)),
            np.zeros(len(matrix), np.int64),
        )
        for matrix, size in zip(matrices, tile, strict=True)
    )
    return rows, cols, channels


def _sizes(whole: int) -> list[int]:
    """The sizes that cut `whole` into 1, 2, 3, ... parts as even as can be."""
    return sorted({-(-whole // parts) for parts in range(1, whole + 1)}, reverse=True)


def _cores(shape: Tile, tile: Tile) -> int:
    return int(np.prod([-(-whole // size) for whole, size in zip(shape, tile, strict=True)], dtype=np.int64))
