"""Random small spiking transformers with random parameters: maps of tokens, heads, residual streams, readouts."""

from __future__ import annotations

import numpy as np

from generators.all_kinds import single
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network import (
    LIF,
    AvgPool,
    Conv,
    CurrentReadout,
    Input,
    Linear,
    MaxPool,
    Network,
    Quantizer,
    SelfAttention,
    Shortcut,
)
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import RESETS

LEAKS = (0.5, 0.5, 0.75, 0.25, 0.0)


def random_transformer(seed, places="mean", depth=None):
    """(model, images): tokens from 4 to 16, heads from 1 to 4, depth 1 or 2, T from 1 to 4; 3 images or frames."""
    rng = np.random.default_rng([seed, 41])
    steps, heads = int(rng.integers(1, 5)), int(rng.choice((1, 2, 4)))
    events = bool(rng.random() < 0.3)
    sizes = tuple(int(size) for size in rng.integers(3, 9, 2))
    peak = 3 if events else 255
    reset = str(rng.choice(RESETS))

    def neuron(name, *sources, threshold=1.0):
        return LIF(name, sources, threshold, float(rng.choice(LEAKS)), reset=reset)

    def point(name, source, channels):
        bits = int(rng.choice((2, 4, 8)))
        return Conv(name, source, channels, 1, 1, 0, Quantizer(bits, "mean"), bias=bool(rng.random() < 0.5))

    channels, values = (max(3, heads * int(rng.integers(1, 4))) // heads * heads for _ in range(2))
    nodes = [
        Input("input", (*sizes, 2), peak, 1 / peak, events),
        Conv("stem", "input", 3, quantizer=Quantizer(8, gamma="max")),
        neuron("stem.lif", "stem"),
        MaxPool("pool", "stem.lif", 3, 2, 1),
        Conv("token", "pool", channels, 3, 1, 1),
    ]
    stream = ["token"]
    if rng.random() < 0.5:
        wide = tuple(int(one) for one in rng.integers(-1, 3, channels))
        nodes.append(Shortcut("short", "pool", channels, 1, wide))
        stream.append("short")
    for index in range(depth or int(rng.integers(1, 3))):
        name = f"block{index}"
        nodes.append(neuron(f"{name}.lif", *stream))
        for part, count in (("q", channels), ("k", channels), ("v", values)):
            nodes += [
                point(f"{name}.{part}", f"{name}.lif", count),
                neuron(f"{name}.{part}.lif", f"{name}.{part}", threshold=0.5),
            ]
        scale = float(rng.choice((0.125, 0.125, 0.25, 0.3)))
        nodes += [
            SelfAttention(f"{name}.a", *(f"{name}.{part}.lif" for part in "qkv"), heads, scale),
            neuron(f"{name}.a.lif", f"{name}.a", threshold=float(rng.choice((0.25, 0.5, 1.0)))),
            point(f"{name}.proj", f"{name}.a.lif", channels),
        ]
        stream.append(f"{name}.proj")
        nodes += [
            neuron(f"{name}.lif1", *stream),
            point(f"{name}.up", f"{name}.lif1", 2 * channels),
            neuron(f"{name}.lif2", f"{name}.up"),
            point(f"{name}.down", f"{name}.lif2", channels),
        ]
        stream.append(f"{name}.down")
    granularity = str(rng.choice(("layer", "channel")))
    nodes.append(CurrentReadout("head", tuple(stream), 4, places, Quantizer(8, "max", granularity)))
    network = Network(tuple(nodes), steps)
    frames = (steps,) if events else ()
    return model_of(network, rng), rng.integers(0, peak + 1, (*frames, 3, *sizes, 2)).astype(np.uint8)


def random_integer_transformer(seed):
    """(integer network, images), every third of which reads out each place."""
    model, images = random_transformer(seed, ("mean", "mean", "each")[seed % 3])
    return lower(model).network, images


def model_of(network, rng):
    """Random parameters; a third of the batch-norm scales are negative."""
    params, state = {}, {}
    for node in network.synapses:
        shape = node.weight_shape(network.inputs_of(node)[0])
        own = {"weight": rng.normal(0, 2 / np.sqrt(np.prod(shape[:-1])), shape)}
        if node.bias:
            own["bias"] = rng.normal(0, 0.2, node.channels)
        if node.batch_norm:
            own["bn_weight"] = rng.choice([-1.5, 1.0, 0.7], node.channels)
            own["bn_bias"] = rng.normal(0.3, 0.3, node.channels)
            state[node.name] = {"mean": rng.normal(0, 0.1, node.channels), "var": rng.uniform(0.3, 1.5, node.channels)}
        params[node.name] = own
    return Model(network, single(params), single(state))


STREAMS = {
    "conv": lambda name: (Conv(name, "lif", 4, 3, 1, 1),),
    "real": lambda name: (Conv(name, "lif", 4, 1, 1, 0, None, bias=True),),
    "shortcut": lambda name: (Shortcut(name, "lif", 4, 1, (1, -1, 0, 2)),),
    "max_pool": lambda name: (Conv(f"{name}.in", "lif", 4, 3, 1, 1), MaxPool(name, f"{name}.in", 3, 1, 1)),
    "avg_pool": lambda name: (Conv(f"{name}.in", "lif", 4, 3, 1, 1), AvgPool(name, f"{name}.in", (1, 1), (1, 1))),
    "image": lambda name: (Conv(name, "input", 4, 3, 1, 1, Quantizer(8, "max")),),
    "linear": lambda name: (Linear(name, "lif", 4, batch_norm=True),),
}
"""What a CurrentReadout reads, of four channels, by the name of the kind."""


def random_stream(kinds, places="mean", seed=0, read=0):
    """(model, images): a readout of currents of these kinds, the first `read` of which neurons read, too."""
    rng = np.random.default_rng([seed, len(kinds), 43])
    names = [f"{kind}{index}" for index, kind in enumerate(kinds)]
    spiking = (Conv("first", "input", 3, quantizer=Quantizer(8, "max")), LIF("lif", ("first",)))
    nodes = [
        Input("input", (3, 4, 2), 255, 1 / 255),
        *(spiking if set(kinds) != {"image"} else ()),
        *(node for kind, name in zip(kinds, names, strict=True) for node in STREAMS[kind](name)),
    ]
    if read:
        nodes += [LIF("reads", tuple(names[:read])), Conv("more", "reads", 4, 1, 1, 0)]
        names.append("more")
    nodes.append(CurrentReadout("head", tuple(names), 3, places, Quantizer(8, "max")))
    network = Network(tuple(nodes), 3)
    return model_of(network, rng), rng.integers(0, 256, (4, 3, 4, 2)).astype(np.uint8)
