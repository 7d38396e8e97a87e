"""The engine around the layers: what it leaves alone, and the same bits however it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from oracle import digest, networks
from qpsnn_core.engine import passes
from qpsnn_core.kernels import threads
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import mean_logits_cross_entropy


def on_threads(counts, work):
    """What `work()` gives on each number of threads; afterwards they are as many as before."""
    before, found = threads.threads(), []
    try:
        for count in counts:
            threads.set_threads(count)
            found.append(work())
    finally:
        threads.set_threads(before)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.NETWORKS)
class TestEveryNetwork:
    def test_nothing_that_is_handed_in_changes(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        done = passes.forward(model, images, train=True, save_for_backward=True)
        given = [images, model.params, model.state, done.values, np.ones_like(done.logits)]
        before = deepcopy(given)
        passes.backward(model, passes.forward(model, images, train=True, save_for_backward=True), given[-1])
        passes.backward(model, done, given[-1])
        np.testing.assert_equal(given, before)

    def test_forgetting_on_the_way_changes_nothing(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        kept, not_kept = (passes.forward(model, images, train=True, save_for_backward=save) for save in (True, False))
        np.testing.assert_array_equal(kept.logits, not_kept.logits)
        assert (not_kept.values, not_kept.caches) == ({}, {})
        assert set(kept.values) == {node.name for node in model.network}
        for node, own in kept.state.items():
            for key, value in own.items():
                np.testing.assert_array_equal(value, not_kept.state[node][key])

    def test_discarding_on_the_way_back_changes_nothing(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        kept, used = (passes.forward(model, images, train=True, save_for_backward=True) for _ in range(2))
        expected = passes.backward(model, kept, np.ones_like(kept.logits))
        np.testing.assert_equal(passes.backward(model, used, np.ones_like(used.logits), discard=True), expected)
        assert used.caches == {}
        assert set(used.values) == {model.network.input.name}
        assert set(kept.values) == {node.name for node in model.network}

    def test_statistics_move_in_training_only(self, name):
        model = networks.model(networks.network(name))
        images = networks.images(model.network)
        for train in (True, False):
            state = passes.forward(model, images, train=train).state
            for node, own in model.state.items():
                for key, value in own.items():
                    drawn = getattr(model.network[node], "sampling", "gumbel") == "gumbel"
                    moves = train and key != "seed" and drawn  # of what a gate draws, the counter alone
                    assert np.array_equal(state[node][key], value) != moves, (node, key)

    def test_values_are_those_the_network_promises(self, name):
        model = networks.model(networks.network(name))
        values = passes.forward(model, networks.images(model.network), save_for_backward=True).values
        for node in model.network.nodes[1:-1]:
            promised, value = model.network.values[node.name], values[node.name]
            if promised.kind == "current":
                assert value.acc.shape[2:] == promised.shape
            else:
                assert value.shape[2:] == promised.shape
                if promised.max_count is not None:  # real numbers, of membranes
                    assert value.max() <= promised.max_count

    def test_two_threads_give_the_same_bits(self, name):
        index = list(networks.NETWORKS).index(name)
        found = on_threads((1, 2, 3), lambda: list(digest.arrays(name, index, train=True)))
        for one, other in zip(found[0] * 2, found[1] + found[2], strict=True):
            assert one[0] == other[0]
            np.testing.assert_array_equal(one[1], other[1], err_msg=one[0])


class TestManyChunks:
    """The small networks fit one chunk each; here every layer has several. All weights are codes: sums are exact."""

    NETWORK = Network(
        (
            Input("image", (16, 16, 3)),
            Conv("conv1", "image", 12, quantizer=Quantizer(8, "mean")),
            LIF("lif1", ("conv1",)),
            Conv("conv2", "lif1", 40),
            LIF("lif2", ("conv2",)),
            MaxPool("pool", "lif2", 2),
            AvgPool("average", "pool", 4),
            Linear("linear", "average", 10),
            Readout("readout", "linear"),
        ),
        2,
    )

    def step(self, batch, train):
        model = networks.model(self.NETWORK)
        images, labels = networks.images(self.NETWORK, 40)[batch], networks.labels(self.NETWORK, 40)[batch]
        done = passes.forward(model, images, train=train, save_for_backward=True)
        _, gradient = mean_logits_cross_entropy(done.logits, labels)
        return done.logits, passes.backward(model, done, gradient)

    def test_two_threads_give_the_same_bits(self):
        one, two = on_threads((1, 2), lambda: self.step(slice(40), train=True))
        np.testing.assert_equal(one, two)

    def test_forty_images_are_eight_times_five(self):
        logits, grads = self.step(slice(40), train=False)
        parts = [self.step(slice(start, start + 5), train=False) for start in range(0, 40, 5)]
        np.testing.assert_array_equal(logits, np.concatenate([part[0] for part in parts], axis=1))
        for node, own in grads.items():
            for name, array in own.items():
                mean = np.mean([part[1][node][name] for part in parts], axis=0, dtype=np.float64)
                np.testing.assert_allclose(
                    array, mean, rtol=0, atol=2e-6 * np.abs(mean).max(), err_msg=f"{node}.{name}"
                )


@pytest.mark.once
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
        one, same, other = (passes.initialise(net, seed).params["conv2"]["weight"] for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_a_change_in_one_node_leaves_the_others_alone(self):
        net = networks.network("chain")
        one, other = passes.initialise(net), passes.initialise(net.change("conv1", bias=False, kernel=1, padding=0))
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
        model = passes.initialise(Network(nodes))
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
            model: Model = passes.initialise(networks.network(name))
            for node in model.network.of(Conv, Linear):
                shape = node.weight_shape(model.network.inputs_of(node)[0])
                assert model.params[node.name]["weight"].shape == shape
