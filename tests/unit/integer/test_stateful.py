"""Networks that run on: piece after piece they give what one long run gives, in the twin's loops and on their own."""

from __future__ import annotations

import numpy as np
import pytest
import small
from generators import random_integer_network

from naive import integer as naive
from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError, UnsupportedError
from qpsnn_core.integer.bounds import UNBOUNDED, Interval, leak, membrane
from qpsnn_core.integer.lowering.lower import horizon, lower
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.integer.stateful import StatefulSimulator
from qpsnn_core.network import LIF, Input, Network
from qpsnn_core.network.nodes import RESETS

PIECES = 4


def frames_of(network, steps, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, network.input.peak + 1, (steps, batch, *network.input.shape)).astype(np.uint8)


def runs_on(seed, resets=("zero",)):
    """A random network all of whose neurons leak, else None."""
    network, _ = random_integer_network(seed, resets)
    return network if all(node.multiplier < 2**node.shift for node in network.of(IntLIF)) else None


LEAKING = [seed for seed in range(40) if runs_on(seed)][:15]


@pytest.mark.parametrize("resets", [("zero",), ("zero", "subtract")], ids=str)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("seed", LEAKING)
def test_kept_membranes_make_of_all_pieces_one_long_run(seed, steps, resets):
    network = runs_on(seed, resets)
    frames = frames_of(network, PIECES * steps)
    long = IntegerNetwork(network.nodes, network.arrays, PIECES * steps)
    readout, spikes, membranes = naive.run(long, frames)
    running = StatefulSimulator(network, steps, keep=True)
    pieces = [running.run(frames[k : k + steps]) for k in range(0, PIECES * steps, steps)]
    np.testing.assert_array_equal(sum(piece.readout for piece in pieces), readout)
    np.testing.assert_array_equal(simulate(long, frames).readout, readout)
    for name, ref in spikes.items():
        np.testing.assert_array_equal(np.concatenate([piece.spikes[name] for piece in pieces]), ref)
        np.testing.assert_array_equal(np.concatenate([piece.membranes[name] for piece in pieces]), membranes[name])


def test_kept_membranes_change_what_comes_next():
    """Else the test above could not fail."""
    differ = 0
    for seed in LEAKING:
        network = runs_on(seed)
        frames = frames_of(network, 2)
        kept, apart = StatefulSimulator(network, 1, keep=True), StatefulSimulator(network, 1)
        for one in (kept, apart):
            one.run(frames[:1])
        a, b = kept.run(frames[1:]), apart.run(frames[1:])
        differ += any((a.membranes[name] != b.membranes[name]).any() for name in a.membranes)
    assert differ > len(LEAKING) // 2


@pytest.mark.parametrize("seed", range(10))
def test_without_keeping_each_piece_is_a_sample(seed):
    network, _ = random_integer_network(seed)
    frames = frames_of(network, 2 * network.steps)
    running = StatefulSimulator(network, network.steps)
    for part in np.split(frames, 2):
        ref, comp = simulate(network, part, record="all"), running.run(part)
        np.testing.assert_array_equal(comp.readout, ref.readout)
        for name in ref.spikes:
            np.testing.assert_array_equal(comp.spikes[name], ref.spikes[name])
            np.testing.assert_array_equal(comp.membranes[name], ref.membranes[name])


def test_after_a_reset_it_begins_at_0():
    changed = 0
    for seed in LEAKING:
        frames = frames_of(runs_on(seed), 2)
        running = StatefulSimulator(runs_on(seed), 2, keep=True)
        first, again = running.run(frames), running.run(frames)
        running.reset()
        for name, ref in running.run(frames).membranes.items():
            np.testing.assert_array_equal(ref, first.membranes[name])
            changed += (again.membranes[name] != ref).any()
    assert changed > len(LEAKING) // 2


def test_pieces_of_another_batch_are_refused():
    running = StatefulSimulator(runs_on(LEAKING[0]), 1, keep=True)
    running.run(frames_of(running.network, 1, batch=2))
    with pytest.raises(ShapeError, match=r"membranes to begin with: expected int32 \[3, .*got int32 \[2, "):
        running.run(frames_of(running.network, 1, batch=3))
    running.reset()
    running.run(frames_of(running.network, 1, batch=3))


