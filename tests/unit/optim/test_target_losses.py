"""Losses of real numbers and of several labels: scalar loops, finite differences, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, NumericsError
from qpsnn_core.optim.target_losses import bce, huber, l1, mse, sample_losses

T, B, K = 3, 4, 2
ELEMENTS = {
    mse: lambda y, t: (y - t) ** 2,
    l1: lambda y, t: abs(y - t),
    huber: lambda y, t: (y - t) ** 2 / 2 if abs(y - t) <= 1 else abs(y - t) - 0.5,
    bce: lambda y, t: math.log(1 + math.exp(-y)) if t else math.log(1 + math.exp(y)),
}


def case(loss):
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=2, size=(T, B, K)).astype(np.float32)
    targets = rng.normal(size=(B, K)) if loss is not bce else rng.integers(0, 2, (B, K)).astype(np.uint8)
    return logits, targets


def naive(loss, logits, targets):
    total = 0.0
    for b in range(B):
        for k in range(K):
            total += ELEMENTS[loss](sum(float(logits[t][b][k]) for t in range(T)) / T, float(targets[b][k]))
    return total / (B * K)


@pytest.mark.parametrize("loss", ELEMENTS, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("parts", [0, 1, 3])
def test_value_and_gradient(loss, parts):
    logits, targets = case(loss)
    value, gradient = loss(logits, targets, parts=parts)
    assert value == pytest.approx(naive(loss, logits, targets), rel=1e-12)
    assert (gradient.dtype, gradient.shape) == (np.float32, logits.shape)
    wide, step = logits.astype(np.float64), 1e-6
    for index in np.ndindex(logits.shape):
        up, down = wide.copy(), wide.copy()
        up[index] += step
        down[index] -= step
        difference = (naive(loss, up, targets) - naive(loss, down, targets)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, abs=1e-7)


def test_delta_is_where_the_square_ends():
    logits, targets = case(huber)
    far = huber(logits, targets, delta=0.25)
    assert far[0] < huber(logits, targets)[0]
    assert np.abs(far[1]).max() == pytest.approx(0.25 / (T * B * K))
    assert huber(logits, targets, delta=100)[0] == pytest.approx(mse(logits, targets)[0] / 2, rel=1e-14)
    with pytest.raises(ConfigError, match=r"huber\.delta: expected a positive number, got 0"):
        huber(logits, targets, delta=0)


def test_large_logits_neither_overflow_nor_vanish():
    logits = np.array([[[800.0, -800.0]]], np.float32)
    assert bce(logits, np.array([[1, 0]]))[0] == 0
    value, gradient = bce(logits, np.array([[0, 1]]))
    assert value == 800
    assert gradient.tolist() == [[[0.5, -0.5]]]


def test_the_losses_of_samples_have_the_batchs_mean():
    for task, loss in (("regression", mse), ("multilabel", bce)):
        logits, targets = case(loss)
        own = sample_losses(task, logits, targets)
        assert own.shape == (B,)
        assert math.fsum(own) / B == pytest.approx(loss(logits, targets)[0], rel=1e-14)


@pytest.mark.parametrize(
    ("targets", "kind", "said"),
    [
        (np.zeros((B, K + 1)), DataError, r"targets: expected floats \[4, 2\], got float64 \[4, 3\]"),
        (np.zeros(B), DataError, r"targets: expected floats \[4, 2\]"),
        (np.full((B, K), np.nan), LabelError, r"targets\[0\]: expected finite numbers"),
    ],
)
def test_what_is_no_target(targets, kind, said):
    with pytest.raises(kind, match=said):
        mse(np.zeros((T, B, K), np.float32), targets)
    with pytest.raises(LabelError, match=r"targets\[0\]: expected 0 and 1, for each label, got \[0\.5, 0\.5\]"):
        bce(np.zeros((T, B, K), np.float32), np.full((B, K), 0.5))
    with pytest.raises(NumericsError, match="logits"):
        l1(np.full((T, B, K), np.inf, np.float32), np.zeros((B, K)))
