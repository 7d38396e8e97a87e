"""A network with a kind of node that nobody knows: every verb refuses it, and names the node, the kind and the room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import NodeKindError
from qpsnn_core.compression.channels import rates, remove
from qpsnn_core.compression.weights import hessian
from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.engine.passes import ForwardPass, backward, forward
from qpsnn_core.engine.pricing import nonzero
from qpsnn_core.experiments import analysis, audit_gradients, audit_neurons
from qpsnn_core.experiments.ablation import with_quantizers
from qpsnn_core.experiments.audit import audit
from qpsnn_core.experiments.paper_tables6_7 import bits_of, count_weights
from qpsnn_core.inference.agreement import deviation
from qpsnn_core.integer.lowering.fold import affine
from qpsnn_core.integer.lowering.lower import horizon
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Readout, ValueSpec
from qpsnn_core.network.cost import counted, fanout, sops
from qpsnn_datasets import Dataset


@dataclass(frozen=True)
class LayerNorm:
    """A kind of node that no room knows, between a current and a neuron."""

    name: str
    source: str

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    def output(self, value: ValueSpec) -> ValueSpec:
        return value


FRONT = (Input("image", (4, 4, 3)), Conv("conv0", "image", 6), LIF("lif0", ("conv0",)), Conv("conv", "lif0", 6))
BACK = (Linear("linear", "lif", 5), Readout("readout", "linear"))
KNOWN = Network((*FRONT, LIF("lif", ("conv",)), *BACK), 2)
FOREIGN = Network((*FRONT, LayerNorm("norm", "conv"), LIF("lif", ("norm",)), *BACK), 2)  # type: ignore[arg-type] # foreign
MODEL = qp.initialise(KNOWN)._replace(network=FOREIGN)
DATA = Dataset(np.full((4, 4, 4, 3), 90, np.uint8), np.arange(4), tuple("abcde"), "grey")
SCORES = {node.name: np.ones(6) for node in KNOWN.of(LIF)}


def unknown_cache(path):
    """Backward from a pass that a network without the foreign node made."""
    done = forward(qp.initialise(KNOWN), DATA.images, save_for_backward=True)
    caches = {**done.caches, "norm": None}
    return backward(MODEL, ForwardPass(done.outputs, done.state, done.values, caches), np.ones_like(done.logits))


def unknown_trace(path):
    """The audit of neurons, of a trace that a network without the foreign node made."""
    return list(
        audit_neurons.neuron_errors(MODEL, audit_gradients.trace(qp.initialise(KNOWN), DATA.images, DATA.labels))
    )


VERBS = {
    "initialise": ("the engine", lambda path: qp.initialise(FOREIGN)),
    "forward": ("the network", lambda path: forward(MODEL, DATA.images)),
    "backward": ("the engine", unknown_cache),
    "train": ("the engine", lambda path: qp.train(FOREIGN, DATA, qp.TrainConfig(batch=4))),
    "evaluate": ("the engine", lambda path: qp.evaluate(MODEL, DATA)),
    "recalibrate": ("the engine", lambda path: recalibrate(MODEL, DATA)),
    "save": ("the engine", lambda path: qp.save_checkpoint(path / "model.h5", qp.Checkpoint(MODEL))),
    "synapses": ("the network", lambda path: FOREIGN.synapses),
    "neurons": ("the network", lambda path: FOREIGN.neurons),
    "to_json": ("the JSON of a network", lambda path: FOREIGN.to_json()),
    "digest": ("the JSON of a network", lambda path: FOREIGN.digest()),
    "cost": ("the cost counter", lambda path: qp.cost(FOREIGN)),
    "counted": ("the cost counter", lambda path: counted(FOREIGN)),
    "sops": ("the cost counter", lambda path: sops(FOREIGN, {"lif0": 0.1, "lif": 0.1})),
    "fanout": ("the cost counter", lambda path: fanout(FOREIGN, "conv")),
    "weights": ("the network", lambda path: count_weights(FOREIGN)),
    "bits_of": ("the network", lambda path: bits_of(FOREIGN)),
    "nonzero": ("the network", lambda path: nonzero(MODEL)),
    "use_of_bits": ("the network", lambda path: analysis.use_of_bits(MODEL)),
    "with_quantizers": ("the network", lambda path: with_quantizers(MODEL, KNOWN)),
    "remove_channels": ("the", lambda path: qp.remove_channels(MODEL, {"lif": [0, 1]})),
    "coupled_groups": ("the removal of channels", lambda path: remove.coupled_groups(FOREIGN)),
    "spike_sources": ("the removal of channels", lambda path: remove.spike_sources(FOREIGN)),
    "unprunable": ("the removal of channels", lambda path: remove.unprunable(FOREIGN)),
    "prunable": ("the removal of channels", lambda path: rates.prunable(FOREIGN)),
    "resolve": ("the network", lambda path: rates.resolve(FOREIGN, 0.5, ["lif"])),
    "score": ("the engine", lambda path: qp.score(MODEL, DATA)),
    "prune": ("the engine", lambda path: qp.prune(MODEL, SCORES)),
    "lower": ("lowering", lambda path: qp.lower(MODEL)),
    "affine": ("the folding of currents", lambda path: affine(MODEL, FOREIGN["norm"])),
    "horizon": ("the network", lambda path: horizon(FOREIGN)),
    "deviation": ("the network", lambda path: deviation(MODEL, qp.lower(qp.initialise(KNOWN)).network, DATA.images)),
    "compress": ("the engine", lambda path: qp.compress(MODEL, DATA, sparsity=0.5)),
    "hessians": ("the network", lambda path: hessian.hessians(MODEL, [DATA.images])),
    "filters": ("the filter of membranes", lambda path: hessian.filters(FOREIGN, FOREIGN["conv"])),
    "audit": ("the", lambda path: list(audit(MODEL, DATA))),
    "audit of gradients": ("the", lambda path: audit_gradients.trace(MODEL, DATA.images, DATA.labels)),
    "audit of neurons": ("the network", unknown_trace),
}


@pytest.mark.exchange
def test_a_foreign_kind_is_refused_by_the_writer_of_nir(tmp_path):
    from qpsnn_core.exchange.nir_export import save_nir

    with pytest.raises(NodeKindError, match=r"^norm: .*the NIR graph of a model knows \(.*, got LayerNorm$"):
        save_nir(tmp_path / "model.nir", MODEL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", VERBS)
def test_a_foreign_kind_is_refused_by_every_verb(verb, tmp_path):
    room, call = VERBS[verb]
    with pytest.raises(
        NodeKindError, match=rf"^norm: expected a kind of node that {room}.* knows \(.*, got LayerNorm$"
    ):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_network_itself_takes_any_node():
    assert FOREIGN.shape("norm") == KNOWN.shape("conv")
