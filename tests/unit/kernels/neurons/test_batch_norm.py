"""Batch norm as a Current's affine against the textbook's two passes, on accumulators of every type."""

from __future__ import annotations

import numpy as np
import pytest

from naive import batch_norm as naive
from naive.moments import of_products
from qpsnn_core.engine.layers import batch_norm
from qpsnn_core.engine.layers.base import LayerContext

F = np.float32


class Case:
    """Accumulators [T, B, H, W, C] of a node with or without batch norm and bias; T may stand for more steps."""

    def __init__(
        self, dtype, *, bias=True, norm=True, train=True, steps=2, length=2, shape=(3, 2, 2), channels=4, seed=0
    ):
        rng = np.random.default_rng(seed)
        acc = rng.normal(20, 90, (length, *shape, channels))
        self.acc = (np.rint(acc) if np.dtype(dtype).kind == "i" else acc).astype(dtype)
        self.step = rng.uniform(0.002, 0.05, channels).astype(F)
        self.params = {"bias": rng.normal(0, 1, channels).astype(F)} if bias else {}
        self.state = {}
        if norm:
            self.params["bn_weight"] = np.array([1.5, -0.7, 0.2, 1][:channels], F)
            self.params["bn_bias"] = rng.normal(0, 1, channels).astype(F)
            self.state = {"mean": rng.normal(0, 1, channels).astype(F), "var": rng.uniform(0.5, 2, channels).astype(F)}
        self.context = LayerContext(self.params, self.state, (), steps, train, True)
        self.gradient = rng.normal(0, 1, self.acc.shape).astype(F)

    def wide(self, name, default=0.0):
        channels = self.acc.shape[-1]
        return self.params.get(name, np.full(channels, default)).astype(np.float64)

    def y(self):
        flat = self.acc.reshape(-1, self.acc.shape[-1]).astype(np.float64)
        return flat * self.step.astype(np.float64) + self.wide("bias")

    def backward(self, affine):
        gradient = batch_norm.with_moments(self.gradient, self.acc)
        grads, factors = batch_norm.backward(affine, gradient, self.acc[..., 0].size, self.params)
        assert (factors.shape, factors.dtype) == ((3, self.acc.shape[-1]), F)
        return grads, factors

    def statistics(self):
        if self.context.train:
            return naive.statistics(self.y())
        return self.state["mean"].astype(np.float64), self.state["var"].astype(np.float64)


