"""A whole network on the tape, in real numbers: no integers, no lazy currents, every step written out.

What a spiking network is by its equations; the engine's every shortcut (codes, static currents, divisors that move into
a scale, recomputed membranes) is absent here.
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np

from naive import fixed_point
from oracle import tape
from oracle.tape import Tensor
from qpsnn_core.engine.passes import DROPOUT
from qpsnn_core.network import (
    LIF,
    AvgPool,
    ChannelGate,
    Concat,
    Conv,
    CurrentReadout,
    Dropout,
    Linear,
    MaxPool,
    Membrane,
    Readout,
    SelfAttention,
    Shortcut,
    SpatialGate,
    Sum,
    Upsample,
)

EPSILON, MOMENTUM = 1e-5, 0.1


def predictors(nodes):
    """Gates, and what is read by gates alone: what these read is data."""
    found = {node.name for node in nodes if isinstance(node, ChannelGate | SpatialGate)}
    for node in nodes[::-1]:
        readers = {reader.name for reader in nodes[1:] if node.name in reader.sources}
        found |= {node.name} if readers and readers <= found else set()
    return found


class Run(NamedTuple):
    """logits: Tensor [T, B, K]; leaves: a Tensor for each parameter; state: new running statistics, by node and name.

    spikes, potentials: arrays [T, B, H, W, C] of each LIF; margin: how near any decision (a membrane to its threshold,
    a weight to the edge of its code) came to falling the other way. gates: the loss of the channel gates. held: what is
    data to the gradients: what predictors of gates read, the priors of gates, and their targets.
    """

    logits: Tensor
    leaves: dict
    state: dict
    spikes: dict
    potentials: dict
    margin: float
    gates: Tensor
    held: dict


class Tape:
    """What the nodes share while one network runs."""

    def __init__(self, model, train, smooth, draw=None, held=None):
        self.model, self.train, self.smooth, self.draw = model, train, smooth, draw
        self.held, self.kept, self.logits, self.gates = dict(held or {}), {}, {}, Tensor(0.0)
        self.leaves = {node: {name: Tensor(value) for name, value in own.items()} for node, own in model.params.items()}
        self.state = doubles(model.state)
        self.spikes, self.potentials, self.margin = {}, {}, np.inf

    def near(self, distance):
        """Note distances to an edge at which a decision changes; 0 is no rounding but an exact tie of whole numbers."""
        self.margin = min(self.margin, np.abs(distance[distance != 0]).min(initial=np.inf))


def doubles(arrays):
    """Copies in float64."""
    return {node: {name: value.astype(float) for name, value in own.items()} for node, own in arrays.items()}


def run(model, images, *, train=False, smooth=False, draw=None, held=None):
    """Every node in turn, on lists of T Tensors [B, H, W, C]. held: of another run, instead of what it would find."""
    network, on = model.network, Tape(model, train, smooth, draw, held)
    source = network.input
    real = images.astype(float) * (1.0 if source.peak is None else source.scale)
    values = {source.name: [Tensor(real if images.ndim == 4 else real[t]) for t in range(network.steps)]}
    predicting = predictors(network.nodes)
    for node in network.nodes[1:]:
        given = [values[name] for name in node.sources]
        for place, name in enumerate(node.sources):
            if node.name in predicting and name not in predicting:
                read = on.held.setdefault(("read", node.name), [image.value for image in given[place]])
                given[place] = [Tensor(image) for image in read]
        values[node.name] = step(node, on, *given)
    ends = {node.name: tape.stack(values[node.name]) for node in network.readouts}
    logits = ends if len(ends) > 1 else ends[network.readout.name]
    return Run(logits, on.leaves, on.state, on.spikes, on.potentials, on.margin, on.gates, on.held)


def loss(logits, labels):
    """Cross-entropy of the logits' mean over T."""
    return tape.cross_entropy(tape.mean(logits, (0,)), labels)


@singledispatch
def step(node, on, *values):
    """The node's T values from its sources'."""
    raise NotImplementedError(f"{node.name}: no {type(node).__name__} on the tape")


