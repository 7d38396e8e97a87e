"""From a trained model to the integer network that fires as it does, and a report of what rounding changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np

from qpsnn_core.common.errors import ConfigError, LoweringError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Doubles, Longs, NamedArrays
from qpsnn_core.common.validation import check_kind
from qpsnn_core.integer.bounds import UNBOUNDED
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.lowering.current_readout import LoweredHead, lowered_head
from qpsnn_core.integer.lowering.fixed_point import MOST_BITS, leak, levels_of
from qpsnn_core.integer.lowering.fold import REAL_WEIGHTS, Affine, affine
from qpsnn_core.integer.lowering.gates import check_priors, gate_thresholds
from qpsnn_core.integer.lowering.readout import LoweredReadout, leak_of, lowered_readout
from qpsnn_core.integer.lowering.report import LoweringReport, NeuronReport, SynapseReport
from qpsnn_core.integer.lowering.shares import Shares, shares, spread
from qpsnn_core.integer.lowering.streams import with_stored_sums
from qpsnn_core.integer.lowering.units import IntegerNeurons, neurons_in_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.kernels.neurons.learned import real_thresholds, settled
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.dropout import without_dropout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.leak import check_one_leak
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.synapses import Conv, Linear, Shortcut


class Lowered(NamedTuple):
    """The integer network, and what lowering changed."""

    network: IntegerNetwork
    report: LoweringReport

    def __repr__(self) -> str:
        return f"Lowered({self.network!r}, {self.report!r})"


def lower(model: Model, fraction_bits: int = 16, readout_bits: int = 12) -> Lowered:
    """Fold quantizer steps, input scales and batch norm into integer gains, biases and thresholds.

    Currents that are pooled, added, put side by side or upsampled keep the gains of the synapses that they are made of:
    channels that meet in a neuron have one unit (`lowering/units.py`). A LIF's unit is `n / 2**f` per channel, n the
    scale of its largest current, whose gain is 2**f: `gain_k = round(2**f*scale_k/n)`, `bias = round(2**f*sum_k
    shift_k/n)`, `threshold = ceil(2**f*theta/n)`; but what ties in real numbers ties in integers (`choose`;
    docs/equations.md has the guarantee), with a gain up to twice as large.
    A sum of currents with which several neurons begin, as in a residual stream, is a node of its own (`streams.py`).
    f is `fraction_bits` (for the readout `readout_bits`), more where several currents meet, less in channels
    where int32 would not provably hold it: over T steps, or, where events come in and all neurons leak, over any number
    of them, so that the network can go on from one sample to the next.
    Warns of layers that can never fire (DeadLayerWarning).
    Raises LoweringError (real-valued images, priors of membranes without levels, sums beyond int32), ConfigError
    (bits), ShapeError or NumericsError (parameters).
    """
    fraction_bits, readout_bits = plain((fraction_bits, readout_bits))
    check_kind("lower.model", model, Model)
    check_kind("lower.model.network", model.network, Network)
    for place, bits in (("fraction_bits", fraction_bits), ("readout_bits", readout_bits)):
        if type(bits) is not int or not 0 <= bits <= MOST_BITS:
            raise ConfigError(expected(place, f"an integer from 0 to {MOST_BITS}", bits))
    check_one_leak(model.network, "the integer network")
    check_priors(model.network)
    model = settled(model)
    network = without_dropout(model.network)
    model = model._replace(network=network)
    if network.input.peak is None:
        want = "images of integers (a peak); real numbers have no integer form"
        raise LoweringError(expected(f"{network.input.name}.peak", want, network.input.peak))
    forms = [FORMS[node] for node in network]
    found = shares(network)
    currents = {name: affine(model, network[name]) for name in _synapses(found)}
    learned = {lif.name: _threshold(model, lif) for lif in network.neurons if "threshold" in lif.learn}
    made = neurons_in_integers(network, currents, found, learned, horizon(network), fraction_bits)
    thresholds, biases, gains, neurons, _ = made
    for name, least in gate_thresholds(network, currents, found).items():
        thresholds[name] = least
        gains[found[network[name].sources[0]][0].synapse] = np.ones(len(least), np.int64)
    readouts: dict[str, LoweredReadout] = {}
    heads: dict[str, LoweredHead] = {}
    for node in network.readouts:
        if isinstance(node, CurrentReadout):
            heads[node.name] = _lowered_head(model, node, currents, found, made, readout_bits)
            continue
        _check_alone(network, node, found, gains)
        own = readouts[node.name] = lowered_readout(network, node, currents, found, readout_bits)
        biases[node.name] = own.bias
        gains |= own.gains
    arrays = {node.name: _arrays(node.name, currents, gains, biases, thresholds) for node in network}
    arrays |= {name: head.arrays for name, head in heads.items()}
    known = Known(network, neurons, heads, {name: own.unit for name, own in readouts.items()})
    nodes = tuple(form(node, known) for form, node in zip(forms, network, strict=True))
    changed = tuple(
        heads[node.name].weights if isinstance(node, CurrentReadout) else _synapse(node, currents[node.name])
        for node in network.synapses
    )
    ordered = tuple(neurons[lif.name] for lif in network.neurons)
    told = tuple((readouts.get(node.name) or heads[node.name]).report for node in network.readouts)
    report = LoweringReport(fraction_bits, changed, ordered, told)
    lowered = IntegerNetwork(with_stored_sums(nodes), arrays, network.steps)
    warn_dead_integers("lower", lowered)
    return Lowered(lowered, report)


def _synapses(found: Mapping[str, Shares]) -> tuple[str, ...]:
    """All that have a share in a current, each once, in the network's order."""
    return tuple(dict.fromkeys(one.synapse for every in found.values() for one in every))


