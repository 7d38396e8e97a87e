"""Populations cut into tiles, one a core: contiguous rows, columns and channels, as few cores as fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from qpsnn_backends.loihi.limits import Chip
from qpsnn_backends.loihi.memory import Counted, core_bits
from qpsnn_backends.loihi.projections import Population, Projection
from qpsnn_core.common.types import Longs

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
    cuts = Cuts(population, thresholds, reach)
    hopeless: dict[Tile, bool] = {}  # by rows and columns: whether a single channel of so many takes too much
    chosen = (1, 1, 1)
    for tile in sorted(tiles, key=lambda tile: (_cores(population.shape, tile), -tile[2], -tile[1])):
        thin = (*tile[:2], 1)
        if math.prod(tile) > limit or hopeless.get(thin):
            continue
        if not cuts.fullest(tile, chip, widths).over(chip):
            chosen = tile
            break
        if thin not in hopeless:
            hopeless[thin] = bool(cuts.fullest(thin, chip, widths).over(chip))
    total = np.zeros(population.shape, np.int64)
    for parts in reach:
        total += np.einsum("i,j,k->ijk", *parts)
    fullest = cuts.fullest(chosen, chip, widths)
    return Placed(population, chosen, _cores(population.shape, chosen), fullest, total)


class _Strip(NamedTuple):
    """A stretch of one axis: its length, how many distinct thresholds it has, and by projection and by reader:

    read: the sizes of what positions of the source reach of it, and how many reach so much; sent: its out-axons.
    """

    length: int
    kinds: int
    read: tuple[Counted, ...]
    sent: tuple[int, ...]


class Cuts:
    """What the cores of a population take, however it is cut; each stretch of an axis is looked at once.

    thresholds, reach: as of `place`.
    """

    def __init__(self, population: Population, thresholds: Longs, reach: tuple[Parts, ...]) -> None:
        self.population = population
        self.thresholds = thresholds
        self.reach = reach
        self._known: dict[tuple[int, int], list[_Strip]] = {}

    def fullest(self, tile: Tile, chip: Chip, widths: dict[str, int]) -> Core:
        """The most that any core of such tiles takes of each resource."""
        projections = self.population.projections
        most = Core(0, 0, 0, 0, 0)
        for strips in product(*(self._strips(axis, size) for axis, size in enumerate(tile))):
            neurons = math.prod(strip.length for strip in strips)
            read = list(zip(*(strip.read for strip in strips), strict=True))
            bits = sum(
                core_bits(projection, counted, neurons, widths[projection.synapse], chip)
                for projection, counted in zip(projections, read, strict=True)
            )
            axons = sum(math.prod(int(times.sum()) for _, times in counted) for counted in read)
            out = sum(math.prod(sent) for sent in zip(*(strip.sent for strip in strips), strict=True))
            most = most.most(Core(neurons, axons, out, bits, strips[2].kinds))
        return most

    def _strips(self, axis: int, size: int) -> list[_Strip]:
        """The stretches of an axis; of those that take the same of everything, one."""
        if (axis, size) not in self._known:
            found: dict[bytes, _Strip] = {}
            for start in range(0, self.population.shape[axis], size):
                strip = self._strip(axis, slice(start, min(start + size, self.population.shape[axis])))
                key = repr((strip.length, strip.kinds, strip.sent)).encode()
                found.setdefault(key + b"".join(part.tobytes() for pair in strip.read for part in pair), strip)
            self._known[axis, size] = list(found.values())
        return self._known[axis, size]

    def _strip(self, axis: int, cut: slice) -> _Strip:
        read = []
        for projection in self.population.projections:
            counts = (projection.rows, projection.cols, projection.channels)[axis][:, cut].sum(1, dtype=np.int64)
            read.append(np.unique(counts[counts > 0], return_counts=True))
        kinds = len(np.unique(self.thresholds[cut])) if axis == 2 and self.thresholds.size else 0
        sent = tuple(int(parts[axis][cut].sum()) for parts in self.reach)
        return _Strip(cut.stop - cut.start, kinds, tuple(read), sent)


def reached(projection: Projection, tile: Tile) -> Parts:
    """On how many tiles of its reader each row, column and channel of the source has targets."""
    matrices = (projection.rows, projection.cols, projection.channels)
    rows, cols, channels = (
        sum(
            (matrix[:, start : start + size].any(1).astype(np.int64) for start in range(0, matrix.shape[1], size)),
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
