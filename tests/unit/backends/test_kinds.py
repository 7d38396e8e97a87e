"""A kind of node, or a reset, that no backend knows is refused by name before anything is written or started."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from qpsnn_backends.c.backend import CBackend
from qpsnn_backends.c.export import export
from qpsnn_backends.lava import limits
from qpsnn_backends.lava.backend import LavaBackend
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import BackendError, NodeKindError, UnsupportedError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout

CODES = np.ones((1, 1, 2, 2), np.int8)
ONES, ZEROS = np.ones(2, np.int32), np.zeros(2, np.int32)
IMAGES = np.zeros((1, 2, 2, 2), np.uint8)
KNOWN = {
    "conv": {"codes": CODES, "gain": ONES},
    "lif": {"threshold": ONES, "bias": ZEROS},
    "fc": {"codes": np.ones((8, 2), np.int8), "gain": ONES},
    "out": {"bias": ZEROS},
}


@dataclass(frozen=True)
class LayerNorm:
    name: str
    source: str


@pytest.fixture
def network():
    """A LayerNorm between a Conv and its LIF, which the network's own checks would refuse."""
    nodes = (
        IntInput("in", (2, 2, 2), 1),
        IntConv("conv", "in", 2, 1, 1, 0),
        IntLIF("lif", ("conv",)),
        IntLinear("fc", "lif", 2),
        IntReadout("out", "fc"),
    )
    known = IntegerNetwork(nodes, KNOWN, 2)
    foreign = object.__new__(IntegerNetwork)
    parts = {
        "nodes": (*nodes[:2], LayerNorm("norm", "conv"), IntLIF("lif", ("norm",)), *nodes[3:]),
        "arrays": {**known.arrays, "norm": {}},
        "values": {**known.values, "norm": known.values["conv"]},
        "steps": 2,
    }
    for name, part in parts.items():
        object.__setattr__(foreign, name, part)
    return foreign


def refused(room):
    return pytest.raises(NodeKindError, match=rf"^norm: expected a kind of node that {room} knows .*, got LayerNorm$")


def test_c_writes_no_file(network, tmp_path):
    with refused("the C export"):
        export(network, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_c_compiles_nothing(network, monkeypatch):
    monkeypatch.setattr(CBackend, "check", lambda self, network: None)
    with refused("the C export"):
        CBackend().run(network, IMAGES)


@pytest.mark.parametrize("stock", [False, True])
def test_lava_starts_nothing(network, monkeypatch, stock):
    monkeypatch.setattr(limits, "check_installed", lambda: None)
    with refused("the Lava backend"):
        LavaBackend(stock=stock).check(network)
    with refused("the Lava backend"):
        LavaBackend(stock=stock).run(network, IMAGES)


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_loihi_maps_nothing(network, chip):
    with refused("the Loihi mapping"):
        report(network, chip)


@pytest.fixture
def unreset(network):
    """A reset that the network's own checks would refuse."""
    changed = tuple(node for node in network.nodes if not isinstance(node, LayerNorm))
    nodes = tuple(
        replace(node, sources=("conv",), reset="soft") if isinstance(node, IntLIF) else node for node in changed
    )
    object.__setattr__(network, "nodes", nodes)
    reach = IntegerNetwork(tuple(replace(n, reset="zero") if n.name == "lif" else n for n in nodes), KNOWN, 2)
    object.__setattr__(network, "arrays", reach.arrays)
    object.__setattr__(network, "values", reach.values)
    return network


def test_c_refuses_an_unknown_reset(unreset, tmp_path):
    with pytest.raises(UnsupportedError, match=r"lif.reset: expected a reset that the C export knows .*, got 'soft'"):
        export(unreset, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_loihi_refuses_an_unknown_reset(unreset, chip):
    with pytest.raises(
        UnsupportedError, match=r"lif.reset: expected a reset that the Loihi report knows .*, got 'soft'"
    ):
        report(unreset, chip)


def test_lavas_own_lif_refuses_an_unknown_reset(unreset, monkeypatch):
    monkeypatch.setattr(limits, "check_installed", lambda: None)
    with pytest.raises(UnsupportedError, match=r"lif.reset: expected a reset that lava: stock: .*, got 'soft'"):
        LavaBackend(stock=True).check(unreset)


@pytest.mark.lava
def test_the_lava_neuron_refuses_an_unknown_reset(unreset):
    with pytest.raises(BackendError, match=r"lif.reset: expected a reset that Lava's IntLIF knows .*, got 'soft'"):
        LavaBackend().run(unreset, IMAGES)
