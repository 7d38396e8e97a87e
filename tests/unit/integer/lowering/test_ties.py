"""A membrane exactly at its threshold fires in training (Eq. 2) and in integers; exact arithmetic makes all alike."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.engine.layers.lif import potentials
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.nodes import RESETS

ONE_MINUS_EPSILON = np.float32(1 - 1e-5)
"""A variance with which batch norm divides by 1, but for what float32 cannot tell."""


def spikes(model, x, fraction_bits=16):
    """Of the LIF "l": trained, and in integers."""
    lowered = lower(model, fraction_bits=fraction_bits)
    trained = forward(model, x, save_for_backward=True).values["l"]
    return trained.tolist(), simulate(lowered.network, x, record="spikes").spikes["l"].tolist()


def one_layer(*nodes, shape=(1, 1, 2), peak=1, scale=1.0, spikes=True, steps=1, **neuron):
    """Nodes that read "x"; those that give currents go to the LIF "l"."""
    sources = tuple(node.name for node in nodes if isinstance(node, (Conv, Linear, Shortcut)))
    end = (LIF("l", sources, **neuron), Linear("o", "l", 2), Readout("r", "o"))
    return initialise(Network((Input("x", shape, peak, scale, spikes), *nodes, *end), steps))


ALL_ON = np.ones((1, 1, 1, 2), np.uint8)


@pytest.mark.parametrize("fraction_bits", [0, 4, 16])
@pytest.mark.parametrize("gamma", ["one", "mean", "max"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_one_weight_of_one(bits, gamma, fraction_bits):
    """1/s in float32 is not 1/s; s of them are 1 nonetheless."""
    model = one_layer(Linear("f", "x", 1, Quantizer(bits, gamma), bias=False), shape=(1, 1, 1))
    model.params["f"]["weight"][:] = 1
    assert spikes(model, ALL_ON[..., :1], fraction_bits) == ([[[[[1]]]]], [[[[[1]]]]])


@pytest.mark.parametrize("fraction_bits", [0, 2, 16])
@pytest.mark.parametrize("seed", range(12))
def test_a_shortcut_beside_weights_that_cancel(seed, fraction_bits):
    model = one_layer(
        Conv("c", "x", 2, 1, 1, 0, Quantizer(4, "mean"), batch_norm=False), Shortcut("s", "x", 2), shape=(1, 1, 2)
    )
    model.params["c"]["weight"][0, 0] = np.random.default_rng(seed).normal(size=2)
    model.params["c"]["weight"][0, 0, 1] *= -1
    assert spikes(model, ALL_ON, fraction_bits) == ([[[[[1, 1]]]]], [[[[[1, 1]]]]])


@pytest.mark.parametrize("seed", range(12))
def test_a_shortcut_beside_a_pruned_weight(seed):
    quantizer = Quantizer(4, "mean", zero=True)
    model = one_layer(Conv("c", "x", 2, 1, 1, 0, quantizer, sparse=True), Shortcut("s", "x", 2))
    model.params["c"]["weight"][0, 0] = [[0, 0], np.random.default_rng(seed).normal(size=2)]
    assert spikes(model, np.array([[[[1, 0]]]], np.uint8)) == ([[[[[1, 0]]]]], [[[[[1, 0]]]]])


@pytest.mark.parametrize("share", [0.5, 0.25, 0.75, -0.5, 1 / 3])
@pytest.mark.parametrize("scale", [0.1, 0.3183, 3.0])
def test_a_bias_and_shortcuts_that_are_parts_of_the_threshold(share, scale):
    """`(1 - share)*theta` from counts of a quarter or a twelfth of the threshold, beside weights that cancel."""
    other = 12 if share == 1 / 3 else 4
    nodes = (
        Conv("c", "x", 1, 1, 1, 0, Quantizer(4, "mean"), bias=True, batch_norm=False),
        Shortcut("s", "x", 1, channel_map=(1,)),
    )
    model = one_layer(*nodes, shape=(1, 1, 3), peak=24, scale=scale / other, threshold=scale)
    model.params["c"]["weight"][0, 0, :, 0] = 0.5, 0.3183, -0.3183
    model.params["c"]["bias"][:] = np.float32(share * scale)
    x = np.array([[[[0, *[round((1 - share) * other)] * 2]]]], np.uint8)
    below = x - np.array([0, 1, 1], np.uint8)
    assert spikes(model, x) == ([[[[[1]]]]], [[[[[1]]]]])
    assert spikes(model, below) == ([[[[[0]]]]], [[[[[0]]]]])


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_divisor_of_a_pool(size):
    """A window full of spikes is 1, by weights as by a shortcut; one spike less is not."""
    for reader in (Shortcut("s", "p", 1), Linear("f", "p", 1, Quantizer(4, "one"), bias=False)):
        model = one_layer(AvgPool("p", "x", size), reader, shape=(size, size, 1))
        for node in model.network.of(Linear)[:-1]:
            model.params[node.name]["weight"][:] = 1
        x = np.ones((2, size, size, 1), np.uint8)
        x[1, 0, 0] = 0
        assert spikes(model, x) == ([[[[[1]]], [[[0]]]]], [[[[[1]]], [[[0]]]]])


def test_a_maximum_and_a_sum():
    nodes = (
        Conv("a", "x", 2, 1, 1, 0, Quantizer(3, "one"), batch_norm=False),
        LIF("first", ("a",)),
        Shortcut("b", "x", 2),
        LIF("second", ("b",)),
        Sum("sum", ("first", "second")),
        MaxPool("max", "sum", 2),
        Shortcut("s", "max", 2),
        Linear("f", "max", 2, Quantizer(5, "mean"), bias=False),
    )
    ends = (LIF("l", ("s", "f"), threshold=2.0), Linear("o", "l", 2), Readout("r", "o"))
    model = initialise(Network((Input("x", (2, 2, 2), 1, 1.0, True), *nodes, *ends), 1))
    model.params["a"]["weight"][0, 0] = np.eye(2)
    model.params["f"]["weight"][:] = [[0.31, -0.17], [-0.31, 0.17]]
    x = np.ones((1, 2, 2, 2), np.uint8)
    trained, integers = spikes(model, x)
    assert trained == integers
    assert np.sum(trained) > 0


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("bits", [3, 4, 5, 7])
def test_batch_norm_of_either_sign(bits, sign):
    """`sign * (sign * 1/2 - mean) + bias` with a mean of 1/4 and a bias of 3/4 * theta or so: U = 1."""
    model = one_layer(Linear("f", "x", 1, Quantizer(bits, "one"), bias=False, batch_norm=True), shape=(1, 1, 1))
    model.params["f"]["weight"][:] = sign
    model.params["f"]["bn_weight"][:] = sign * 0.5
    model.params["f"]["bn_bias"][:] = 0.5
    model.state["f"]["var"][:] = ONE_MINUS_EPSILON
    assert spikes(model, ALL_ON[..., :1]) == ([[[[[1]]]]], [[[[[1]]]]])
    model.params["f"]["bn_bias"][:] = np.nextafter(np.float32(0.5), np.float32(0)) - 1e-5
    assert spikes(model, ALL_ON[..., :1]) == ([[[[[0]]]]], [[[[[0]]]]])


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_an_image_and_a_bias(bits):
    """128 of 256 levels and a bias of a half."""
    nodes = (Conv("c", "x", 1, 1, 1, 0, Quantizer(bits, "one"), bias=True, batch_norm=False),)
    model = one_layer(*nodes, shape=(1, 1, 1), peak=255, scale=1 / 256, spikes=False)
    model.params["c"]["weight"][:] = 1
    model.params["c"]["bias"][:] = 0.5
    for level, fires in ((127, 0), (128, 1), (129, 1)):
        assert spikes(model, np.full((1, 1, 1, 1), level, np.uint8)) == ([[[[[fires]]]]], [[[[[fires]]]]])


def exact_network(seed, reset, beta, steps):
    """All kinds of node; steps of weights are powers of two, biases and thresholds multiples of such."""
    rng = np.random.default_rng(seed)
    bits = int(rng.integers(2, 5))
    kept = Quantizer(bits, "kept")
    image = bool(rng.integers(2))
    theta = [float(rng.choice([0.5, 0.75, 1.0, 1.5])) for _ in range(4)]
    neuron = {"beta": beta, "reset": reset}
    nodes = (
        Input("x", (4, 4, 2), 15, 1 / 16) if image else Input("x", (4, 4, 2), 1, 1.0, True),
        Conv("c1", "x", 4, quantizer=kept, bias=True, batch_norm=bool(rng.integers(2))),
        LIF("l1", ("c1",), theta[0], **neuron),
        Conv("c2", "l1", 4, quantizer=kept, batch_norm=True),
        Shortcut("s", "l1", 4, 1, (2, -1, 0, 1)),
        LIF("l2", ("c2", "s"), theta[1], **neuron),
        Sum("sum", ("l1", "l2")),
        MaxPool("max", "sum", 2, 1),
        Conv("c3", "max", 3, 3, quantizer=Quantizer(2, "kept"), batch_norm=False),
        Conv("c4", "max", 3, 1, 1, 0, quantizer=kept, batch_norm=True),
        Shortcut("s2", "max", 3, 1, (0, 3, -1)),
        LIF("l3", ("c3", "c4", "s2"), theta[2], **neuron),
        AvgPool("avg", "l3", 2),
        Linear("f", "avg", 3, quantizer=kept, bias=True),
        LIF("l4", ("f",), theta[3], **neuron),
        Linear("o", "l4", 2),
        Readout("r", "o"),
    )
    model = initialise(Network(nodes, steps), seed)
    for node in model.network.of(Conv, Linear)[:-1]:
        params, state = model.params[node.name], model.state.get(node.name, {})
        levels = node.quantizer.levels
        state["gamma"][:] = levels * 2.0 ** rng.integers(-4, -2, node.channels)
        params["weight"][:] = rng.normal(0, 0.6, params["weight"].shape) * state["gamma"]
        if node.bias:
            params["bias"][:] = rng.integers(-3, 4, node.channels) / 8
        if node.batch_norm:
            params["bn_weight"][:] = rng.choice([-1, -0.5, 1, 2], node.channels)
            params["bn_bias"][:] = rng.integers(0, 5, node.channels) / 16
            params.get("bias", params["bn_bias"][:0])[:] = 0
            state["var"][:] = ONE_MINUS_EPSILON
    peak = model.network.input.peak
    return model, rng.integers(0, peak + 1, (steps, 6, 4, 4, 2)).astype(np.uint8)


def at_threshold(model, x):
    """How many membranes are exactly at their thresholds."""
    done = forward(model, x, save_for_backward=True)
    return sum(int((potentials(n, done.caches[n.name]) == n.threshold).sum()) for n in model.network.neurons)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("beta", [0.5, 0.25, 0.75, 1.0, 0.0])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_exact_networks_fire_alike(steps, beta, reset):
    """Spike for spike, through all layers, and the report says so beforehand."""
    ties = fired = 0
    for seed in range(6):
        model, x = exact_network(seed, reset, beta, steps)
        lowered = lower(model)
        for part in lowered.report.neurons:
            assert part.exact.all(), (seed, part.name)
            assert not part.margin.any()
        done = forward(model, x, save_for_backward=True)
        run = simulate(lowered.network, x, record="spikes")
        for lif in model.network.neurons:
            np.testing.assert_array_equal(run.spikes[lif.name], done.values[lif.name], err_msg=f"{seed} {lif.name}")
        ties += at_threshold(model, x)
        fired += sum(int(one.sum()) for one in run.spikes.values())
    assert ties > 20
    assert fired > 500


def test_the_report_says_where_neurons_are_exact():
    model, _ = exact_network(0, "zero", 0.5, 2)
    model.params["f"]["bias"][1] = 0.1
    report = lower(model).report
    assert report["l4"].exact.tolist() == [True, False, True]
    assert (report["l4"].margin > 0).tolist() == [False, True, False]
    assert "l1: exact: trained and integer neurons fire alike on the same inputs" in str(report)
    assert "l4: 2 of 3 channels exact" in str(report)
    told = report.to_dict()["neurons"]
    assert (told["l1"]["exact"], told["l4"]["exact"], told["l4"]["exact_channels"]) == (True, False, 2)


@pytest.mark.parametrize("reset", RESETS)
def test_float32_that_rounds_is_not_called_exact(reset):
    """A step of 1/15 in float32, a leak of 0.9 or too many leaks, and weights in floating point."""
    model, _ = exact_network(0, reset, 0.5, 2)
    assert lower(model).report["l1"].exact.all()
    for name, changes in (("c1", {"quantizer": None}), ("l1", {"beta": 0.9})):
        network = model.network.change(name, **changes)
        assert not lower(model._replace(network=network)).report["l1"].exact.any()
    longer = Network(model.network.nodes, 24)
    assert not lower(model._replace(network=longer)).report["l1"].exact.any()
    model.state["c1"]["gamma"][:] = 1
    assert not lower(model).report["l1"].exact.any()


def one_weight(step, bias, theta, steps=1, **neuron):
    """U += step + bias for every spike; all of them powers of two or sums of few."""
    model = one_layer(
        Linear("f", "x", 1, Quantizer(2, "kept")), shape=(1, 1, 1), steps=steps, threshold=theta, **neuron
    )
    model.state["f"]["gamma"][:], model.params["f"]["weight"][:] = 3 * step, step
    model.params["f"]["bias"][:] = bias
    return model


@pytest.mark.parametrize(("bias", "exact"), [(2.0**-20, True), (2.0**-22, False)])
def test_exact_takes_no_more_digits_than_float32_has(bias, exact):
    report = lower(one_weight(4.0, bias, 5.0), fraction_bits=24).report["l"]
    assert (report.exact.tolist(), bool(report.margin[0] == 0)) == ([exact], exact)
    assert report.bias == 0


@pytest.mark.parametrize(("fraction_bits", "exact"), [(0, False), (3, False), (4, True), (16, True)])
def test_a_leak_that_rounds_is_exact_where_bits_are_left_for_it(fraction_bits, exact):
    """Two leaks of 3/4 take four bits."""
    report = lower(one_weight(0.5, 0.0, 2.0, 3, beta=0.75), fraction_bits=fraction_bits).report["l"]
    assert report.exact.tolist() == [exact]


@pytest.mark.parametrize(("theta", "fraction_bits", "exact"), [(1.0, 0, True), (1.125, 0, False), (1.125, 2, True)])
def test_a_shift_is_exact_at_a_whole_threshold_or_where_bits_are_left_for_it(theta, fraction_bits, exact):
    """0.5 + 1 / 2 + 0.5 / 4 is 1.125: rounded down to units of 0.5, less."""
    model = one_weight(0.5, 0.0, theta, 3, beta=0.5)
    lowered = lower(model, fraction_bits=fraction_bits)
    assert lowered.report["l"].exact.tolist() == [exact]
    for frames in np.ndindex(2, 2, 2):
        x = np.array(frames, np.uint8).reshape(3, 1, 1, 1, 1)
        trained, integers = spikes(model, x, fraction_bits)
        assert trained == integers or not exact


def test_what_is_no_whole_number_of_units_is_rounded_to_nearest():
    nodes = (Linear("a", "x", 1, Quantizer(2, "kept"), bias=False), Linear("b", "x", 1, Quantizer(2, "kept")))
    model = one_layer(*nodes, shape=(1, 1, 1), threshold=0.7772)
    for name, gamma in (("a", 3.0), ("b", 1.8)):
        model.state[name]["gamma"][:], model.params[name]["weight"][:] = gamma, gamma / 3
    model.params["b"]["bias"][:] = 0.6 * np.pi
    arrays = lower(model, fraction_bits=0).network.arrays
    assert (arrays["a"]["gain"].tolist(), arrays["b"]["gain"].tolist()) == ([2], [1])
