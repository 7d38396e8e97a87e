"""The small detector from scores to integers: pruned, lowered, and run alike by the exact simulator, C and Lava."""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest
from alike import assert_equal

import qpsnn_backends
import qpsnn_core as qp
from qpsnn_core.engine.passes import forward
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, Concat, MaxPool, Upsample
from qpsnn_core.network.zoo.detector import detector_small

IMAGES = np.random.default_rng(2).integers(0, 256, (4, 32, 48, 3)).astype(np.uint8)
MIDDLES = {f"layer{index}.lif2": 0.4 for index in range(1, 7)}


@cache
def pruned(head):
    """By SVS, the middles of all blocks; batch norm as different from channel to channel as training makes it."""
    network = detector_small((32, 48, 3), 2, width=0.25, head=head)
    model = qp.initialise(network, 5)
    rng = np.random.default_rng(7)
    for own in model.params.values():
        for name in set(own) - {"weight"}:
            own[name][:] += rng.normal(0, 0.2, own[name].shape)
            own[name][:1] *= -1
    model = qp.recalibrate(model, IMAGES)
    scores = qp.score(model, IMAGES, batches=1, batch=4)
    return qp.prune(model, scores, MIDDLES, prune_last=True)


def test_only_the_middles_lose_channels():
    before, found = detector_small((32, 48, 3), 2, width=0.25), pruned("spikes")
    after = found.model.network
    for lif in before.neurons:
        count = before.shape(lif.name)[2]
        left = count - int(np.ceil(0.4 * count)) if lif.name in MIDDLES else count
        assert after.shape(lif.name)[2] == left, lif.name
    for node in before.of(Concat, MaxPool, Upsample):
        assert after.shape(node.name) == before.shape(node.name)
    done = forward(found.model, IMAGES)
    assert {name: one.shape for name, one in done.outputs.items()} == {"p3": (2, 4, 4, 6, 21), "p4": (2, 4, 2, 3, 21)}


@pytest.mark.parametrize("head", ["spikes", "currents"])
def test_integers_fire_as_it_does(head):
    model = pruned(head).model
    integers, report = qp.lower(model)
    run, done = simulate(integers, IMAGES, record="all"), forward(model, IMAGES, save_for_backward=True)
    fired = 0
    for lif in model.network.of(LIF):
        np.testing.assert_array_equal(run.spikes[lif.name], done.values[lif.name], lif.name)
        fired += run.spikes[lif.name].any()
    assert fired > 15
    for node in integers.readouts:
        real, rounding = run.readouts[node.name] * node.unit(model.network.steps), report[node.name].rounding
        np.testing.assert_allclose(real, done.outputs[node.name].mean(0), rtol=1e-5, atol=rounding + 1e-5)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("head", ["spikes", "currents"])
def test_c_gives_the_same(head):
    integers = qp.lower(pruned(head).model).network
    run = qpsnn_backends.get("c").run(integers, IMAGES, record="all")
    assert_equal(simulate(integers, IMAGES, record="all"), run)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("head", ["spikes", "currents"])
def test_lava_gives_the_same(head):
    integers = qp.lower(pruned(head).model).network
    run = qpsnn_backends.get("lava").run(integers, IMAGES[:2], record="all")
    assert_equal(simulate(integers, IMAGES[:2], record="all"), run)
