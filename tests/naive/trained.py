"""The trained network in float64, written from its equations: what lowering is held against."""

from __future__ import annotations

import numpy as np

from naive import attention as naive_attention
from qpsnn_core.network.nodes import (
    LIF,
    AvgPool,
    Concat,
    CurrentReadout,
    Dropout,
    Input,
    MaxPool,
    Readout,
    SelfAttention,
    Sum,
    Upsample,
)
from qpsnn_core.network.synapses import Conv, Linear, Shortcut
from qpsnn_core.quantization.rescaw import quantize

EPSILON = 1e-5


def both(size):
    return size if isinstance(size, tuple) else (size, size)


def convolve(counts, weight, stride, padding, groups=1):
    """counts [M, H, W, C], weight [rows, columns, C / groups, C_out]: a window and a group at a time."""
    (rows, columns, inputs, outputs), (down, right), (top, left) = weight.shape, both(stride), both(padding)
    padded = np.pad(counts, ((0, 0), (top, top), (left, left), (0, 0)))
    height, width = (padded.shape[1] - rows) // down + 1, (padded.shape[2] - columns) // right + 1
    out = np.zeros((len(counts), height, width, outputs))
    own = outputs // groups
    for y, x, g in np.ndindex(height, width, groups):
        window = padded[:, y * down : y * down + rows, x * right : x * right + columns, g * inputs : (g + 1) * inputs]
        out[:, y, x, g * own : (g + 1) * own] = np.tensordot(window, weight[..., g * own : (g + 1) * own], 3)
    return out


def current(model, node, counts, quantizer=None):
    """`X = BN(W_hat * in_scale*S + bias)` for counts [T, B, H, W, C]; quantizer: for weights that have none."""
    value = model.network.values[node.source]
    images = counts.reshape(-1, *counts.shape[2:]).astype(np.float64)
    if isinstance(node, Shortcut):
        x = np.zeros((*images[:, :: node.stride, :: node.stride].shape[:3], node.channels))
        for c, source in enumerate(node.mapping(value.shape[2])):
            if source >= 0:
                x[..., c] = value.scale * images[:, :: node.stride, :: node.stride, source]
        return x.reshape(*counts.shape[:2], *x.shape[1:])
    params, state = model.params[node.name], model.state.get(node.name, {})
    weight = params["weight"].astype(np.float64)
    if node.quantizer or quantizer:
        codes = quantize(params["weight"], node.quantizer or quantizer)
        weight = codes.codes * codes.step.astype(np.float64)
    if isinstance(node, Linear):
        x = (images.reshape(len(images), -1) @ weight)[:, None, None] * value.scale
    else:
        x = convolve(images, weight, node.stride, node.padding, node.groups) * value.scale
    x = x + params.get("bias", 0.0)
    if node.batch_norm:
        ratio = params["bn_weight"].astype(np.float64) / np.sqrt(state["var"].astype(np.float64) + EPSILON)
        x = (x - state["mean"]) * ratio + params["bn_bias"]
    return x.reshape(*counts.shape[:2], *x.shape[1:])


def read(node, value, x, steps):
    """The answer [B, K], or [B, H, W, K], of a readout."""
    x = np.broadcast_to(x, (steps, *x.shape[1:])) * (value.scale if value.kind == "spikes" else 1.0)
    x = x if node.places == "each" else x[:, :, 0, 0]
    u, membranes = 0.0, []
    for drive in x:
        u = (node.beta or 0.0) * u + drive
        membranes.append(u)
    return {"mean": np.mean, "last": lambda all_, _: all_[-1], "max": np.max}[node.mode](membranes, 0)


def head(model, node, currents, steps, quantizer=None):
    """The answer of a CurrentReadout, [B, K], or [B, H, W, K]: a place and a step at a time."""
    params = model.params[node.name]
    weight = params["weight"].astype(np.float64)
    if node.quantizer or quantizer:
        codes = quantize(params["weight"], node.quantizer or quantizer)
        weight = codes.codes * codes.step.astype(np.float64)
    x = sum(np.broadcast_to(one, (steps, *one.shape[1:])) for one in currents)
    out = np.zeros((*x.shape[1:4], node.channels))
    for t, y, k in np.ndindex(steps, *x.shape[2:4]):
        out[:, y, k] += (x[t, :, y, k] @ weight + params.get("bias", 0.0)) / steps
    return out.mean((1, 2)) if node.places == "mean" else out


