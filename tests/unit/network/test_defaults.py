"""What a Network chooses by place, and that it stores it: no file, print or pass meets an "auto"."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.engine.passes import initialise
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut
from qpsnn_core.network.defaults import GAIN, INTEGER_FIRST, INTEGER_LAST
from qpsnn_core.network.zoo.vgg import ZOO, build
from qpsnn_core.quantization.rescaw import quantize
from qpsnn_core.recipes.network import NetworkConfig

AUTO = Quantizer(3, "auto", ste="pass")
NODES = (
    Input("image", (8, 8, 2)),
    Conv("first", "image", 4, batch_norm=False),
    LIF("lif1", ("first",), 0.5),
    MaxPool("pool", "lif1"),
    Conv("normed", "pool", 4),
    Shortcut("skip", "pool", 4),
    LIF("lif2", ("normed", "skip"), 2.0),
    Linear("plain", "lif2", 6, AUTO),
    LIF("lif3", ("plain",), 0.25),
    Linear("given", "lif3", 6, Quantizer(2), gain=0.5),
    LIF("lif4", ("given",)),
    Linear("last", "lif4", 3),
    Readout("logits", "last"),
)
NETWORK = Network(NODES, 2)


def test_quantizers_by_place():
    found = {node.name: node.quantizer for node in NETWORK.synapses}
    assert found == {
        "first": INTEGER_FIRST,
        "normed": Quantizer(4, "mean"),
        "plain": Quantizer(3, "max", ste="pass"),
        "given": Quantizer(2, "max"),
        "last": INTEGER_LAST,
    }
    single = Network((Input("x", (1, 1, 4)), Linear("f", "x", 3), Readout("o", "f")))
    assert single["f"].quantizer == INTEGER_LAST


@pytest.mark.parametrize("own", [Quantizer(4), Quantizer(2, granularity="layer", ste="pass"), Quantizer(5, zero=True)])
def test_a_quantizer_that_was_given_keeps_all_but_its_gamma(own):
    """At the ends too: who writes four bits gets four; only where nothing was written do the ends have eight."""
    network = Network(tuple(replace(n, quantizer=own) if hasattr(n, "quantizer") else n for n in NODES), 2)
    gammas = {"first": "max", "normed": "mean", "plain": "max", "given": "max", "last": "max"}
    assert {node.name: node.quantizer for node in network.synapses} == {
        name: replace(own, gamma=gamma) for name, gamma in gammas.items()
    }
    for node in network.synapses:
        assert type(node.quantizer) is Quantizer
    normed = network.change("last", quantizer=own, batch_norm=True)
    assert normed["last"].quantizer.gamma == "max"


def test_gains_by_place():
    """In units of the threshold of the neurons that are fed; an image's largest value divides them."""
    found = {node.name: node.gain for node in NETWORK.synapses}
    assert found == {"first": GAIN * 0.5, "normed": 0.0, "plain": GAIN * 0.25, "given": 0.5, "last": 0.0}
    for peak, scale, largest in ((255, 1.0, 255.0), (16, 0.125, 2.0), (None, 1 / 255, 1.0)):
        nodes = (Input("x", (1, 1, 4), peak, scale), Linear("h", "x", 5), LIF("l", ("h",)))
        network = Network((*nodes, Linear("f", "l", 3), Readout("o", "f")))
        assert network["h"].gain == pytest.approx(GAIN / largest)
    weight = initialise(NETWORK, 3).params["plain"]["weight"]
    assert weight.std() == pytest.approx(GAIN * 0.25 / np.sqrt(64), rel=0.15)


def test_what_reads_events_through_a_pool_reads_the_input():
    nodes = (Input("x", (8, 8, 2), 255, 1.0, True), AvgPool("p", "x"), Conv("c", "p", 4), LIF("l", ("c",)))
    network = Network((*nodes, Conv("d", "l", 4), LIF("m", ("d",)), Linear("f", "m", 3), Readout("o", "f")))
    assert [node.quantizer for node in network.synapses] == [INTEGER_FIRST, Quantizer(4, "mean"), INTEGER_LAST]


