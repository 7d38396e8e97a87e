"""The exact simulator: what it takes, what it records, and that neither threads nor batches change a bit.

That it computes what the twin computes is tests/contract/test_backends.py's to show.
"""

from __future__ import annotations

import gc

import numpy as np
import pytest
from generators import random_integer_network

import qpsnn_backends
from naive import integer as naive
from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError
from qpsnn_core.integer import plan
from qpsnn_core.integer import simulate as module
from qpsnn_core.integer.backends import Backend
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout, IntSumPool
from qpsnn_core.integer.simulate import predict, simulate
from qpsnn_core.kernels.threads import set_threads, threads


def network(peak=255, steps=3, kernel=3, channels=5, code=15, dtype=np.int8, seed=0):
    """A convolution, a LIF, a sum-pool, a linear layer; and a function that makes images."""
    rng = np.random.default_rng(seed)

    def codes(*shape):
        return (2 * rng.integers(0, code + 1, shape) - code).astype(dtype)

    nodes = (
        IntInput("in", (6, 5, 2), peak),
        IntConv("conv", "in", channels, kernel, 1, kernel // 2),
        IntLIF("lif", ("conv",)),
        IntSumPool("pool", "lif", 5),
        IntLinear("fc", "pool", 4),
        IntReadout("out", "fc"),
    )
    arrays = {
        "conv": {"codes": codes(kernel, kernel, 2, channels), "gain": np.full(channels, 16, np.int32)},
        "lif": {
            "threshold": np.full(channels, 8 * code * peak, np.int32),
            "bias": np.arange(channels, dtype=np.int32) * peak,
        },
        "fc": {"codes": codes(channels, 4), "gain": np.arange(1, 5, dtype=np.int32)},
        "out": {"bias": np.arange(4, dtype=np.int32)},
    }
    return IntegerNetwork(nodes, arrays, steps), lambda *shape: rng.integers(0, peak + 1, (*shape, 6, 5, 2))


def assert_twin(net, images):
    readout, spikes, membranes = naive.run(net, images)
    run = simulate(net, images, record="all")
    np.testing.assert_array_equal(run.readout, readout)
    for name, ref in spikes.items():
        np.testing.assert_array_equal(run.spikes[name], ref)
        np.testing.assert_array_equal(run.membranes[name], membranes[name])
        assert 0 < ref.mean() < 1


@pytest.mark.interpreted
@pytest.mark.parametrize("frames", [False, True], ids=["images", "frames"])
@pytest.mark.parametrize(
    "options",
    [
        {"peak": 1},
        {"peak": 1, "code": 127},
        {"peak": 1, "code": 255, "dtype": np.int16},
        {"peak": 16, "code": 127},
        {"peak": 17},
        {"peak": 255},
        {"peak": 65535, "code": 255, "dtype": np.int16, "kernel": 1},
        {"peak": 20000, "code": 255, "dtype": np.int16},
    ],
    ids=lambda options: " ".join(f"{key}={getattr(value, '__name__', value)}" for key, value in options.items()),
)
def test_every_path_is_the_twin(options, frames):
    """Events and BLAS, int16 and int32 sums, float32 and float64 products."""
    net, images = network(**options)
    if options.get("peak") == 20000:
        assert net.values["conv"].sums >= 2**24
    assert_twin(net, images(3, 2) if frames else images(2))


@pytest.mark.interpreted
@pytest.mark.parametrize("resets", [("zero",), ("zero", "subtract")], ids=str)
@pytest.mark.parametrize("seed", range(100, 110))
def test_random_networks_are_the_twin(seed, resets):
    net, images = random_integer_network(seed, resets)
    readout, spikes, membranes = naive.run(net, images)
    run = simulate(net, images, record="all")
    np.testing.assert_array_equal(run.readout, readout)
    for name in spikes:
        np.testing.assert_array_equal(run.spikes[name], spikes[name])
        np.testing.assert_array_equal(run.membranes[name], membranes[name])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_any_integers_will_do(dtype):
    net, images = network(peak=100)
    x = images(4)
    np.testing.assert_array_equal(simulate(net, x.astype(dtype)).readout, simulate(net, x).readout)
    strided = np.asfortranarray(np.repeat(x, 2, axis=2).astype(dtype))[:, :, ::2]
    np.testing.assert_array_equal(simulate(net, strided).readout, simulate(net, x).readout)


def test_booleans_are_spikes():
    net, images = network(peak=1)
    x = images(3, 2)
    np.testing.assert_array_equal(simulate(net, x.astype(bool)).readout, simulate(net, x).readout)


def test_an_image_is_the_same_frame_at_every_step():
    net, images = network()
    x = images(2)
    still, moving = simulate(net, x, record="all"), simulate(net, np.stack([x] * 3), record="all")
    np.testing.assert_array_equal(still.readout, moving.readout)
    np.testing.assert_array_equal(still.membranes["lif"], moving.membranes["lif"])
    np.testing.assert_array_equal(still.counts["in"], moving.counts["in"])


def test_neither_threads_nor_batches_change_a_bit(monkeypatch):
    net, images = network(channels=16)
    x = images(37)
    runs, before = [], threads()
    try:
        for count, memory in ((1, 2**27), (2, 2**27), (2, 1), (3, 40_000)):
            set_threads(count)
            monkeypatch.setattr(module, "MEMORY", memory)
            runs.append(simulate(net, x, record="all"))
    finally:
        set_threads(before)
    for run in runs[1:]:
        np.testing.assert_array_equal(run.readout, runs[0].readout)
        np.testing.assert_array_equal(run.spikes["lif"], runs[0].spikes["lif"])
        np.testing.assert_array_equal(run.membranes["lif"], runs[0].membranes["lif"])
        for name, counts in run.counts.items():
            np.testing.assert_array_equal(counts, runs[0].counts[name])


def test_what_is_recorded():
    net, images = random_integer_network(1)
    names = [node.name for node in net.of(IntLIF)]
    assert len(names) > 1
    for record, spiking, moving in (
        ("none", [], []),
        ("spikes", names, []),
        ("all", names, names),
        ({names[1]}, names[1:2], names[1:2]),
        ((), [], []),
    ):
        run = simulate(net, images, record=record)
        assert (list(run.spikes), list(run.membranes)) == (spiking, moving)
        assert all(array.dtype == np.uint8 for array in run.spikes.values())
        assert all(array.dtype == np.int32 for array in run.membranes.values())
        assert run.readout.dtype == np.int64


def test_counts_are_of_all_steps_and_images():
    net, images = network()
    run = simulate(net, x := images(5), record="spikes")
    assert list(run.counts) == ["in", "lif", "pool"]
    np.testing.assert_array_equal(run.counts["in"], 3 * x.sum(0))
    np.testing.assert_array_equal(run.counts["lif"], run.spikes["lif"].sum((0, 1), dtype=int))
    assert run.counts["pool"].sum() == run.counts["lif"][:5].sum()


def test_the_readout_is_the_sum_over_time():
    net, images = network(steps=4)
    x = images(2)
    parts = [simulate(IntegerNetwork(net.nodes, net.arrays, steps), x).readout for steps in (3, 4)]
    spikes = simulate(net, x, record="spikes").spikes["lif"][3]
    last = spikes[:, :5].astype(int).sum((1, 2)) @ net.arrays["fc"]["codes"] * net.arrays["fc"]["gain"]
    np.testing.assert_array_equal(parts[1] - parts[0], last + net.arrays["out"]["bias"])


def test_predict_takes_the_first_of_equal_readouts():
    net, images = network()
    arrays = {**net.arrays, "fc": {**net.arrays["fc"], "gain": np.zeros(4, np.int32)}}
    arrays["out"] = {"bias": np.array([1, 7, 7, 2], np.int32)}
    assert predict(IntegerNetwork(net.nodes, arrays, 3), images(3)).tolist() == [1, 1, 1]
    np.testing.assert_array_equal(predict(net, x := images(9)), simulate(net, x).readout.argmax(1))


def test_progress_counts_images(monkeypatch):
    net, images = network()
    monkeypatch.setattr(module, "MEMORY", 20_000)
    told = []
    simulate(net, images(11), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (11, 11)
    assert len(told) > 1


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 6, 5, 2)), DataError, r"^in: images: expected integers 0..9, got float64 .*input.range.quantize"),
        (np.full((2, 6, 5, 2), np.nan), NumericsError, "got NaN or infinity"),
        (np.full((2, 6, 5, 2), "a"), DataError, "expected an array of numbers, got an array of"),
        (np.full((2, 6, 5, 2), 10), DataError, "expected integers 0..9, got 10..10"),
        (np.full((2, 6, 5, 2), -1), DataError, "got -1..-1"),
        (np.zeros((0, 6, 5, 2), int), DataError, "expected at least one image, got none"),
        (np.zeros((6, 5, 2), int), ShapeError, r"expected \[B, 6, 5, 2\] or \[T, B, ...\], got \[6, 5, 2\]"),
        (np.zeros((2, 5, 6, 2), int), ShapeError, r"got \[2, 5, 6, 2\]"),
        (np.zeros((4, 2, 6, 5, 2), int), ShapeError, "^in: images: expected 3 steps, got 4$"),
    ],
)
def test_wrong_images_are_refused(images, error, message):
    net, _ = network(peak=9)
    with pytest.raises(error, match=message):
        simulate(net, images)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("spike", "one of none, spikes, all, or the names of LIF nodes, got 'spike' .did you mean 'spikes'"),
        ({"lff"}, "the name of a LIF .did you mean 'lif'.*, got 'lff'"),
        (["conv"], "expected the name of a LIF"),
    ],
)
def test_a_wrong_record_is_refused(record, message):
    net, images = network()
    with pytest.raises(ConfigError, match=message):
        simulate(net, images(1), record=record)


