"""The deployment report: an integer network on a chip, core by core, and what does not fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qpsnn_backends.loihi.activity import Activity, activity
from qpsnn_backends.loihi.limits import CHIPS, Chip, Limit
from qpsnn_backends.loihi.mapping import Parts, Placed, place, reached
from qpsnn_backends.loihi.memory import stored_width
from qpsnn_backends.loihi.populations import populations
from qpsnn_backends.loihi.projections import Population
from qpsnn_backends.loihi.ranges import Need, needs
from qpsnn_backends.loihi.remedies import chip_remedy, core_remedy, unsupported, value_remedy
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Longs
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.network import IntegerNetwork


class Use(NamedTuple):
    """A resource: where, how much is used, of how much (None: not published), whether that limit is certain.

    remedy: empty where it fits; else what would make it fit.
    """

    place: str
    resource: str
    used: int
    maximum: int | None
    source: str
    certain: bool
    remedy: str = ""

    @property
    def fits(self) -> bool:
        """Whether there is enough of it."""
        return self.maximum is None or self.used <= self.maximum


@dataclass(frozen=True)
class LayerUse:
    """A population: where it runs ("cores" or "host"), its tile (rows, columns, channels) and number of cores.

    uses: per core, of the fullest core; then what its integers need.
    """

    name: str
    kind: str
    where: str
    shape: tuple[int, int, int]
    tile: tuple[int, int, int]
    cores: int
    synapses: int
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class LoihiReport:
    """What a network takes of a chip. refused: what the chip cannot run at all, and why. activity: if measured."""

    chip: Chip
    layers: tuple[LayerUse, ...]
    totals: tuple[Use, ...]
    refused: tuple[str, ...]
    activity: Activity | None = None

    @property
    def problems(self) -> tuple[Use, ...]:
        """All that does not fit."""
        return tuple(use for layer in self.layers for use in layer.uses if not use.fits) + tuple(
            use for use in self.totals if not use.fits
        )

    @property
    def fits(self) -> bool:
        """Whether one chip runs the network."""
        return not self.problems and not self.refused

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "chip": self.chip.name,
            "fits": self.fits,
            "layers": [{**vars(layer), "uses": [_plain(use) for use in layer.uses]} for layer in self.layers],
            "totals": [_plain(use) for use in self.totals],
            "problems": [_plain(use) for use in self.problems],
            "refused": list(self.refused),
            "activity": None if self.activity is None else self.activity._asdict(),
            "notes": list(self.chip.notes),
        }


def report(
    network: IntegerNetwork, chip: str = "loihi2", counts: Mapping[str, Longs] | None = None, images: int = 0
) -> LoihiReport:
    """Map the network to cores and compare all that it needs with the chip's limits.

    counts, images: the exact simulator's counts of so many images, for spikes and energy. A core holds neurons of one
    layer only. Raises ConfigError (no such chip, counts without images), ShapeError (counts of another network).
    """
    if chip not in CHIPS:
        raise ConfigError(expected("chip", f"one of {', '.join(CHIPS)}", chip))
    warn_dead_integers("loihi", network)
    limits = CHIPS[chip]
    every = populations(network)
    host = {p.name for p in every if p.kind == "input" or _reads_images(p, network, limits)}
    required = {p.name: needs(p, network, limits) for p in every if p.name not in host}
    widths = {
        need.place: stored_width(need.used, limits)
        for found in required.values()
        for need in found
        if need.resource == "weight bits"
    }
    placed = _place_all(tuple(p for p in every if p.name not in host), network, limits, widths)
    reach = _reach(every, placed)
    layers = []
    for population in every:
        if population.name in host:
            if population.kind != "input":
                layers.append(_on_host(population))
            continue
        place_ = placed[population.name]
        used = place_.fullest._asdict().items()
        cores = [
            _use(population.name, f"{name.replace('_', ' ')} per core", number, getattr(limits, name), core_remedy)
            for name, number in used
        ]
        values = [_value(need, population, limits) for need in required[population.name]]
        synapses = sum(p.synapses for p in population.projections)
        layers.append(
            LayerUse(
                population.name,
                population.kind,
                "cores",
                population.shape,
                place_.tile,
                place_.cores,
                synapses,
                (*cores, *values),
            )
        )
    measured = None
    if counts is not None:
        sources = tuple(p for p in every if p.name in reach)
        measured = activity(sources, tuple(placed.values()), reach, counts, images, network.steps, limits)
    refused = tuple(unsupported(every, host, network, limits))
    stored = sum(_stored_bits(p, limits) for p in every if p.kind == "neurons" and p.name not in host)
    return LoihiReport(limits, tuple(layers), _totals(layers, limits, stored), refused, measured)


def _stored_bits(population: Population, chip: Chip) -> int:
    """Of its membranes from step to step: of levels where it has such, else of the chip's whole state with its sign."""
    levels = population.node.membrane
    whole = (chip.state.maximum or 0).bit_length() + 1
    return math.prod(population.shape) * (whole if levels is None else levels.bits)


