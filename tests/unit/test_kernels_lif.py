"""The LIF kernels against loops: forward bit for bit in float32, backward within its rounding; the surrogates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from naive import lif as naive
from qpsnn_core import surrogates
from qpsnn_core.errors import ConfigError
from qpsnn_core.kernels import lif
from qpsnn_core.network.nodes import SURROGATES

F = np.float32
BETAS = [0.0, 0.5, 0.9, 1.0]


def draw(seed, steps, positions, channels, dtype, lengths=None):
    """(acc, scale, shift) whose currents lie around a threshold of 1."""
    rng = np.random.default_rng(seed)
    shape = (lengths or steps, positions, channels)
    acc = rng.integers(-300, 400, shape).astype(dtype) if np.dtype(dtype).kind == "i" else rng.normal(50, 150, shape)
    return acc.astype(dtype), rng.normal(0.004, 0.002, channels).astype(F), rng.normal(0.1, 0.2, channels).astype(F)


def flat(array):
    return array.reshape(-1, array.shape[-1])


def run(kernel, acc, scale, shift, steps, beta, threshold, spans, dtype, fill):
    positions = acc.shape[1]
    out = np.full((steps * positions, acc.shape[2]), fill, dtype)
    step = positions if len(acc) == steps else 0
    for low, high in spans:
        kernel(low, high, flat(acc), scale, shift, out, steps, positions, step, F(beta), F(threshold))
    return out.reshape(steps, positions, -1)


@pytest.mark.parametrize(("steps", "length"), [(1, 1), (2, 2), (5, 5), (5, 1)])
@pytest.mark.parametrize(("positions", "channels"), [(1, 1), (7, 3)])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("beta", BETAS)
def test_forward_gives_the_same_bits_as_the_loops(steps, length, positions, channels, dtype, beta):
    acc, scale, shift = draw([steps, channels], steps, positions, channels, dtype, length)
    ref, ref_before = naive.forward(naive.current(acc, scale, shift, steps), beta, 0.9)
    spans = [(0, 1), (1, positions)]
    comp = run(lif.lif_forward, acc, scale, shift, steps, beta, 0.9, spans, np.uint8, 9)
    comp_before = run(lif.lif_potentials, acc, scale, shift, steps, beta, 0.9, spans, F, np.nan)
    np.testing.assert_array_equal(comp, ref)
    np.testing.assert_array_equal(comp_before, ref_before)
    if ref.size > 50:
        assert 0 < ref.mean() < 1


def test_a_membrane_at_the_threshold_fires():
    """Eq. 2 has >=. Quarters are exact, so U~ is the threshold to the last bit; all three kernels must see it so."""
    acc = np.array([[[2, 2, 2]], [[3, 2, 4]], [[2, 2, 2]]], np.int16)
    scale, shift = np.full(3, 0.25, F), np.zeros(3, F)
    spikes = run(lif.lif_forward, acc, scale, shift, 3, 0.5, 1.0, [(0, 1)], np.uint8, 0)
    np.testing.assert_array_equal(spikes[:, 0], [[0, 0, 0], [1, 0, 1], [0, 0, 0]])
    before = run(lif.lif_potentials, acc, scale, shift, 3, 0.5, 1.0, [(0, 1)], F, 0)
    np.testing.assert_array_equal(before[:, 0], [[0.5, 0.5, 0.5], [1, 0.75, 1.25], [0.5, 0.875, 0.5]])
    gradient, spike_gradient = np.zeros((3, 3), F), np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1]], F)
    constants = (F(0.5), F(1), lif.RECTANGULAR, F(4), True)
    lif.lif_backward(0, 1, flat(acc), scale, shift, spike_gradient, gradient, 3, 1, 1, *constants)
    np.testing.assert_array_equal(gradient, [[0, 0.0625, 0], [0, 0.125, 0], [0.25, 0.25, 0.25]])


def test_the_membrane_is_zero_after_a_spike_whatever_it_was():
    acc = np.array([[[100]], [[0]], [[1]]], np.int16)
    comp = run(lif.lif_potentials, acc, np.ones(1, F), np.zeros(1, F), 3, 0.5, 1.0, [(0, 1)], F, 0)
    np.testing.assert_array_equal(comp[:, 0, 0], [100, 0, 1])


def test_positions_outside_the_range_are_left_alone():
    acc, scale, shift = draw(3, 2, 5, 2, np.int16)
    comp = run(lif.lif_forward, acc, scale, shift, 2, 0.5, 1.0, [(1, 3)], np.uint8, 9)
    assert (comp[:, [0, 3, 4]] == 9).all()
    assert (comp[:, 1:3] <= 1).all()


def test_an_accumulator_beyond_24_bits_is_rounded_once():
    """int32 to float32 rounds half to even: 2**24 + 1 becomes 2**24."""
    acc = np.array([[[2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1]]], np.int32)
    comp = run(lif.lif_potentials, acc, np.ones(4, F), np.zeros(4, F), 1, 0.5, 1.0, [(0, 1)], F, 0)
    np.testing.assert_array_equal(comp[0, 0], [2**24, 2**24 + 4, -(2**24), 2**31])


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_currents_are_added_in_their_order(length, dtype):
    acc, scale, shift = draw(5, 4, 6, 3, dtype, length)
    total = np.random.default_rng(1).normal(0, 1, (4, 6, 3)).astype(F)
    ref = naive.add(total, acc, scale, shift)
    comp = flat(total.copy())
    for low, high in ((0, 2), (2, 6)):
        lif.add_current(low, high, comp, flat(acc), scale, shift, 4, 6, 6 if length == 4 else 0)
    np.testing.assert_array_equal(comp.reshape(total.shape), ref)


def test_one_step_of_integration():
    comp = np.array([0.3, -2.0], F)
    scale, shift = np.array([0.1, 0.2], F), np.array([0.7, -0.3], F)
    ref = [F(F(0.9) * u) + F(F(s * a) + b) for u, s, a, b in zip(comp, scale, [F(3), F(-4)], shift, strict=True)]
    lif.integrate(comp, np.array([3, -4], np.int16), scale, shift, F(0.9))
    np.testing.assert_array_equal(comp, ref)


@pytest.mark.parametrize("kind", SURROGATES)
@pytest.mark.parametrize("detach", [False, True], ids=["through", "detached"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("steps", "length", "dtype"), [(1, 1, np.int16), (5, 5, np.int32), (4, 1, np.float32)])
def test_backward_equals_the_loops(kind, detach, beta, steps, length, dtype):
    """One float32 step errs by a few units in 2**24, and errors are carried T steps: 1e-6 of the largest gradient."""
    width, threshold = 1.3, 0.9
    acc, scale, shift = draw([steps, 11], steps, 7, 3, dtype, length)
    gradient = np.random.default_rng(2).normal(0, 1, (steps, 7, 3)).astype(F)
    _, before = naive.forward(naive.current(acc, scale, shift, steps), beta, threshold)
    distance = np.abs(before - F(threshold))
    assert np.abs(distance - (width / 2 if kind == "rectangular" else width)).min() > 1e-5, "on an edge of the slope"

    def slope(d):
        return surrogates.slope(kind, F(width).item(), d).item()

    ref = naive.backward(before, gradient, beta, threshold, slope, detach)
    comp = np.full((steps * 7, 3), np.nan, F)
    step = 7 if length == steps else 0
    for low, high in ((0, 3), (3, 7)):
        constants = (F(beta), F(threshold), SURROGATES.index(kind), F(width), detach)
        lif.lif_backward(low, high, flat(acc), scale, shift, flat(gradient), comp, steps, 7, step, *constants)
    np.testing.assert_allclose(comp.reshape(ref.shape), ref, rtol=0, atol=1e-6 * np.abs(ref).max())
    assert np.abs(ref).max() > 0.1


def test_one_step_back_in_numbers():
    """`g = gS*h + carry*((1 - S) - U~*h)`; U~ = 0.5 stays; U~ = 1, at the threshold, and U~ = 2 fired."""
    gradient, potential = np.zeros(3, F), np.array([0.5, 1, 2], F)
    for detach, ref in ((False, [0.75 + 4 * 0.875, 0.75 - 4 * 0.25, 0.75 - 4 * 0.5]), (True, [4.75, 0.75, 0.75])):
        carry = np.array([4, 4, 4], F)
        lif.step_back(gradient, np.full(3, 3, F), potential, np.full(3, 0.25, F), F(1), carry, F(0.5), detach)
        np.testing.assert_array_equal(gradient, ref)
        np.testing.assert_array_equal(carry, np.array(ref) / 2)


@pytest.mark.parametrize("width", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("kind", SURROGATES)
class TestSurrogates:
    """Kernel against NumPy, and the NumPy slope against the primitive it is the derivative of."""

    def test_kernel_equals_the_numpy_slope(self, kind, width):
        """Six float32 operations at most, and an exponential: 8 units in the last place of the largest slope."""
        distance = np.concatenate([np.linspace(-4, 4, 401), [-width, -width / 2, 0, width / 2, width]]).astype(F)
        comp = np.zeros_like(distance)
        lif.surrogate(SURROGATES.index(kind), F(width), distance, comp)
        ref = surrogates.slope(kind, width, distance)
        np.testing.assert_allclose(comp, ref, rtol=0, atol=2.0**-21 * ref.max())

    def test_slope_is_the_derivative_of_the_primitive(self, kind, width):
        distance = np.linspace(-4, 4, 997) * width + 1e-3
        h = 1e-6 * width
        above, below = (surrogates.primitive(kind, width, distance + sign * h) for sign in (1, -1))
        np.testing.assert_allclose(
            (above - below) / (2 * h), surrogates.slope(kind, width, distance), atol=1e-8 / width
        )

    def test_primitive_rises_from_0_to_1(self, kind, width):
        values = surrogates.primitive(kind, width, np.array([-1e6, 0, 1e6]))
        np.testing.assert_allclose(values, [0, 0.5, 1], atol=1e-6)
        assert (np.diff(surrogates.primitive(kind, width, np.linspace(-9, 9, 999))) >= 0).all()

    def test_slope_is_even_and_finite_far_away(self, kind, width):
        distance = np.array([1e-9, 0.1, 1, 50, 1e4, 1e18], F)
        both = np.zeros((2, 6), F)
        for row, sign in zip(both, (1, -1), strict=True):
            lif.surrogate(SURROGATES.index(kind), F(width), F(sign) * distance, row)
        np.testing.assert_array_equal(both[0], both[1])
        assert np.isfinite(both).all()
        assert (both >= 0).all()


def test_the_sigmoids_exponential_is_rounded_once():
    """From float64: float32's own exponential differs from one library, and from one mode of Numba, to the next."""
    distance = np.random.default_rng(0).normal(0, 2, 20000).astype(F)
    comp, one, inverse = np.zeros_like(distance), F(1), F(1) / F(1.3)
    lif.surrogate(lif.SIGMOID, F(1.3), distance, comp)
    s = one / (one + np.array([math.exp(x) for x in -np.abs(distance) * inverse], F))
    np.testing.assert_array_equal(comp, inverse * s * (one - s))


def test_the_triangle_is_the_papers_at_width_1():
    """Appendix D: `max(a - |U~ - theta|, 0) / a`, the same as ours, over a**2, where a = 1."""
    np.testing.assert_allclose(surrogates.slope("triangle", 1, [-2, -1, -0.25, 0, 0.5, 1]), [0, 0, 0.75, 1, 0.5, 0])


def test_every_surrogate_of_a_node_is_known_by_its_place():
    assert tuple(range(4)) == (lif.TRIANGLE, lif.SIGMOID, lif.ARCTAN, lif.RECTANGULAR)
    assert SURROGATES == ("triangle", "sigmoid", "arctan", "rectangular")
    assert tuple(surrogates.SURROGATES) == SURROGATES
    with pytest.raises(ConfigError, match=r"surrogate: expected one of triangle, .*, got 'gauss'"):
        surrogates.slope("gauss", 1.0, 0.0)
