"""Every network of the zoo on Lava: spikes, membranes and readouts are the exact simulator's."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.integer.backends import get
from qpsnn_core.network.zoo.vgg import ZOO

STEPS = 2
EVENTS = {"vggsnn": (48, 48, 2)}


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if not ZOO[name].transformer])
def test_lava_is_exact_on_the_zoo(name):
    rng, shape = np.random.default_rng(0), EVENTS.get(name, (32, 32, 3))
    images = rng.integers(0, 256, (8, *shape)).astype(np.uint8)
    if name in EVENTS:
        images = rng.integers(0, 3, (8, STEPS, *shape)).astype(np.uint8)
    network = qp.build(name, shape, 10, steps=STEPS, width=0.1, events=name in EVENTS)
    lowered = qp.lower(qp.recalibrate(qp.initialise(network, 0), images)).network
    few = images[:3] if images.ndim == 4 else np.ascontiguousarray(images[:3].swapaxes(0, 1))
    comp, ref = get("lava").run(lowered, few, record="all"), qp.simulate(lowered, few, record="all")
    for node in ref.spikes:
        np.testing.assert_array_equal(comp.spikes[node], ref.spikes[node])
        np.testing.assert_array_equal(comp.membranes[node], ref.membranes[node])
    np.testing.assert_array_equal(comp.readout, ref.readout)
    assert any(spikes.any() for spikes in ref.spikes.values())
