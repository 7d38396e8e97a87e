"""Gates in networks of the zoo: where they go, what they mask, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core import layers
from qpsnn_core.common.errors import ConfigError, NetworkError, ShapeError
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.network import ChannelGate, Conv, Membrane, SpatialGate
from qpsnn_core.network.builder import Builder
from qpsnn_core.network.zoo.gated import GateOptions, with_gates
from qpsnn_core.network.zoo.resnet import resnet20
from qpsnn_core.network.zoo.vgg import mlp, vgg_small


@pytest.mark.parametrize("prior", ["membrane", "spikes"])
@pytest.mark.parametrize("make", [vgg_small, resnet20], ids=lambda make: make.__name__)
def test_every_hidden_convolution_is_gated(make, prior):
    plain = make(width=0.25, steps=2)
    net = with_gates(plain, GateOptions(places=True, prior=prior))
    gated = [node for node in net.of(Conv) if node.gate]
    hidden = [node for node in plain.of(Conv) if plain.values[node.source].kind == "spikes"]
    assert [node.name for node in gated] == [node.name for node in hidden if plain.shape(node.source)[0] > 0][
        : len(gated)
    ]
    assert gated
    assert len(net.of(SpatialGate)) == len(gated)
    assert len(net.of(Membrane)) == (len(gated) if prior == "membrane" else 0)
    masked = {node.input_gate for node in net.of(Conv)} - {None}
    assert masked == {gate.name for gate in net.of(ChannelGate)}
    images = np.random.default_rng(0).integers(0, 256, (2, *net.input.shape)).astype(np.uint8)
    assert np.isfinite(forward(initialise(net), images).logits).all()


def test_channels_alone_mask_sums_and_the_next_layer():
    net = with_gates(vgg_small(width=0.25, steps=2), GateOptions(size=4))
    first = next(node for node in net.of(Conv) if node.gate)
    assert first.gate == f"{first.name}.channels"
    assert not net.of(SpatialGate)
    assert net[first.gate].size == 4


def test_what_cannot_be_gated_is_refused_by_name():
    with pytest.raises(ConfigError, match="a Conv that reads spikes of a square map, got none"):
        with_gates(mlp(steps=2))
    with pytest.raises(
        ConfigError, match=r"GateOptions\.channels, places: expected one of them true, or both, got neither"
    ):
        GateOptions(channels=False)
    with pytest.raises(ConfigError, match=r"gates.size: expected a divisor of"):
        with_gates(vgg_small(width=0.25), GateOptions(size=7))


def test_a_builder_takes_gates_by_name():
    builder = Builder((8, 8, 3), steps=2)
    spikes = builder.chain(builder.input, layers.Conv(4), layers.LIF())
    builder.chain(spikes, layers.AvgPool(None), layers.Linear(6), layers.ChannelGate(name="which"))
    gated = builder.add(layers.Conv(6, gate="which"), spikes)
    builder.chain(gated, layers.LIF(), layers.Linear(3))
    assert builder.network()["conv2"].sources == ("lif1", "which")
    with pytest.raises(NetworkError, match=r"conv3: gate: expected the name of a gate that was added before"):
        builder.add(layers.Conv(6, gate="whim"), spikes)
    with pytest.raises(ShapeError, match=r"conv3 \(from which\): expected a channel mask \(1, 1, 5\), got \(1, 1, 6\)"):
        builder.add(layers.Conv(5, gate="which"), spikes)
    with pytest.raises(ShapeError, match=r"conv3: expected a square window, alike strides and paddings, and no groups"):
        builder.add(layers.Conv(6, groups=2, gate="which"), spikes)