def _check_alone(network: Network, node: Readout, found: Mapping[str, Shares], gains: Mapping[str, Longs]) -> None:
    """LoweringError where others than this readout read its current: the unit of the logits is the readout's."""
    for one in found.get(node.source, ()):
        if one.synapse in gains:
            want = f"to be read by {node.name} alone, whose outputs have one unit"
            readers = ", ".join(reader.name for reader in network.consumers(one.synapse))
            raise LoweringError(expected(f"{one.synapse}: current", want, Unquoted(readers)))


def _lowered_head(
    model: Model,
    node: CurrentReadout,
    currents: Mapping[str, Affine],
    found: Mapping[str, Shares],
    made: IntegerNeurons,
    readout_bits: int,
) -> LoweredHead:
    """A CurrentReadout, from the shares of all that it adds up and their gains in its channels."""
    every = [one for source in node.sources for one in found[source]]
    parts = [spread(one, currents[one.synapse]) for one in every]
    gains = [np.where(one.channels >= 0, made.gains[one.synapse][one.channels], 0) for one in every]
    return lowered_head(model, node, parts, gains, made.units[node.name], readout_bits)


def horizon(network: Network) -> int:
    """The steps for which membranes are proven to fit."""
    leaks = all(multiplier < 2**shift for multiplier, shift in (leak(lif.beta) for lif in network.neurons))
    return UNBOUNDED if network.input.spikes and leaks else network.steps


def _threshold(model: Model, lif: LIF) -> Doubles:
    return real_thresholds(lif, model.params[lif.name], model.network.shape(lif.name)[2])


def _synapse(node: Conv | Linear, current: Affine) -> SynapseReport:
    bits = (node.quantizer or REAL_WEIGHTS).bits
    return SynapseReport(node.name, bits, int(current.flipped.sum()), current.rounded)


def _arrays(
    name: str,
    currents: dict[str, Affine],
    gains: dict[str, Longs],
    biases: dict[str, Longs],
    thresholds: dict[str, Longs],
) -> NamedArrays:
    found: dict[str, Any] = {}
    if name in currents and currents[name].codes is not None:
        found["codes"] = currents[name].codes
    for label, arrays in (("gain", gains), ("bias", biases), ("threshold", thresholds)):
        if name in arrays:
            found[label] = arrays[name].astype(np.int32)
    return found


class Known(NamedTuple):
    """What is known when the nodes are made. neurons: by LIF; heads: by CurrentReadout; scales: by Readout."""

    network: Network
    neurons: dict[str, NeuronReport]
    heads: dict[str, LoweredHead]
    scales: dict[str, float]


def _input(node: Input, known: Known) -> IntInput:
    """With its scale, unless that is what an unsigned peak says: `x = image/peak`, or counts of events as they are."""
    peak = cast(int, node.peak)
    plain = 1.0 if node.spikes else 1 / peak
    scale = 0.0 if node.scale == plain and not node.low else float(node.scale)
    return IntInput(node.name, node.shape, peak, node.low, scale)


def _conv(node: Conv, known: Known) -> IntConv:
    options = node.kernel, node.stride, node.padding, node.groups, node.gate, node.input_gate
    return IntConv(node.name, node.source, node.channels, *options)


def _linear(node: Linear, known: Known) -> IntLinear:
    return IntLinear(node.name, node.source, node.features)


def _shortcut(node: Shortcut, known: Known) -> IntShortcut:
    mapped = node.mapping(known.network.shape(node.source)[2])
    return IntShortcut(node.name, node.source, node.channels, node.stride, mapped)


def _lif(node: LIF, known: Known) -> IntLIF:
    return IntLIF(node.name, node.sources, *known.neurons[node.name].leak, node.reset, levels_of(node))


def _head(node: CurrentReadout, known: Known) -> IntCurrentReadout:
    own = known.heads[node.name]
    return IntCurrentReadout(node.name, node.sources, node.channels, node.places, own.shift, own.bias_shift, own.scale)


def _readout(node: Readout, known: Known) -> IntReadout:
    return IntReadout(node.name, node.source, known.scales[node.name], node.mode, *leak_of(node), node.places)


FORMS: KindTable[Callable[[Any, Known], IntNode]] = KindTable(
    "lowering",
    {
        Input: _input,
        Conv: _conv,
        Linear: _linear,
        Shortcut: _shortcut,
        LIF: _lif,
        MaxPool: lambda node, known: IntMaxPool(node.name, node.source, node.size, node.step, node.padding),
        AvgPool: lambda node, known: IntSumPool(node.name, node.source, node.size, node.stride),
        Sum: lambda node, known: IntSum(node.name, node.sources),
        Concat: lambda node, known: IntConcat(node.name, node.sources),
        Upsample: lambda node, known: IntUpsample(node.name, node.source, node.factor),
        Dropout: Refusal("it is left out of a network that is deployed"),
        ChannelGate: lambda node, known: IntGate(node.name, node.source, None, node.size),
        SpatialGate: lambda node, known: IntGate(node.name, node.source, node.shape),
        Membrane: lambda node, known: IntMembrane(node.name, node.source, node.size),
        SelfAttention: lambda node, known: IntAttention(node.name, node.query, node.key, node.value, node.heads),
        Readout: _readout,
        CurrentReadout: _head,
    },
)
