"""The integer network in plain loops: one image, one step, one neuron at a time, in Python's unbounded integers."""

from __future__ import annotations

import numpy as np


def run(network, images):
    """(readout [B, K], spikes {lif: [T, B, H, W, C]}, membranes {lif: [T, B, H, W, C]} after the reset), all int64."""
    readouts, spikes, membranes = run_all(network, images)
    return readouts[network.readout.name], spikes, membranes


def run_all(network, images):
    """As `run`, of readouts {name: [B, K] or [B, H, W, K]}."""
    lifs = [node.name for node in network if type(node).__name__ == "IntLIF"]
    batch = images.shape[-4]
    spikes = {name: np.zeros((network.steps, batch, *network.shape(name)), np.int64) for name in lifs}
    membranes = {name: np.zeros((network.steps, batch, *network.shape(name)), np.int64) for name in lifs}
    ends = {node.name: node for node in network if type(node).__name__ in ("IntReadout", "IntCurrentReadout")}
    readouts = {name: np.zeros((batch, *network.shape(name)), np.int64) for name in ends}
    for b in range(batch):
        potentials = {name: np.zeros(network.shape(name), object) for name in (*lifs, *ends)}
        for t in range(network.steps):
            image = images[t, b] if images.ndim == 5 else images[b]
            values, before = {}, {name: potentials[name].copy() for name in lifs}
            for node in network:
                inputs = [values[name] for name in network.sources(node)] or [image.astype(object)]
                arrays = {name: array.astype(object) for name, array in network.arrays[node.name].items()}
                held = levels_before(network, node, before) if type(node).__name__ == "IntMembrane" else None
                held = potentials.get(node.name) if held is None else held
                values[node.name] = OPERATIONS[type(node).__name__](node, arrays, *inputs, held)
                if node.name in lifs:
                    spikes[node.name][t, b] = values[node.name]
                    membranes[node.name][t, b] = potentials[node.name]
            for name, end in ends.items():
                read, before = values[name].astype(np.int64).reshape(network.shape(name)), readouts[name][b]
                found = {"mean": before + read, "last": read, "max": np.maximum(before, read) if t else read}
                readouts[name][b] = found[getattr(end, "mode", "mean")]
    shaped = {n: one if ends[n].places == "each" else one[:, 0, 0] for n, one in readouts.items()}
    return shaped, spikes, membranes


def conv(node, arrays, counts, *masks_and_nothing):
    masks = list(masks_and_nothing[:-1])
    given = masks.pop(0) if node.gate else np.ones((1, 1, 1), object)
    if node.input_gate:
        counts = counts * masks.pop(0)
    height, width, _ = counts.shape
    (rows, columns), (down, right), (top, left) = map(both, (node.kernel, node.stride, node.padding))
    out_height, out_width = (height + 2 * top - rows) // down + 1, (width + 2 * left - columns) // right + 1
    out = np.zeros((out_height, out_width, node.channels), object)
    inputs, outputs = arrays["codes"].shape[2], node.channels // node.groups
    for y in range(out_height):
        for x in range(out_width):
            for ky in range(rows):
                for kx in range(columns):
                    from_y, from_x = y * down + ky - top, x * right + kx - left
                    if 0 <= from_y < height and 0 <= from_x < width:
                        for g in range(node.groups):
                            pixel = counts[from_y, from_x, g * inputs : (g + 1) * inputs]
                            own = slice(g * outputs, (g + 1) * outputs)
                            out[y, x, own] += pixel @ arrays["codes"][ky, kx, :, own]
            out[y, x] *= arrays["gain"]
    return out * given


