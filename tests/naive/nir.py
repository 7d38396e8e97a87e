"""A NIR graph run by loops, as NIR defines it: Euler steps of dt, `v > v_threshold` (or `>=`), reset to v_reset.

A neuron whose metadata say "subtract" has its v_threshold taken off instead, as snnTorch and SpikingJelly do.
"""

from __future__ import annotations

import numpy as np


def run(graph, frames, dt, inclusive=False):
    """The outputs of every node, {name: [T, ...]}, for frames [T, *input shape] of one sample; float64."""
    order, waiting = [], dict(graph.nodes)
    while waiting:
        for name in list(waiting):
            if all(source in order for source, target in graph.edges if target == name):
                order.append(name)
                del waiting[name]
    states, found = {}, {name: [] for name in order}
    for frame in frames:
        values = {}
        for name in order:
            node = graph.nodes[name]
            arrived = [values[source] for source, target in graph.edges if target == name]
            x = sum(arrived) if arrived else frame
            values[name] = step(node, x, states, name, dt, inclusive)
            found[name].append(values[name])
    return {name: np.array(values) for name, values in found.items()}


def step(node, x, states, name, dt, inclusive):
    if type(node).__name__ == "Flatten":
        return x.reshape(-1)
    if type(node).__name__ in ("Linear", "Affine"):
        return node.weight.astype(float) @ x + getattr(node, "bias", 0.0)
    if type(node).__name__ == "Conv2d":
        return conv(node, x)
    if type(node).__name__ in ("SumPool2d", "AvgPool2d"):
        return pool(node, x)
    if type(node).__name__ in ("LIF", "IF"):
        v = states.get(name, np.zeros(x.shape))
        if type(node).__name__ == "LIF":
            v = v + dt / node.tau.astype(float) * ((node.v_leak - v) + node.r.astype(float) * x)
        else:
            v = v + dt * node.r.astype(float) * x
        spikes = v >= node.v_threshold if inclusive else v > node.v_threshold
        subtract = node.metadata.get("reset") == "subtract"
        states[name] = np.where(spikes, v - node.v_threshold if subtract else node.v_reset, v)
        return spikes.astype(float)
    return x


def conv(node, x):
    weight = node.weight.astype(float)
    out, inputs, tall, wide = weight.shape
    (down, right), (top, left) = (tuple(int(one) for one in field) for field in (node.stride, node.padding))
    channels, height, width = x.shape
    padded = np.zeros((channels, height + 2 * top, width + 2 * left))
    padded[:, top : top + height, left : left + width] = x
    rows, cols = (height + 2 * top - tall) // down + 1, (width + 2 * left - wide) // right + 1
    result = np.zeros((out, rows, cols))
    for o, y, z in np.ndindex(out, rows, cols):
        first = o * node.groups // out * inputs
        window = padded[first : first + inputs, y * down : y * down + tall, z * right : z * right + wide]
        result[o, y, z] = (weight[o] * window).sum() + node.bias[o]
    return result


def pool(node, x):
    fields = (node.kernel_size, node.stride, node.padding)
    (tall, wide), (down, right), (top, left) = (tuple(int(one) for one in field) for field in fields)
    channels, height, width = x.shape
    rows, cols = (height + 2 * top - tall) // down + 1, (width + 2 * left - wide) // right + 1
    result = np.zeros((channels, rows, cols))
    for c, y, z in np.ndindex(channels, rows, cols):
        for dy, dx in np.ndindex(tall, wide):
            i, j = y * down + dy - top, z * right + dx - left
            if 0 <= i < height and 0 <= j < width:
                result[c, y, z] += x[c, i, j]
    return result / (tall * wide if type(node).__name__ == "AvgPool2d" else 1)
