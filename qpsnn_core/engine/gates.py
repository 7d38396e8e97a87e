"""What gates do in a pass: the losses against their targets, how often they are right, the additions that are left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np

from qpsnn_core.common.types import Array, Longs
from qpsnn_core.engine.layers import gates
from qpsnn_core.engine.layers.gated_conv import activation_of, spikes_read
from qpsnn_core.engine.passes import ForwardPass
from qpsnn_core.kernels.parts import add_in_order
from qpsnn_core.network.additions import masked_additions
from qpsnn_core.network.cost import counts_itself
from qpsnn_core.network.gates import ChannelGate, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.synapses import Conv


class GateTerm(NamedTuple):
    """Of one gate in one pass. loss: weight times the mean cross-entropy, added up over what it masks.

    right, decided: how many of its decisions are those of the target, of how many.
    """

    loss: float
    right: int
    decided: int


def gate_terms(network: Network, done: ForwardPass) -> dict[str, GateTerm]:
    """The term of each gate that has targets, by its name: of channels, and of places with a weight.

    done: a pass made with `save_for_backward`.
    """
    found = {}
    every: tuple[ChannelGate | SpatialGate, ...] = network.of(ChannelGate) + network.of(SpatialGate)
    for node in every:
        if isinstance(node, SpatialGate) and not node.weight:
            continue
        logits = done.caches[node.name].logits
        loss, right, decided = 0.0, 0, 0
        for activation in _activations(network, node, done):
            goal = gates.targets(node, activation, logits.shape)
            terms = np.broadcast_to(gates.cross_entropy(logits, goal), np.broadcast_shapes(logits.shape, goal.shape))
            loss += node.weight * float(add_in_order(terms.reshape(-1).tolist())) / terms.size
            opened = logits > 0 if isinstance(node, ChannelGate) else logits >= 0
            right += int((opened == (goal > 0)).sum())
            decided += terms.size
        found[node.name] = GateTerm(loss, right, decided)
    return found


def _activations(network: Network, gate: ChannelGate | SpatialGate, done: ForwardPass) -> list[Array]:
    """What each synapse would have given without the gate, in the order of nodes."""
    found = []
    for node in network.of(Conv):
        for given, name in ((True, node.gate), (False, node.input_gate)):
            if name == gate.name:
                found.append(activation_of(node, done.caches[node.name], given))
    return found


def gated_additions(network: Network, values: Mapping[str, Array]) -> dict[str, Longs]:
    """Of each gated synapse that reads spikes, the additions for each of its sums, over images and all steps.

    By name, int64 [H', W', C]. values: of a ForwardPass: spikes and masks. A count of k is k additions; padding adds
    none.
    """
    return {node.name: _additions(node, network, values) for node in network.of(Conv) if counts_itself(network, node)}


def _additions(node: Conv, network: Network, values: Mapping[str, Array]) -> Longs:
    mask = None if node.gate is None else values[node.gate]
    window = cast(tuple[int, int, int], (node.kernel, node.stride, node.padding))  # a plain convolution
    return masked_additions(window, network.shape(node.name), spikes_read(node, values), mask, network.steps)