def gate(node, arrays, current, _):
    small, threshold = current.shape, arrays["threshold"]
    height, width = node.shape or (1, 1)
    out = np.zeros((height, width, small[2] * node.size), object)
    for y, x, c in np.ndindex(out.shape):
        k = c // node.size
        out[y, x, c] = int(current[y * small[0] // height, x * small[1] // width, k] >= threshold[k])
    return out


def levels_before(network, node, before):
    """The levels of a LIF's membranes, as the step before left them."""
    threshold, parts = network.arrays[node.source]["threshold"], network[node.source].membrane.parts
    levels = np.zeros(before[node.source].shape, object)
    for y, x, c in np.ndindex(levels.shape):
        levels[y, x, c] = int(before[node.source][y, x, c]) * parts // int(threshold[c])
    return levels


def prior(node, arrays, spikes, levels):
    height, width, channels = levels.shape
    out = np.zeros((height // node.size, width // node.size, channels), object)
    for y, x, c in np.ndindex(out.shape):
        rows, columns = (range(at * node.size, (at + 1) * node.size) for at in (y, x))
        out[y, x, c] = sum(levels[row, column, c] for row in rows for column in columns)
    return out


def both(size):
    """(rows, columns)."""
    return size if isinstance(size, tuple) else (size, size)


def linear(node, arrays, counts, _):
    out = np.zeros((1, 1, node.features), object)
    for i, count in enumerate(counts.flatten()):
        out[0, 0] += arrays["codes"][i] * count
    return out * arrays["gain"]


def shortcut(node, arrays, counts, _):
    height, width, _ = counts.shape
    out = np.zeros((-(-height // node.stride), -(-width // node.stride), node.channels), object)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for c, source in enumerate(node.channel_map):
                if source >= 0:
                    out[y, x, c] = arrays["gain"][c] * counts[y * node.stride, x * node.stride, source]
    return out


def lif(node, arrays, *currents_and_potential):
    *currents, potential = currents_and_potential
    spikes = np.zeros(potential.shape, object)
    for place in np.ndindex(potential.shape):
        u = (int(potential[place]) * node.multiplier) >> node.shift
        u += arrays["bias"][place[2]] + sum(current[place] for current in currents)
        spikes[place] = int(u >= arrays["threshold"][place[2]])
        if spikes[place]:
            u = 0 if node.reset == "zero" else u - arrays["threshold"][place[2]]
        potential[place] = u if node.membrane is None else level(u, arrays["threshold"][place[2]], node.membrane)
    return spikes


def level(u, threshold, how):
    """The level nearest to u; of two as near, the lower one, which comes first."""
    step = threshold // how.parts
    return min((step * j for j in range(how.low * how.parts, how.high * how.parts + 1)), key=lambda one: abs(u - one))


def add_current(total, acc, gain):
    """`total[t] + gain*acc[t]`; an accumulator of one step serves every step. [T, N, C]."""
    out = total.astype(object)
    for t, n, c in np.ndindex(total.shape):
        out[t, n, c] += int(gain[c]) * int(acc[t if len(acc) > 1 else 0, n, c])
    return out


def sums_of_counts(counts):
    """The sum of each column of [frames, size]."""
    return [sum(int(count) for count in column) for column in counts.T]


def windows(node, values):
    """(place, the pixels inside, shape of the pooled map) of each window."""
    (rows, columns), (down, right) = both(node.size), both(node.stride or node.size)
    top, left = both(getattr(node, "padding", 0))
    height, width, channels = values.shape
    out = (height + 2 * top - rows) // down + 1, (width + 2 * left - columns) // right + 1
    for y, x in np.ndindex(*out):
        seen = [(y * down + dy - top, x * right + dx - left) for dy in range(rows) for dx in range(columns)]
        yield (y, x), [place for place in seen if 0 <= place[0] < height and 0 <= place[1] < width], (*out, channels)


def max_pool(node, arrays, values, _):
    out = None
    for (y, x), inside, shape in windows(node, values):
        out = np.zeros(shape, object) if out is None else out
        for c in range(shape[2]):
            out[y, x, c] = max(values[row, column, c] for row, column in inside)
    return out


def sum_pool(node, arrays, values, _):
    out = None
    for (y, x), inside, shape in windows(node, values):
        out = np.zeros(shape, object) if out is None else out
        for c in range(shape[2]):
            out[y, x, c] = sum(values[row, column, c] for row, column in inside)
    return out


def add(node, arrays, *counts_and_nothing):
    return sum(counts_and_nothing[:-1])


def concat(node, arrays, *counts_and_nothing):
    return np.concatenate(counts_and_nothing[:-1], axis=2)


def upsample(node, arrays, values, _):
    height, width, channels = values.shape
    out = np.zeros((height * node.factor, width * node.factor, channels), object)
    for y, x in np.ndindex(*out.shape[:2]):
        out[y, x] = values[y // node.factor, x // node.factor]
    return out


def readout(node, arrays, drive, potential):
    for place in np.ndindex(potential.shape):
        left = (int(potential[place]) * node.multiplier) >> node.shift
        potential[place] = left + drive[place] + arrays["bias"][place[2]]
    return potential


def attention(node, arrays, query, key, value, _):
    height, width, channels = value.shape
    q, k, v = (one.reshape(height * width, one.shape[2]) for one in (query, key, value))
    matched, own = q.shape[1] // node.heads, channels // node.heads
    out = np.zeros(v.shape, object)
    for i in range(len(q)):
        for j in range(len(k)):
            for h in range(node.heads):
                matches = sum(q[i, c] * k[j, c] for c in range(h * matched, (h + 1) * matched))
                for c in range(h * own, (h + 1) * own):
                    out[i, c] += arrays["gain"][c] * matches * v[j, c]
    return out.reshape(height, width, channels)


def current_readout(node, arrays, *currents_and_nothing):
    total = sum(currents_and_nothing[:-1])
    places = [total.sum((0, 1))] if node.places == "mean" else total.reshape(-1, total.shape[2])
    out = np.zeros((len(places), node.channels), object)
    for place, z in enumerate(places):
        for k in range(node.channels):
            read = [((int(z[c]) + 2**node.shift // 2) >> node.shift) * arrays["factor"][c] for c in range(len(z))]
            out[place, k] = arrays["gain"][k] * sum(arrays["codes"][c, k] * one for c, one in enumerate(read))
            out[place, k] += int(arrays["bias"][k]) * 2**node.bias_shift
    return out[0] if node.places == "mean" else out.reshape(*total.shape[:2], -1)


def given(node, arrays, image, _):
    return image


OPERATIONS = {
    "IntInput": given,
    "IntConv": conv,
    "IntLinear": linear,
    "IntShortcut": shortcut,
    "IntLIF": lif,
    "IntMaxPool": max_pool,
    "IntSumPool": sum_pool,
    "IntSum": add,
    "IntConcat": concat,
    "IntUpsample": upsample,
    "IntGate": gate,
    "IntMembrane": prior,
    "IntReadout": readout,
    "IntAttention": attention,
    "IntCurrentReadout": current_readout,
}
