"""Label smoothing and class weights against scalar loops, finite differences and PyTorch's figures."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.optim.losses import LOSSES

T, B, K = 3, 5, 4
WEIGHTS = [0.5, 1.0, 3.0, 0.25]
OPTIONS = [(0.0, None), (0.2, None), (0.0, WEIGHTS), (0.2, WEIGHTS)]


def naive(name, logits, labels, smoothing, weights):
    """Row by row, as the equation in `mean_logits_cross_entropy` says."""
    weights = weights or [1.0] * K
    if name == "mean":
        logits = [[[sum(logits[t][b][k] for t in range(T)) / T for k in range(K)] for b in range(B)]]
    total = 0.0
    for rows in logits:
        for row, label in zip(rows, labels, strict=True):
            log_sum = math.log(sum(math.exp(v) for v in row))
            for k in range(K):
                q = (1 - smoothing) * (k == label) + smoothing / K
                total -= weights[k] * q * (row[k] - log_sum)
    return total / (len(logits) * sum(weights[label] for label in labels))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("smoothing", "weights"), OPTIONS)
def test_value_and_gradient(name, smoothing, weights):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(scale=3, size=(T, B, K)).astype(np.float32), rng.integers(0, K, B)
    given = None if weights is None else np.array(weights)
    value, gradient = LOSSES[name](logits, labels, smoothing=smoothing, weights=given)
    wide = logits.astype(np.float64)
    assert value == pytest.approx(naive(name, wide.tolist(), labels, smoothing, weights), rel=1e-12)
    assert gradient.dtype == np.float32
    step = 1e-6
    for index in np.ndindex(logits.shape):
        up, down = wide.copy(), wide.copy()
        up[index] += step
        down[index] -= step
        high, low = (naive(name, one.tolist(), labels, smoothing, weights) for one in (up, down))
        assert gradient[index] == pytest.approx((high - low) / (2 * step), abs=1e-7)


def test_pytorch_finds_the_same(root):
    record = json.loads((root / "tests/golden/losses.json").read_text(encoding="utf-8"))
    logits, labels = np.array(record["logits"], np.float32), np.array(record["labels"])
    assert len(record["cases"]) == 8
    for case in record["cases"]:
        weights = None if case["weights"] is None else np.array(case["weights"])
        value, gradient = LOSSES[case["name"]](logits, labels, smoothing=case["smoothing"], weights=weights)
        assert value == pytest.approx(case["loss"], rel=1e-13)
        np.testing.assert_allclose(gradient, case["gradient"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_weights_of_one_change_nothing_but_the_last_bits(name, parts):
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(T, B, K)).astype(np.float32), rng.integers(0, K, B)
    plain, weighted = (LOSSES[name](logits, labels, parts=parts, weights=one) for one in (None, np.ones(K)))
    assert plain[0] == pytest.approx(weighted[0], rel=1e-14)
    np.testing.assert_allclose(plain[1], weighted[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_no_share_or_weight(name):
    logits, labels = np.zeros((T, B, K), np.float32), np.zeros(B, np.int64)
    for smoothing in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match="smoothing: expected a number from 0 to below 1"):
            LOSSES[name](logits, labels, smoothing=smoothing)
    for weights in (np.ones(K - 1), np.zeros(K), np.full(K, np.nan), np.full(K, np.inf)):
        with pytest.raises(ConfigError, match="weights: expected positive numbers"):
            LOSSES[name](logits, labels, weights=weights)
