"""The engine around the layers: what it refuses, what it leaves alone, and the same bits however it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from oracle import digest, networks
from qpsnn_core import engine
from qpsnn_core.errors import ConfigError, DataError, NumericsError, ShapeError
from qpsnn_core.kernels import parallel
from qpsnn_core.loss import mean_logits_cross_entropy
from qpsnn_core.model import Model
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, Network, Quantizer, Readout
from qpsnn_core.quantize import quantize

FOUR_BITS = Quantizer(4)
PIXELS = Input("image", (3, 4, 2), peak=20)
REAL = Input("image", (3, 4, 2), peak=None)


def small(source, quantizer=FOUR_BITS):
    nodes = (
        source,
        Conv("conv1", "image", 3, quantizer=quantizer),
        LIF("lif1", ("conv1",)),
        Linear("linear", "lif1", 2, quantizer=quantizer),
        Readout("readout", "linear"),
    )
    return engine.initialise(Network(nodes, 3))


def refused(source, images, error, message, quantizer=FOUR_BITS):
    with pytest.raises(error, match=message):
        engine.forward(small(source, quantizer), images)


def on_threads(counts, work):
    """What `work()` gives on each number of threads; afterwards they are as many as before."""
    before, found = parallel.threads(), []
    try:
        for count in counts:
            parallel.set_threads(count)
            found.append(work())
    finally:
        parallel.set_threads(before)
    return found


class TestWhatIsRefused:
    """The error is of the right kind, names the node, and says what was expected and what came."""

    @pytest.mark.parametrize(
        "shape", [(3, 4, 2), (1, 4, 3, 2), (1, 3, 4, 1), (1, 2, 4, 2), (2,), (1, 1, 1, 3, 4, 2), ()]
    )
    def test_another_shape(self, shape):
        message = r"^image: images: expected \[B, 3, 4, 2\] or \[T, B, ...\], got \["
        refused(PIXELS, np.zeros(shape, np.uint8), ShapeError, message)

    @pytest.mark.parametrize("steps", [1, 2, 4])
    def test_another_number_of_steps(self, steps):
        message = f"^image: images: expected 3 steps, got {steps}$"
        refused(PIXELS, np.zeros((steps, 1, 3, 4, 2), np.uint8), ShapeError, message)

    @pytest.mark.parametrize("shape", [(0, 3, 4, 2), (3, 0, 3, 4, 2)])
    def test_no_images(self, shape):
        refused(
            PIXELS, np.zeros(shape, np.uint8), DataError, "^image: images: expected at least one image, got 'none'$"
        )

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_numbers_that_are_none(self, value):
        images = np.zeros((2, 3, 4, 2), np.float32)
        images[1, 2, 3, 1] = value
        for source in (REAL, PIXELS):
            refused(source, images, NumericsError, "^image: images: expected finite numbers, got 'NaN or infinity'$")

    def test_a_number_that_float32_does_not_hold(self):
        images = np.full((1, 3, 4, 2), 1e39)
        refused(REAL, images, NumericsError, "^image: images: expected finite numbers, got 'NaN or infinity'$")

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, bool, complex, "U1", object])
    def test_other_kinds_of_number_for_integers(self, dtype):
        refused(PIXELS, np.zeros((1, 3, 4, 2), dtype), DataError, r"^image: images: expected integers 0..20, got ")

    @pytest.mark.parametrize("dtype", [complex, "U1", object])
    def test_other_kinds_of_number_for_real_ones(self, dtype):
        refused(REAL, np.zeros((1, 3, 4, 2), dtype), DataError, "^image: images: expected real numbers, got ")

    @pytest.mark.parametrize(("value", "dtype"), [(-1, np.int8), (21, np.uint8), (2**40, np.int64), (2**63, np.uint64)])
    def test_integers_out_of_range(self, value, dtype):
        images = np.zeros((1, 3, 4, 2), dtype)
        images[0, 0, 0, 0] = value
        low = min(value, 0)
        high = max(value, 0)
        refused(PIXELS, images, DataError, rf"^image: images: expected integers 0..20, got '{low}..{high}'$")

    @pytest.mark.parametrize("quantizer", [None, Quantizer(4)])
    @pytest.mark.parametrize("node", ["conv1", "linear"])
    def test_weights_that_are_no_numbers(self, node, quantizer):
        model = small(PIXELS, quantizer)
        model.params[node]["weight"].flat[3] = np.nan
        with pytest.raises(NumericsError, match=f"^{node}.weight: expected finite numbers, got 'NaN or infinity'$"):
            engine.forward(model, np.zeros((1, 3, 4, 2), np.uint8))

    @pytest.mark.parametrize("spikes", [True, False])
    def test_sums_that_int32_does_not_hold(self, spikes):
        source = Input("image", (3, 4, 2), peak=2**24, spikes=spikes)
        message = r"^conv1.weight: expected sums of \|codes\| times the input's peak below 2\*\*31, got "
        refused(source, np.zeros((1, 3, 4, 2), np.uint8), NumericsError, message, Quantizer(8))

    def test_backward_of_a_pass_that_was_not_kept(self):
        model = small(PIXELS)
        done = engine.forward(model, np.zeros((1, 3, 4, 2), np.uint8))
        message = "^backward: expected a pass made with keep=True, got 'one without caches'$"
        with pytest.raises(ConfigError, match=message):
            engine.backward(model, done, np.zeros_like(done.logits))

    @pytest.mark.parametrize("shape", [(3, 2), (3, 1, 3), (1, 1, 2)])
    def test_a_gradient_of_another_shape(self, shape):
        model = small(PIXELS)
        done = engine.forward(model, np.zeros((1, 3, 4, 2), np.uint8), keep=True)
        with pytest.raises(ShapeError, match=r"^readout: gradient: expected \[3, 1, 2\], got \["):
            engine.backward(model, done, np.zeros(shape, np.float32))


class TestWhatIsTaken:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint16, np.int64, np.uint64])
    def test_any_integers_in_range(self, dtype):
        images = np.arange(24).reshape(1, 3, 4, 2) % 21
        ref = engine.forward(small(PIXELS), images.astype(np.uint8)).logits
        np.testing.assert_array_equal(engine.forward(small(PIXELS), images.astype(dtype)).logits, ref)

    @pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.uint8, np.int64, bool])
    def test_any_numbers_as_real_ones(self, dtype):
        images = (np.arange(24).reshape(1, 3, 4, 2) % 2).astype(dtype)
        ref = engine.forward(small(REAL), images.astype(np.float32)).logits
        np.testing.assert_array_equal(engine.forward(small(REAL), images).logits, ref)

    @pytest.mark.parametrize("peak", [255, 256, 65535, 65536])
    @pytest.mark.parametrize("spikes", [True, False])
    def test_peaks_around_the_bounds_of_types(self, peak, spikes):
        """Counts of `peak` times codes, in Python integers."""
        model = small(Input("image", (3, 4, 2), peak=peak, scale=1.0, spikes=spikes))
        images = np.zeros((1, 3, 4, 2), np.uint32)
        images[0, 1, 1] = peak, peak - 1
        done = engine.forward(model, images, keep=True)
        codes = quantize(model.params["conv1"]["weight"], FOUR_BITS).codes
        ref = [sum(int(codes[1, 1, i, o]) * (peak, peak - 1)[i] for i in range(2)) for o in range(3)]
        assert [int(value) for value in done.values["conv1"].acc[0, 0, 1, 1]] == ref

    def test_an_image_in_any_memory_order(self):
        images = np.random.default_rng(0).integers(0, 21, (2, 3, 4, 2)).astype(np.uint8)
        ref = engine.forward(small(PIXELS), images).logits
        twice = np.repeat(images, 2, axis=1)[:, ::2]
        for other in (np.asfortranarray(images), images[:, ::-1][:, ::-1], twice):
            np.testing.assert_array_equal(engine.forward(small(PIXELS), other).logits, ref)


@pytest.mark.parametrize("name", networks.NETWORKS)
class TestEveryNetwork:
    def test_nothing_that_is_handed_in_changes(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        done = engine.forward(model, images, train=True, keep=True)
        given = [images, model.params, model.state, done.values, np.ones_like(done.logits)]
        before = deepcopy(given)
        engine.backward(model, engine.forward(model, images, train=True, keep=True), given[-1])
        engine.backward(model, done, given[-1])
        np.testing.assert_equal(given, before)

    def test_forgetting_on_the_way_changes_nothing(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        kept, not_kept = (engine.forward(model, images, train=True, keep=keep) for keep in (True, False))
        np.testing.assert_array_equal(kept.logits, not_kept.logits)
        assert (not_kept.values, not_kept.caches) == ({}, {})
        assert set(kept.values) == {node.name for node in model.network}
        for node, own in kept.state.items():
            for key, value in own.items():
                np.testing.assert_array_equal(value, not_kept.state[node][key])

    def test_statistics_move_in_training_only(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        for train in (True, False):
            state = engine.forward(model, images, train=train).state
            for node, own in model.state.items():
                for key, value in own.items():
                    assert np.array_equal(state[node][key], value) != train, (node, key)

    def test_values_are_those_the_network_promises(self, name):
        model = networks.model(networks.network(name))
        values = engine.forward(model, networks.images(model.network), keep=True).values
        for node in model.network.nodes[1:-1]:
            promised, value = model.network.values[node.name], values[node.name]
            if promised.kind == "current":
                assert value.acc.shape[2:] == promised.shape
            else:
                assert value.shape[2:] == promised.shape
                assert value.max() <= promised.peak

    def test_two_threads_give_the_same_bits(self, name):
        index = list(networks.NETWORKS).index(name)
        found = on_threads((1, 2, 3), lambda: list(digest.arrays(name, index, train=True)))
        for one, other in zip(found[0] * 2, found[1] + found[2], strict=True):
            assert one[0] == other[0]
            np.testing.assert_array_equal(one[1], other[1], err_msg=one[0])


def test_many_chunks_on_two_threads_give_the_same_bits():
    """The small networks fit one chunk each; here every layer has several."""
    nodes = (
        Input("image", (16, 16, 3)),
        Conv("conv1", "image", 12, quantizer=Quantizer(8)),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 40),
        LIF("lif2", ("conv2",)),
        AvgPool("average", "lif2", 4),
        Linear("linear", "average", 10),
        Readout("readout", "linear"),
    )
    model = networks.model(Network(nodes, 2))
    images, labels = networks.images(model.network, 40), networks.labels(model.network, 40)

    def step():
        done = engine.forward(model, images, train=True, keep=True)
        _, gradient = mean_logits_cross_entropy(done.logits, labels)
        grads = engine.backward(model, done, gradient)
        return [done.logits.tobytes(), *(array.tobytes() for own in grads.values() for array in own.values())]

    one, two = on_threads((1, 2), step)
    assert one == two


def test_interpreted_kernels_and_another_process_give_the_same_bits():
    """The other process has the compiler where this one has it not, and the other way round."""
    other = "0" if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0" else "1"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": other}
    command = [sys.executable, str(Path(digest.__file__))]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == digest.digest()


class TestInitialise:
    def test_the_same_seed_gives_the_same_draw(self):
        net = networks.network("chain")
        one, same, other = (engine.initialise(net, seed).params["conv2"]["weight"] for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_a_change_in_one_node_leaves_the_others_alone(self):
        net = networks.network("chain")
        one, other = engine.initialise(net), engine.initialise(net.change("conv1", bias=False, kernel=1, padding=0))
        for node in ("conv2", "linear"):
            np.testing.assert_array_equal(one.params[node]["weight"], other.params[node]["weight"])

    def test_draws_are_the_papers(self):
        """Convolutions `N(0, sqrt(2 / (k*k*C_out)))`, linear layers `N(0, 0.01)`; 3 standard errors of each."""
        nodes = (
            Input("image", (8, 8, 16)),
            Conv("conv", "image", 32, bias=True),
            LIF("lif", ("conv",)),
            Linear("linear", "lif", 10),
            Readout("readout", "linear"),
        )
        model = engine.initialise(Network(nodes))
        for name, deviation in (("conv", np.sqrt(2 / (9 * 32))), ("linear", 0.01)):
            weight = model.params[name]["weight"]
            assert weight.dtype == np.float32
            assert abs(weight.mean()) < 3 * deviation / np.sqrt(weight.size)
            assert weight.std() / deviation == pytest.approx(1, abs=3 / np.sqrt(2 * weight.size))
        assert model.params["conv"]["bn_weight"].tolist() == [1] * 32
        assert model.state["conv"]["var"].tolist() == [1] * 32
        for zeros in (model.params["conv"]["bias"], model.params["conv"]["bn_bias"], model.state["conv"]["mean"]):
            assert not zeros.any()

    def test_arrays_have_the_shapes_that_nodes_promise(self):
        for name in networks.NETWORKS:
            model: Model = engine.initialise(networks.network(name))
            for node in model.network.of(Conv, Linear):
                shape = node.weight_shape(*model.network.inputs_of(node))
                assert model.params[node.name]["weight"].shape == shape