@step.register
def _(node: Conv, on, x, *masks):
    weight, masks = quantized(node, on), list(masks)
    given = masks.pop(0) if node.gate else None
    if node.input_gate:
        tell(node.input_gate, on, node.name, x)
        x = [image * mask for image, mask in zip(x, masks.pop(0), strict=True)]
    inputs, outputs = weight.shape[2], node.channels // node.groups
    currents = []
    for image in x:
        parts = [
            tape.conv(
                tape.index(image, (..., slice(g * inputs, (g + 1) * inputs))),
                tape.index(weight, (..., slice(g * outputs, (g + 1) * outputs))),
                node.stride,
                node.padding,
            )
            for g in range(node.groups)
        ]
        currents.append(tape.join(parts) if len(parts) > 1 else parts[0])
    if given:
        tell(node.gate, on, node.name, currents)
        currents = [current * mask for current, mask in zip(currents, given, strict=True)]
    return normed(node, on, currents)


def tell(name, on, reader, values):
    """The loss of a gate, against the channels, or places, that cover its share of what these values hold."""
    gate = on.model.network[name]
    if not gate.weight:
        return
    if (name, reader) not in on.held:
        on.held[name, reader] = np.array([goals(gate, on, image.value) for image in values])
    on.gates = on.gates + tape.binary_cross_entropy(on.logits[name], on.held[name, reader]) * gate.weight


def goals(gate, on, image):
    """Of [B, H, W, C], which groups of channels are wanted, [B, 1, 1, groups]; or which places, [B, h, w, 1]."""
    shape = on.logits[gate.name].value.shape[2:]
    found = np.zeros((len(image), *shape))
    for b, sample in enumerate(image):
        active, total = pooled(gate, np.abs(sample), shape), 0.0
        for rank, group in enumerate(sorted(range(len(active)), key=lambda g: (-active[g], g))):
            total += active[group]
            on.near(np.array([total / max(active.sum(), 1e-30) - gate.target]))
            found[b].reshape(-1)[group] = active.sum() > 0 and (rank == 0 or total <= gate.target * active.sum())
    return found


