"""What gates save on given images: additions really done, the predictors' own among them, and the paper's reduction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.types import Array, Images
from qpsnn_core.engine.gates import gate_terms, gated_additions
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import ForwardPass, forward
from qpsnn_core.network.cost import cost, fanout
from qpsnn_core.network.gates import ChannelGate, SpatialGate, gates_of, predictors
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.synapses import Conv


class GateUse(NamedTuple):
    """One gate. open: the share of its mask that is 1. accuracy: of a channel gate, the share of right decisions.

    loss: of a channel gate, weight times the cross-entropy; None of a spatial gate, as its accuracy.
    """

    open: float
    accuracy: float | None
    loss: float | None


class GateReport(NamedTuple):
    """Means per image, over all T steps. gates: by name.

    Additions of gated synapses: `dense`, which they would do for the spikes that come without gates, and `done`;
    `predictor`: of the nodes that only gates read, multiply-accumulates on membranes among them.
    macs, masked_macs: multiply-accumulates of gated synapses without spikes, and those that are closed; neurons,
    masked_neurons: sums of synapses whose sums are gated, and those that are closed; predictor_macs: of predictors.
    """

    gates: dict[str, GateUse]
    dense: float
    done: float
    predictor: float
    macs: float
    masked_macs: float
    neurons: float
    masked_neurons: float
    predictor_macs: float

    @property
    def reduction(self) -> float:
        """Ours: the share of additions, caused by spikes, that are saved, the predictors' own taken off."""
        return 1 - (self.done + self.predictor) / self.dense if self.dense else 0.0

    @property
    def paper_reduction(self) -> float:
        """The paper's: (masked convolution + masked membranes - predictors) / dense, spikes not looked at."""
        saved = self.masked_macs + self.masked_neurons - self.predictor_macs
        return saved / (self.macs + self.neurons)


def gate_report(model: Model, images: Images) -> GateReport:
    """Run a gated network on images [N, H, W, C], or frames [N, T, H, W, C], in one batch, as in a test.

    Raises ConfigError for a network without gated synapses that read spikes, and what `forward` raises.
    """
    network = model.network
    gated = [node for node in network.of(Conv) if gates_of(node)]
    if not gated:
        raise ConfigError(expected("gate_report.model", "a network with gated synapses", Unquoted("none")))
    done = forward(model, steps_first(images), save_for_backward=True)
    count, values = done.logits.shape[1], done.values
    every = {name: np.ones_like(array) for name, array in values.items() if isinstance(array, np.ndarray)}
    closed = {**every, **{name: values[name] for name in _names(network)}}
    spikes = {**values, **{name: every[name] for name in _names(network)}}
    additions = [_total(network, given) / count for given in (spikes, values, every, closed)]
    neurons = [node for node in gated if node.gate is not None]
    sums = sum(int(np.prod(network.shape(node.name))) * network.steps for node in neurons)
    masked = sum(
        int(np.prod(network.shape(node.name))) * network.steps * float(1 - values[str(node.gate)].mean())
        for node in neurons
    )
    own = _predictors(network)
    work = sum(_additions(network, name, values) for name in own) / count
    macs = sum(row.macs for row in cost(network).nodes if row.name in own) * network.steps
    dense, left, whole, kept = additions
    return GateReport(_uses(model, done), dense, left, work, whole, whole - kept, sums, masked, macs)


def _names(network: Network) -> list[str]:
    return [node.name for node in network.nodes if isinstance(node, (ChannelGate, SpatialGate))]


def _total(network: Network, values: dict[str, Array]) -> float:
    return float(sum(total.sum() for total in gated_additions(network, values).values()))


def _predictors(network: Network) -> set[str]:
    """The synapses whose currents end in gates alone."""
    found = predictors(network.nodes)
    return {node.name for node in network.synapses if node.name in found}


def _additions(network: Network, name: str, values: dict[str, Array]) -> float:
    """Of a predictor: of spikes, one for each weight that each reaches; of real numbers, every product."""
    node = network[name]
    (source, *_) = node.sources
    x = values[source]
    if network.values[source].kind != "spikes":
        macs = next(row.macs for row in cost(network).nodes if row.name == name)
        return float(macs * network.steps * x.shape[1])
    reach = fanout(network, source, only=name)
    return float((x.sum((0, 1), dtype=np.int64) * reach).sum()) * (network.steps // len(x))


def _uses(model: Model, done: ForwardPass) -> dict[str, GateUse]:
    terms = gate_terms(model.network, done)
    found = {}
    for name in _names(model.network):
        term, share = terms.get(name), float(done.values[name].mean())
        found[name] = GateUse(share, term.right / term.decided, term.loss) if term else GateUse(share, None, None)
    return found
