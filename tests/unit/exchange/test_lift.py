"""From integers back to a model: the same codes, nearly every spike, and training goes on."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import LoweringError
from qpsnn_core.compression.weights.osbc import compress
from qpsnn_core.exchange.lift import weights_for_codes
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.synapses import Conv, Linear
from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.quantization.formats import KEPT
from qpsnn_core.quantization.rescaw import dequantize, quantize


@pytest.fixture(scope="module")
def digits():
    return qp.load_data("digits", limit=256)


@pytest.fixture(scope="module")
def model(digits):
    network = qp.build("vgg_small", (8, 8, 1), 10, width=0.5, steps=3)
    return qp.train(network, digits.train, qp.TrainConfig(epochs=3, batch=32, optimizer="adam", lr=0.005)).model


def differing(integer, lifted, images):
    """The share of spikes in which the two differ, and of answers."""
    want = qp.simulate(integer, images, record="spikes")
    got = qp.forward(lifted, images, save_for_backward=True)
    spikes = [(got.values[node.name] != want.spikes[node.name]) for node in lifted.network.of(LIF)]
    total = sum(int(one.sum()) for one in spikes) / sum(one.size for one in spikes)
    return total, float((got.logits.mean(0).argmax(-1) != want.readout.argmax(-1)).mean())


def test_it_fires_as_the_integers_do_and_has_their_codes(model, digits):
    integer = qp.lower(model).network
    lifted = qp.lift(integer, digits.train)
    spikes, answers = differing(integer, lifted, digits.test.images[:64])
    assert spikes < 1e-4
    assert answers == 0
    again = qp.lower(lifted).network
    for node in lifted.network.synapses:
        np.testing.assert_array_equal(again.arrays[node.name]["codes"], integer.arrays[node.name]["codes"])
        assert node.quantizer.bits == model.network[node.name].quantizer.bits
    inner = lifted.network.of(Conv)[1:]
    assert {node.quantizer.gamma for node in inner} == {"mean"}
    assert {node.quantizer.ste for node in inner} == {"pass"}


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_resets_by_subtraction_stay(digits, beta):
    """Without fraction bits, where what a threshold is off by shows most."""
    neuron = Neuron(beta=beta, reset="subtract")
    network = qp.build("vgg_small", (8, 8, 1), 10, width=0.5, steps=4, neuron=neuron)
    trained = qp.train(network, digits.train, qp.TrainConfig(epochs=1, batch=32, optimizer="adam", lr=0.005)).model
    integer = qp.lower(trained, fraction_bits=0).network
    lifted = qp.lift(integer, digits.train)
    assert {node.reset for node in lifted.network.of(LIF)} == {"subtract"}
    assert differing(integer, lifted, digits.test.images[:64])[0] < 1e-5
    assert {node.reset for node in qp.lower(lifted).network.of(IntLIF)} == {"subtract"}


def test_a_batch_in_training_sees_the_same_currents(model, digits):
    """Batch norm's own statistics of the images it was lifted with are its running ones, so the loss begins low."""
    integer = qp.lower(model).network
    lifted = qp.lift(integer, digits.train, batch=128)
    images = digits.train.images[:128]
    resting, training = (qp.forward(lifted, images, train=train).logits for train in (False, True))
    assert np.abs(resting - training).mean() < 0.02 * np.abs(resting).mean()


def test_training_goes_on(model, digits):
    lifted = qp.lift(qp.lower(model).network, digits.train)
    config = qp.FinetuneConfig(epochs=2, batch=32, optimizer="adamw", lr=0.002)
    before = qp.evaluate(lifted, digits.test).accuracy
    tuned = qp.finetune(lifted, digits.train, config)
    assert tuned.history[-1].loss < tuned.history[0].loss
    assert qp.evaluate(tuned.model, digits.test).accuracy >= before - 0.02
    qp.lower(tuned.model)


