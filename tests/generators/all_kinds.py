"""Trained networks of every kind of node, and a tiny one, with random parameters: what lowering is tried on."""

from __future__ import annotations

import numpy as np

from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.model import Model


def block(bits=4, beta=0.5, threshold=1.0, steps=4, quantizer=None, peak=255, reset="zero", membrane=None):
    """Every kind of node: a residual block with a shortcut, SEW's sum, both pools, batch norm and biases."""
    q = quantizer or Quantizer(bits, "mean")
    neuron = {"beta": beta, "threshold": threshold, "reset": reset, "membrane": membrane}
    nodes = (
        Input("image", (6, 7, 2), peak, 1 / peak),
        Conv("conv1", "image", 4, quantizer=Quantizer(8, gamma="max"), bias=True),
        LIF("lif1", ("conv1",), **neuron),
        Conv("conv2", "lif1", 6, stride=2, quantizer=q),
        Shortcut("short", "lif1", 6, 2, (3, -1, 0, 1, 2, 2)),
        LIF("lif2", ("conv2", "short"), **neuron),
        Conv("conv3", "lif2", 6, quantizer=q),
        LIF("lif3", ("conv3",), **neuron),
        Sum("sum", ("lif3", "lif2")),
        MaxPool("max", "sum", 3, 1, 1),
        Conv("conv4", "max", 5, 1, 1, 0, quantizer=q, bias=True, batch_norm=False),
        Conv("conv5", "sum", 5, quantizer=q),
        LIF("lif4", ("conv4", "conv5"), **neuron),
        AvgPool("avg", "lif4", 2),
        Linear("hidden", "avg", 6, quantizer=q, batch_norm=True),
        LIF("lif5", ("hidden",), **neuron),
        Linear("fc", "lif5", 3, quantizer=Quantizer(8, gamma="max", granularity="layer")),
        Readout("out", "fc"),
    )
    return Network(nodes, steps)


def model_of(network, seed=0):
    """Random parameters; a third of the batch-norm scales are negative, one is 0, one next to nothing."""
    rng = np.random.default_rng(seed)
    params, state = {}, {}
    for node in network.of(Conv, Linear):
        shape = node.weight_shape(network.inputs_of(node)[0])
        fan = np.prod(shape[:-1])
        own = {"weight": rng.normal(0, 2 / np.sqrt(fan), shape)}
        if node.bias:
            own["bias"] = rng.normal(0, 0.2, node.channels)
        if node.batch_norm:
            own["bn_weight"] = rng.choice([-1.5, 1.0, 0.7], node.channels)
            own["bn_weight"][:2] = [0, 1e-12] if node.name in ("conv2", "conv3") else own["bn_weight"][:2]
            own["bn_bias"] = rng.normal(0.3, 0.3, node.channels)
            state[node.name] = {"mean": rng.normal(0, 0.1, node.channels), "var": rng.uniform(0.3, 1.5, node.channels)}
        params[node.name] = own
    return Model(network, single(params), single(state))


def single(arrays):
    return {node: {name: array.astype(np.float32) for name, array in own.items()} for node, own in arrays.items()}


def images_of(network, batch=3, seed=1):
    node = network.input
    return np.random.default_rng(seed).integers(0, node.peak + 1, (batch, *node.shape)).astype(np.uint8)


def tiny(**neuron):
    """Two channels of one pixel each, and what they answer."""
    nodes = (
        Input("in", (1, 1, 2), 255),
        Conv("conv", "in", 2, 1, 1, 0, Quantizer(3, "max")),
        LIF("lif", ("conv",), **neuron),
        Linear("fc", "lif", 2, Quantizer(8, "max")),
        Readout("out", "fc"),
    )
    return Network(nodes, 6)


def tiny_model(network, **arrays):
    model = model_of(network)
    for name, array in arrays.items():
        (model.state if name in ("mean", "var") else model.params)["conv"][name] = np.array(array, np.float32)
    return model
