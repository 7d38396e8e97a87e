"""An integer network with a kind of node that nobody knows: every verb refuses it, and names node, kind and room."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
from generators.chains import chain

import qpsnn_core as qp
from qpsnn_core.common.errors import FormatError, LoweringError, NodeKindError, UnsupportedError
from qpsnn_core.exchange.netx import NETX, save_netx
from qpsnn_core.inference.agreement import deviation
from qpsnn_core.inference.streaming import stream
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.lava_lif import SCALES
from qpsnn_core.integer.network import TAGS, IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF, IntMaxPool, IntShortcut, IntSum, IntSumPool
from qpsnn_core.integer.simulate import predict
from qpsnn_core.integer.stateful import StatefulSimulator, check_unbounded


@dataclass(frozen=True)
class LayerNorm:
    """A kind of node that no room knows, between a current and a neuron."""

    name: str
    source: str


KNOWN = chain()
NORM = LayerNorm("norm", "conv1")
NODES = (*KNOWN.nodes[:2], NORM, replace(KNOWN["lif1"], sources=("norm",)), *KNOWN.nodes[3:])
IMAGES = np.ones((2, *KNOWN.input.shape), np.uint8)


def forged():
    """As a network would be that had let the node in."""
    made = copy.copy(KNOWN)
    object.__setattr__(made, "nodes", NODES)
    object.__setattr__(made, "arrays", {**KNOWN.arrays, "norm": {}})
    object.__setattr__(made, "values", {**KNOWN.values, "norm": KNOWN.values["conv1"]})
    return made


FOREIGN = forged()

VERBS = {
    "make": ("the integer network", lambda path: IntegerNetwork(NODES, KNOWN.arrays, 3)),
    "simulate": ("the exact simulator", lambda path: qp.simulate(FOREIGN, IMAGES)),
    "predict": ("the exact simulator", lambda path: predict(FOREIGN, IMAGES)),
    "deviation": ("the exact simulator", lambda path: deviation(qp.lift(KNOWN, IMAGES), FOREIGN, IMAGES)),
    "continue": ("the integer network", lambda path: StatefulSimulator(FOREIGN, 3)),
    "keep": ("the stateful simulator", lambda path: StatefulSimulator(FOREIGN, 3, keep=True)),
    "check_unbounded": ("the stateful simulator", lambda path: check_unbounded(FOREIGN)),
    "stream": ("the integer network", lambda path: stream(FOREIGN, [], 1000)),
    "nodes_json": ("the JSON of an integer network", lambda path: FOREIGN.nodes_json()),
    "digest": ("the JSON of an integer network", lambda path: FOREIGN.digest()),
    "save_integer": ("the JSON of an integer network", lambda path: save_integer(path / "a.qpsnn", FOREIGN)),
    "lift": ("the lift", lambda path: qp.lift(FOREIGN, IMAGES)),
    "save_netx": ("Lava's own LIF", lambda path: save_netx(path / "a.net", FOREIGN)),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_foreign_kind_is_refused_by_every_verb(verb, tmp_path):
    room, call = VERBS[verb]
    with pytest.raises(NodeKindError, match=rf"^norm: expected a kind of node that {room} knows \(.*, got LayerNorm$"):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_with_a_foreign_kind_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(TAGS.entries, LayerNorm, "LayerNorm")
    save_integer(tmp_path / "a.qpsnn", FOREIGN)
    want = r"a\.qpsnn: not a whole qpsnn-integer file: network\.nodes\[2\]: expected the key 'kind' .*, got 'LayerNorm'"
    with pytest.raises(FormatError, match=want):
        load_integer(tmp_path / "a.qpsnn")


@pytest.mark.exchange
@pytest.mark.parametrize("exact", [False, True])
def test_a_foreign_kind_is_refused_by_the_writer_of_nir(exact, tmp_path):
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_integers import float_bits

    want = r"^norm: .*the NIR graph of integers knows \(.*, got LayerNorm$"
    with pytest.raises(NodeKindError, match=want):
        save_nir(tmp_path / "a.nir", FOREIGN, exact=exact)
    with pytest.raises(NodeKindError, match=want):
        float_bits(FOREIGN)
    assert not list(tmp_path.iterdir())


@pytest.mark.exchange
def test_a_foreign_node_of_a_nir_file_is_refused_by_name(tmp_path):
    import nir

    from qpsnn_core.exchange.nir_import import load_nir

    nodes = {"in": nir.Input(np.array([4])), "norm": nir.Scale(np.ones(4)), "out": nir.Output(np.array([4]))}
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, [("in", "norm"), ("norm", "out")]))
    with pytest.raises(NodeKindError, match=r"^nir: norm: .*the reader of NIR knows \(Input, .*, got Scale$"):
        load_nir(tmp_path / "a.nir")


@pytest.mark.parametrize("kind", [IntShortcut, IntMaxPool, IntSumPool, IntSum])
def test_what_no_chain_holds_is_refused_with_the_reason(kind):
    for table, room in ((SCALES, "Lava's own LIF"), (NETX, "NetX")):
        with pytest.raises(UnsupportedError, match=rf"^node: {room} takes no {kind.__name__}: .*, no pools, sums"):
            table[kind.__new__(kind)]


@pytest.mark.exchange
def test_what_gives_no_current_is_written_for_no_reader():
    from qpsnn_core.exchange.nir_integers import FORMS

    with pytest.raises(UnsupportedError, match=r"nir: lif1: expected a kind that gives a current, got IntLIF"):
        FORMS[KNOWN["lif1"]].current(None, KNOWN["lif1"], "lif1", np.ones(1), np.ones(1))


def test_a_current_that_two_neurons_read_is_not_lifted():
    second, both = IntLIF("second", ("conv1",)), IntSum("both", ("lif1", "second"))
    nodes = [replace(node, source="both") if node.name == "conv2" else node for node in KNOWN.nodes]
    arrays = {**KNOWN.arrays, "second": KNOWN.arrays["lif1"]}
    network = IntegerNetwork((*nodes[:3], second, both, *nodes[3:]), arrays, 3)
    with pytest.raises(LoweringError, match=r"^conv1: expected one reader of .*, got IntConv read by lif1, second$"):
        qp.lift(network, IMAGES)
