"""The way back from `lower`: an integer network as a model that can be trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import LoweringError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Array, Arrays, Doubles, NamedArrays
from qpsnn_core.common.validation import check_kind
from qpsnn_core.engine.calibration import calibration_batches, recalibrate
from qpsnn_core.integer.dead import warn_dead_integers
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
from qpsnn_core.network.graph import Network
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Input, MaxPool, Node, Readout, Sum, Upsample
from qpsnn_core.network.ordered_graph import sources_of
from qpsnn_core.network.synapses import BN_EPSILON, Conv, Linear, Synapse
from qpsnn_core.quantization.formats import KEPT, Quantizer
from qpsnn_core.quantization.rescaw import quantize
from qpsnn_datasets import Dataset, Split

USUAL = 0.8
"""The mean magnitude of a normal variable: so are gammas of weights as they are drawn for a VGG."""


Through = IntMaxPool | IntSumPool | IntSum | IntConcat | IntUpsample

THROUGH: dict[type, str] = {
    IntMaxPool: "pool",
    IntSumPool: "pool",
    IntSum: "sum",
    IntConcat: "concatenation",
    IntUpsample: "finer map",
}
"""What each of these is, of spikes or of currents."""

JUST = 2.0**-18
"""A share of a threshold, more than float32 sums of currents and membranes are off, less than integers differ by."""


class Unit(NamedTuple):
    """Of currents: what 1 of their integers is, and what is added to their sum, both [C]."""

    one: Doubles
    bias: Doubles


def lift(network: IntegerNetwork, images: Dataset | Split | Array, *, batch: int = 256) -> Model:
    """Convert an integer network back to a trainable model with the same codes, to train on without a checkpoint.

    images: some of the training images [N, H, W, C], or frames [N, T, H, W, C]; batch norm takes its statistics from
    the first `batch` of them, and its factors so that the currents stay what they are: `bn_weight / sqrt(var + eps) =
    gain_k / threshold` of a current of 1. Thresholds become 1, straight-through gradients "pass". The weight of a code
    is the middle of what is rounded to it (Eq. 4), and beyond gamma so far that the mean magnitude is gamma (Eq. 9). A
    weight whose code is 0 stays 0 (`sparse`).
    Lost are the weights' places between two codes, and membranes' rounding: a few spikes in a million differ.
    Raises LoweringError (a shortcut, a current that two nodes read), and what `recalibrate` raises.
    """
    check_kind("lift.network", network, IntegerNetwork)
    warn_dead_integers("lift", network)
    batch = plain(batch)
    (first,) = calibration_batches("lift", images, 1, batch, None)
    events = first.ndim == 5 and not network.input.low and not network.input.scale
    nodes = tuple(LIFTS[node].node(node, network, events) for node in network)
    units = {source: unit for node in network for source, unit in _units(node, network)}
    graph = Network(nodes, network.steps)
    params: Arrays = {}
    state: Arrays = {}
    made: dict[str, Node] = {node.name: node for node in graph}
    synapses = tuple(node for node in graph if isinstance(node, Conv | Linear))
    for node in synapses:
        made[node.name], params[node.name], state[node.name] = _synapse(node, network, graph, units[node.name])
    whole = Network(tuple(made.values()), network.steps)
    model = Model(whole, params, {name: own for name, own in state.items() if own})
    for node in synapses:
        if node.batch_norm:
            model = _settled(model, node.name, recalibrate(model, first, batches=1, batch=batch))
    return model


def _units(node: IntNode, network: IntegerNetwork) -> Iterator[tuple[str, Unit]]:
    """Of each current that the node reads; the bias is added to the first of them."""
    unit, bias = LIFTS[node].unit(node, network.arrays[node.name])
    for index, source in enumerate(sources_of(node)):
        if network.values[source].kind == "current":
            yield source, Unit(unit, bias if index == 0 else np.zeros_like(bias))


def _no_unit(node: IntNode, arrays: NamedArrays) -> Unit:
    """It reads no currents."""
    return Unit(np.ones(1), np.zeros(1))


def _threshold(node: IntLIF, arrays: NamedArrays) -> Unit:
    """A LIF fires at `U >= threshold`, in integers `U > threshold - 1`: half way lies as far from both as can be.

    A reset by subtraction takes this number off, and what it is too small adds up: there it is only just smaller.
    Levels of membranes are multiples of it: likewise.
    """
    threshold = arrays["threshold"].astype(np.float64)
    middle = node.reset == "zero" and node.membrane is None
    one = 1 / (threshold - (0.5 if middle else np.minimum(0.5, threshold * JUST)))
    return Unit(one, arrays["bias"].astype(np.float64) * one)


def _scale(node: IntReadout, arrays: NamedArrays) -> Unit:
    bias = arrays["bias"].astype(np.float64)
    return Unit(np.full(bias.shape, node.scale), bias * node.scale)


def _input(node: IntInput, network: IntegerNetwork, events: bool) -> Node:
    scale = node.scale or (1.0 if events else 1 / node.peak)
    return Input(node.name, node.shape, node.peak, scale, spikes=events, low=node.low)


def _conv(node: IntConv, network: IntegerNetwork, events: bool) -> Node:
    inner = _reader(node, network) not in network.readouts
    sizes = node.channels, node.kernel, node.stride, node.padding
    return Conv(node.name, node.source, *sizes, bias=not inner, batch_norm=inner, groups=node.groups)


def _linear(node: IntLinear, network: IntegerNetwork, events: bool) -> Node:
    inner = _reader(node, network) not in network.readouts
    return Linear(node.name, node.source, node.features, bias=not inner, batch_norm=inner)


def _reader(node: IntNode, network: IntegerNetwork) -> IntNode:
    """The one node that reads this current."""
    readers = network.consumers(node.name)
    if len(readers) > 1:
        got = Unquoted(f"{type(node).__name__} read by {', '.join(reader.name for reader in readers)}")
        raise LoweringError(expected(node.name, "one reader of each current, to be trained on", got))
    return readers[0]


def _lif(node: IntLIF, network: IntegerNetwork, events: bool) -> Node:
    how = node.membrane
    stored = None if how is None else MembraneQuantizer(how.low, how.high, parts=how.parts)
    return LIF(node.name, node.sources, beta=node.multiplier / 2**node.shift, reset=node.reset, membrane=stored)


def _check_counts(node: Through, network: IntegerNetwork) -> None:
    """LoweringError of what pools, joins or spreads currents."""
    if network.values[node.name].kind == "current":
        what = THROUGH[type(node)]
        want = f"a {what} of spikes or images, as the gain of a current behind it is not known from its neurons alone"
        raise LoweringError(expected(f"{node.name}", want, Unquoted(f"a {what} of currents")))


def _max_pool(node: IntMaxPool, network: IntegerNetwork, events: bool) -> Node:
    _check_counts(node, network)
    return MaxPool(node.name, node.source, node.size, node.stride, node.padding)


def _sum_pool(node: IntSumPool, network: IntegerNetwork, events: bool) -> Node:
    _check_counts(node, network)
    return AvgPool(node.name, node.source, node.size, node.stride)


def _sum(node: IntSum, network: IntegerNetwork, events: bool) -> Node:
    _check_counts(node, network)
    return Sum(node.name, node.sources)


def _concat(node: IntConcat, network: IntegerNetwork, events: bool) -> Node:
    _check_counts(node, network)
    return Concat(node.name, node.sources)


def _upsample(node: IntUpsample, network: IntegerNetwork, events: bool) -> Node:
    _check_counts(node, network)
    return Upsample(node.name, node.source, node.factor)


def _readout(node: IntReadout, network: IntegerNetwork, events: bool) -> Node:
    plain = node.mode == "mean" and not node.multiplier
    beta = None if plain else node.multiplier / 2**node.shift
    return Readout(node.name, node.source, node.mode, beta, places=node.places)


class Lift(NamedTuple):
    """node(node, network, events): the node to be trained. unit(node, arrays): of the currents that the node reads."""

    node: Callable[[Any, IntegerNetwork, bool], Node]
    unit: Callable[[Any, NamedArrays], Unit]


LIFTS: KindTable[Lift] = KindTable(
    "the lift",
    {
        IntInput: Lift(_input, _no_unit),
        IntConv: Lift(_conv, _no_unit),
        IntLinear: Lift(_linear, _no_unit),
        IntShortcut: Refusal("a Shortcut that is trained on adds spikes as they are, without a gain for each channel"),
        IntLIF: Lift(_lif, _threshold),
        IntMaxPool: Lift(_max_pool, _no_unit),
        IntSumPool: Lift(_sum_pool, _no_unit),
        IntSum: Lift(_sum, _no_unit),
        IntConcat: Lift(_concat, _no_unit),
        IntUpsample: Lift(_upsample, _no_unit),
        IntGate: Refusal("its target and weight, which train it, are in no integers"),
        IntAttention: Refusal("a SelfAttention that is trained on has one scale, its integers a gain for each channel"),
        IntMembrane: Refusal("it predicts for a gate, whose training is in no integers"),
        IntReadout: Lift(_readout, _scale),
        IntCurrentReadout: Refusal("what it reads is in the units of neurons, which read some of it and not the rest"),
    },
    LoweringError,
)
"""From the kind of an integer node to the node that lowering would make it of."""


def _synapse(
    node: Synapse, network: IntegerNetwork, graph: Network, unit: Unit
) -> tuple[Synapse, dict[str, Array], dict[str, Array]]:
    """The node with its quantizer, params and state; batch norm's statistics are those of numbers of magnitude 1."""
    codes, gain = network.arrays[node.name]["codes"], network.arrays[node.name]["gain"]
    factor = gain * unit.one / graph.values[node.source].scale
    fan = codes.size // codes.shape[-2]
    step = np.full(len(gain), USUAL * np.sqrt(2 / fan) / np.abs(codes).max(initial=1)) if node.batch_norm else factor
    quantizer, weight, gamma = weights_for_codes(codes, step)
    node = replace(node, quantizer=quantizer, sparse=bool((codes == 0).any()))
    params: dict[str, Array] = {"weight": weight}
    state: dict[str, Array] = {"gamma": gamma} if quantizer.gamma == KEPT else {}
    if not node.batch_norm:
        return node, params | {"bias": unit.bias.astype(np.float32)}, state
    params["bn_weight"] = (factor / step).astype(np.float32)
    params["bn_bias"] = unit.bias.astype(np.float32)
    zeros = np.zeros(len(gain), np.float32)
    return node, params, state | {"mean": zeros, "var": zeros + np.float32(1 - BN_EPSILON)}


