"""Which channels share a unit: those of LIFs and synapses that meet, channel by channel, and the units chosen for them.

The integers of a synapse's channel have one gain, so all neurons that they drive have one unit: the connected
components of channels. Those that are alike, the same nodes meeting in the same way, are handled together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import LoweringError
from qpsnn_core.common.types import Doubles, Longs
from qpsnn_core.integer.lowering.current_readout import as_neuron
from qpsnn_core.integer.lowering.fixed_point import COARSE, OfChannels, Rounded, choose, leak
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.integer.lowering.margin import margin
from qpsnn_core.integer.lowering.report import NeuronReport
from qpsnn_core.integer.lowering.shares import Share, Shares, of_share, only_reader
from qpsnn_core.integer.lowering.small import smallest
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF

Place = tuple[str, int]
"""A node and how many of its channels come before, of those in one component."""

Form = tuple[tuple[Place, tuple[tuple[Place, Share], ...]], ...]
"""Of each neuron in a component, the synapses' channels that it sums; shares without their channels."""


class Alike(NamedTuple):
    """Components of one form. channels: of each place of the form, int64 [N], one for each component."""

    form: Form
    channels: Mapping[Place, Longs]


class IntegerNeurons(NamedTuple):
    """The integers of a network's neurons: of each LIF its threshold and bias, of each synapse its gain, int64 [C].

    reports: of LIFs. units: of the sums of currents of each CurrentReadout, float64 [C].
    """

    thresholds: dict[str, Longs]
    biases: dict[str, Longs]
    gains: dict[str, Longs]
    reports: dict[str, NeuronReport]
    units: dict[str, Doubles]


def neurons_in_integers(
    network: Network,
    currents: Mapping[str, Affine],
    found: Mapping[str, Shares],
    thresholds: Mapping[str, Doubles],
    horizon: int,
    fraction_bits: int,
) -> IntegerNeurons:
    """All LIFs of a network in integers. currents: of its synapses; found: `shares`; thresholds: those learned, [C].

    Raises as `choose`, and LoweringError where a current meets means of itself.
    """
    integers = IntegerNeurons({}, {}, {}, {}, {})
    parts: dict[str, dict[str, Any]] = {reader.name: {} for reader in _readers(network)}
    for alike in components(network, found):
        found_here = _chosen(network, alike, currents, thresholds, horizon, fraction_bits)
        for place, neuron in found_here.neurons.items():
            head = isinstance(network[place[0]], CurrentReadout)
            own = {"unit": found_here.rounded.unit}
            if not head:
                own = _figures(neuron, found_here.currents, found_here.rounded, network.steps)
            for label, values in own.items():
                whole = parts[place[0]].setdefault(label, np.zeros(_width(network, place[0]), values.dtype))
                whole[alike.channels[place]] = values
        for place, name in found_here.names.items():
            whole = integers.gains.setdefault(place[0], np.zeros(network.shape(place[0])[2], np.int64))
            whole[alike.channels[place]] = found_here.rounded.gains[name]
    for lif in network.neurons:
        integers.thresholds[lif.name], integers.biases[lif.name] = (parts[lif.name][one] for one in ("theta", "bias"))
        integers.reports[lif.name] = _report(lif, parts[lif.name])
    integers.units.update((node.name, parts[node.name]["unit"]) for node in network.of(CurrentReadout))
    return integers


Reads = LIF | CurrentReadout


def _readers(network: Network) -> tuple[Reads, ...]:
    """What adds up currents: neurons, and then readouts of currents, which ask for no threshold of their own."""
    return (*network.neurons, *network.of(CurrentReadout))


def components(network: Network, found: Mapping[str, Shares]) -> Iterator[Alike]:
    """All of them, in the order of their first neurons."""
    reads = [(lif, [one for source in lif.sources for one in found[source]]) for lif in _readers(network)]
    labels = _labels(network, reads)
    members: dict[int, list[tuple[str, int, tuple[tuple[str, int, Share], ...]]]] = {}
    for lif, every in reads:
        plain = [(one._replace(channels=NONE), one.channels.tolist()) for one in every]
        for channel, label in enumerate(labels[lif.name].tolist()):
            read = tuple((one.synapse, own[channel], one) for one, own in plain if own[channel] >= 0)
            members.setdefault(label, []).append((lif.name, channel, read))
    alike: dict[object, tuple[Form, dict[Place, list[int]]]] = {}
    for label in members:
        form, channels = _form(members[label])
        key = tuple((place, tuple((at, one[2:]) for at, one in read)) for place, read in form)
        _, every_channel = alike.setdefault(key, (form, {place: [] for place in channels}))
        for place, channel in channels.items():
            every_channel[place].append(channel)
    for form, every_channel in alike.values():
        yield Alike(form, {place: np.array(own, np.int64) for place, own in every_channel.items()})


NONE = np.zeros(0, np.int64)


