"""Every pair of kinds that a network for training accepts lowers to integers that fire as it does, or is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from generators.network_pairs import NETWORK_PAIRS, trainable_pair

from naive import trained
from qpsnn_core.common.errors import LoweringError, ShapeError
from qpsnn_core.engine.passes import forward
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import (
    LIF,
    AvgPool,
    Concat,
    Conv,
    CurrentReadout,
    Dropout,
    Input,
    Linear,
    MaxPool,
    Network,
    Readout,
    SelfAttention,
    Shortcut,
    Sum,
    Upsample,
)
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.model import Model
from qpsnn_core.network.roles import ROLES
from qpsnn_core.network.values import ValueSpec

EVERY = [(name, variant) for name in NETWORK_PAIRS for variant in ("point", "map")]

made = cache(trainable_pair)


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_integers_fire_as_the_trained_network_does(name, variant):
    """As the engine (float32) and the equations (float64); readouts within their reported rounding."""
    model, images = made(name, variant)
    lowered = lower(model)
    run = simulate(lowered.network, images, record="all")
    ours = forward(model, images, save_for_backward=True)
    answer, spikes, _ = trained.run(model, images, run.spikes)
    for node in model.network.of(LIF):
        np.testing.assert_array_equal(run.spikes[node.name], ours.values[node.name], node.name)
        np.testing.assert_array_equal(run.spikes[node.name], spikes[node.name], node.name)
    found = run.readout * lowered.network.readout.unit(model.network.steps)
    want = ours.logits.mean(0).reshape(found.shape)
    for other in (want, answer.reshape(found.shape)):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=lowered.report.readout.rounding + 1e-5)


def test_the_networks_fire():
    rates = [
        spikes.mean()
        for model, images in (made(*one) for one in EVERY[::4])
        for spikes in simulate(lower(model).network, images, record="spikes").spikes.values()
    ]
    assert 0.1 < np.mean(rates) < 0.8
    assert np.mean([0 < rate < 1 for rate in rates]) > 0.6


def node_of(kind, name, sources):
    """A node of that kind that reads `sources` and fits any map."""
    one = sources[0] if sources else ""
    return {
        Conv: lambda: Conv(name, one, 2, 1, 1, 0),
        Linear: lambda: Linear(name, one, 2),
        Shortcut: lambda: Shortcut(name, one, 2, 1, (0, -1)),
        LIF: lambda: LIF(name, sources[:1]),
        MaxPool: lambda: MaxPool(name, one, 1),
        AvgPool: lambda: AvgPool(name, one, 1),
        Sum: lambda: Sum(name, sources),
        Concat: lambda: Concat(name, sources),
        Upsample: lambda: Upsample(name, one),
        Dropout: lambda: Dropout(name, one),
        Readout: lambda: Readout(name, one),
    }[kind]()


GIVES = {Conv: "current", Linear: "current", Shortcut: "current"}
READS = {
    Conv: ("analog", "spikes"),
    Linear: ("analog", "spikes"),
    Shortcut: ("spikes",),
    **dict.fromkeys((Sum, Concat, Upsample), ("spikes", "current")),
    Dropout: ("analog", "spikes"),
    **dict.fromkeys((MaxPool, AvgPool), ("analog", "spikes", "current")),
    LIF: ("current",),
    Readout: ("current", "spikes"),
}
SOURCES = [
    *((Input, what) for what in ("analog", "spikes")),
    *((kind, GIVES.get(kind, "spikes")) for kind in (Conv, Linear, Shortcut, LIF, MaxPool, AvgPool)),
    *((kind, what) for kind in (MaxPool, AvgPool) for what in ("analog", "current")),
    *((kind, what) for kind in (Sum, Concat, Upsample) for what in ("spikes", "current")),
]
TARGETS = tuple(READS)


def test_every_pair_is_accepted_or_refused_by_name():
    """What is accepted is among the networks above, all of it; the next test has what is refused."""
    accepted = {
        (type(model.network[source]), model.network.values[source].kind, type(node))
        for model, _ in (made(*one) for one in EVERY)
        for node in model.network
        for source in node.sources
    }
    gates = {ChannelGate, SpatialGate, Membrane}  # beside what they mask: test_gates.py
    streams = {SelfAttention, CurrentReadout}  # of several values: test_integer_transformers.py
    assert {Input, *TARGETS} == set(ROLES.entries) - gates - streams
    assert (LIF, "spikes", Dropout) in accepted
    for (kind, what), target in ((source, target) for source in SOURCES for target in TARGETS if target is not Dropout):
        assert ((kind, what, target) in accepted) == (what in READS[target])


@pytest.mark.parametrize("what", ["analog", "spikes", "current"])
@pytest.mark.parametrize("target", TARGETS)
def test_what_a_kind_does_not_read_is_refused_by_name(target, what):
    node, value = node_of(target, "reads", ("a", "b")), ValueSpec(what, (1, 1, 2), 3)
    if what in READS[target]:
        shapes = {Concat: (1, 1, 4), Upsample: (2, 2, 2)}
        assert node.output(*(value for _ in node.sources)).shape == shapes.get(target, (1, 1, 2))
        return
    with pytest.raises(ShapeError, match=rf"^reads \(from a\): expected [a-z ]+, got '{what}'$"):
        node.output(*(value for _ in node.sources))


@pytest.mark.parametrize("kind", [Conv, Linear])
def test_real_images_have_no_integer_form_whatever_reads_them(kind):
    network = Network((Input("in", (1, 1, 2), None), node_of(kind, "reads", ("in",)), Readout("out", "reads")), 2)
    with pytest.raises(LoweringError, match=r"^in\.peak: expected images of integers \(a peak\)"):
        lower(Model(network, {}, {}))