def neuron(leak=(1, 1), gain=64, bias=0):
    """A neuron whose current is `gain * 65535 * 255` at most."""
    nodes = (
        IntInput("in", (1, 1, 1), 65535),
        IntConv("conv", "in", 1, 1, 1, 0),
        IntLIF("lif", ("conv",), *leak),
        IntLinear("fc", "lif", 1),
        IntReadout("out", "fc"),
    )
    one = np.ones(1, np.int32)
    arrays = {
        "conv": {"codes": np.full((1, 1, 1, 1), 255, np.int16), "gain": one * gain},
        "lif": {"threshold": one * (2**31 - 1), "bias": one * bias},
        "fc": {"codes": np.ones((1, 1), np.int8), "gain": one},
        "out": {"bias": one},
    }
    return IntegerNetwork(nodes, arrays, 2)


def test_what_could_leave_int32_some_day_is_refused_beforehand():
    StatefulSimulator(neuron(gain=63), 1, keep=True)
    StatefulSimulator(neuron(gain=80), 1)
    with pytest.raises(NumericsError, match=rf"lif\.membrane: expected membranes within {UNBOUNDED} steps"):
        StatefulSimulator(neuron(gain=80), 1, keep=True)
    with pytest.raises(UnsupportedError, match=r"lif\.multiplier: expected less than 2\*\*shift: a leak.* got 1"):
        StatefulSimulator(neuron((1, 0), gain=1), 1, keep=True)
    for steps in (0, True, 1.0):
        with pytest.raises(ConfigError, match="steps: expected a whole number"):
            StatefulSimulator(neuron(gain=1), steps)
    with pytest.raises(ShapeError, match="images"):
        StatefulSimulator(neuron(gain=1), 2).run(np.zeros((3, 1, 1, 1, 1), np.uint8))


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("settings", [(1, 1), (0, 0), (1, 2), (3, 2), (4095, 12), (1, 12)], ids=str)
def test_bounds_for_ever_hold_at_every_step_and_are_not_much_wider(settings, reset):
    """Against the ends themselves, followed in Python's integers until they no longer move."""
    multiplier, shift = settings
    for low, high, bias, threshold in (
        (-900, 700, 3, 10**9),
        (-5, 0, 0, 1),
        (-1, 1, -1, 50),
        (0, 9, 40, 30),
        (7, 9, 0, 5),
    ):
        currents = (Interval(np.array([low]), np.array([high])),)
        ever = membrane(currents, np.array([bias]), np.array([threshold]), multiplier, shift, reset, UNBOUNDED)
        least, most = 0, 0
        for _ in range(100_000):
            below = min(least, leak(least, multiplier, shift) + low + bias)
            before = leak(most, multiplier, shift) + high + bias
            above = max(most, min(before, threshold - 1), before - threshold if reset == "subtract" else 0)
            if (below, above) == (least, most):
                break
            least, most = below, above
        else:
            raise AssertionError("the ends still move")
        slack = 2**shift // (2**shift - multiplier) + 1
        assert least - slack <= ever.after.low[0] <= (least if least < threshold else 0)
        assert most <= ever.after.high[0] <= most + slack
        assert ever.before.low[0] <= leak(least, multiplier, shift) + low + bias
        assert ever.before.high[0] >= leak(most, multiplier, shift) + high + bias


def events_model(beta=0.5):
    """`small`'s model with events for an input and neurons of that leak."""
    made = small.model(peak=255)
    nodes = [
        Input(node.name, node.shape, node.peak, 1.0, spikes=True)
        if isinstance(node, Input)
        else LIF(node.name, node.sources, beta=beta)
        if isinstance(node, LIF)
        else node
        for node in made.network
    ]
    return made._replace(network=Network(tuple(nodes), made.network.steps))


def test_a_network_for_events_is_lowered_to_run_on(monkeypatch):
    """Its units give way where T steps would have fitted, but not any number of them."""
    model, images = events_model(), small.model(peak=255).network
    assert horizon(model.network) == UNBOUNDED
    assert horizon(images) == images.steps
    StatefulSimulator(lower(model).network, 1, keep=True)
    monkeypatch.setattr("qpsnn_core.integer.lowering.lower.horizon", lambda network: network.steps)
    with pytest.raises(NumericsError, match=r"lif\d\.membrane"):
        StatefulSimulator(lower(model).network, 1, keep=True)


def test_a_network_for_events_without_a_leak_is_lowered_for_its_own_steps():
    model = events_model(beta=1.0)
    assert horizon(model.network) == model.network.steps
    assert lower(model).network.steps == model.network.steps
