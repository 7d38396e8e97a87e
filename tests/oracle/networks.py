"""Small networks that together hold every kind of node and of wiring, and images for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qpsnn_core.engine import passes
from qpsnn_core.network import (
    LIF,
    AvgPool,
    ChannelGate,
    Conv,
    CurrentReadout,
    Input,
    Linear,
    MaxPool,
    Membrane,
    Network,
    Quantizer,
    Readout,
    SelfAttention,
    Shortcut,
    SpatialGate,
    Sum,
)

ENDS = Quantizer(8, gamma="max")
LAST = Quantizer(8, gamma="max", granularity="layer")


def _image(height=6, width=6, channels=2):
    return Input("input", (height, width, channels))


def _head(source, classes=3, quantizer=LAST):
    return Linear("linear", source, classes, quantizer=quantizer), Readout("readout", "linear")


NETWORKS = {
    "chain": (
        _image(),
        Conv("conv1", "input", 4, quantizer=ENDS, bias=True),
        LIF("lif1", ("conv1",)),
        MaxPool("pool1", "lif1", 2),
        Conv("conv2", "pool1", 5),
        LIF("lif2", ("conv2",)),
        AvgPool("average", "lif2", 3),
        *_head("average"),
    ),
    "residual with a channel map": (
        _image(),
        Conv("conv0", "input", 4, quantizer=ENDS),
        LIF("lif0", ("conv0",)),
        Conv("conv1", "lif0", 5, stride=2),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 6),
        Shortcut("shortcut", "lif0", 6, 2, (3, -1, 0, 1, -1, 0)),
        LIF("lif2", ("conv2", "shortcut")),
        AvgPool("average", "lif2", 3),
        *_head("average"),
    ),
    "residual with padded channels": (
        _image(5, 4, 1),
        Conv("conv0", "input", 3, quantizer=ENDS),
        LIF("lif0", ("conv0",)),
        Conv("conv1", "lif0", 4),
        Shortcut("shortcut", "lif0", 4),
        LIF("lif1", ("shortcut", "conv1")),
        *_head("lif1"),
    ),
    "sums and fan-out": (
        _image(4, 5, 2),
        Conv("conv1", "input", 3, quantizer=ENDS),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 3),
        LIF("lif2", ("conv2",)),
        Sum("sum1", ("lif1", "lif2")),
        Conv("conv3", "sum1", 3),
        LIF("lif3", ("conv3",)),
        Sum("sum2", ("sum1", "lif3", "lif1")),
        MaxPool("pool", "sum2", 2),
        Conv("conv4", "pool", 4, kernel=2, padding=0),
        Conv("conv5", "pool", 4, kernel=1, padding=0, stride=2),
        Shortcut("shortcut", "pool", 4, 2, (2, 1, 0, 2)),
        LIF("lif4", ("conv4",)),
        LIF("lif5", ("conv5", "shortcut")),
        AvgPool("average4", "lif4", 1),
        AvgPool("average5", "lif5", 1),
        Sum("sum3", ("average4", "average5")),
        *_head("sum3"),
    ),
    "odd windows": (
        _image(9, 7, 2),
        Conv("conv1", "input", 3, kernel=5, stride=2, padding=3, quantizer=ENDS),
        LIF("lif1", ("conv1",)),
        MaxPool("pool1", "lif1", 3, 1, 1),
        Conv("conv2", "pool1", 4, kernel=2, padding=1),
        LIF("lif2", ("conv2",)),
        MaxPool("pool2", "lif2", 3, 2, 2),
        Conv("conv3", "pool2", 4, kernel=1, padding=0, bias=True),
        LIF("lif3", ("conv3",)),
        Conv("conv4", "lif3", 3, kernel=3, stride=2, padding=0, bias=True, batch_norm=False),
        LIF("lif4", ("conv4",)),
        *_head("lif4"),
    ),
    "real numbers": (
        Input("input", (5, 5, 2), peak=None),
        Conv("conv1", "input", 4, quantizer=None, bias=True),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 3, quantizer=None),
        LIF("lif2", ("conv2",)),
        Linear("hidden", "lif2", 6, quantizer=None, batch_norm=True),
        LIF("lif3", ("hidden",)),
        *_head("lif3", quantizer=None),
    ),
    "quantized weights, real image": (
        Input("input", (5, 4, 2), peak=None),
        Conv("conv1", "input", 4),
        LIF("lif1", ("conv1",)),
        Linear("hidden", "lif1", 6, batch_norm=True, bias=False),
        LIF("lif2", ("hidden",)),
        *_head("lif2"),
    ),
    "linear only": (
        _image(2, 3, 1),
        Linear("hidden1", "input", 7, quantizer=ENDS, batch_norm=True),
        LIF("lif1", ("hidden1",)),
        Linear("hidden2", "lif1", 6),
        LIF("lif2", ("hidden2",)),
        *_head("lif2"),
    ),
    "events": (
        Input("input", (6, 5, 2), peak=5, scale=0.5, spikes=True),
        MaxPool("pool", "input", 2),
        Conv("conv1", "pool", 3),
        Shortcut("shortcut", "pool", 3),
        LIF("lif1", ("conv1", "shortcut")),
        AvgPool("average", "lif1", 2),
        *_head("average"),
    ),
    "an image that drives two layers": (
        _image(4, 4, 2),
        Conv("conv1", "input", 3, quantizer=ENDS),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 3),
        Conv("drive", "input", 3, quantizer=ENDS),
        Conv("drive2", "input", 3, kernel=1, padding=0, quantizer=ENDS),
        LIF("lif2", ("conv2", "drive")),
        LIF("lif3", ("drive2", "drive")),
        Sum("sum", ("lif2", "lif3")),
        *_head("sum"),
    ),
    "an image that is read out": (_image(3, 3, 1), *_head("input", quantizer=ENDS)),
    "gates": (
        _image(6, 7, 2),
        Conv("conv1", "input", 4, quantizer=ENDS),
        LIF("lif1", ("conv1",)),
        AvgPool("mean", "lif1", 6),
        Linear("which", "mean", 4),
        ChannelGate("channels", "which", weight=0.7),
        Linear("groups", "mean", 2),
        ChannelGate("pairs", "groups", size=2, target=0.6),
        Membrane("prior", "lif1"),
        Conv("where", "prior", 1),
        SpatialGate("places", "where", (6, 7), target=0.7, weight=0.4),
        Conv("inside", "lif1", 1, kernel=3, stride=2, initial_shift=0.2),
        SpatialGate("straight", "inside", (6, 7), "straight-through", weight=0.6),
        Conv("conv2", "lif1", 4, gate="channels"),
        LIF("lif2", ("conv2",)),
        Conv("conv3", "lif2", 5, gate="places", input_gate="channels"),
        Conv("conv4", "lif1", 5, gate="straight", input_gate="pairs"),
        LIF("lif3", ("conv3", "conv4")),
        Conv("conv5", "lif3", 3, kernel=2, padding=0, input_gate="straight", bias=True, batch_norm=False),
        LIF("lif4", ("conv5",)),
        *_head("lif4"),
    ),
    "averages that overlap": (
        _image(6, 7, 2),
        Conv("conv1", "input", 4, quantizer=ENDS),
        LIF("lif1", ("conv1",)),
        AvgPool("average1", "lif1", 3, 1),
        Conv("conv2", "average1", 4),
        LIF("lif2", ("conv2",)),
        AvgPool("average2", "lif2", 2, 3),
        *_head("average2"),
    ),
    "a stream that no neuron reads": (
        _image(3, 4, 2),
        Conv("stem", "input", 4, quantizer=ENDS),
        LIF("lif1", ("stem",)),
        Conv("more", "lif1", 4, bias=True),
        LIF("lif2", ("stem", "more")),
        Shortcut("short", "lif1", 4, 1, (1, 0, -1, 3)),
        Conv("last", "lif2", 4, 1, 1, 0),
        CurrentReadout("head", ("stem", "more", "last", "short"), 3),
    ),
    "attention in a residual stream": (
        _image(3, 4, 2),
        Conv("stem", "input", 4, quantizer=ENDS),
        LIF("lif", ("stem",), 0.3),
        *(
            node
            for name, channels in (("q", 4), ("k", 4), ("v", 6))
            for node in (Conv(name, "lif", channels, 1, 1, 0), LIF(f"{name}.lif", (name,), 0.4))
        ),
        SelfAttention("attention", "q.lif", "k.lif", "v.lif", 2, 0.25),
        LIF("attention.lif", ("attention",), 0.4),
        Conv("proj", "attention.lif", 4, 1, 1, 0),
        LIF("mlp1", ("stem", "proj")),
        Conv("hidden", "mlp1", 5, 1, 1, 0),
        LIF("mlp2", ("hidden",)),
        Conv("out", "mlp2", 4, 1, 1, 0),
        LIF("again", ("stem", "proj", "out")),
        Conv("more", "again", 4, 1, 1, 0),
        LIF("last", ("stem", "proj", "out", "more")),
        *_head("last"),
    ),
}


def network(name, steps=4, *, neuron=None, quantizer=None):
    """That network with other LIF fields, and with another quantizer (False: none) on the synapses that have one."""
    return network_of(Network(NETWORKS[name], steps), neuron=neuron, quantizer=quantizer)


def network_of(net, *, neuron=None, quantizer=None):
    """The same of any network."""
    nodes = []
    for node in net:
        if isinstance(node, LIF):
            node = replace(node, **(neuron or {}))
        elif quantizer is not None and getattr(node, "quantizer", None) is not None:
            node = replace(node, quantizer=quantizer or None)
        nodes.append(node)
    return Network(tuple(nodes), net.steps)


def model(net, seed=0):
    """Fresh parameters, but with batch norms, biases and running statistics that are not 0 and 1.

    Linear weights are drawn larger than `N(0, 0.01)`, and batch norm's shifts upwards, so that every layer fires.
    """
    fresh, rng = passes.initialise(net, seed), np.random.default_rng([seed, 99])
    for node, own in fresh.params.items():
        for name, value in own.items():
            if name == "weight" and isinstance(net[node], Linear):
                value *= 60
            elif name == "bn_weight":
                value[:] = rng.choice([-1, 1], len(value), p=[0.2, 0.8]) * rng.uniform(0.6, 1.4, len(value))
            elif name == "bn_bias":
                value[:] = rng.uniform(0, 0.6, len(value))
            elif name in ("log_threshold", "logit_leak"):
                value[:] = rng.uniform(-0.3, 0.3, len(value))
            elif name == "bias":
                value[:] = rng.normal(0.2, 0.3, len(value))
        for name, value in fresh.state.get(node, {}).items():
            value[:] = rng.normal(0, 0.3, len(value)) if name == "mean" else rng.uniform(0.3, 1.5, len(value))
    return fresh


def images(net, batch=3, seed=0, frames=False):
    """Images [B, H, W, C] of the network's Input, or a frame for each step [T, B, H, W, C]."""
    rng, source = np.random.default_rng([seed, 7]), net.input
    shape = ((net.steps,) if frames else ()) + (batch, *source.shape)
    if source.peak is None:
        return rng.normal(0, 1, shape).astype(np.float32)
    return rng.integers(0, source.peak + 1, shape).astype(np.uint8)


def labels(net, batch=3, seed=0):
    """A class for each image."""
    return np.random.default_rng([seed, 5]).integers(0, net.classes, batch)
