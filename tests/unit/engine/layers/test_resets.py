"""A reset by subtraction is that of SpikingJelly, and of snnTorch where no membrane stays above its threshold."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.engine import passes
from qpsnn_core.engine.layers import lif
from qpsnn_core.engine.layers.base import Current, LayerContext
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, Input, Linear, Network, Quantizer, Readout, ValueSpec

F = np.float32
STEPS, NEURONS = 12, 500


def spikingjelly(x, tau, threshold):
    """LIFNode(tau, decay_input=False, v_threshold=threshold, v_reset=None): charge, fire, reset. [T, N]."""
    v, spikes = np.zeros(x.shape[1:], F), []
    for current in x:
        v = v * F(1 - 1 / tau) + current
        spike = (v - F(threshold) >= 0).astype(F)
        v = v - spike * F(threshold)
        spikes.append(spike)
    return np.array(spikes)


def snntorch(x, beta, threshold):
    """Leaky(beta, threshold, reset_mechanism="subtract", reset_delay=False): spikes and membranes [T, N].

    A membrane that is above the threshold after its reset is taken for one that has not been reset: the threshold is
    taken off before the neuron can fire, and given back if it does not.
    """
    mem, spikes, membranes = np.zeros(x.shape[1:], F), [], []
    for current in x:
        reset = (mem - F(threshold) > 0).astype(F)
        mem = F(beta) * mem + current - reset * F(threshold)
        spike = (mem - F(threshold) > 0).astype(F)
        mem = mem - (spike - reset) * F(threshold)
        spikes.append(spike)
        membranes.append(mem)
    return np.array(spikes), np.array(membranes)


def ours(x, beta, threshold):
    """Spikes [T, N] of the LIF layer."""
    node = LIF("lif", ("x",), threshold, beta, reset="subtract")
    value = ValueSpec("current", (1, 1, x.shape[1]))
    context = LayerContext({}, {}, (value,), len(x), False, False)
    ones = np.ones(x.shape[1], F)
    return lif.forward(node, context, Current(x[:, None, None, None], ones, 0 * ones)).value[:, 0, 0, 0]


def drive(strength):
    """Currents float32 [T, N]."""
    return np.random.default_rng(0).normal(strength, 0.6, (STEPS, NEURONS)).astype(F)


@pytest.mark.parametrize("strength", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("tau", [1.0, 4 / 3, 2.0, 10.0])
def test_spikingjelly(tau, strength):
    x = drive(strength)
    spikes = ours(x, 1 - 1 / tau, 0.9)
    np.testing.assert_array_equal(spikes, spikingjelly(x, tau, 0.9))
    assert 0 < spikes.mean() < 1


@pytest.mark.parametrize("strength", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 0.9])
def test_snntorch_until_a_membrane_stays_above_its_threshold(beta, strength):
    x = drive(strength)
    spikes, (ref, membranes) = ours(x, beta, 0.9), snntorch(x, beta, 0.9)
    above = (membranes > F(0.9)).cumsum(0)
    before = np.concatenate((np.zeros((1, NEURONS), int), above[:-1])) == 0
    np.testing.assert_array_equal(spikes[before], ref[before])
    assert before.mean() > 0.1
    assert 0 < spikes[before].mean() < 1


@pytest.mark.parametrize("beta", [0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("strength", [0.2, 0.5, 2.0])
def test_their_own_neurons_as_recorded(root, strength, beta):
    """tests/golden/make_resets.py ran them."""
    with np.load(root / "tests" / "golden" / "resets.npz") as file:
        x = file[f"{strength}/currents"]
        jelly, torch, above = (
            np.unpackbits(file[f"{strength}/{beta}/{name}"], count=x.size).reshape(x.shape)
            for name in ("spikingjelly", "snntorch", "above")
        )
    spikes = ours(x, beta, 0.9)
    np.testing.assert_array_equal(spikes, jelly)
    ref, membranes = snntorch(x, beta, 0.9)
    np.testing.assert_array_equal(ref, torch)
    np.testing.assert_array_equal(membranes > F(0.9), above)
    before = np.concatenate((np.zeros((1, x.shape[1]), int), above.astype(int).cumsum(0)[:-1])) == 0
    np.testing.assert_array_equal(spikes[before], torch[before])
    assert before.mean() > 0.1
    assert 0 < jelly.mean() < 1


def test_snntorch_differs_beyond():
    """A current of 2.5 and then nothing, without a leak: ours fires at 2.5 and 1.5; at 1.5 snnTorch sees 0.5."""
    x = np.array([[2.5], [0], [0]], F)
    assert ours(x, 1.0, 1.0)[:, 0].tolist() == [1, 1, 0]
    spikes, membranes = snntorch(x, 1.0, 1.0)
    assert (spikes[:, 0].tolist(), membranes[:, 0].tolist()) == ([1, 0, 0], [1.5, 1.5, 1.5])


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.75])
def test_the_integer_network_fires_as_the_trained_one(beta):
    """The same images through both: a spike that 16 fraction bits round away would be one in thousands."""
    nodes = (
        Input("input", (1, 1, 3), peak=9, scale=1.0),
        Linear("linear", "input", 4, quantizer=Quantizer(8, "max", "layer"), bias=False),
        LIF("lif", ("linear",), 1.5, beta, reset="subtract"),
        Linear("last", "lif", 2, quantizer=Quantizer(8, "max", "layer"), bias=False),
        Readout("readout", "last"),
    )
    model = passes.initialise(Network(nodes, 6), 0)
    model.params["linear"]["weight"][:] = np.random.default_rng(1).normal(0.05, 0.15, (3, 4))
    images = np.random.default_rng(2).integers(0, 10, (40, 1, 1, 3)).astype(np.uint8)
    ref = passes.forward(model, images, save_for_backward=True).values["lif"]
    lowered = lower(model).network
    assert lowered["lif"].reset == "subtract"
    spikes = simulate(lowered, images, record="spikes").spikes["lif"]
    np.testing.assert_array_equal(spikes, ref)
    assert 0.1 < spikes.mean() < 0.9
