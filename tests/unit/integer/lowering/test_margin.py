"""The reported margin bounds the distance of trained and integer membranes, float32's own rounding included."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from generators.all_kinds import block, images_of, model_of

from naive import lif as naive
from naive import trained
from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.layers.base import LayerContext
from qpsnn_core.integer.lowering.fold import affine
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.lowering.margin import _last_bit
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Quantizer, Readout, Shortcut
from qpsnn_core.network.graph import MOST_STEPS
from qpsnn_core.network.membranes import MembraneQuantizer, quantized
from qpsnn_core.network.nodes import RESETS

F = np.float32


def potentials(node, x, spikes, leak, threshold, kept=None):
    """U~ of every step where the neuron fires as `spikes` say. leak: what is left of a membrane after a step.

    kept: the levels that it stores at every step; None: all of it, after the reset.
    """
    u, out = np.zeros_like(x[0]), np.zeros_like(x)
    for t, fired in enumerate(spikes.astype(bool)):
        out[t] = leak(u) + x[t]
        u = np.where(fired, out[t] - threshold if node.reset == "subtract" else 0, out[t]).astype(x.dtype)
        u = u if kept is None else kept[t]
    return out


def shifted(multiplier, shift, u):
    return u * multiplier >> shift


def distances(model, fraction_bits, images):
    """Of each LIF: |U~*unit - U~ of training| as a share of the margin, both with the integer network's spikes."""
    lowered = lower(model, fraction_bits=fraction_bits)
    run = simulate(lowered.network, images, record="all")
    network, steps, found = model.network, model.network.steps, {}
    values = {network.input.name: np.broadcast_to(images, (steps, *images.shape))}
    for node in network.nodes[1:-1]:
        if not isinstance(node, LIF):
            context = LayerContext(
                model.params.get(node.name, {}),
                model.state.get(node.name, {}),
                network.inputs_of(node),
                steps,
                False,
                False,
            )
            values[node.name] = LAYERS[node].forward(node, context, *(values[s] for s in node.sources)).value
            continue
        values[node.name] = run.spikes[node.name]
        report, arrays = lowered.report[node.name], lowered.network.arrays
        real, whole = np.zeros(()), arrays[node.name]["bias"].astype(np.int64)
        for source in node.sources:
            acc, scale, shift = values[source]
            one = naive.current(acc.reshape(len(acc), -1, acc.shape[-1]), scale, shift, steps)
            real = one if not real.shape else real + one
            whole = whole + arrays[source]["gain"].astype(np.int64) * integers(model, lowered, source, values)
        spikes = run.spikes[node.name].reshape(real.shape)
        theta = arrays[node.name]["threshold"].astype(np.int64)
        kept = ours_kept = None
        if node.membrane is not None:
            parts = node.membrane.parts
            kept = run.membranes[node.name].reshape(real.shape).astype(np.int64)
            ours_kept = (kept // (theta // parts)).astype(F) * (F(node.threshold) / F(parts))
        before = potentials(node, whole.reshape(real.shape), spikes, partial(shifted, *report.leak), theta, kept)
        np.testing.assert_array_equal(before >= theta, spikes)
        ours = potentials(node, real, spikes, partial(np.multiply, F(node.beta)), F(node.threshold), ours_kept)
        assert ours.dtype == F
        if kept is not None:
            check_levels(node, ours, spikes, ours_kept, report.margin)
        found[node.name] = np.abs(before * report.unit - ours).max((0, 1)) / np.maximum(report.margin, 1e-300)
    return found


def check_levels(node, before, spikes, kept, margin):
    """The trained neuron stores what the integer one does, but where two levels meet within the margin."""
    left = before - F(node.threshold) if node.reset == "subtract" else F(0)
    step = F(node.threshold) / F(node.membrane.parts)
    v = np.where(spikes, left, before) / step
    away = np.abs(v - np.floor(v) - 0.5) * step > margin * (1 + 1e-6)
    assert away.mean() > 0.5
    np.testing.assert_array_equal(np.rint(kept / step)[away], quantized(node.membrane, v)[away])


def integers(model, lowered, source, values):
    """`sum codes*S` of the integer network, [T, B, H, W, C]."""
    node = model.network[source]
    counts = values[node.source].astype(np.int64)
    if isinstance(node, Shortcut):
        plain = counts[:, :, :: node.stride, :: node.stride]
        chosen = np.array(node.mapping(counts.shape[-1]))
        return np.where(chosen >= 0, plain[..., chosen], 0)
    codes = lowered.network.arrays[source]["codes"].astype(np.int64)
    rows = counts.reshape(-1, *counts.shape[2:])
    if isinstance(node, Linear):
        acc = (rows.reshape(len(rows), -1) @ codes)[:, None, None]
    else:
        acc = trained.convolve(rows, codes, node.stride, node.padding).astype(np.int64)
    return acc.reshape(*counts.shape[:2], *acc.shape[1:])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.75, 1.0, 0.0])