def _reads_images(population: Population, network: IntegerNetwork, chip: Chip) -> bool:
    """Whether it reads an input of larger or negative numbers than a spike carries: such a layer runs on the host."""
    sources = {p.source for p in population.projections}
    given, carried = network.input, chip.payload.maximum or 0
    beyond = given.peak > carried or (given.low < 0 and carried <= 1) or -given.low > carried
    return given.name in sources and beyond


def _place_all(
    chosen: tuple[Population, ...], network: IntegerNetwork, chip: Chip, widths: dict[str, int]
) -> dict[str, Placed]:
    """From last to first: the out-axons of a layer depend on the tiles of its readers."""
    placed: dict[str, Placed] = {}
    for population in reversed(chosen):
        thresholds = network.arrays[population.name].get("threshold", np.zeros(0, np.int64))
        placed[population.name] = place(population, chip, widths, thresholds, _readers(population.name, placed))
    return {population.name: placed[population.name] for population in chosen}


def _readers(name: str, placed: Mapping[str, Placed]) -> tuple[Parts, ...]:
    return tuple(
        reached(projection, reader.tile)
        for reader in placed.values()
        for projection in reader.population.projections
        if projection.source == name
    )


def _reach(every: tuple[Population, ...], placed: Mapping[str, Placed]) -> dict[str, Longs]:
    """Of each population whose spikes arrive on cores: on how many each neuron's do."""
    found = {}
    for population in every:
        parts = _readers(population.name, placed)
        if parts:
            found[population.name] = np.sum([np.einsum("i,j,k->ijk", *part) for part in parts], axis=0)
    return found


def _on_host(population: Population) -> LayerUse:
    synapses = sum(p.synapses for p in population.projections)
    return LayerUse(population.name, population.kind, "host", population.shape, population.shape, 0, synapses, ())


def _totals(layers: list[LayerUse], chip: Chip, stored: int) -> tuple[Use, ...]:
    """stored: bits of the membranes of all neurons on the chip."""
    cores = sum(layer.cores for layer in layers)
    on_chip = [layer for layer in layers if layer.where == "cores"]
    return (
        _use("chip", "cores", cores, chip.cores, chip_remedy),
        _use("chip", "neurons", sum(math.prod(layer.shape) for layer in on_chip), chip.chip_neurons, chip_remedy),
        _use("chip", "synapses", sum(layer.synapses for layer in on_chip), chip.chip_synapses, chip_remedy),
        _use("chip", "membrane bits", stored, Limit(None, "a part of each neuron's own memory"), chip_remedy),
    )


def _use(place_: str, resource: str, used: int, limit: Limit, remedy: Callable[[Use], str]) -> Use:
    use = Use(place_, resource, int(used), limit.maximum, limit.source, limit.certain)
    return use if use.fits else use._replace(remedy=remedy(use))


def _value(need: Need, population: Population, chip: Chip) -> Use:
    steps, readout = not chip.exact_leak and population.kind == "neurons", population.kind == "readout"
    return _use(need.place, need.resource, need.used, need.limit, lambda use: value_remedy(need, steps, readout))


def _plain(use: Use) -> dict[str, Any]:
    return {**use._asdict(), "fits": use.fits}