CASES = {
    "int16": Case(np.int16),
    "int32": Case(np.int32),
    "float32": Case(np.float32),
    "no bias": Case(np.int16, bias=False),
    "running": Case(np.int16, train=False),
    "running, no bias": Case(np.float32, train=False, bias=False),
    "one step for four": Case(np.int32, steps=4, length=1),
    "one channel": Case(np.int16, channels=1),
    "two values": Case(np.int16, length=1, steps=1, shape=(2, 1, 1)),
    "several chunks": Case(np.int16, shape=(4, 8, 9)),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def test_forward(case):
    """float64 throughout but for scale and shift, float32: 2**-23 of the largest term."""
    y, (mean, variance) = case.y(), case.statistics()
    ref = naive.forward(y, case.wide("bn_weight", 1), case.wide("bn_bias"), mean, variance)
    current, _, state = batch_norm.forward(case.acc, case.step, case.context)
    assert (current.scale.dtype, current.shift.dtype) == (F, F)
    flat = case.acc.reshape(y.shape).astype(np.float64)
    comp = current.scale.astype(np.float64) * flat + current.shift
    largest = np.abs(current.scale * flat).max() + np.abs(current.shift).max()
    np.testing.assert_allclose(comp, ref, rtol=0, atol=2.0**-23 * largest)
    if case.context.train:
        count = len(y) * case.context.steps // len(case.acc)
        ref = naive.running(*(case.state[name].astype(np.float64) for name in ("mean", "var")), mean, variance, count)
        np.testing.assert_allclose(state["mean"], ref[0], rtol=2e-7, atol=1e-7)
        np.testing.assert_allclose(state["var"], ref[1], rtol=2e-7)
    else:
        assert state is case.state


def test_a_gradient_brings_its_sums(case):
    """Each sum within n roundings of float64, n its terms; scattered in memory, the same bits."""
    found = batch_norm.with_moments(case.gradient, case.acc)
    np.testing.assert_array_equal(found.array, case.gradient)
    flat, acc = (array.reshape(-1, array.shape[-1]) for array in (case.gradient, case.acc))
    for comp, ref, terms in zip(
        (found.sums, found.products), of_products(flat, acc), (flat, flat * acc.astype(float)), strict=True
    ):
        np.testing.assert_array_less(np.abs(comp - ref), len(flat) * 2.0**-53 * np.abs(terms).sum(0) + 1e-300)
    turned = batch_norm.with_moments(*(np.asfortranarray(array) for array in (case.gradient, case.acc)))
    np.testing.assert_array_equal((turned.sums, turned.products), (found.sums, found.products))


def test_a_current_that_goes_to_two_neurons_has_the_sum_of_their_gradients():
    case, other = Case(np.int16), Case(np.int16, seed=1)
    one, two = (batch_norm.with_moments(part.gradient, case.acc) for part in (case, other))
    both = batch_norm.with_moments(case.gradient + other.gradient, case.acc)
    np.testing.assert_array_equal((one + two).array, both.array)
    np.testing.assert_allclose((one + two).sums, both.sums, rtol=0, atol=1e-5)
    np.testing.assert_allclose((one + two).products, both.products, rtol=0, atol=1e-3)


def test_backward(case):
    """The three factors are rounded to float32: 2**-22 of the largest of the three terms."""
    y, (mean, variance) = case.y(), case.statistics()
    gradient = case.gradient.reshape(y.shape).astype(np.float64)
    ref = naive.backward(y, case.wide("bn_weight", 1), gradient, mean, variance, case.context.train)
    _, affine, _ = batch_norm.forward(case.acc, case.step, case.context)
    grads, factors = case.backward(affine)
    by_gradient, by_acc, constant = factors.astype(np.float64)
    acc = case.acc.reshape(y.shape).astype(np.float64)
    comp = by_gradient * gradient + by_acc * acc + constant
    largest = np.abs(by_gradient * gradient).max() + np.abs(by_acc * acc).max() + np.abs(constant).max()
    np.testing.assert_allclose(comp, ref[0], rtol=0, atol=2.0**-22 * largest)
    np.testing.assert_allclose(grads["bn_weight"], ref[1], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(grads["bn_bias"], ref[2], rtol=1e-6, atol=1e-6)
    if "bias" in case.params:
        np.testing.assert_allclose(grads["bias"], ref[0].sum(0), rtol=1e-6, atol=1e-5)
    assert set(grads) == set(case.params)


@pytest.mark.parametrize("bias", [True, False])
def test_a_node_without_batch_norm_multiplies_and_adds(bias):
    case = Case(np.int16, norm=False, bias=bias)
    current, affine, state = batch_norm.forward(case.acc, case.step, case.context)
    np.testing.assert_array_equal(current.scale, case.step)
    np.testing.assert_array_equal(current.shift, case.wide("bias"))
    grads, factors = case.backward(affine)
    np.testing.assert_array_equal(factors, np.repeat(np.array([[1], [0], [0]], F), 4, 1))
    assert set(grads) == set(case.params)
    if bias:
        np.testing.assert_allclose(grads["bias"], case.gradient.reshape(-1, 4).sum(0, np.float64), rtol=1e-6)
    assert state == {}


def test_a_constant_channel_has_variance_zero():
    """Never negative by rounding, so never NaN: the current is `bn_bias`, whatever the constant."""
    case = Case(np.int32)
    case.acc[:] = np.array([123456789, -7, 0, 1000003])
    current, _, state = batch_norm.forward(case.acc, case.step, case.context)
    np.testing.assert_allclose(state["var"], 0.9 * case.state["var"], rtol=1e-6)
    np.testing.assert_allclose(current.scale, case.step * case.params["bn_weight"] / np.sqrt(1e-5), rtol=1e-6)


def test_squares_beyond_64_bits_are_not_wrapped():
    """8-bit codes times a 16-bit image can pass 2**28; the squares of some hundred such sums pass 2**63."""
    case = Case(np.int32, shape=(4, 8, 9), bias=False)
    sign = np.where(np.arange(case.acc.size).reshape(case.acc.shape) // 4 % 2 == 0, 1, -1)
    case.acc[:] = sign * (2**31 - 1)
    y = case.y()
    _, _, state = batch_norm.forward(case.acc, case.step, case.context)
    count = len(y)
    ref = 0.9 * case.state["var"] + 0.1 * y.var(0) * count / (count - 1)
    np.testing.assert_allclose(state["var"], ref, rtol=1e-6)
