"""Losses against scalar loops and finite differences, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, NumericsError
from qpsnn_core.optim.losses import LOSSES, mean_logits_cross_entropy, tet

T, B, K = 3, 5, 4


def sample(seed=0, scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(scale=scale, size=(T, B, K)).astype(np.float32), rng.integers(0, K, B)


def entropy(row, label):
    return math.log(sum(math.exp(v) for v in row)) - row[label]


def naive_mean(logits, labels):
    total = 0.0
    for b in range(B):
        row = [sum(float(logits[t, b, k]) for t in range(T)) / T for k in range(K)]
        total += entropy(row, labels[b])
    return total / B


def naive_tet(logits, labels, lam=0.0, target=1.0):
    total = 0.0
    for t in range(T):
        for b in range(B):
            row = [float(v) for v in logits[t, b]]
            squares = sum((v - target) ** 2 for v in row) / K
            total += (1 - lam) * entropy(row, labels[b]) + lam * squares
    return total / (T * B)


CASES = [
    (mean_logits_cross_entropy, naive_mean, {}),
    (tet, naive_tet, {}),
    (tet, naive_tet, {"lam": 0.25, "target": 0.5}),
]


@pytest.mark.parametrize(("loss", "naive", "options"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient(loss, naive, options, seed):
    logits, labels = sample(seed)
    value, gradient = loss(logits, labels, **options)
    assert value == pytest.approx(naive(logits, labels, **options), rel=1e-12)
    assert gradient.dtype == np.float32
    assert gradient.shape == logits.shape
    step = 1e-6
    for index in np.ndindex(logits.shape):
        up, down = logits.astype(np.float64), logits.astype(np.float64)
        up[index] += step
        down[index] -= step
        slope = (naive(up, labels, **options) - naive(down, labels, **options)) / (2 * step)
        assert gradient[index] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_huge_logits_stay_finite(name):
    logits, labels = sample(scale=1e4)
    value, gradient = LOSSES[name](logits, labels)
    assert math.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_one_sample_sum_to_zero(name):
    logits, labels = sample()
    np.testing.assert_allclose(LOSSES[name](logits, labels)[1].sum(2), 0, atol=1e-7)


def test_one_step_makes_both_losses_equal():
    logits, labels = sample()
    mean, per_step = (LOSSES[name](logits[:1], labels) for name in ("mean", "tet"))
    assert mean[0] == per_step[0]
    np.testing.assert_array_equal(mean[1], per_step[1])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("label", [-1, K])
def test_a_label_that_is_no_class(name, label):
    logits, labels = sample()
    labels[2] = label
    with pytest.raises(LabelError, match=rf"labels\[2\]: expected 0 to 3, got {label}"):
        LOSSES[name](logits, labels)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers(name, value):
    logits, labels = sample()
    logits[1, 3, 0] = value
    with pytest.raises(NumericsError, match=r"logits\[1, 3\]: expected finite numbers, got"):
        LOSSES[name](logits, labels)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_and_types(name):
    logits, labels = sample()
    for bad in (labels[:-1], labels.astype(np.float32), labels[None], labels > 0):
        with pytest.raises(DataError, match=r"labels: expected integers \[5\]"):
            LOSSES[name](logits, bad)
    for bad in (logits[0], logits[:0]):
        with pytest.raises(DataError, match=r"logits: expected \[T, B, K\]"):
            LOSSES[name](bad, labels)


@pytest.mark.parametrize("lam", [-0.1, 1.1, math.nan])
def test_tet_refuses_a_share_outside_0_to_1(lam):
    with pytest.raises(ConfigError, match=r"tet\.lam"):
        tet(*sample(), lam=lam)