def test_weights_to_be_pruned_get_a_zero():
    nodes = (Input("x", (1, 1, 4)), Linear("h", "x", 5, sparse=True), LIF("l", ("h",)))
    network = Network((*nodes, Linear("f", "l", 3, sparse=True), Readout("o", "f")))
    assert [node.quantizer.zero for node in network.synapses] == [True, True]


def test_what_is_stored_and_printed_is_resolved():
    text = NETWORK.to_json()
    assert "auto" not in text + repr(NETWORK)
    again = Network.from_json(text)
    assert again == NETWORK
    assert again.digest() == NETWORK.digest()
    assert Network(NETWORK.nodes, 2) == NETWORK


def test_a_file_without_the_keys_means_what_it_always_meant():
    """Quantizer(4, "mean") and the paper's initial weights, which then is not written."""
    old = Network((NODES[0], Linear("f", "image", 3, Quantizer(4, "mean"), gain=0.0), Readout("o", "f")))
    data = json.loads(old.to_json())
    assert "gain" not in data["nodes"][1]
    del data["nodes"][1]["quantizer"]["gamma"]
    assert Network.from_json(json.dumps(data)) == old
    del data["nodes"][1]["quantizer"]
    assert Network.from_json(json.dumps(data)) == old


def test_a_node_outside_a_network_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"quantizer\.gamma: expected the quantizer that a Network chooses .* 'auto'"):
        quantize(np.ones((2, 2), np.float32), Linear("f", "x", 2).quantizer)


@pytest.mark.parametrize("gain", [-1, float("nan"), float("inf"), True, "2"])
def test_a_gain_that_is_none_is_refused(gain):
    with pytest.raises(ConfigError, match=r"f\.gain: expected a number of at least 0, or None, got"):
        Linear("f", "x", 2, gain=gain)


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_starts_with_the_papers_weights(name):
    """Where a batch norm sets the scale; without one, hidden layers start so that their neurons fire."""
    for node in build(name, (48, 48, 2), 5).synapses:
        assert (node.gain > 0) == node.name.startswith("hidden")


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("given", [{}, {"quantizer": Quantizer(4)}])
def test_a_perceptron_with_any_number_of_hidden_layers_fires(depth, given):
    network = build("mlp", (8, 8, 1), 5, widths=(6,) * depth, **given)
    assert [node.quantizer.gamma for node in network.synapses] == ["max"] * (depth + 1)
    assert [node.gain for node in network.synapses] == [GAIN] * depth + [0.0]


def test_osbcs_initial_weights_are_asked_for():
    """The recipes of OSBC's results do, by the key `initial`."""
    network = build("mlp", (8, 8, 1), 5, widths=(6, 6), initial="paper")
    assert {node.gain for node in network.synapses} == {0.0}
    assert NetworkConfig("mlp", widths=(6, 6), initial="paper").build((8, 8, 1), 5) == NetworkConfig(
        "mlp", widths=(6, 6)
    ).build((8, 8, 1), 5).change("hidden1", gain=0.0).change("hidden2", gain=0.0)
    with pytest.raises(ConfigError, match=r"mlp\.initial: expected one of auto, paper, got 'osbc'"):
        build("mlp", (8, 8, 1), 5, initial="osbc")


@pytest.mark.parametrize("widths", [(), (6,), (6, 6)])
@pytest.mark.parametrize("name", ZOO)
def test_a_recipe_says_the_gamma_that_its_network_gets(name, widths):
    """ "auto" is not kept: recipes of older versions, which say "mean", and newer ones are the same."""
    config = NetworkConfig(name, widths=widths if name == "mlp" else ())
    assert config == NetworkConfig(name, widths=config.widths, gamma="auto")
    assert config.gamma == ("max" if name == "mlp" and len(widths) > 1 else "mean")
    inner = config.build((48, 48, 2), 5).synapses[1:-1]
    assert {node.quantizer.gamma for node in inner} <= {config.gamma}
