"""What can leave int32 is refused with figures; what cannot is let pass, to the last unit."""

from __future__ import annotations

import time

import numpy as np
import pytest
from generators import random_integer_network

from naive import integer as naive
from qpsnn_core.common.errors import NumericsError
from qpsnn_core.integer.bounds import FAR, UNBOUNDED, WALKED, Interval, leak, membrane
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLevels, IntLIF, IntLinear, IntReadout
from qpsnn_core.network.nodes import RESETS

INT32 = 2**31 - 1


def wide(steps=1, kernel=1, gain=1, bias=0, threshold=INT32, leak=(1, 0), offset=1, reset="zero"):
    """One neuron, whose X is 65535 * 255 * kernel**2 * gain at most; offset: the readout's bias."""
    nodes = (
        IntInput("in", (kernel, kernel, 1), 65535),
        IntConv("conv", "in", 1, kernel, 1, 0),
        IntLIF("lif", ("conv",), *leak, reset),
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
    assert wide(gain=128).values["conv"].max_count == 65535 * 255 * 128
    with pytest.raises(NumericsError, match=rf"conv\.gain: .*at most {INT32}, got up to {65535 * 255 * 129} "):
        wide(gain=129)


def test_accumulators():
    assert wide(kernel=11).values["conv"].max_count == 65535 * 255 * 121
    with pytest.raises(NumericsError, match=rf"conv\.codes: .*got up to {65535 * 255 * 144} .channel 0."):
        wide(kernel=12)


def test_codes_of_both_signs_count_together():
    """A partial sum may be larger than the sum; which one, depends on the order."""
    net = wide(kernel=2)
    codes = net.arrays["conv"]["codes"].copy()
    codes[0] *= -1
    mixed = IntegerNetwork(net.nodes, {**net.arrays, "conv": {**net.arrays["conv"], "codes": codes}}, 1)
    assert mixed.values["conv"].sums == 65535 * 255 * 4
    assert mixed.values["conv"].max_count == 65535 * 255 * 2


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


def test_a_reset_by_subtraction_leaves_what_is_above_the_threshold():
    """Without a leak it grows by drive - threshold at every step; with one it stays in range for ever."""
    x = 65535 * 255
    settings = {"threshold": 7, "reset": "subtract"}
    assert wide(1, **settings).values["lif"].membrane.after.high.tolist() == [x - 7]
    assert wide(3, **settings).values["lif"].membrane.after.high.tolist() == [3 * (x - 7)]
    steps = INT32 // x
    assert wide(steps, **settings).values["lif"].membrane.before.high.tolist() == [x * steps - 7 * (steps - 1)]
    with pytest.raises(NumericsError, match=rf"lif\.membrane: .*got up to {x * (steps + 1) - 7 * steps} "):
        wide(steps + 1, **settings)
    assert wide(UNBOUNDED, leak=(1, 1), **settings).values["lif"].membrane.after.high.tolist() == [2 * (x - 7)]
    calm = wide(100, bias=6 - x, **settings).values["lif"].membrane
    assert calm.after.high.tolist() == [6]
    assert calm.after.low.tolist() == [-100 * (x - 6)]


def ends(interval, bias, threshold, multiplier, shift, reset, steps, levels=None):
    """The least and the largest U and U~ within so many steps, U=0 among them: every integer X tried at every step."""
    reached, before = {0}, set()
    for _ in range(steps):
        charged = {(u * multiplier >> shift) + bias + x for u in reached for x in range(interval[0], interval[1] + 1)}
        before |= charged
        fired = {u - threshold if reset == "subtract" else 0 for u in charged if u >= threshold}
        reached = {0, *(u for u in charged if u < threshold), *fired}
        if levels is not None:
            reached = {naive.level(u, threshold, levels) for u in reached}
    return min(reached), max(reached), min(before), max(before)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("leak", [(1, 1), (0, 0), (1, 0), (3, 2), (7, 3), (1, 12)], ids=str)
def test_bounds_against_every_input_there_is(leak, reset):
    """They hold; they are reached wherever an input of 0 can be had (else U may leap over threshold - 1)."""
    rng = np.random.default_rng([*leak, len(reset)])
    for case in range(60):
        low, high = sorted(int(x) for x in rng.integers(-9, 10, 2))
        bias, threshold, steps = int(rng.integers(-6, 7)), int(rng.integers(1, 14)), int(rng.integers(1, 7))
        currents = (Interval(np.array([low]), np.array([high])),)
        given = (currents, np.array([bias]), np.array([threshold]), *leak, reset)
        least, most, below, above = ends((low, high), bias, threshold, *leak, reset, steps)
        reach = membrane(*given, steps)
        assert reach.after.low[0] <= least
        assert reach.after.high[0] >= most
        assert reach.before.low[0] <= below
        assert reach.before.high[0] >= above
        assert reach.largest[0] >= max(-below, above)
        if low + bias <= 0 <= high + bias:
            found = (reach.after.low[0], reach.after.high[0], reach.before.low[0], reach.before.high[0])
            assert found == (least, most, below, above), case
        if leak[0] < 2 ** leak[1]:
            ever = membrane(*given, UNBOUNDED)
            assert ever.after.low[0] <= reach.after.low[0]
            assert ever.after.high[0] >= reach.after.high[0]


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("levels", [IntLevels(-1, 1), IntLevels(-3, 1, 2), IntLevels(0, 2)], ids=str)
def test_bounds_of_few_levels_against_every_input_there_is(levels, reset):
    """For any number of steps, with and without a leak; in most cases they are reached."""
    rng, tight = np.random.default_rng(len(reset)), 0
    for case in range(60):
        low, high = sorted(int(x) for x in rng.integers(-9, 10, 2))
        bias, threshold = int(rng.integers(-3, 4)), int(rng.integers(1, 9)) * levels.parts
        currents, leak = (Interval(np.array([low]), np.array([high])),), [(1, 1), (3, 2), (1, 0)][case % 3]
        given = (currents, np.array([bias]), np.array([threshold]), *leak, reset)
        for steps, counted in ((3, 3), (UNBOUNDED, 20)):
            least, most, below, above = ends((low, high), bias, threshold, *leak, reset, counted, levels)
            reach = membrane(*given, steps, levels)
            assert levels.low * threshold <= reach.after.low[0] <= least
            assert most <= reach.after.high[0] <= levels.high * threshold
            assert reach.before.low[0] <= below
            assert reach.before.high[0] >= above
        tight += (reach.after.low[0], reach.after.high[0]) == (least, most)
    assert tight > 45


def test_bias():
    room = INT32 - 65535 * 255
    assert wide(bias=room, threshold=1, leak=(0, 0)).values["lif"].membrane.largest.tolist() == [INT32]
    with pytest.raises(NumericsError, match=rf"got up to {INT32 + 1} "):
        wide(bias=room + 1, threshold=1, leak=(0, 0))


def test_the_readout():
    assert wide(steps=3, offset=INT32 - 1).values["out"].max_count == 3 * INT32
    with pytest.raises(NumericsError, match=rf"out\.bias: expected currents with their bias .*up to {INT32 + 1} "):
        wide(offset=INT32)


def test_no_figure_wraps_however_long_the_run():
    low = Interval(np.array([-(2**31)]), np.array([0]))
    high = Interval(np.array([0]), np.array([2**31]))
    for reset in RESETS:
        reach = membrane((low,), np.array([-(2**31)]), np.array([1]), 1, 0, reset, 10**4)
        assert reach.after.low.tolist() == [-FAR]
        assert reach.largest[0] > INT32
    reach = membrane((high,), np.array([2**31]), np.array([1]), 1, 0, "subtract", 10**4)
    assert reach.after.high.tolist() == [FAR]
    assert reach.largest[0] > INT32


def test_leaks_round_down():
    assert leak(np.array([7, -7]), 1, 1).tolist() == [3, -4]
    assert leak(np.array([-(2**31)]), 4096, 12).tolist() == [-(2**31)]


@pytest.mark.parametrize("seed", range(40))
def test_the_bounds_hold_whatever_the_images(seed):
    net, images = random_integer_network(seed, RESETS)
    extreme = np.stack([np.zeros_like(images), np.full_like(images, net.input.peak), images])
    for frames in extreme:
        _, _, membranes = naive.run(net, frames)
        for name, after in membranes.items():
            reach = net.values[name].membrane.after
            assert (after >= reach.low).all()
            assert (after <= reach.high).all()


def walked(drive, limit, multiplier, shift, reset, steps):
    """What `membrane` gives, step by step: U after T - 1 steps, U~ of the last, U after it; Python's own integers."""
    low = high = 0
    for _ in range(steps):
        left = low * multiplier >> shift, high * multiplier >> shift
        before = min(drive[0], left[0] + drive[0]), max(drive[1], left[1] + drive[1])
        low = min(low, before[0] if before[0] < limit else 0)
        high = max(high, min(before[1], limit - 1), before[1] - limit if reset == "subtract" else 0)
    return before, (low, high)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("leak", [(1, 0), (1, 1), (3, 2), (1023, 10), (4095, 12)], ids=str)
def test_bounds_of_many_steps_are_those_of_walking_them(leak, reset):
    """Exactly without a leak and up to WALKED steps; later never inside, and outside by 1 / (1 - leak) at most."""
    rng = np.random.default_rng([*leak, len(reset)])
    for steps in (1, 2, 3, 17, WALKED, WALKED + 1, WALKED + 2, 700, 5000):
        for _ in range(20):
            drive = sorted(int(x) for x in rng.integers(-300, 300, 2))
            limit = int(rng.choice([1, 2, 90, 5000, 10**6]))
            bounds = (Interval(np.array([drive[0]]), np.array([drive[1]])),)
            reach = membrane(bounds, np.array([0]), np.array([limit]), *leak, reset, steps)
            before, after = walked(drive, limit, *leak, reset, steps)
            found = (*(int(end[0]) for end in reach.before), *(int(end[0]) for end in reach.after))
            if steps <= WALKED + 1 or leak == (1, 0):
                assert found == (*before, *after)
            room = 3 + 1 / (1 - leak[0] / 2 ** leak[1]) if leak != (1, 0) else 0
            for ref, comp, sign in zip((*before, *after), found, (-1, 1, -1, 1), strict=True):
                assert 0 <= sign * (comp - ref) <= room, (drive, limit, steps)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(("leak", "most"), [((1, 0), INT32), ((1, 1), 2), ((4095, 12), 4097)], ids=str)
@pytest.mark.parametrize("steps", [10**9, 10**30])
def test_bounds_take_no_longer_for_any_number_of_steps(steps, leak, most, reset):
    """One is added at every step: walked, that takes minutes to for ever."""
    started = time.process_time()
    made = wide(steps, gain=0, bias=1, threshold=INT32 - 1, leak=leak, reset=reset, offset=0)
    assert made.values["lif"].membrane.before.high[0] <= most
    assert time.process_time() - started < 1


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("steps", [10**9, 10**30])
def test_a_membrane_that_falls_too_far_is_refused_at_once(steps, reset):
    started = time.process_time()
    with pytest.raises(NumericsError, match=rf"lif\.membrane: expected membranes within {steps} steps of at most"):
        wide(steps, gain=0, bias=-4, threshold=7, reset=reset, offset=0)
    assert time.process_time() - started < 1