def lif(node, currents, steps, own):
    """Spikes and membranes before the reset, [T, B, H, W, C]. own: what the neuron has learned."""
    theta = node.threshold * np.exp(own.get("log_threshold", np.zeros(1)).astype(float))
    beta = node.beta
    if "logit_leak" in own:
        beta = 1 / (1 + (1 / beta - 1) * np.exp(-own["logit_leak"].astype(float)))
    x = sum(np.broadcast_to(one, (steps, *one.shape[1:])) for one in currents)
    spikes, before = np.zeros(x.shape, np.uint8), np.zeros(x.shape)
    u = np.zeros(x.shape[1:])
    for t in range(steps):
        before[t] = beta * u + x[t]
        spikes[t] = before[t] >= theta
        u = np.where(spikes[t], 0 if node.reset == "zero" else before[t] - theta, before[t])
        u = stored(u, theta, node.membrane)
    return spikes, before


def stored(u, threshold, how):
    """The nearest level of the quantizer, the lower one of two: the first that is not more than half a step below."""
    if how is None:
        return u
    step, level = threshold / how.parts, how.low * how.parts
    found = np.full(u.shape, float(level))
    while level < how.high * how.parts:
        found += u > (level + 0.5) * step
        level += 1
    return found * step


def pool(node, x, kind):
    """The largest or the sum of each window, of a current the mean; what lies beyond the edge is never the largest."""
    (rows, columns), (down, right) = both(node.size), both(node.stride or node.size)
    top, left = both(getattr(node, "padding", 0))
    largest = isinstance(node, MaxPool)
    edges = ((0, 0), (0, 0), (top, top), (left, left), (0, 0))
    padded = np.pad(x.astype(np.float64), edges, constant_values=-np.inf if largest else 0)
    height, width = (padded.shape[2] - rows) // down + 1, (padded.shape[3] - columns) // right + 1
    out = np.zeros((*x.shape[:2], height, width, x.shape[4]))
    for y in range(height):
        for k in range(width):
            window = padded[:, :, y * down : y * down + rows, k * right : k * right + columns]
            out[:, :, y, k] = window.max((2, 3)) if largest else window.sum((2, 3))
    return out / (rows * columns) if kind == "current" and not largest else out


def attention(node, spikes):
    """`X = scale * (q k^T) v` at each step, a head and a pair of tokens at a time."""
    steps = max(map(len, spikes))
    full = [np.broadcast_to(one, (steps, *one.shape[1:])) for one in spikes]
    q, k, v = (one.reshape(steps * one.shape[1], -1, one.shape[4]) for one in full)
    return (node.scale * naive_attention.forward(q, k, v, node.heads)).reshape(full[2].shape)


def run(model, images, spikes=None, quantizer=None):
    """(logits [B, K], {LIF: spikes}, {LIF: membranes before the reset}); of several readouts the logits by their names.

    spikes: instead of its own, each layer is given these spikes of the layers before it.
    """
    network, values, fired, before, answers = model.network, {}, {}, {}, {}
    for node in network:
        inputs = [values[source] for source in node.sources]
        if isinstance(node, Input):
            values[node.name] = images if images.ndim == 5 else images[None]
        elif isinstance(node, (Conv, Linear, Shortcut)):
            values[node.name] = current(model, node, inputs[0], quantizer)
        elif isinstance(node, LIF):
            fired[node.name], before[node.name] = lif(node, inputs, network.steps, model.params.get(node.name, {}))
            values[node.name] = fired[node.name] if spikes is None else spikes[node.name]
        elif isinstance(node, (MaxPool, AvgPool)):
            values[node.name] = pool(node, inputs[0], network.values[node.name].kind)
        elif isinstance(node, Sum):
            currents = network.values[node.name].kind == "current"
            values[node.name] = sum(one if currents else one.astype(np.int64) for one in inputs)
        elif isinstance(node, Upsample):
            rows, columns = (np.arange(size * node.factor) // node.factor for size in inputs[0].shape[2:4])
            values[node.name] = inputs[0][:, :, rows][:, :, :, columns]
        elif isinstance(node, SelfAttention):
            values[node.name] = attention(node, inputs)
        elif isinstance(node, Dropout):
            values[node.name] = inputs[0]
        elif isinstance(node, Concat):
            steps = max(map(len, inputs))
            values[node.name] = np.concatenate([np.broadcast_to(x, (steps, *x.shape[1:])) for x in inputs], -1)
        elif isinstance(node, CurrentReadout):
            answers[node.name] = head(model, node, inputs, network.steps, quantizer)
        elif isinstance(node, Readout):
            answers[node.name] = read(node, network.values[node.source], inputs[0], network.steps)
    return answers if len(answers) > 1 else answers[network.readout.name], fired, before
