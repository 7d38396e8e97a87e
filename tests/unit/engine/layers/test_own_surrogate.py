"""A surrogate of the user's own: gradients by both methods, the audit, checkpoints, recipes, and what is refused."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import small

import qpsnn_core as qp
from oracle import checks, networks
from qpsnn_core.common.errors import ArgumentError, ConfigError, FormatError
from qpsnn_core.experiments.audit import audit
from qpsnn_core.experiments.own_network import own_network
from qpsnn_core.kernels.neurons import lif
from qpsnn_core.network import surrogates
from qpsnn_core.network.surrogates import OWN
from qpsnn_core.recipes.network import NetworkConfig


def slope(distance, width):
    return 0.5 / width / (1 + abs(distance) / width) ** 2


def step(distance, width):
    return 0.5 + 0.5 * distance / (width + abs(distance))


def triangle(distance, width):
    return max(width - abs(distance), 0.0) / width**2


@pytest.fixture(autouse=True)
def none_is_left():
    yield
    OWN.clear()


@pytest.mark.interpreted
def test_its_gradients_are_right_by_both_methods():
    qp.surrogate("fast_sigmoid", slope, step)
    neuron = {"surrogate": "fast_sigmoid", "width": 1.3, "threshold": 0.9, "beta": 0.9}
    case = checks.settled(networks.network("residual with a channel map", neuron=neuron))
    found = checks.deviations(case)
    assert max(value for name, value in found.items() if "gradient" in name) < 3e-5
    assert found["loss"] < 5e-7


@pytest.mark.interpreted
def test_a_triangle_of_ones_own_is_ours():
    """Rounded otherwise: ours multiplies by 1/width squared."""
    qp.surrogate("mine", triangle)
    gradients = {}
    for name in ("mine", "triangle"):
        network = small.network()
        for node in network.neurons:
            network = network.change(node.name, surrogate=name, width=1.5)
        model = qp.initialise(network, 3)
        done = qp.forward(model, small.dataset(6).images, save_for_backward=True, train=True)
        gradients[name] = qp.backward(model, done, np.ones_like(done.logits))
    for node, arrays in gradients["triangle"].items():
        for key, ref in arrays.items():
            largest = max(float(np.abs(ref).max()), 1e-6)
            np.testing.assert_allclose(gradients["mine"][node][key], ref, rtol=0, atol=1e-5 * largest)


def with_own(name):
    network = small.network()
    for node in network.neurons:
        network = network.change(node.name, surrogate=name)
    return network


def test_the_audit_takes_differences_of_the_primitive_or_says_that_there_is_none():
    def verdict():
        model = qp.recalibrate(qp.initialise(with_own("mine"), 0), small.dataset(12))
        found = audit(model, small.dataset(6), lava=0, samples=2)
        return next(one for one in found if "neurons" in one.check)

    qp.surrogate("mine", slope, step)
    assert verdict().verdict == "pass"
    qp.surrogate("mine", slope)
    assert verdict().verdict == "skipped"
    assert "lif1 ('mine')" in verdict().reason
    assert "qp.surrogate(name, derivative, primitive)" in verdict().reason
    with pytest.raises(ConfigError, match=r"^surrogate 'mine': expected a primitive, for finite differences"):
        surrogates.primitive("mine", 1.0, 0.0)


def test_a_checkpoint_is_loaded_once_its_surrogate_is_known(tmp_path):
    qp.surrogate("mine", slope)
    config = qp.TrainConfig(epochs=1, batch=20, optimizer="adam", lr=0.01)
    done = qp.train(with_own("mine"), small.dataset(40), config, checkpoint=tmp_path / "run.h5")
    qp.lower(done.model)
    OWN.clear()
    with pytest.raises((ConfigError, FormatError)) as caught:
        qp.load_checkpoint(tmp_path / "run.h5")
    assert "surrogate: expected one of triangle, sigmoid, arctan, rectangular (qp.surrogate(name, derivative)" in str(
        caught.value
    )
    assert "'mine'" in str(caught.value)
    qp.surrogate("mine", slope)
    again = qp.train(
        with_own("mine"),
        small.dataset(40),
        qp.TrainConfig(epochs=2, batch=20, optimizer="adam", lr=0.01, schedule="constant"),
        checkpoint=tmp_path / "other.h5",
    )
    assert len(again.history) == 2
    assert qp.load_checkpoint(tmp_path / "run.h5").model.network == with_own("mine")


def test_a_recipes_function_makes_one_known(tmp_path, monkeypatch):
    (tmp_path / "theirs_surrogate.py").write_text(
        "import qpsnn_core as qp\n"
        "from qpsnn_core.layers import LIF, Linear\n"
        "qp.surrogate('flat', lambda distance, width: 1 / width if abs(distance) < width / 2 else 0.0)\n"
        "def make(shape, classes, *, steps):\n"
        "    return qp.sequential(shape, [Linear(4), LIF(surrogate='flat'), Linear(classes)], steps=steps)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"surrogate: expected one of .* \(qp\.surrogate\(name"):
        NetworkConfig(name="mlp", surrogate="flat")
    config = NetworkConfig(function="theirs_surrogate:make", steps=2)
    assert own_network(config, (4, 4, 1), 3, events=False).neurons[0].surrogate == "flat"
    sys.modules.pop("theirs_surrogate")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, slope), ArgumentError, "surrogate.name: expected a word, got"),
        (("my slope", slope), ConfigError, "surrogate.name: expected letters, digits and '_'"),
        (("arctan", slope), ConfigError, "surrogate.name: expected another name than triangle, "),
        (("mine", 3), ArgumentError, "surrogate 'mine': derivative: expected a function of two numbers"),
        (("mine", slope, 3), ArgumentError, "surrogate 'mine': primitive: expected a function of two numbers"),
        (("mine", lambda d, w: 1 / d), ConfigError, "derivative: expected a number at every distance from -2 to 2"),
        (("mine", lambda d, w: math.nan), ConfigError, "derivative: expected finite numbers"),
        (("mine", slope, lambda d, w: 0.3 * d), ConfigError, "primitive: expected a primitive with the derivative"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error) as caught:
        qp.surrogate(*arguments)
    assert message in str(caught.value)
    assert not OWN


@pytest.mark.skipif(not hasattr(lif.lif_backward, "py_func"), reason="kernels are Python")
def test_what_numba_cannot_compile_is_refused():
    with pytest.raises(ConfigError, match=r"derivative: expected a function .* that Numba compiles, got \w+Error: "):
        qp.surrogate("mine", lambda d, w: "a" + 1)
    with pytest.raises(ConfigError, match="that Numba compiles"):
        qp.surrogate("mine", lambda distance: 1.0)


@pytest.mark.skipif(not hasattr(lif.lif_backward, "py_func"), reason="kernels are Python")
def test_it_has_a_variant_of_its_own_and_ours_stay():
    """All of them share one: a second surrogate compiles none, and a network without any runs those that it had."""

    def variants(name):
        done = qp.forward(model := qp.initialise(with_own(name), 0), small.dataset(6).images, save_for_backward=True)
        qp.backward(model, done, np.ones_like(done.logits))
        return set(lif.lif_backward_pieces.signatures), set(lif.lif_forward.signatures)

    qp.surrogate("one", slope)
    qp.surrogate("two", triangle)
    ours = variants("arctan")
    own = variants("one")
    assert variants("two") == own
    assert variants("sigmoid") == own
    assert own[1] == ours[1]
