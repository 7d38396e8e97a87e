"""The readout of currents: its equation in float64; its gradients, which are exact differences, as it is linear."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import NumericsError, ShapeError
from qpsnn_core.engine.layers import current_readout
from qpsnn_core.engine.layers.base import Current, LayerContext
from qpsnn_core.network import CurrentReadout, Quantizer, ValueSpec
from qpsnn_core.quantization.rescaw import dequantize, quantize

MAP = ValueSpec("current", (3, 2, 4))
LAYER = Quantizer(8, "max", "layer", "pass")
STEPS = 3


def drawn(places, quantizer, lengths, batch=5, dtype=np.int16):
    """(node, context, currents)."""
    rng = np.random.default_rng(0)
    node = CurrentReadout("head", tuple("abc"[: len(lengths)]), 3, places, quantizer)
    params = {"weight": rng.normal(0, 1, (4, 3)).astype(np.float32), "bias": rng.normal(0, 1, 3).astype(np.float32)}
    context = LayerContext(params, {}, (MAP,) * len(lengths), STEPS, True, True)
    currents = [
        Current(
            rng.integers(-90, 100, (length, batch, *MAP.shape)).astype(dtype),
            *(rng.normal(0, 0.1, 4).astype(np.float32) for _ in range(2)),
        )
        for length in lengths
    ]
    return node, context, currents


def reference(node, weight, bias, currents):
    """Logits in float64 at every step, [T, B, H, W, K], before any mean."""
    x = sum(np.broadcast_to(c.scale.astype(float) * c.acc + c.shift, (STEPS, *c.acc.shape[1:])) for c in currents)
    full = x @ weight + bias
    return full.mean((2, 3)) if node.places == "mean" else full


def effective(context, quantizer):
    weight = context.params["weight"]
    return (weight if quantizer is None else dequantize(quantize(weight, quantizer))).astype(np.float64)


@pytest.mark.parametrize("places", ["mean", "each"])
@pytest.mark.parametrize("quantizer", [None, LAYER], ids=["real", "codes"])
def test_logits_and_gradients_are_the_equations(places, quantizer):
    node, context, currents = drawn(places, quantizer, (STEPS, 1, STEPS))
    weight, bias = effective(context, quantizer), context.params["bias"].astype(np.float64)
    output = current_readout.forward(node, context, *currents)
    want = reference(node, weight, bias, currents)
    np.testing.assert_allclose(output.value, want, rtol=1e-4, atol=1e-4)

    gradient = np.random.default_rng(1).normal(0, 1, output.value.shape).astype(np.float32)
    back = current_readout.backward(node, output.cache, gradient)

    def loss(weight, bias, currents):
        return float((gradient.astype(np.float64) * reference(node, weight, bias, currents)).sum())

    base = loss(weight, bias, currents)
    factor = 1.0 if quantizer is None else 1 / np.abs(context.params["weight"]).max()  # straight through, "pass"
    for place in np.ndindex(weight.shape):
        moved = weight.copy()
        moved[place] += 1
        np.testing.assert_allclose(
            back.params["weight"][place], (loss(moved, bias, currents) - base) * factor, rtol=1e-3
        )
    for k in range(3):
        moved = bias.copy()
        moved[k] += 1
        np.testing.assert_allclose(back.params["bias"][k], loss(weight, moved, currents) - base, rtol=1e-3, atol=1e-4)
    for index, (found, current) in enumerate(zip(back.inputs, currents, strict=True)):
        for place in ((0, 1, 2, 0, 3), (0, 4, 0, 1, 1)):
            acc = current.acc.astype(np.float64)
            acc[place] += 1
            changed = [current._replace(acc=acc) if i == index else other for i, other in enumerate(currents)]
            slope = (loss(weight, bias, changed) - base) / current.scale[place[-1]]
            np.testing.assert_allclose(found.array[place], slope, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found.sums, found.array.sum((0, 1, 2, 3)), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.products, (found.array * current.acc).sum((0, 1, 2, 3)), rtol=1e-3, atol=1e-2)


def test_sums_beyond_int32_are_refused_by_name():
    node, context, currents = drawn("mean", LAYER, (1,), dtype=np.int32)
    currents[0].acc[0, 0, 0, 0, 0] = 2**30
    with pytest.raises(
        NumericsError, match=r"^mean: expected sums of accumulators below 2\*\*31, got up to 6442450944$"
    ):
        current_readout.forward(node, context, *currents)


def test_currents_of_other_maps_are_refused_by_name():
    node = CurrentReadout("head", ("a", "b"), 3)
    with pytest.raises(ShapeError, match=r"^head \(from b\): expected \(3, 2, 4\) \(from a\), got \(1, 1, 4\)$"):
        node.output(MAP, ValueSpec("current", (1, 1, 4)))
    with pytest.raises(ShapeError, match=r"^head \(from b\): expected current, got 'spikes'$"):
        node.output(MAP, ValueSpec("spikes", (3, 2, 4), 1))
