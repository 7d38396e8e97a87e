"""Gates through every backend: the trained network's spikes, and the twin's integers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from alike import assert_equal
from compiled import SANITIZED, needs_cc
from generators.gates import deployable

import qpsnn_backends
from naive import integer as naive
from oracle import networks
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import NodeKindError
from qpsnn_core.engine import passes
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.lowering.lower import lower

NET = deployable()
MODEL, IMAGES = networks.model(NET), networks.images(NET)
LOWERED = lower(MODEL).network


def reference():
    readouts, spikes, membranes = naive.run_all(LOWERED, IMAGES)
    kinds = (spikes, np.uint8), (membranes, np.int32)
    return Run(readouts, *({name: array.astype(kind) for name, array in found.items()} for found, kind in kinds))


@needs_cc
def test_c_is_the_twin_and_the_trained_network():
    run = qpsnn_backends.get("c", flags=SANITIZED).run(LOWERED, IMAGES, record="all")
    assert_equal(reference(), run)
    trained = passes.forward(MODEL, IMAGES, save_for_backward=True).values
    assert {name: int((run.spikes[name] != trained[name]).sum()) for name in run.spikes} == dict.fromkeys(run.spikes, 0)


@pytest.mark.lava
def test_lava_is_the_twin():
    assert_equal(reference(), qpsnn_backends.get("lava").run(LOWERED, IMAGES, record="all"))


def test_loihi_refuses_a_gate_by_name():
    with pytest.raises(NodeKindError, match=r"channels.*IntGate: a core adds every spike that reaches it"):
        report(LOWERED)