def test_backends_by_name():
    exact = qpsnn_backends.get("exact")
    assert isinstance(exact, Backend)
    net, images = network()
    exact.check(net)
    run = exact.run(net, x := images(2))
    assert list(run.spikes) == ["lif"]
    np.testing.assert_array_equal(run.readout, simulate(net, x).readout)
    with pytest.raises(ConfigError, match=r"backend: expected one of exact, lava, .*got 'lave' .did you mean 'lava'"):
        qpsnn_backends.get("lave")
    with pytest.raises(ConfigError, match=r"backend.exact: expected no options, got 'timeout'"):
        qpsnn_backends.get("exact", timeout=3)
    with pytest.raises(ConfigError, match=r"backend.lava: expected .*, got 'timeot' .did you mean 'timeout'"):
        qpsnn_backends.get("lava", timeot=3)


def test_counting_may_be_left_out():
    net, images = network()
    x = images(5)
    run = simulate(net, x, count=False)
    assert run.counts == {}
    np.testing.assert_array_equal(run.readout, simulate(net, x).readout)


def test_what_is_made_of_the_weights_is_kept_as_long_as_the_network():
    """Packed once, and forgotten with the network; another network's weights are its own."""
    net, images = network(channels=16)
    other, _ = network(channels=16, seed=1)
    x = images(3)
    first = simulate(net, x).readout
    ready = plan._ready[net]
    kept = {name: dict(own) for name, own in ready.items() if own}
    assert kept
    np.testing.assert_array_equal(simulate(net, x).readout, first)
    assert all(ready[name][key] is value for name, own in kept.items() for key, value in own.items())
    assert not np.array_equal(simulate(other, x).readout, first)
    before = len(plan._ready)
    del net, other
    gc.collect()
    assert len(plan._ready) <= before - 2