@pytest.mark.parametrize("fraction_bits", [0, 8, 16, 24])
def test_no_membrane_is_farther_apart_than_the_margin(fraction_bits, beta, reset):
    tightest = 0.0
    for seed in range(3):
        network = block(2 + seed, beta, reset=reset, steps=6, threshold=(1.0, 0.7, 3.3)[seed])
        model = model_of(network, seed)
        for name, share in distances(model, fraction_bits, images_of(network, 2, seed)).items():
            assert share.max() <= 1, (seed, name)
            tightest = max(tightest, share.max())
    assert tightest > 0.02


@pytest.mark.parametrize("how", [MembraneQuantizer(-3, 1), MembraneQuantizer(-1, 2, parts=3)], ids=["five", "ten"])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize(("fraction_bits", "beta"), [(16, 0.5), (9, 0.9)])
def test_nor_is_one_of_few_levels(fraction_bits, beta, reset, how):
    network = block(3, beta, reset=reset, steps=6, threshold=0.7, membrane=how)
    found = distances(model_of(network, 1), fraction_bits, images_of(network, 2, 1))
    assert 0 < max(share.max() for share in found.values()) <= 1


def test_weights_in_floating_point_are_counted():
    network = block(steps=3).change("conv3", quantizer=None).change("conv1", quantizer=None)
    model = model_of(network)
    report = lower(model).report
    found = distances(model, 16, images_of(network))
    assert max(share.max() for share in found.values()) <= 1
    assert found["lif1"].max() > 0.001
    assert report["lif3"].rounding > 30 * lower(model_of(block(steps=3))).report["lif3"].rounding


@pytest.mark.parametrize("threshold", [0.3, 1.0, 7.0])
def test_shares_are_roundings_as_parts_of_the_threshold(threshold):
    """From the arrays: of gains times the largest count, of biases, of thresholds; times the unit, by the threshold."""
    nodes = (
        Input("in", (1, 1, 3), 7, 1 / 7),
        Conv("a", "in", 4, 1, 1, 0, Quantizer(3, "max"), bias=True, batch_norm=False),
        Conv("b", "in", 4, 1, 1, 0, Quantizer(4, "max"), bias=True, batch_norm=False),
        LIF("lif", ("a", "b"), threshold),
        Linear("fc", "lif", 2),
        Readout("out", "fc"),
    )
    model = model_of(Network(nodes, 3), 2)
    network, report = lower(model, fraction_bits=2)
    part, gain, bias = report["lif"], 0, 0
    for name in ("a", "b"):
        current = affine(model, model.network[name])
        gain = gain + np.abs(network.arrays[name]["gain"] * part.unit - current.scale) * current.reach.largest
        bias = bias + current.shift
    bias = np.abs(network.arrays["lif"]["bias"] * part.unit - bias)
    off = np.abs(network.arrays["lif"]["threshold"] * part.unit - float(F(threshold)))
    assert part.gain == pytest.approx((gain / threshold).max(), rel=1e-9)
    assert part.bias == pytest.approx((bias / threshold).max(), rel=1e-9)
    assert part.threshold == pytest.approx((off / threshold).max(), rel=1e-9)
    assert min(part.gain, part.bias, part.threshold) > 1e-7
    assert part.rounding > part.gain + part.bias + part.threshold


def test_a_report_takes_no_longer_for_any_number_of_steps():
    network = block(2, reset="subtract")
    report = lower(model_of(Network(network.nodes, MOST_STEPS))).report
    assert all(np.isfinite(part.margin).all() for part in report.neurons)


def test_last_bits():
    found = _last_bit(np.array([1.0, 0.5, -12.0, 2.0**-100 * 3, 0.1, 0.0]))
    assert found[:4].tolist() == [0, -1, 2, -100]
    assert found[4] == -55
    assert found[5] > 10**6
