"""Gates through every backend: the trained network's spikes, and the twin's integers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from alike import assert_equal
from compiled import SANITIZED, needs_cc
from generators.gates import by_membranes, deployable

import qpsnn_backends
from naive import integer as naive
from oracle import networks
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import NodeKindError
from qpsnn_core.engine import passes
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.lowering.lower import lower

NETS = {"spikes": deployable(), "membranes": by_membranes()}
MODELS = {prior: networks.model(net) for prior, net in NETS.items()}
IMAGES = networks.images(NETS["spikes"])
LOWERED = {prior: lower(model).network for prior, model in MODELS.items()}


def reference(prior):
    readouts, spikes, membranes = naive.run_all(LOWERED[prior], IMAGES)
    kinds = (spikes, np.uint8), (membranes, np.int32)
    return Run(readouts, *({name: array.astype(kind) for name, array in found.items()} for found, kind in kinds))


@needs_cc
@pytest.mark.parametrize("prior", NETS)
def test_c_is_the_twin_and_the_trained_network(prior):
    run = qpsnn_backends.get("c", flags=SANITIZED).run(LOWERED[prior], IMAGES, record="all")
    assert_equal(reference(prior), run)
    trained = passes.forward(MODELS[prior], IMAGES, save_for_backward=True).values
    assert {name: int((run.spikes[name] != trained[name]).sum()) for name in run.spikes} == dict.fromkeys(run.spikes, 0)


@pytest.mark.lava
@pytest.mark.parametrize("prior", NETS)
def test_lava_is_the_twin(prior):
    """Two images, so that the second one begins with membranes of 0 again."""
    assert_equal(reference(prior), qpsnn_backends.get("lava").run(LOWERED[prior], IMAGES, record="all"))


def test_loihi_refuses_a_gate_by_name():
    with pytest.raises(NodeKindError, match=r"channels.*IntGate: a core adds every spike that reaches it"):
        report(LOWERED["spikes"])
