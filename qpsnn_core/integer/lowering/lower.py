"""From a trained model to the integer network that fires as it does, and a report of what rounding changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, LoweringError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Longs, NamedArrays
from qpsnn_core.common.validation import check_kind
from qpsnn_core.integer.bounds import UNBOUNDED
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.lowering.current_readout import LoweredHead, as_neuron, lowered_head
from qpsnn_core.integer.lowering.fixed_point import (
    COARSE,
    MOST_BITS,
    OfChannels,
    Rounded,
    choose,
    leak,
    levels_of,
)
from qpsnn_core.integer.lowering.fold import REAL_WEIGHTS, Affine, affine
from qpsnn_core.integer.lowering.gates import gate_thresholds
from qpsnn_core.integer.lowering.margin import margin
from qpsnn_core.integer.lowering.readout import leak_of, lowered_readout
from qpsnn_core.integer.lowering.report import LoweringReport, NeuronReport, SynapseReport
from qpsnn_core.integer.lowering.small import smallest
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
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.kernels.neurons.learned import real_thresholds, settled
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.dropout import without_dropout
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.leak import check_one_leak
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum
from qpsnn_core.network.synapses import Conv, Linear, Shortcut


class Lowered(NamedTuple):
    """The integer network, and what lowering changed."""

    network: IntegerNetwork
    report: LoweringReport

    def __repr__(self) -> str:
        return f"Lowered({self.network!r}, {self.report!r})"


def lower(model: Model, fraction_bits: int = 16, readout_bits: int = 12) -> Lowered:
    """Fold quantizer steps, input scales and batch norm into integer gains, biases and thresholds.

    A LIF's unit is `n / 2**f` per channel, n the scale of its largest current, whose gain is 2**f: `gain_k =
    round(2**f*scale_k/n)`, `bias = round(2**f*sum_k shift_k/n)`, `threshold = ceil(2**f*theta/n)`; but what ties in
    real numbers ties in integers (`choose`; docs/equations.md has the guarantee), with a gain up to twice as large.
    f is `fraction_bits` (for the readout `readout_bits`), more where several currents meet, less in channels
    where int32 would not provably hold it: over T steps, or, where events come in and all neurons leak, over any number
    of them, so that the network can go on from one sample to the next.
    Warns of layers that can never fire (DeadLayerWarning).
    Raises LoweringError (real-valued images, sums beyond int32), ConfigError (bits), ShapeError or NumericsError
    (parameters).
    """
    fraction_bits, readout_bits = plain((fraction_bits, readout_bits))
    check_kind("lower.model", model, Model)
    check_kind("lower.model.network", model.network, Network)
    for place, bits in (("fraction_bits", fraction_bits), ("readout_bits", readout_bits)):
        if type(bits) is not int or not 0 <= bits <= MOST_BITS:
            raise ConfigError(expected(place, f"an integer from 0 to {MOST_BITS}", bits))
    check_one_leak(model.network, "the integer network")
    model = settled(model)
    network = without_dropout(model.network)
    model = model._replace(network=network)
    if network.input.peak is None:
        want = "images of integers (a peak); real numbers have no integer form"
        raise LoweringError(expected(f"{network.input.name}.peak", want, network.input.peak))
    forms = [FORMS[node] for node in network]
    currents = {node.name: affine(model, node) for node in network if network.values[node.name].kind == "current"}
    gains: dict[str, Longs] = {}
    biases: dict[str, Longs] = {}
    thresholds: dict[str, Longs] = {}
    neurons: dict[str, NeuronReport] = {}
    heads: dict[str, LoweredHead] = {}
    for together in _groups(network):
        lifs = tuple(_with_thresholds(model, lif) for lif in together if not isinstance(lif, CurrentReadout))
        ends = tuple(end for end in together if isinstance(end, CurrentReadout))
        shared = {name: currents[name] for one in together for name in one.sources}
        group = (*lifs, *(as_neuron(end, lifs, shared) for end in ends))
        rounded = choose(group, shared, horizon(network), fraction_bits)
        if any(isinstance(network[name], SelfAttention) for name in shared):
            rounded = smallest(group, shared, rounded, horizon(network))
        gains |= rounded.gains
        for end in ends:
            heads[end.name] = lowered_head(model, end, shared, rounded, readout_bits)
        for lif in lifs:
            biases[lif.name] = rounded.neurons[lif.name].bias
            thresholds[lif.name] = rounded.neurons[lif.name].threshold
            neurons[lif.name] = _neuron(lif, shared, rounded, network.steps)
    for name, least in gate_thresholds(network, currents).items():
        thresholds[name] = least
        gains[network[name].sources[0]] = np.ones(len(least), np.int64)
    end = network.readout
    plain_end = lowered_readout(network, end, currents.get(end.source), readout_bits) if type(end) is Readout else None
    if plain_end is not None:
        biases[end.name] = plain_end.bias
        if plain_end.gain is not None:
            gains[end.sources[0]] = plain_end.gain
    for node in reversed(network.nodes):  # what a pool of currents reads has the pool's gains
        if node.name in gains and isinstance(node, MaxPool | AvgPool):
            _check_pooled(network, node)
            gains[node.sources[0]] = gains.pop(node.name)
    arrays = {node.name: _arrays(node.name, currents, gains, biases, thresholds) for node in network}
    arrays |= {name: head.arrays for name, head in heads.items()}
    known = Known(network, neurons, heads, plain_end.unit if plain_end else 1.0)
    nodes = tuple(form(node, known) for form, node in zip(forms, network, strict=True))
    changed = tuple(
        heads[node.name].weights if isinstance(node, CurrentReadout) else _synapse(node, currents[node.name])
        for node in network.synapses
    )
    ordered = tuple(neurons[lif.name] for lif in network.neurons)
    told = plain_end.report if plain_end else heads[end.name].report
    report = LoweringReport(fraction_bits, changed, ordered, told)
    lowered = IntegerNetwork(nodes, arrays, network.steps)
    warn_dead_integers("lower", lowered)
    return Lowered(lowered, report)


def _check_pooled(network: Network, node: Any) -> None:
    """LoweringError where others than this pool read its current, which has one gain."""
    readers = [reader.name for reader in network.consumers(node.sources[0])]
    if len(readers) > 1:
        want = f"{node.name} as its only reader, whose gain it takes"
        raise LoweringError(expected(node.sources[0], want, Unquoted(", ".join(readers))))


def horizon(network: Network) -> int:
    """The steps for which membranes are proven to fit."""
    leaks = all(multiplier < 2**shift for multiplier, shift in (leak(lif.beta) for lif in network.neurons))
    return UNBOUNDED if network.input.spikes and leaks else network.steps


def _groups(network: Network) -> list[tuple[LIF | CurrentReadout, ...]]:
    """LIFs that share a current share their unit: the connected components. And what adds up currents, last."""
    groups: list[tuple[LIF | CurrentReadout, ...]] = []
    for lif in (*network.neurons, *network.of(CurrentReadout)):
        near = [group for group in groups if any(set(other.sources) & set(lif.sources) for other in group)]
        merged = (*(other for group in near for other in group), lif)
        groups = [group for group in groups if group not in near] + [merged]
    return groups


def _with_thresholds(model: Model, lif: LIF) -> LIF | OfChannels:
    if "threshold" not in lif.learn:
        return lif
    learned = real_thresholds(lif, model.params[lif.name], model.network.shape(lif.name)[2])
    return OfChannels(lif.name, lif.sources, learned, lif.beta, lif.reset, lif.membrane)


def _neuron(lif: LIF | OfChannels, currents: dict[str, Affine], rounded: Rounded, steps: int) -> NeuronReport:
    neuron = rounded.neurons[lif.name]
    found = margin(lif, currents, rounded, steps)
    dead = neuron.reach.before.high < neuron.threshold
    firing = neuron.reach.before.low >= neuron.threshold
    fine = rounded.bits[rounded.bits != COARSE]
    return NeuronReport(
        name=lif.name,
        beta=lif.beta,
        leak=(neuron.multiplier, neuron.shift),
        fraction_bits=(int(fine.min()), int(fine.max())) if fine.size else (0, 0),
        gain=float(found.gain.max()),
        bias=float(found.bias.max()),
        threshold=float(found.threshold.max()),
        float32=float(found.float32.max(where=~dead, initial=0)),
        rounding=float((found.distance / lif.threshold).max(where=~dead, initial=0)),
        unit=rounded.unit,
        margin=found.distance,
        exact=found.exact,
        dead=_places(dead),
        firing=_places(firing),
        coarse=_places(rounded.bits == COARSE),
    )


def _places(chosen: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(channel) for channel in np.flatnonzero(chosen))


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
    """What is known when the nodes are made. neurons: by LIF; heads: by CurrentReadout; scale: of the Readout."""

    network: Network
    neurons: dict[str, NeuronReport]
    heads: dict[str, LoweredHead]
    scale: float


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
        Dropout: Refusal("it is left out of a network that is deployed"),
        ChannelGate: lambda node, known: IntGate(node.name, node.source, None, node.size),
        SpatialGate: lambda node, known: IntGate(node.name, node.source, node.shape),
        Membrane: Refusal("it gives real numbers: predict a place from spikes that are pooled, an AvgPool, instead"),
        SelfAttention: lambda node, known: IntAttention(node.name, *node.sources, node.heads),
        Readout: lambda node, known: IntReadout(node.name, node.source, known.scale, node.mode, *leak_of(node)),
        CurrentReadout: _head,
    },
)
