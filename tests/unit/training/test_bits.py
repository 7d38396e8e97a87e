"""Recorded digests of whole runs, which every processor repeats; and children that are told to be another processor."""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden import training_bits
from golden.elsewhere import PLACES, recorded_by, x86

from qpsnn_core.engine.passes import backward, forward
from qpsnn_core.kernels.parts import add_in_order, parts_of
from qpsnn_core.optim.losses import LOSSES

pytest.importorskip("sklearn", reason="the digits come with scikit-learn")


@pytest.fixture(scope="module")
def recorded():
    return json.loads(training_bits.FILE.read_text(encoding="utf-8"))


@x86
@pytest.mark.parametrize("name", training_bits.runs())
def test_the_recorded_bits_are_repeated(name, recorded):
    """Each machine on which the tests run is one more witness."""
    assert training_bits.results(training_bits.runs()[name]) == recorded[name]


COMPILED = ("vgg", "residual")
"""Runs that have every kernel but the backward pass of max pools, in fewer types: where all are compiled anew."""


@x86
@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_the_same_bits_elsewhere(place, recorded):
    names = COMPILED if "NUMBA_CPU_NAME" in place else tuple(recorded)
    assert recorded_by("golden.training_bits", place, *names) == {name: recorded[name] for name in names}


def test_digests_notice_a_single_bit():
    """A negative control."""
    array = np.ones(5, np.float32)
    before = training_bits.digest([("a", array)])
    array[3] = np.nextafter(array[3], np.float32(2))
    assert training_bits.digest([("a", array)]) != before


@pytest.mark.parametrize("name", ["perceptron", "counts"])
def test_gradients_are_those_of_parts_in_order(name):
    """What ranks rely on: with the statistics of the whole batch, each part by itself gives its share of every sum."""
    run = training_bits.runs()[name]
    network = run.network
    for node in network.synapses:
        network = network.change(node.name, batch_norm=False)
    model = training_bits.initialise(network)
    data = training_bits.data_of(run).train
    images, labels = data.images[:18], data.labels[:18]
    images = images if images.ndim == 4 else np.ascontiguousarray(images.swapaxes(0, 1))
    samples = 0 if data.images.ndim == 4 else 1
    slope = LOSSES["mean"](forward(model, images).logits, labels)[1]
    whole = gradients(model, images, slope, parts=3)
    alone = [
        gradients(model, images.take(range(start, stop), samples), slope[:, start:stop], parts=1)
        for start, stop in parts_of(18, 3)
    ]
    for node, own in whole.items():
        for key, array in own.items():
            sums = add_in_order([part[node][key] for part in alone])
            if key == "weight":
                np.testing.assert_array_equal(array, sums, f"{node}.{key}")
            else:  # biases are sums in float64, which were rounded part by part here
                np.testing.assert_allclose(array, sums, rtol=1e-6, atol=1e-7, err_msg=f"{node}.{key}")


def gradients(model, images, slope, parts):
    return backward(model, forward(model, images, save_for_backward=True, parts=parts), slope)
