"""The LIF kernels against loops: forward bit for bit in float32, backward within its rounding.

Neurons are walked 16 at a time: 16 divides some of the channel counts below, and misses others by one; a chunk may have
fewer than 16 neurons. Chunks are run last to first, so that one that wrote past its end would spoil the next.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest

from naive import lif as naive
from naive.moments import of_products
from qpsnn_core.engine.layers.lif import levels_of
from qpsnn_core.kernels.neurons import lif
from qpsnn_core.kernels.simd.vector import take16
from qpsnn_core.network import surrogates
from qpsnn_core.network.membranes import MembraneQuantizer, edges, membrane_primitive, membrane_slope, quantized
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.surrogates import SURROGATES

F = np.float32
BETAS = [0.0, 0.5, 0.9, 1.0]
SHAPES = [(1, 1), (7, 3), (40, 1), (2, 15), (3, 16), (2, 17), (2, 31), (2, 33), (1, 64), (2, 100)]


def draw(seed, steps, positions, channels, dtype, length=None):
    """(acc, scale, shift) whose currents lie around a threshold of 1."""
    rng = np.random.default_rng(seed)
    shape = (length or steps, positions, channels)
    if np.dtype(dtype).kind == "f":
        acc = rng.normal(50, 150, shape)
    else:
        acc = rng.integers(0 if np.dtype(dtype).kind == "u" else -300, 250, shape)
    scale, shift = rng.normal(0.004, 0.002, channels).astype(F), rng.normal(0.1, 0.2, channels).astype(F)
    scale[0], shift[0] = 0.004, 0.1
    return acc.astype(dtype), scale, shift


def flat(array):
    return array.reshape(-1, array.shape[-1])


def driving(currents, steps):
    """The currents as the kernels take them; there may be one."""
    taken = [lif.current(flat(acc), *rest, acc.shape[1] if len(acc) == steps else 0) for acc, *rest in currents]
    return taken if len(taken) == 2 else (taken[0], None)


def summed(currents, steps):
    """X of one or two currents, by the loops."""
    x = naive.current(*currents[0], steps)
    return x if len(currents) == 1 else naive.add(x, *currents[1])


def chunks(positions):
    """Two chunks, the last one first; the first has a single position."""
    return [(1, positions), (0, 1)]


def run(kernel, currents, steps, beta, threshold, dtype, fill, spans=None, reset="zero", how=None):
    positions, channels = currents[0][0].shape[1:]
    out = np.full((steps * positions, channels), fill, dtype)
    settings = lif.LIFSettings(
        steps, positions, F(beta), F(threshold), lif.RESETS[reset], lif.TRIANGLE, F(1), False, levels_of(how)
    )
    for start, stop in spans or chunks(positions):
        kernel(start, stop, *driving(currents, steps), out, settings)
    return out.reshape(steps, positions, -1)


def run_back(currents, gradient, once, constants, spans=None, fill=np.nan):
    steps, positions, channels = gradient.shape
    out = np.full((positions * (1 if once else steps), channels), fill, F)
    moments = np.zeros((3, channels))
    for start, stop in spans or chunks(positions):
        taken = driving(currents, steps)
        settings = lif.LIFSettings(steps, positions, *constants)
        lif.lif_backward(start, stop, *taken, flat(gradient), out, moments, settings)
    return out.reshape(-1, positions, channels), moments


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_pieces_have_sums_of_their_own(size):
    """Each as lif_backward has them; later pieces first, and one that is empty."""
    acc, scale, shift = draw(0, 3, 7, 5, np.int16)
    currents, constants = ((acc, scale, shift),), (F(0.5), F(1), None, lif.TRIANGLE, F(1), False)
    gradient = np.random.default_rng(1).normal(0, 1, (3, 7, 5)).astype(F)
    count = -(-7 // size)
    spans = [(start, min(start + size, 7)) for start in range(0, 7, size)]
    pieces = np.array([*spans, (0, 0)])
    out, moments = np.full((21, 5), 77, F), np.zeros((count + 1, 3, 5))
    for start, stop in ((count // 2, count + 1), (0, count // 2)):
        given = (*driving(currents, 3), flat(gradient), out, moments, lif.LIFSettings(3, 7, *constants))
        lif.lif_backward_pieces(start, stop, pieces, *given)
    assert not moments[-1].any()
    ref, total = run_back(currents, gradient, False, constants, spans)
    np.testing.assert_array_equal(out.reshape(3, 7, 5), ref)
    np.testing.assert_allclose(moments.sum(0), total, rtol=1e-12)
    for span, own in zip(spans, moments[:-1], strict=True):
        np.testing.assert_array_equal(own, run_back(currents, gradient, False, constants, [span])[1])


def compare_forward(currents, steps, beta, reset, how=None):
    """Spikes and membranes of the kernels and of the loops: the same bits; the spikes."""
    ref, ref_before = naive.forward(summed(currents, steps), beta, 0.9, reset, how)
    spikes = run(lif.lif_forward, currents, steps, beta, 0.9, np.uint8, 9, reset=reset, how=how)
    np.testing.assert_array_equal(spikes, ref)
    before = run(lif.lif_potentials, currents, steps, beta, 0.9, F, np.nan, reset=reset, how=how)
    np.testing.assert_array_equal(before, ref_before)
    return spikes


def test_the_kernels_know_the_resets_of_the_node():
    assert tuple(lif.RESETS) == RESETS


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize(("steps", "length"), [(1, 1), (2, 2), (5, 5), (5, 1)])
def test_forward_gives_the_same_bits_as_the_loops(steps, length, dtype, beta, reset):
    compare_forward([draw([steps, 3], steps, 7, 3, dtype, length)], steps, beta, reset)


@pytest.mark.parametrize(("positions", "channels"), SHAPES)
@pytest.mark.parametrize("lengths", [(4,), (1,), (4, 4), (4, 1), (1, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("reset", RESETS)
def test_any_number_of_neurons_and_two_currents(lengths, positions, channels, reset):
    dtypes = (np.int16, np.float32)
    currents = [
        draw([7, channels, i], 4, positions, channels, d, n)
        for i, (n, d) in enumerate(zip(lengths, dtypes, strict=False))
    ]
    spikes = compare_forward(currents, 4, 0.5, reset)
    if spikes.size > 100:
        assert 0 < spikes.mean() < 1


def test_a_membrane_at_the_threshold_fires():
    """Eq. 2 has >=. Quarters are exact, so U~ is the threshold to the last bit; all three kernels must see it so."""
    acc = np.array([[[2, 2, 2]], [[3, 2, 4]], [[2, 2, 2]]], np.int16)
    currents = [(acc, np.full(3, 0.25, F), np.zeros(3, F))]
    spikes = run(lif.lif_forward, currents, 3, 0.5, 1.0, np.uint8, 0)
    np.testing.assert_array_equal(spikes[:, 0], [[0, 0, 0], [1, 0, 1], [0, 0, 0]])
    before = run(lif.lif_potentials, currents, 3, 0.5, 1.0, F, 0)
    np.testing.assert_array_equal(before[:, 0], [[0.5, 0.5, 0.5], [1, 0.75, 1.25], [0.5, 0.875, 0.5]])
    given = np.array([[[0, 0, 0]], [[0, 0, 0]], [[1, 1, 1]]], F)
    gradient, moments = run_back(currents, given, False, (F(0.5), F(1), None, lif.RECTANGULAR, F(4), True))
    np.testing.assert_array_equal(gradient[:, 0], [[0, 0.0625, 0], [0, 0.125, 0], [0.25, 0.25, 0.25]])
    np.testing.assert_array_equal(moments, [[0.25, 0.4375, 0.25], [0.5, 0.875, 0.5], [0, 0, 0]])


def test_the_membrane_is_zero_after_a_spike_whatever_it_was():
    currents = [(np.array([[[100]], [[0]], [[1]]], np.int16), np.ones(1, F), np.zeros(1, F))]
    comp = run(lif.lif_potentials, currents, 3, 0.5, 1.0, F, 0)
    np.testing.assert_array_equal(comp[:, 0, 0], [100, 0, 1])


def test_what_is_above_the_threshold_stays_after_a_reset_by_subtraction():
    """Fires for as long as it is at or above the threshold, at 2.5, 1.5 and 2 * 0.5."""
    currents = [(np.array([[[5]], [[0]], [[1]], [[0]]], np.int16), np.full(1, 0.5, F), np.zeros(1, F))]
    spikes = run(lif.lif_forward, currents, 4, 1.0, 1.0, np.uint8, 9, reset="subtract")
    np.testing.assert_array_equal(spikes[:, 0, 0], [1, 1, 1, 0])
    before = run(lif.lif_potentials, currents, 4, 1.0, 1.0, F, 0, reset="subtract")
    np.testing.assert_array_equal(before[:, 0, 0], [2.5, 1.5, 1, 0])


@pytest.mark.parametrize("channels", [1, 3, 16, 33])
def test_positions_outside_the_range_are_left_alone(channels):
    currents = [draw(3, 2, 5, channels, np.int16)]
    comp = run(lif.lif_forward, currents, 2, 0.5, 1.0, np.uint8, 9, [(1, 3)])
    assert (comp[:, [0, 3, 4]] == 9).all()
    assert (comp[:, 1:3] <= 1).all()
    constants = (F(0.5), F(1), None, lif.TRIANGLE, F(1), False)
    for once in (False, True):
        back, _ = run_back(currents, np.ones((2, 5, channels), F), once, constants, [(1, 3)])
        assert np.isnan(back[:, [0, 3, 4]]).all()
        assert np.isfinite(back[:, 1:3]).all()


def test_an_accumulator_beyond_24_bits_is_rounded_once():
    """int32 to float32 rounds half to even: 2**24 + 1 becomes 2**24."""
    acc = np.array([[[2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1]]], np.int32)
    comp = run(lif.lif_potentials, [(acc, np.ones(4, F), np.zeros(4, F))], 1, 0.5, 1.0, F, 0)
    np.testing.assert_array_equal(comp[0, 0], [2**24, 2**24 + 4, -(2**24), 2**31])


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_currents_are_added_in_their_order(length, dtype):
    acc, scale, shift = draw(5, 4, 6, 3, dtype, length)
    total = np.random.default_rng(1).normal(0, 1, (4, 6, 3)).astype(F)
    ref = naive.add(total, acc, scale, shift)
    comp = flat(total.copy())
    for start, stop in ((2, 6), (0, 2)):
        lif.add_current(start, stop, comp, flat(acc), scale, shift, 6, 6 if length == 4 else 0)
    np.testing.assert_array_equal(comp.reshape(total.shape), ref)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", SURROGATES)
@pytest.mark.parametrize("detach", [False, True], ids=["through", "detached"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("steps", "length", "dtype"), [(1, 1, np.int16), (5, 5, np.int32), (4, 1, np.float32)])
def test_backward_equals_the_loops(kind, detach, beta, steps, length, dtype, reset):
    compare_back([draw([steps, 11], steps, 7, 3, dtype, length)], steps, kind, detach, beta, reset)


@pytest.mark.parametrize(("positions", "channels"), SHAPES)
@pytest.mark.parametrize("lengths", [(4,), (1,), (4, 4), (4, 1), (1, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("reset", RESETS)
def test_backward_of_any_number_of_neurons_and_two_currents(lengths, positions, channels, reset):
    dtypes = (np.int16, np.float32)
    currents = [
        draw([8, channels, i], 4, positions, channels, d, n)
        for i, (n, d) in enumerate(zip(lengths, dtypes, strict=False))
    ]
    compare_back(currents, 4, "triangle", False, 0.5, reset)


def compare_back(currents, steps, kind, detach, beta, reset, how=None):
    """One float32 step errs by a few units in 2**24, and errors are carried T steps: 1e-6 of the largest gradient."""
    width, threshold = 1.3, 0.9
    _, before = naive.forward(summed(currents, steps), beta, threshold, reset, how)
    gradient = np.random.default_rng(2).normal(0, 1, before.shape).astype(F)
    distance = np.abs(before - F(threshold))
    assert np.abs(distance - (width / 2 if kind == "rectangular" else width)).min() > 1e-5, "on an edge of the slope"

    def slope(d):
        return surrogates.slope(kind, F(width).item(), d).item()

    ref = naive.backward(before, gradient, beta, threshold, reset, slope, detach, how, membrane_slope)
    largest = np.abs(ref).max()
    assert largest > 0.1 or ref.size < 10
    once = steps > 1 and all(len(acc) == 1 for acc, *_ in currents)
    constants = (F(beta), F(threshold), lif.RESETS[reset], SURROGATES[kind].number, F(width), detach, levels_of(how))
    comp, moments = run_back(currents, gradient, once, constants)
    np.testing.assert_allclose(comp, ref.sum(0, keepdims=True) if once else ref, rtol=0, atol=1e-6 * steps * largest)
    sums, *products = moments
    for product, (acc, *_) in zip(products, currents, strict=False):
        acc = np.broadcast_to(acc, ref.shape).astype(np.float64)
        ref_sums, ref_products = of_products(flat(ref), flat(acc))
        bound = 1e-6 * largest * len(flat(ref))
        np.testing.assert_allclose(sums, ref_sums, rtol=0, atol=bound)
        np.testing.assert_allclose(product, ref_products, rtol=0, atol=bound * np.abs(acc).max())
    if len(currents) == 1:
        assert (products[1] == 0).all()


def test_moments_are_added_to_what_is_there():
    currents = [draw(3, 2, 5, 17, np.int16)]
    gradient = np.ones((2, 5, 17), F)
    constants = (F(0.5), F(1), None, lif.TRIANGLE, F(1), False)
    _, whole = run_back(currents, gradient, False, constants, [(0, 5)])
    _, parts = run_back(currents, gradient, False, constants, [(3, 5), (0, 3)])
    np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)
    assert np.count_nonzero(whole) > 17


def test_one_step_back_in_numbers():
    """`g = gS*h + carry*((1 - S) - U~*h)`; U~ = 0.5 stays; U~ = 1, at the threshold, and U~ = 2 fired; carry is 4."""
    acc = np.array([[[2, 4, 8]], [[0, 0, 0]]], np.int16)
    given = np.repeat(np.array([3, 32], F), 3).reshape(2, 1, 3)
    for detach, ref in ((False, [0.75 + 4 * 0.875, 0.75 - 4 * 0.25, 0.75 - 4 * 0.5]), (True, [4.75, 0.75, 0.75])):
        constants = (F(0.5), F(1), None, lif.RECTANGULAR, F(4), detach)
        back, _ = run_back([(acc, np.full(3, 0.25, F), np.zeros(3, F))], given, False, constants)
        np.testing.assert_array_equal(back[:, 0], [ref, [8, 8, 8]])


def test_one_step_back_through_a_subtraction_in_numbers():
    """`g = gS*h + carry*(1 - threshold*h)`, whatever U~: h = 1/4 at 0.5, 1 and 2; carry is 4, threshold 1."""
    acc = np.array([[[2, 4, 8]], [[0, 0, 0]]], np.int16)
    given = np.repeat(np.array([3, 32], F), 3).reshape(2, 1, 3)
    for detach, ref in ((False, 0.75 + 4 * 0.75), (True, 4.75)):
        constants = (F(0.5), F(1), True, lif.RECTANGULAR, F(4), detach)
        back, _ = run_back([(acc, np.full(3, 0.25, F), np.zeros(3, F))], given, False, constants)
        np.testing.assert_array_equal(back[:, 0], [[ref] * 3, [8, 8, 8]])


QUANTIZERS = [
    MembraneQuantizer(-1, 1),
    MembraneQuantizer(-3, 1, masked=True, k=3.7),
    MembraneQuantizer(-2, 2, "straight", parts=3),
    MembraneQuantizer(0, 1, "straight", masked=True, parts=4),
]


@pytest.mark.parametrize("how", QUANTIZERS, ids=str)
@pytest.mark.parametrize("reset", RESETS)
def test_forward_and_backward_equal_the_loops(how, reset):
    currents = [draw([3, 5, i], 4, 5, 7, np.int16) for i in range(2)]
    spikes = compare_forward(currents, 4, 0.5, reset, how)
    assert 0 < spikes.mean() < 1
    compare_back(currents, 4, "triangle", False, 0.9, reset, how)


@pytest.mark.parametrize(("reset", "how"), [("zero", QUANTIZERS[0]), ("subtract", None)], ids=["ternary", "whole"])
@pytest.mark.parametrize("published", [False, True], ids=["surrogate", "published"])
def test_learned_thresholds_and_leaks_equal_the_loops(reset, published, how):
    """One of each for each of 7 channels: forward bit for bit, and both gradients, added to what is there."""
    currents, steps, channels = [draw([3, 5, i], 4, 5, 7, np.int16) for i in range(2)], 4, 7
    rng = np.random.default_rng(5)
    beta, threshold = rng.uniform(0.2, 0.9, channels).astype(F), rng.uniform(0.6, 1.2, channels).astype(F)
    tiled = (lif.tile_channels(beta), lif.tile_channels(threshold), published)
    plain = (F(0.5), F(1), lif.RESETS[reset], lif.TRIANGLE, F(1.3), False, levels_of(how), *tiled)
    ref, before = naive.forward(summed(currents, steps), beta, threshold, reset, how)
    for kernel, dtype, want in ((lif.lif_forward, np.uint8, ref), (lif.lif_potentials, F, before)):
        out = np.full((steps * 5, channels), 9, dtype)
        kernel(0, 5, *driving(currents, steps), out, lif.LIFSettings(steps, 5, *plain))
        np.testing.assert_array_equal(out.reshape(want.shape), want)
    gradient = rng.normal(0, 1, before.shape).astype(F)

    def slope(d):
        return surrogates.slope("triangle", F(1.3).item(), d).item()

    arguments = (before, gradient, beta, threshold, reset, slope, False, how, membrane_slope, published)
    inputs, *learned = naive.gradients(*arguments)
    out, moments = np.zeros((steps * 5, channels), F), np.ones((5, channels))
    for start, stop in chunks(5):
        settings = lif.LIFSettings(steps, 5, *plain)
        lif.lif_backward(start, stop, *driving(currents, steps), flat(gradient), out, moments, settings)
    np.testing.assert_allclose(out.reshape(inputs.shape), inputs, rtol=0, atol=1e-5)
    np.testing.assert_allclose(moments[3:] - 1, learned, rtol=0, atol=1e-4)
    assert np.abs(learned).max(1).min() > 0.1


@pytest.mark.parametrize("reset", RESETS)
def test_fine_levels_are_the_plain_neuron(reset):
    """Currents of whole halves, three leaks of 1/2: every membrane is a multiple of 1/16, from -8 to 7 thresholds."""
    rng = np.random.default_rng(4)
    currents = [(rng.integers(-7, 8, (4, 9, 5)).astype(np.int16), np.full(5, 0.5, F), np.zeros(5, F))]
    fine = MembraneQuantizer(-8, 7, "straight", parts=16)
    for kernel, dtype in ((lif.lif_forward, np.uint8), (lif.lif_potentials, F)):
        ref = run(kernel, currents, 4, 0.5, 1, dtype, 9, reset=reset)
        np.testing.assert_array_equal(run(kernel, currents, 4, 0.5, 1, dtype, 9, reset=reset, how=fine), ref)


def test_ties_go_to_the_lower_level_and_spikes_see_what_is_not_rounded():
    """U~ of 1.5 falls to 1, -0.5 to -1, 0.5 to 0; what is just above or below a tie does not; 0.75 is stored as 1."""
    acc = np.array([[[6, -2, 2, 3, 4, -99, 99]], [[0, 0, 0, 0, 0, 0, 0]]], np.int16)
    currents = [(acc, np.full(7, 0.25, F), np.zeros(7, F))]
    how = MembraneQuantizer(-3, 1)
    spikes = run(lif.lif_forward, currents, 2, 1.0, 1.0, np.uint8, 9, reset="subtract", how=how)
    before = run(lif.lif_potentials, currents, 2, 1.0, 1.0, F, 0, reset="subtract", how=how)
    np.testing.assert_array_equal(spikes[:, 0], [[1, 0, 0, 0, 1, 0, 1], [0, 0, 0, 1, 0, 0, 1]])
    np.testing.assert_array_equal(before[1, 0], [0, -1, 0, 1, 0, -3, 1])
    for v, level in ((1.5, 1), (np.nextafter(F(1.5), F(2)), 2), (-0.5, -1), (np.nextafter(F(-0.5), F(0)), 0), (-9, -3)):
        wide = MembraneQuantizer(-3, 2)
        assert quantized(wide, v) == level == naive.stored(F(v), 1, wide)


def test_the_stacked_slope_is_that_of_the_paper():
    """Levels -3, -2, -1 and 1 have their edges half a level nearer to 0; the slope at an edge is about k/4."""
    how = MembraneQuantizer(-3, 1, k=8.0)
    assert edges(how) == [-2.5, -1.5, -0.5, 0.5]
    np.testing.assert_allclose(membrane_slope(how, [-2.5, -1.5, -0.5, 0.5]), 2, rtol=0.01)
    np.testing.assert_allclose(membrane_primitive(how, [-2, -1, 0, 1]), [-2, -1, 0, 1], atol=0.04)


@pytest.mark.parametrize("how", QUANTIZERS, ids=str)
def test_a_slope_is_the_derivative_of_its_primitive(how):
    v = np.linspace(-5.03, 5.07, 53)
    found = (membrane_primitive(how, v + 1e-5) - membrane_primitive(how, v - 1e-5)) / 2e-5
    np.testing.assert_allclose(found, membrane_slope(how, v), atol=1e-8)


@pytest.mark.parametrize("channels", [1, 2, 3, 7, 15, 16, 17, 31, 33, 100])
def test_channels_go_around(channels):
    """From any channel on, 16 values can be read, and 16 sums written and folded back."""
    values = np.arange(channels).astype(F)
    twice = lif.tile_channels(values)
    sums, out, phase, ref = np.zeros(channels + 16), np.zeros(channels), 0, np.zeros(channels)
    for first in range(0, 3 * channels, 16):
        assert phase == first % channels
        np.testing.assert_array_equal(twice[phase : phase + 16], values[(phase + np.arange(16)) % channels])
        lanes = np.arange(16, dtype=F) + first
        gather(sums, phase, lanes)
        np.add.at(ref, (phase + np.arange(16)) % channels, lanes)
        phase = lif.next_phase(phase, channels)
    lif.sum_tiled(sums, out)
    np.testing.assert_array_equal(out, ref)


@numba.njit(error_model="numpy")
def gather(sums, phase, values):
    lif.gather_sum(sums, phase, take16(values, 0, 16))
