"""What can leave int32 is refused with figures; what cannot is let pass, to the last unit."""

from __future__ import annotations

import numpy as np
import pytest
from generators import random_integer_network

from naive import integer as naive
from qpsnn_core.errors import NumericsError
from qpsnn_core.integer.bounds import FAR, Interval, leak, membrane
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout

INT32 = 2**31 - 1


def wide(steps=1, kernel=1, gain=1, bias=0, threshold=INT32, leak=(1, 0), offset=1):
    """One neuron, whose X is 65535 * 255 * kernel**2 * gain at most; offset: the readout's bias."""
    nodes = (
        IntInput("in", (kernel, kernel, 1), 65535),
        IntConv("conv", "in", 1, kernel, 1, 0),
        IntLIF("lif", ("conv",), *leak),
        IntLinear("fc", "lif", 1),
        IntReadout("out", "fc"),
    )
    one = np.ones(1, np.int32)
    arrays = {
        "conv": {"codes": np.full((kernel, kernel, 1, 1), 255, np.int16), "gain": one * gain},
        "lif": {"threshold": one * threshold, "bias": one * bias},
        "fc": {"codes": np.ones((1, 1), np.int8), "gain": one},
        "out": {"bias": one * offset},
    }
    return IntegerNetwork(nodes, arrays, steps)


def test_currents():
    assert wide(gain=128).values["conv"].peak == 65535 * 255 * 128
    with pytest.raises(NumericsError, match=rf"conv\.gain: .*at most {INT32}, got up to {65535 * 255 * 129} "):
        wide(gain=129)


def test_accumulators():
    assert wide(kernel=11).values["conv"].peak == 65535 * 255 * 121
    with pytest.raises(NumericsError, match=rf"conv\.codes: .*got up to {65535 * 255 * 144} .channel 0."):
        wide(kernel=12)


def test_codes_of_both_signs_count_together():
    """A partial sum may be larger than the sum; which one, depends on the order."""
    net = wide(kernel=2)
    codes = net.arrays["conv"]["codes"].copy()
    codes[0] *= -1
    mixed = IntegerNetwork(net.nodes, {**net.arrays, "conv": {**net.arrays["conv"], "codes": codes}}, 1)
    assert mixed.values["conv"].sums == 65535 * 255 * 4
    assert mixed.values["conv"].peak == 65535 * 255 * 2


def test_membranes():
    x = 65535 * 255
    steps = INT32 // x
    reach = wide(steps).values["lif"].membrane
    assert reach.before.high.tolist() == [x * steps]
    with pytest.raises(NumericsError, match=rf"lif\.membrane: .*got up to {x * (steps + 1)} "):
        wide(steps + 1)
    assert wide(10_000, leak=(1, 1)).values["lif"].membrane.before.high[0] <= 2 * x


def test_a_reset_bounds_the_membrane():
    assert wide(10_000, threshold=7).values["lif"].membrane.after.high.tolist() == [6]
    assert wide(10_000, threshold=7, bias=-1).values["lif"].membrane.after.low.tolist() == [-10_000]


def test_bias():
    room = INT32 - 65535 * 255
    assert wide(bias=room, threshold=1, leak=(0, 0)).values["lif"].membrane.largest.tolist() == [INT32]
    with pytest.raises(NumericsError, match=rf"got up to {INT32 + 1} "):
        wide(bias=room + 1, threshold=1, leak=(0, 0))


def test_the_readout():
    assert wide(steps=3, offset=INT32 - 1).values["out"].peak == 3 * INT32
    with pytest.raises(NumericsError, match=rf"out\.bias: expected currents with their bias .*up to {INT32 + 1} "):
        wide(offset=INT32)


def test_no_figure_wraps_however_long_the_run():
    low = Interval(np.array([-(2**31)]), np.array([0]))
    reach = membrane((low,), np.array([-(2**31)]), np.array([1]), 1, 0, 10**4)
    assert reach.after.low.tolist() == [-FAR]
    assert reach.largest[0] > INT32


def test_leaks_round_down():
    assert leak(np.array([7, -7]), 1, 1).tolist() == [3, -4]
    assert leak(np.array([-(2**31)]), 4096, 12).tolist() == [-(2**31)]


@pytest.mark.parametrize("seed", range(40))
def test_the_bounds_hold_whatever_the_images(seed):
    net, images = random_integer_network(seed)
    extreme = np.stack([np.zeros_like(images), np.full_like(images, net.input.peak), images])
    for frames in extreme:
        _, _, membranes = naive.run(net, frames)
        for name, after in membranes.items():
            reach = net.values[name].membrane.after
            assert (after >= reach.low).all()
            assert (after <= reach.high).all()
