"""A kind of node that no backend knows is refused by name before anything is written or started."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from qpsnn_backends.c.backend import CBackend
from qpsnn_backends.c.export import export
from qpsnn_backends.lava import limits
from qpsnn_backends.lava.backend import LavaBackend
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import NodeKindError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout

CODES = np.ones((1, 1, 2, 2), np.int8)
ONES, ZEROS = np.ones(2, np.int32), np.zeros(2, np.int32)
IMAGES = np.zeros((1, 2, 2, 2), np.uint8)


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
    arrays = {
        "conv": {"codes": CODES, "gain": ONES},
        "lif": {"threshold": ONES, "bias": ZEROS},
        "fc": {"codes": np.ones((8, 2), np.int8), "gain": ONES},
        "out": {"bias": ZEROS},
    }
    known = IntegerNetwork(nodes, arrays, 2)
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