def _labels(network: Network, reads: list[tuple[Reads, list[Share]]]) -> dict[str, Longs]:
    """A number for each channel of each reader: the least place of any in its component."""
    first, size = {}, 0
    for name in dict.fromkeys([*(lif.name for lif, _ in reads), *(one.synapse for _, own in reads for one in own)]):
        first[name], size = size, size + _width(network, name)
    labels = np.arange(size)
    edges = []
    for lif, every in reads:
        for one in every:
            own = np.flatnonzero(one.channels >= 0)
            edges.append((first[lif.name] + own, first[one.synapse] + one.channels[own]))
    left, right = (np.concatenate([edge[end] for edge in edges]) for end in (0, 1)) if edges else (NONE, NONE)
    while True:
        least = np.minimum(labels[left], labels[right])
        before = labels.copy()
        np.minimum.at(labels, left, least)
        np.minimum.at(labels, right, least)
        if np.array_equal(before, labels):
            break
    return {lif.name: labels[first[lif.name] : first[lif.name] + _width(network, lif.name)] for lif, _ in reads}


def _width(network: Network, name: str) -> int:
    """The channels of what a synapse gives, or of the currents that a neuron or a readout adds up."""
    node = network[name]
    return int(network.shape(node.sources[0] if isinstance(node, CurrentReadout) else name)[2])


def _form(members: list[tuple[str, int, tuple[tuple[str, int, Share], ...]]]) -> tuple[Form, dict[Place, int]]:
    """The form of one component, and the channel of each of its places."""
    places: dict[tuple[str, int], Place] = {}
    count: dict[str, int] = {}

    def placed(name: str, channel: int) -> Place:
        if (name, channel) not in places:
            places[name, channel] = name, count.get(name, 0)
            count[name] = count.get(name, 0) + 1
        return places[name, channel]

    form = tuple(
        (placed(name, channel), tuple((placed(synapse, own), one) for synapse, own, one in read))
        for name, channel, read in members
    )
    return form, {place: channel for (_, channel), place in places.items()}


class Chosen(NamedTuple):
    """The integers of components of one form. names: what `rounded` and `currents` call the place of each current."""

    rounded: Rounded
    neurons: dict[Place, OfChannels]
    currents: dict[str, Affine]
    names: dict[Place, str]


def _chosen(
    network: Network,
    alike: Alike,
    currents: Mapping[str, Affine],
    thresholds: Mapping[str, Doubles],
    horizon: int,
    fraction_bits: int,
) -> Chosen:
    names = {place: f"{place[0]}, {place[1]}" if place[1] else place[0] for place in alike.channels}
    taken: dict[Place, Share] = {}
    for place, share in (one for _, read in alike.form for one in read):
        other = next((own for at, own in taken.items() if at[0] == place[0]), share)
        if other.area != share.area:
            raise LoweringError(only_reader(network, share, other))
        before = taken.get(place, share)
        taken[place] = share if share.roundings >= before.roundings else before
    driving = {names[at]: of_share(one, currents[at[0]], alike.channels[at]) for at, one in taken.items()}
    neurons: dict[Place, OfChannels] = {}
    for place, read in alike.form:
        lif = network[place[0]]
        if not isinstance(lif, LIF):
            neurons[place] = as_neuron(names[place], tuple(names[one] for one, _ in read), [*neurons.values()], driving)
            continue
        own = thresholds.get(place[0])
        threshold = lif.threshold if own is None else own[alike.channels[place]]
        sources = tuple(names[one] for one, _ in read)
        neurons[place] = OfChannels(names[place], sources, threshold, lif.beta, lif.reset, lif.membrane)
    group = tuple(neurons.values())
    rounded = choose(group, driving, horizon, fraction_bits)
    if any(isinstance(network[place[0]], SelfAttention) for place in taken):
        rounded = smallest(group, driving, rounded, horizon)
    return Chosen(rounded, neurons, driving, {at: names[at] for at in taken})


def _figures(lif: OfChannels, currents: dict[str, Affine], rounded: Rounded, steps: int) -> dict[str, Any]:
    """All that is told of a neuron's channels."""
    neuron = rounded.neurons[lif.name]
    found = margin(lif, currents, rounded, steps)
    return {
        "theta": neuron.threshold,
        "bias": neuron.bias,
        "bits": rounded.bits,
        "unit": rounded.unit,
        "dead": neuron.reach.before.high < neuron.threshold,
        "firing": neuron.reach.before.low >= neuron.threshold,
        "distance": found.distance,
        "exact": found.exact,
        "gain rounding": found.gain,
        "bias rounding": found.bias,
        "threshold rounding": found.threshold,
        "float32": found.float32,
        "rounding": found.distance / lif.threshold,
    }


def _report(lif: LIF, own: Mapping[str, Any]) -> NeuronReport:
    """What is told of a whole LIF; own: of each channel, [C]."""
    fine = own["bits"][own["bits"] != COARSE]
    alive = ~own["dead"]
    return NeuronReport(
        name=lif.name,
        beta=lif.beta,
        leak=leak(lif.beta),
        fraction_bits=(int(fine.min()), int(fine.max())) if fine.size else (0, 0),
        gain=float(own["gain rounding"].max()),
        bias=float(own["bias rounding"].max()),
        threshold=float(own["threshold rounding"].max()),
        float32=float(own["float32"].max(where=alive, initial=0)),
        rounding=float(own["rounding"].max(where=alive, initial=0)),
        unit=own["unit"],
        margin=own["distance"],
        exact=own["exact"],
        dead=_places(own["dead"]),
        firing=_places(own["firing"]),
        coarse=_places(own["bits"] == COARSE),
    )


def _places(chosen: Any) -> tuple[int, ...]:
    return tuple(int(channel) for channel in np.flatnonzero(chosen))