def test_pruned_weights_stay_pruned(model, digits):
    small = compress(model, digits.train, sparsity=0.7, bits=4, method="magnitude", batches=1).model
    integer = qp.lower(small).network
    lifted = qp.lift(integer, digits.train)
    assert all(node.sparse and node.quantizer.zero for node in lifted.network.of(Conv, Linear))
    assert differing(integer, lifted, digits.test.images[:32])[0] < 1e-4
    tuned = qp.finetune(lifted, digits.train, qp.FinetuneConfig(epochs=1, batch=32)).model
    for node in tuned.network.synapses:
        gone = integer.arrays[node.name]["codes"] == 0
        assert not tuned.params[node.name]["weight"][gone].any()


def test_events_and_sums():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 3, (4, 2, 32, 32, 2)).astype(np.uint8)
    network = qp.build("vgg_small", (32, 32, 2), 10, width=0.25, steps=2, events=True)
    integer = qp.lower(qp.recalibrate(qp.initialise(network, 0), images)).network
    lifted = qp.lift(integer, images)
    assert lifted.network.input.spikes
    assert differing(integer, lifted, images.swapaxes(0, 1))[0] < 1e-4


def test_shortcuts_are_refused_by_name():
    network = qp.build("resnet20", (32, 32, 3), 10, width=0.0625, steps=1)
    integer = qp.lower(qp.initialise(network, 0)).network
    with pytest.raises(
        LoweringError, match=r"shortcut.*: the lift takes no IntShortcut: a Shortcut that is trained on"
    ):
        qp.lift(integer, np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("full", [True, False])
def test_weights_round_to_their_codes(bits, zero, full):
    """With a code of the largest magnitude in every channel, and without one, where gamma has to be kept."""
    rng = np.random.default_rng(bits)
    top = 2 ** (bits - 1) - 1 if zero else 2**bits - 1
    codes = rng.integers(-top, top + 1, (3, 3, 4, 5)) if zero else rng.integers(0, 2**bits, (3, 3, 4, 5)) * 2 - top
    codes[0, 0, 0] = top
    if not full:
        codes[..., 1] = 0 if zero else np.clip(codes[..., 1], -1, 1)
    step = rng.uniform(0.01, 0.02, 5)
    quantizer, weight, gamma = weights_for_codes(codes, step)
    assert (quantizer.bits, quantizer.zero) == (bits, zero)
    assert (quantizer.gamma == KEPT) == (not full)
    found = quantize(weight, quantizer, gamma)
    np.testing.assert_allclose(dequantize(found), codes * step, rtol=1e-5)


@pytest.mark.cli
def test_the_command_makes_a_checkpoint_that_goes_on(model, qpsnn, tmp_path):
    integer, again = tmp_path / "net.h5", tmp_path / "again.h5"
    qp.save_integer(integer, qp.lower(model).network)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[network]\nsteps = 3\n[data]\nname = "digits"\nlimit = 96\n[finetune]\nepochs = 1\nbatch = 32\n',
        encoding="utf-8",
    )
    assert qpsnn("import", integer, "--recipe", recipe, "--out", again)[0] == 0
    assert qpsnn("finetune", again, "--out", tmp_path / "tuned.h5", "--json")[0] == 0
    for words, said in (
        (("--recipe", recipe, "--bits", 4, "--events"), "only: an integer network has its own, got --events, --bits"),
        ((), "import: expected a recipe that names an integer network's data (--recipe R.toml), got none"),
    ):
        code, _, err = qpsnn("import", integer, *words, "--out", tmp_path / "no.h5")
        assert code == 2
        assert said in " ".join(err.split())
        assert not (tmp_path / "no.h5").exists()


@pytest.mark.parametrize("kind", [np.int8, np.int16])
@pytest.mark.parametrize("most", [63, 64, 90, 127])
def test_codes_with_a_zero_of_eight_bits_come_back(kind, most):
    """Codes that are even and odd become twice themselves: in their own type they would wrap."""
    codes = np.array([[-most, 0], [most, 1], [2, -most]], kind)
    step = np.array([0.01, 0.02])
    quantizer, weights, gamma = weights_for_codes(codes, step)
    assert quantizer.zero
    found, steps, *_ = quantize(weights, quantizer, gamma)
    assert (found == codes.astype(np.int32) * 2).all()
    np.testing.assert_allclose(2 * steps, step, rtol=1e-6)
