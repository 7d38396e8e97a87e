"""Which share of the channels each LIF loses: from one number, a list, or a table by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.compression.channels.remove import coupled_groups, spike_sources, unprunable
from qpsnn_core.network import Network, Readout
from qpsnn_core.recipes.paper_rates import checked_rate

Rates = float | Sequence[float] | Mapping[str, float]


def prunable(network: Network, *, prune_last: bool = False, together: bool = False) -> tuple[str, ...]:
    """The LIFs that can lose channels, in order.

    Not those that are `unprunable`, and unless `prune_last` not the `last`, nor any that keeps the same channels as one
    of these (`coupled_groups`, with the same `together`).
    """
    excluded = unprunable(network) | (frozenset() if prune_last else frozenset(last(network)))
    free = {name for group in coupled_groups(network, together=together) if not excluded & set(group) for name in group}
    return tuple(node.name for node in network.neurons if node.name in free)


def last(network: Network) -> tuple[str, ...]:
    """The LIFs that a classifier reads: the synapses of a Readout, or those of the neurons that it counts.

    A CurrentReadout is the classifier, and reads no LIF: the channels of its currents are those of all layers that
    share them.
    """
    origin = spike_sources(network)
    ends = [readout.source for readout in network.readouts if isinstance(readout, Readout)]
    ends += [name for end in ends for lif in origin[end] for name in network[lif].sources]
    read = {name for end in ends for source in network[end].sources for name in origin[source]}
    return tuple(node.name for node in network.neurons if node.name in read)


def resolve(network: Network, rates: Rates, chosen: Sequence[str]) -> dict[str, float]:
    """The rate of every LIF, in order; 0 for one that is not `chosen` (`prunable`) or not named.

    rates: one number for all chosen LIFs; a list with one for each, in order; or a table, whose keys are a LIF, a
    synapse that feeds one, or a stage, which is what their names begin with ("layer1", "layer1.0"); of several that
    fit, the longest counts. Raises ConfigError, naming the place: a rate that is not from 0 to below 1, a length, a
    name, a rate above 0 for what is not chosen at all.
    """
    found = dict.fromkeys((node.name for node in network.neurons), 0.0)
    if isinstance(rates, Mapping):
        found.update(
            _by_name(network, {key: checked_rate(f"rates.{key}", rate) for key, rate in rates.items()}, chosen)
        )
    elif isinstance(rates, Sequence) and not isinstance(rates, str):
        if len(rates) != len(chosen):
            each = f"{len(chosen)} numbers, one for each of {', '.join(chosen)}"
            none = "one number or none, as no layer can lose channels (the last one only with prune_last)"
            want = each if chosen else none
            raise ConfigError(expected("rates", want, len(rates)))
        found.update((name, checked_rate(f"rates[{i}]", rates[i])) for i, name in enumerate(chosen))
    else:
        found.update(dict.fromkeys(chosen, checked_rate("rates", rates)))
    return found


def kept_count(channels: int, rate: float) -> int:
    """`channels - ceil(rate * channels)` (Algorithm 1), at least 1; the rate is the decimal number it prints as."""
    return max(1, channels - math.ceil(Fraction(repr(float(rate))) * channels))


def _by_name(network: Network, rates: dict[str, float], chosen: Sequence[str]) -> dict[str, float]:
    """The rates of chosen LIFs by a table."""
    found: dict[str, float] = {}
    names: dict[str, list[str]] = {}
    for node in network.neurons:
        exact = (node.name, *node.sources)
        stages = sorted({stage for name in exact for stage in _stages(name)}, key=len, reverse=True)
        for key in (*exact, *stages):
            names.setdefault(key, []).append(node.name)
        fit = [key for key in exact if key in rates] or [key for key in stages if key in rates][:1]
        for key in fit[1:]:
            if rates[key] != rates[fit[0]]:
                want = f"{rates[fit[0]]} (rates.{fit[0]} is of the same channels)"
                raise ConfigError(expected(f"rates.{key}", want, rates[key]))
        if fit and node.name in chosen:
            found[node.name] = rates[fit[0]]
    for key, rate in rates.items():
        if key not in names:
            raise ConfigError(
                expected("rates", "the name of a LIF, a synapse or a stage" + did_you_mean(key, names), key)
            )
        if rate > 0 and not set(names[key]) & set(chosen):
            want = f"0 ({', '.join(names[key])} keeps all channels; the last layer loses some only with prune_last)"
            raise ConfigError(expected(f"rates.{key}", want, rate))
    return found


def _stages(name: str) -> list[str]:
    """What a dotted name begins with: "layer1.0.conv1" gives "layer1", "layer1.0"."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
