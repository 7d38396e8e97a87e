"""What a network holds at every step: the equations hold between spikes, membranes and currents, by loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small

from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.engine.passes import forward
from qpsnn_core.inference import inspection as inspecting
from qpsnn_core.inference.inspection import inspect
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import Network

DATA = small.dataset(7)


def model_with(reset="zero", beta=0.5):
    model = small.model(3)
    nodes = tuple(replace(n, reset=reset, beta=beta) if hasattr(n, "reset") else n for n in model.network)
    return model._replace(network=Network(nodes, model.network.steps))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_model_obeys_equations_1_to_3(reset):
    model = model_with(reset, 0.25)
    found = inspect(model, DATA)
    done = forward(model, DATA.images, save_for_backward=True)
    assert list(found.spikes) == list(found.membranes) == list(found.currents) == ["lif1", "lif2", "lif3"]
    for name in found.spikes:
        np.testing.assert_array_equal(found.spikes[name], done.values[name])
        np.testing.assert_array_equal(found.membranes[name] >= found.thresholds[name], found.spikes[name])
        after = np.zeros_like(found.membranes[name][0])
        for step in range(3):
            before = np.float32(0.25) * after + found.currents[name][step]
            np.testing.assert_allclose(found.membranes[name][step], before, atol=1e-5)
            fired = found.spikes[name][step]
            membrane = found.membranes[name][step]
            after = membrane * (1 - fired) if reset == "zero" else membrane - fired * np.float32(1)
    np.testing.assert_array_equal(found.labels, done.logits.mean(0).argmax(1))
    assert repr(found) == "Inspection(7 images, T = 3, of lif1, lif2, lif3)"


@pytest.mark.parametrize(("reset", "beta"), [("zero", 0.5), ("subtract", 0.5), ("zero", 0.7)])
def test_integers_obey_their_arithmetic_and_agree_with_the_simulator(reset, beta):
    network = lower(model_with(reset, beta)).network
    found, run = inspect(network, DATA), simulate(network, DATA.images, record="all")
    for name, spikes in run.spikes.items():
        node, own = network[name], network.arrays[name]
        np.testing.assert_array_equal(found.spikes[name], spikes)
        np.testing.assert_array_equal(found.thresholds[name], own["threshold"])
        after = np.zeros(spikes.shape[1:], np.int64)
        for step in range(3):
            before = (after * node.multiplier >> node.shift) + found.currents[name][step]
            np.testing.assert_array_equal(found.membranes[name][step], before)
            np.testing.assert_array_equal(before >= own["threshold"], spikes[step])
            after = np.where(spikes[step], 0 if reset == "zero" else before - own["threshold"], before)
            np.testing.assert_array_equal(run.membranes[name][step], after)
    np.testing.assert_array_equal(found.labels, run.readout.argmax(1))


def test_currents_of_integers_are_those_of_the_model_in_their_own_unit():
    model = small.model(3)
    network = lower(model).network
    ours, theirs = inspect(model, DATA, ["lif1"]), inspect(network, DATA, ["lif1"])
    unit = ours.currents["lif1"].max() / theirs.currents["lif1"].max()
    ratio = np.median(ours.currents["lif1"] / np.where(theirs.currents["lif1"] == 0, 1, theirs.currents["lif1"]))
    assert ratio == pytest.approx(unit, rel=0.2)


@pytest.mark.parametrize("integers", [False, True], ids=["model", "integers"])
def test_any_layer_may_be_named(integers, monkeypatch):
    model = small.model(3)
    taken = lower(model).network if integers else model
    names = ["conv2", "short", "sum", "pool", "average", "linear", "lif2"]
    found = inspect(taken, DATA, names)
    assert set(found.currents) == {"conv2", "short", "linear", "lif2"}
    assert set(found.spikes) == {"sum", "pool", "average", "lif2"}
    assert set(found.membranes) == set(found.thresholds) == {"lif2"}
    for name, array in {**found.currents, **found.spikes}.items():
        assert array.shape == (3, 7, *model.network.shape(name))
    bias = taken.arrays["lif2"]["bias"] if integers else 0
    both = found.currents["conv2"] + found.currents["short"] + bias
    np.testing.assert_allclose(found.currents["lif2"], both, atol=0 if integers else 1e-6)
    np.testing.assert_array_equal(found.spikes["sum"], inspect(taken, DATA, "sum").spikes["sum"])
    monkeypatch.setattr(inspecting, "MEMORY", 1)
    again = inspect(taken, DATA, names)
    for part in ("spikes", "membranes", "currents"):
        for name, array in getattr(found, part).items():
            np.testing.assert_array_equal(getattr(again, part)[name], array)


def test_frames_have_the_samples_first():
    model = small.model(3)
    frames = small.dataset(4, frames=3)
    found = inspect(model, frames.images, "lif1")
    done = forward(model, np.ascontiguousarray(frames.images.swapaxes(0, 1)), save_for_backward=True)
    np.testing.assert_array_equal(found.spikes["lif1"], done.values["lif1"])


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ("convx", ConfigError, "inspect.layers: expected names of layers, of conv1, lif1, conv2"),
        ("readout", ConfigError, "inspect.layers: expected names of layers"),
        (["lif1", 3], ConfigError, "got 3"),
        (3, ConfigError, "inspect.layers: expected the name of a layer, or a list of names, got 3"),
    ],
)
def test_a_layer_that_is_not_there_is_refused(layers, error, message):
    with pytest.raises(error) as caught:
        inspect(small.model(3), DATA, layers)
    assert message in str(caught.value)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"inspect\.images: expected \[N, 6, 6, 2\]"):
        inspect(small.model(3), DATA.images[0])


def test_more_images_than_the_memory_holds_are_refused():
    images = np.broadcast_to(np.zeros(1, np.uint8), (10**12, 6, 6, 2))
    with pytest.raises(ConfigError, match=r"inspect: what is kept of 1,000,000,000,000 images: expected at most the"):
        inspect(small.model(3), images)
