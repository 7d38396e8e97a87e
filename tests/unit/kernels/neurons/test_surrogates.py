"""The surrogates: the kernel's slopes against NumPy's, and those against the primitive they are the derivative of."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.kernels.neurons import lif
from qpsnn_core.kernels.simd.vector import store_masked, take16
from qpsnn_core.network import surrogates
from qpsnn_core.network.surrogates import SURROGATES

F = np.float32


@numba.njit(error_model="numpy")
def slopes(kind, width, distance, out):
    """The kernel's surrogate at each distance."""
    for i in range(0, len(out), 16):
        store_masked(out, i, lif.surrogate(kind, width, take16(distance, i, len(out) - i), out), len(out) - i)


@pytest.mark.parametrize("width", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("kind", SURROGATES)
class TestSurrogates:
    """Kernel against NumPy, and the NumPy slope against the primitive it is the derivative of."""

    def test_kernel_equals_the_numpy_slope(self, kind, width):
        """Six float32 operations at most, and an exponential: 8 units in the last place of the largest slope."""
        distance = np.concatenate([np.linspace(-4, 4, 401), [-width, -width / 2, 0, width / 2, width]]).astype(F)
        comp = np.zeros_like(distance)
        slopes(SURROGATES[kind].number, F(width), distance, comp)
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
            slopes(SURROGATES[kind].number, F(width), F(sign) * distance, row)
        np.testing.assert_array_equal(both[0], both[1])
        assert np.isfinite(both).all()
        assert (both >= 0).all()


def test_the_sigmoids_exponential_is_rounded_once():
    """From float64: float32's own exponential differs from one library, and from one mode of Numba, to the next."""
    distance = np.random.default_rng(0).normal(0, 2, 20000).astype(F)
    comp, one, inverse = np.zeros_like(distance), F(1), F(1) / F(1.3)
    slopes(lif.SIGMOID, F(1.3), distance, comp)
    s = one / (one + np.array([math.exp(x) for x in -np.abs(distance) * inverse], F))
    np.testing.assert_array_equal(comp, inverse * s * (one - s))


def test_the_triangle_is_the_papers_at_width_1():
    """Appendix D: `max(a - |U~ - theta|, 0) / a`, the same as ours, over a**2, where a = 1."""
    np.testing.assert_allclose(surrogates.slope("triangle", 1, [-2, -1, -0.25, 0, 0.5, 1]), [0, 0, 0.75, 1, 0.5, 0])


def test_the_numbers_of_the_table_are_the_kernels():
    kernels = {"triangle": lif.TRIANGLE, "sigmoid": lif.SIGMOID, "arctan": lif.ARCTAN, "rectangular": lif.RECTANGULAR}
    assert {name: one.number for name, one in SURROGATES.items()} == kernels
    assert len(set(kernels.values())) == len(kernels)


def test_another_surrogate_is_refused():
    with pytest.raises(ConfigError, match=r"surrogate: expected one of triangle, .*, got 'gauss'"):
        surrogates.slope("gauss", 1.0, 0.0)
