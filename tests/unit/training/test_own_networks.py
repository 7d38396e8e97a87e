"""Networks of one's own learn with the defaults of their nodes, as far as the same networks in floating point do."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.network import LIF, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout
from qpsnn_core.network.zoo.vgg import build
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import train
from qpsnn_datasets import Dataset, Split, load_data

SGD = {"epochs": 12, "batch": 32}
ADAM = {**SGD, "optimizer": "adam", "lr": 0.01}
SEEDS = (0, 1, 2)
"""Training gives the same bits everywhere, so that more seeds of one case only repeat it: most have one, in turns."""


def table(count, seed):
    """Three classes, each in two clouds of a plane, as pixels: no line divides them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    turn = 2 * np.pi * (labels + 3 * rng.integers(0, 2, count)) / 6
    points = np.stack([np.cos(turn), np.sin(turn)], -1) + rng.normal(0, 0.15, (count, 2))
    pixels = np.round(np.clip(points + 1.5, 0, 3) * 85).astype(np.uint8)
    return Dataset(pixels.reshape(count, 1, 1, 2), labels, tuple("abc"), "clouds")


def bars(count, seed):
    """Four classes of images: a bar in a row or a column of one half, in noise."""
    rng = np.random.default_rng(seed)
    labels, images = rng.integers(0, 4, count), rng.integers(0, 90, (count, 8, 8, 1))
    for image, label, place in zip(images, labels, rng.integers(0, 4, count), strict=True):
        line = place + 4 * (label % 2)
        image[(line, slice(None)) if label < 2 else (slice(None), line)] += 120
    return Dataset(images.astype(np.uint8), labels, tuple("abcd"), "bars")


CLOUDS = Split(table(400, 0), table(200, 1))
BARS = Split(bars(400, 0), bars(200, 1))


def perceptron(depth, steps=4, *, hidden="default", ends="default", **neuron):
    """quantizers: "default" leaves them to the Network."""
    nodes = [Input("x", (1, 1, 2))]
    for index in range(depth):
        given = {} if hidden == "default" else {"quantizer": hidden}
        nodes.append(Linear(f"hidden{index}", nodes[-1].name, 32, **given))
        nodes.append(LIF(f"lif{index}", (f"hidden{index}",), **neuron))
    given = {} if ends == "default" else {"quantizer": ends}
    return Network((*nodes, Linear("f", nodes[-1].name, 3, **given), Readout("o", "f")), steps)


def convolutions(quantizer="default"):
    given = {} if quantizer == "default" else {"quantizer": quantizer}
    nodes = [Input("x", (8, 8, 1))]
    for index in range(3):
        nodes.append(Conv(f"conv{index}", nodes[-1].name, 8, batch_norm=False, **given))
        nodes.append(LIF(f"lif{index}", (f"conv{index}",)))
    nodes += [MaxPool("pool", nodes[-1].name), Linear("f", "pool", 4, **given), Readout("o", "f")]
    return Network(tuple(nodes), 2)


def accuracy(network, data, settings, seed=0):
    return train(network, data, TrainConfig(**settings, seed=seed)).history[-1].validation


def test_a_perceptron_learns_by_its_defaults():
    """Of one hidden layer and of two; before, one in three were right."""
    assert min(accuracy(perceptron(depth), CLOUDS, {**ADAM, "epochs": 24}) for depth in (1, 2)) > 0.95


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("settings", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_perceptron_of_any_depth_learns_as_in_floating_point(depth, settings):
    seed = SEEDS[depth % len(SEEDS)]
    real = accuracy(perceptron(depth, hidden=None, ends=None), CLOUDS, settings, seed)
    assert real > 0.9
    assert accuracy(perceptron(depth), CLOUDS, settings, seed) > real - 0.05


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("bits", [2, 3, 8])
def test_few_bits_between_the_ends_learn(bits):
    quantizer = Quantizer(bits)
    network = perceptron(3, hidden=quantizer)
    assert [node.quantizer.bits for node in network.synapses] == [bits, bits, bits, 8]
    assert accuracy(network, CLOUDS, ADAM, SEEDS[bits % len(SEEDS)]) > 0.9


@pytest.mark.parametrize(("depth", "network"), [(1, "perceptron"), (2, "perceptron"), (0, "convolutions")])
def test_quantizers_written_by_hand_learn(depth, network):
    """`Quantizer(4)` in every layer, the readout's too, whose bits stay four; before, gamma "mean" clipped there."""
    own = Quantizer(4)
    made = perceptron(depth, hidden=own, ends=own) if network == "perceptron" else convolutions(own)
    assert {node.quantizer for node in made.synapses} == {Quantizer(4, "max")}
    data, settings = (CLOUDS, ADAM) if depth else (BARS, {**ADAM, "epochs": 8})
    assert accuracy(made, data, settings) > 0.9


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("own", "settings"),
    [(Quantizer(4), SGD), (Quantizer(3, granularity="layer"), ADAM)],
    ids=["4 sgd", "3, layer adam"],
)
def test_quantizers_written_by_hand_learn_with_any_seed(own, settings):
    assert min(accuracy(perceptron(2, hidden=own, ends=own), CLOUDS, settings, seed) for seed in SEEDS) > 0.9


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("steps", [2, 10])
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "lr": 0.01}], ids=["sgd", "adam"])
def test_the_perceptron_of_the_zoo_learns_digits(settings, steps):
    """From the first epoch; with OSBC's initial weights, of deviation 0.01, SGD was at chance there, and below 97%
    after the eighth."""
    data = load_data("digits")
    network = build("mlp", (8, 8, 1), 10, steps=steps)
    history = train(network, data, TrainConfig(epochs=8, batch=32, seed=SEEDS[steps % len(SEEDS)], **settings)).history
    assert history[0].validation > 0.85
    assert history[-1].validation > 0.96


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(("steps", "beta"), [(1, 0.5), (8, 0.5), (4, 1.0), (8, 1.0), (4, 0.0)])
def test_any_leak_and_number_of_steps_learns(steps, beta):
    assert accuracy(perceptron(2, steps, beta=beta), CLOUDS, ADAM, SEEDS[steps % len(SEEDS)]) > 0.9


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("options", [{"threshold": 0.25}, {"threshold": 2.0}, {"surrogate": "arctan"}], ids=str)
def test_initial_weights_suit_the_threshold(options):
    assert accuracy(perceptron(2, **options), CLOUDS, ADAM) > 0.9


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("settings", [SGD, ADAM], ids=["sgd", "adam"])
def test_convolutions_without_batch_norm_learn(settings):
    settings = {**settings, "epochs": 12}
    real = accuracy(convolutions(None), BARS, settings)
    assert real > 0.9
    assert accuracy(convolutions(), BARS, settings) > real - 0.05


@pytest.mark.slow
@pytest.mark.once
def test_a_perceptron_of_the_zoo_with_two_hidden_layers_learns():
    assert accuracy(build("mlp", (1, 1, 2), 3, steps=4, widths=(32, 32)), CLOUDS, ADAM) > 0.9