def weights_for_codes(codes: Array, step: Doubles) -> tuple[Quantizer, Array, Array]:
    """A quantizer, weights float32 that it rounds to `codes` times `step` [C_out], and its gammas float32 [C_out].

    The quantizer's gamma is the mean, else the maximum, of the weights, if those can give this step; else it is kept.
    """
    zero = bool((codes % 2 == 0).any())
    wanted = codes.astype(np.int32) * (1 + zero)
    bits = next(bits for bits in range(2, 9) if Quantizer(bits, zero=zero).levels >= np.abs(wanted).max(initial=0))
    plain = Quantizer(bits, "mean", ste="pass", zero=zero)
    gamma = step / (1 + zero) * plain.levels
    level = wanted.reshape(-1, codes.shape[-1]) / plain.levels
    full = np.abs(level) == 1
    lacking = len(level) - np.abs(level).sum(0)
    longer = level * np.where(full, 1 + lacking / np.maximum(full.sum(0), 1), 1)
    for quantizer, values in (
        (plain, longer),
        (replace(plain, gamma="max"), level),
        (replace(plain, gamma="max", granularity="layer"), level),
    ):
        weight = (values * gamma).astype(np.float32).reshape(codes.shape)
        found = quantize(weight, quantizer)
        if np.array_equal(found.codes, wanted) and np.allclose(found.gamma, gamma, rtol=1e-5, atol=0):
            return quantizer, weight, found.gamma
    return replace(plain, gamma=KEPT), (level * gamma).astype(np.float32).reshape(codes.shape), gamma.astype(np.float32)


def _settled(model: Model, name: str, measured: Model) -> Model:
    """The node with these statistics, and with factors that give the same currents with them as with its own."""
    params, old, new = model.params[name], model.state[name], measured.state[name]
    ratio = params["bn_weight"] / np.sqrt(old["var"].astype(np.float64) + BN_EPSILON)
    weight = ratio * np.sqrt(new["var"].astype(np.float64) + BN_EPSILON)
    bias = params["bn_bias"] + (new["mean"].astype(np.float64) - old["mean"]) * ratio
    changed = {"bn_weight": weight.astype(np.float32), "bn_bias": bias.astype(np.float32)}
    return model._replace(params=model.params | {name: params | changed}, state=model.state | {name: old | new})
