"""A network and a set so small that training them takes milliseconds; their bits depend on no library's streams."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.network import (
    LIF,
    AvgPool,
    Conv,
    Input,
    Linear,
    MaxPool,
    Network,
    Quantizer,
    Readout,
    Shortcut,
    Sum,
)
from qpsnn_core.network.model import Model
from qpsnn_datasets import Dataset, Split
from qpsnn_datasets.seeding import bit_stream

CLASSES = ("a", "b", "c")


def uniform(shape: tuple[int, ...], *key: int) -> np.ndarray[Any, Any]:
    """Numbers in [-1, 1) of 24 bits, float32, from the raw stream of (key)."""
    raw = bit_stream(0, *key).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(shape)


def network(steps: int = 3, peak: int = 15) -> Network:
    """One node of every kind: two currents meet in a LIF, two trains of spikes in a Sum; 6x6x2 images, 3 classes."""
    nodes = (
        Input("image", (6, 6, 2), peak, 1 / peak),
        Conv("conv1", "image", 6, quantizer=Quantizer(8, gamma="max"), bias=True),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "lif1", 6, quantizer=Quantizer(4, "mean")),
        Shortcut("short", "lif1", 6),
        LIF("lif2", ("conv2", "short")),
        Sum("sum", ("lif1", "lif2")),
        MaxPool("pool", "sum"),
        Conv("conv3", "pool", 8, stride=2, quantizer=Quantizer(3, "mean", granularity="layer")),
        LIF("lif3", ("conv3",)),
        AvgPool("average", "lif3", 2),
        Linear("linear", "average", 3, quantizer=Quantizer(8, gamma="max", granularity="layer")),
        Readout("readout", "linear"),
    )
    return Network(nodes, steps)


def model(seed: int = 0, **options: Any) -> Model:
    """The network with weights of a uniform draw, `sqrt(3)` times as wide as Kaiming's deviation."""
    made = network(**options)
    params: dict[str, Any] = {}
    state: dict[str, Any] = {}
    for index, node in enumerate(made.of(Conv, Linear)):
        shape = node.weight_shape(made.inputs_of(node)[0])
        fan = int(np.prod(shape[:-1]))
        params[node.name] = {"weight": uniform(shape, seed, index) * np.float32(np.sqrt(6 / fan))}
        if node.bias:
            params[node.name]["bias"] = np.zeros(node.channels, np.float32)
        if node.batch_norm:
            params[node.name] |= {"bn_weight": np.ones(node.channels, np.float32)}
            params[node.name] |= {"bn_bias": uniform((node.channels,), seed, index, 1) / 4}
            state[node.name] = {
                "mean": np.zeros(node.channels, np.float32),
                "var": np.ones(node.channels, np.float32),
            }
    return Model(made, params, state)


def dataset(samples: int = 40, peak: int = 15, frames: int = 0, seed: int = 0) -> Dataset:
    """Images 6x6x2, or so many frames of them: noise, and one row that is bright; which, says the label."""
    labels = np.arange(samples) % len(CLASSES)
    shape = (samples, *((frames,) if frames else ()), 6, 6, 2)
    images = np.floor((uniform(shape, seed, 100) + 1) * (peak + 1) / 4).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., 2 * label, :, :] = peak
    return Dataset(images, labels, CLASSES, "stripes")


def split(**options: Any) -> Split:
    """The set, and a smaller one to test on."""
    return Split(dataset(**options), dataset(**{**options, "samples": 15, "seed": 1}))