def pooled(gate, active, shape):
    """Of one image [H, W, C], what each number of Z decides about, flat."""
    if isinstance(gate, ChannelGate):
        return active.sum((0, 1)).reshape(-1, gate.size).sum(1)
    (height, width), (h, w) = gate.shape, shape[:2]
    found = np.zeros((h, w))
    for y, x in np.ndindex(height, width):
        found[y * h // height, x * w // width] += active[y, x].sum()
    return found.reshape(-1)


@step.register
def _(node: ChannelGate, on, x):
    on.logits[node.name] = tape.stack(x)
    for z in x:
        on.near(z.value)
    return [Tensor(np.repeat(z.value > 0, node.size, axis=3)) for z in x]


@step.register
def _(node: SpatialGate, on, x):
    on.logits[node.name] = tape.stack(x)
    (height, width), (h, w) = node.shape, x[0].shape[1:3]
    rows, columns = np.arange(height) * h // height, np.arange(width) * w // width
    noise = np.zeros((len(x), *x[0].shape))
    if on.train and node.sampling == "gumbel":
        state = on.state[node.name]
        draw, seed = int(state["draws"][0]), int(state["seed"][0])
        u = np.array([(fixed_point.word(draw, n, seed) + 0.5) / 2**32 for n in range(noise.size)])
        noise = (np.log(u) - np.log(1 - u)).reshape(noise.shape)
        on.state[node.name] = {**state, "draws": state["draws"] + 1}
    found = []
    for z, g in zip(x, noise, strict=True):
        on.near(z.value + g)
        small = tape.gate(z, g, node.sampling, node.temperature, on.smooth)
        found.append(tape.index(small, (slice(None), rows[:, None], columns[None, :])))
    return found


@step.register
def _(node: Membrane, on, x):
    if node.name not in on.held:
        stored_at, size = on.kept[node.source], node.size
        height, width = (edge // size for edge in stored_at[0].shape[1:3])
        before = [np.zeros_like(stored_at[0]), *stored_at[:-1]]
        cut = [u[:, : height * size, : width * size] for u in before]
        on.held[node.name] = [u.reshape(len(u), height, size, width, size, -1).mean((2, 4)) for u in cut]
    return [Tensor(u) for u in on.held[node.name]]


@step.register
def _(node: Linear, on, x):
    weight, batch = quantized(node, on), x[0].shape[0]
    products = [tape.matmul(tape.reshape(image, batch, -1), weight) for image in x]
    return normed(node, on, [tape.reshape(product, batch, 1, 1, -1) for product in products])


@step.register
def _(node: Shortcut, on, x):
    mapping = np.array(node.mapping(x[0].shape[3]))
    mask = (mapping >= 0).astype(float)
    place = (slice(None), slice(None, None, node.stride), slice(None, None, node.stride), mapping)
    return [tape.index(image, place) * mask for image in x]


@step.register
def _(node: LIF, on, *currents):
    u, before, spikes, kept = 0.0, [], [], []
    own = on.leaves.get(node.name, {})
    theta = (
        node.threshold * tape.exp(own["log_threshold"]) if "threshold" in node.learn else tape.Tensor(node.threshold)
    )
    beta = tape.logistic(np.log(node.beta / (1 - node.beta)) + own["logit_leak"]) if "leak" in node.learn else node.beta
    for x in zip(*currents, strict=True):
        u = sum(x, start=u * beta)
        distance = u.value - theta.value
        if not on.smooth:
            on.near(distance)
        if node.surrogate == "rectangular":
            on.near(np.abs(distance) - node.width / 2)
        s = tape.spike(u, theta, node.surrogate, node.width, on.smooth, node.threshold_gradient == "spquant")
        before.append(u.value)
        spikes.append(s)
        fired = tape.detach(s) if node.detach_reset else s
        u = u * (1 + fired * -1.0) if node.reset == "zero" else u + fired * (theta * -1.0)
        if node.membrane is not None:
            u = stored(u, node, on, theta)
        kept.append(u.value / theta.value)
    on.kept[node.name] = kept
    on.potentials[node.name] = np.stack(before)
    on.spikes[node.name] = np.stack([s.value for s in spikes])
    return spikes


def stored(u, node, on, theta):
    """The level that is kept of a membrane, in real units, with the slope of its surrogate."""
    how, unit = node.membrane, theta * (1 / node.membrane.parts)
    scaled = u * tape.power(unit, -1.0)
    v = scaled.value
    if not on.smooth:
        inner = np.arange(*how.ends) + 0.5
        on.near(np.abs(v[..., None] - inner).min(-1))
    if how.masked:
        on.near(np.abs(v[..., None] - np.array(how.ends)).min(-1))
    return tape.level(scaled, how, on.smooth) * unit


@step.register
def _(node: MaxPool, on, x):
    return [tape.max_pool(image, node.size, node.step, node.padding) for image in x]


@step.register
def _(node: AvgPool, on, x):
    return [tape.mean_pool(image, node.size, node.step) for image in x]


@step.register
def _(node: Sum, on, *values):
    return [sum(images[1:], start=images[0]) for images in zip(*values, strict=True)]


@step.register
def _(node: Dropout, on, x):
    """Philox's words by loops; the same mask at every step."""
    if on.draw is None:
        return x
    place = on.model.network.nodes.index(node)
    key = fixed_point.word(on.draw.batch, on.draw.seed, DROPOUT + place)
    size = x[0].value[0].size
    words = [[fixed_point.word(sample, neuron, key) for neuron in range(size)] for sample in range(len(x[0].value))]
    mask = (np.array(words) >= round(node.rate * 2**32)).reshape(x[0].shape) / (1 - node.rate)
    return [image * mask for image in x]


@step.register
def _(node: SelfAttention, on, *values):
    return [tape.attention(*images, node.heads) * node.scale for images in zip(*values, strict=True)]


@step.register
def _(node: Concat, on, *values):
    return [tape.join(images) for images in zip(*values, strict=True)]


@step.register
def _(node: CurrentReadout, on, *values):
    """Of each step, the mean over places of what all currents are together, or every place of it."""
    weight, own, logits = quantized(node, on), on.leaves[node.name], []
    for images in zip(*values, strict=True):
        x = sum(images[1:], start=images[0])
        shape = x.shape[:1] if node.places == "mean" else x.shape[:3]
        x = tape.mean(x, (1, 2)) if node.places == "mean" else x
        products = tape.matmul(tape.reshape(x, -1, weight.shape[0]), weight)
        products = products + own["bias"] if node.bias else products
        logits.append(tape.reshape(products, *shape, -1))
    return logits


@step.register
def _(node: Upsample, on, x):
    rows, columns = (np.arange(size * node.factor) // node.factor for size in x[0].shape[1:3])
    return [tape.index(image, (slice(None), rows[:, None], columns[None, :])) for image in x]


@step.register
def _(node: Readout, on, x):
    """The logits, of which the mean is taken: of a membrane that is read once, that alone."""
    u, membranes = 0.0, []
    for drive in x:
        drive = drive if node.places == "each" else tape.reshape(drive, drive.shape[0], -1)
        u = drive + u * (node.beta or 0.0)
        membranes.append(u)
    if node.mode == "mean":
        return membranes
    if node.mode == "last":
        return membranes[-1:]
    values = np.stack([one.value for one in membranes])
    top = np.sort(values, 0)
    on.near(top[-1] - top[-2] if len(top) > 1 else np.ones(1))
    return [sum(one * (values.argmax(0) == t) for t, one in enumerate(membranes))]


def normed(node, on, y):
    """Bias and batch norm of T currents, over T and B together."""
    own = on.leaves[node.name]
    if node.bias:
        y = [current + own["bias"] for current in y]
    if not node.batch_norm:
        return y
    together, old = tape.stack(y), on.state[node.name]
    given = None if on.train else (old["mean"], old["var"])
    out, mean, variance = tape.batch_norm(together, own["bn_weight"], own["bn_bias"], EPSILON, given)
    if on.train:
        count = together.value[..., 0].size
        unbiased = variance * count / max(count - 1, 1)
        on.state[node.name] = {
            "mean": (1 - MOMENTUM) * old["mean"] + MOMENTUM * mean,
            "var": (1 - MOMENTUM) * old["var"] + MOMENTUM * unbiased,
        }
    return [tape.index(out, (t,)) for t in range(len(y))]


def quantized(node, on):
    """Eqs. 4 to 6, 9 and 10 in float64, with the straight-through gradient."""
    weight, how = on.leaves[node.name]["weight"], node.quantizer
    if how is None:
        return weight
    gamma, levels = scale_of(weight.value, how), 2**how.bits - 1
    ratio = weight.value / gamma
    place = (np.clip(ratio, -1, 1) + 1) * levels / 2
    on.near(place - np.floor(place) - 0.5)
    edge = np.abs(np.abs(ratio) - 1)
    on.near(edge[edge > 1e-12])
    hat = gamma * (2 / levels * np.rint(place) - 1)
    factor = 1 / gamma if how.ste == "pass" else np.abs(ratio) <= 1
    return Tensor(hat, (weight,), (lambda g: g * factor,))


def scale_of(weight, how):
    """Eq. 9's gamma, or another; one for all channels or one for each."""
    axis = None if how.granularity == "layer" else tuple(range(weight.ndim - 1))
    if how.gamma == "one":
        return np.float64(1)
    if how.gamma == "mean":
        return np.abs(weight).mean(axis)
    if how.gamma == "mean_scaled":
        return np.abs(weight).mean(axis) * (2**how.bits - 1) / 2 ** (how.bits - 1)
    if how.gamma == "max":
        return np.abs(weight).max(axis)
    low, high = (np.quantile(weight, q, axis) for q in (1 - how.percentile, how.percentile))
    return np.maximum(np.abs(low), np.abs(high))
