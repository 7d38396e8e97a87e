"""What the files of formats/ are made of: networks with every kind of node and every option, recipes, recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from golden import facts

from qpsnn_datasets import Dataset

CLASSES = ("a", "b", "c")

INPUT = {"kind": "Input", "name": "image", "shape": [6, 6, 2], "peak": 15, "scale": 1 / 15, "spikes": False}


def quantizer(bits: int, **changes: Any) -> dict[str, Any]:
    usual = {"gamma": "mean", "granularity": "channel", "ste": "clip", "percentile": 0.99, "zero": False}
    return {"bits": bits, **usual, **changes}


def conv(name: str, source: str, channels: int, **changes: Any) -> dict[str, Any]:
    usual = {"kernel": 3, "stride": 1, "padding": 1, "quantizer": None, "bias": False, "batch_norm": True}
    return {"kind": "Conv", "name": name, "source": source, "channels": channels, **usual, "sparse": False, **changes}


def linear(name: str, source: str, features: int, **changes: Any) -> dict[str, Any]:
    usual = {"quantizer": None, "bias": True, "batch_norm": False, "sparse": False}
    return {"kind": "Linear", "name": name, "source": source, "features": features, **usual, **changes}


def lif(name: str, *sources: str, **changes: Any) -> dict[str, Any]:
    usual = {"threshold": 1.0, "beta": 0.5, "surrogate": "triangle", "width": 1.0, "detach_reset": False}
    return {"kind": "LIF", "name": name, "sources": list(sources), **usual, **changes}


def shortcut(name: str, source: str, channels: int, stride: int, chosen: Any) -> dict[str, Any]:
    return {"kind": "Shortcut", "name": name, "source": source, "channels": channels, "stride": stride} | {
        "channel_map": chosen
    }


def every_kind() -> list[dict[str, Any]]:
    """A network that can be deployed: every kind of node, all ways to quantize."""
    return [
        INPUT,
        conv("conv1", "image", 6, quantizer=quantizer(8, gamma="max", ste="pass"), bias=True),
        lif("lif1", "conv1", threshold=0.75, surrogate="sigmoid", width=1.5),
        {"kind": "MaxPool", "name": "max", "source": "lif1", "size": 2, "stride": 0, "padding": 0},
        conv("conv2", "max", 6, quantizer=quantizer(4)),
        shortcut("short", "max", 6, 1, [0, -1, 2, 1, 5, -1]),
        lif("lif2", "conv2", "short", beta=0.25, surrogate="arctan", detach_reset=True),
        {"kind": "Sum", "name": "sum", "sources": ["max", "lif2"]},
        conv("conv3", "sum", 5, kernel=2, padding=1, quantizer=quantizer(3, gamma="percentile", percentile=0.9)),
        lif("lif3", "conv3", surrogate="rectangular"),
        {"kind": "AvgPool", "name": "average", "source": "lif3", "size": 2},
        linear("fc", "average", 6, quantizer=quantizer(2, gamma="one", granularity="layer"), batch_norm=True),
        lif("lif4", "fc"),
        linear("linear", "lif4", 3, quantizer=quantizer(8, gamma="max", granularity="layer")),
        {"kind": "Readout", "name": "readout", "source": "linear"},
    ]


def networks() -> dict[str, list[dict[str, Any]]]:
    """Networks by the name of their file; what is not in the first: floats, events, what compression leaves."""
    kept = quantizer(4, gamma="kept", zero=True)
    events = {"kind": "Input", "name": "image", "shape": [4, 4, 2], "peak": 255, "scale": 1.0, "spikes": True}
    real = {**INPUT, "peak": None}
    after = [lif("lif1", "conv1"), lif("lif2", "conv2", "short")]
    end = [linear("linear", "pool", 3, bias=False), {"kind": "Readout", "name": "readout", "source": "linear"}]
    pool = {"kind": "MaxPool", "name": "pool", "source": "lif2", "size": 3, "stride": 1, "padding": 1}
    return {
        "network.json": every_kind(),
        "network-floats.json": [
            real,
            conv("conv1", "image", 2, batch_norm=False, sparse=True),
            after[0],
            conv("conv2", "lif1", 3, stride=2),
            shortcut("short", "lif1", 3, 2, None),
            after[1],
            pool,
            *end,
        ],
        "network-events.json": [
            events,
            conv("conv1", "image", 2, quantizer=kept, sparse=True),
            after[0],
            conv("conv2", "lif1", 2, quantizer=quantizer(5, zero=True)),
            shortcut("short", "lif1", 2, 1, None),
            after[1],
            pool,
            *end,
        ],
    }


CHAIN = [
    {**INPUT, "peak": 1, "scale": 1.0, "spikes": True},
    conv("conv1", "image", 4, stride=2, quantizer=quantizer(4)),
    lif("lif1", "conv1"),
    linear("linear", "lif1", 3, quantizer=quantizer(4, granularity="layer")),
    {"kind": "Readout", "name": "readout", "source": "linear"},
]
"""What NetX can hold: layers one behind the other, weights of few bits."""


def network_text(nodes: list[dict[str, Any]]) -> str:
    """A network of three steps in JSON."""
    return json.dumps({"format": "qpsnn-network", "version": 1, "steps": 3, "nodes": nodes})


def dataset(samples: int, begin: int = 0) -> Dataset:
    """Images of `facts.images`, in which one row is bright; which, says the label."""
    labels = np.arange(samples) % len(CLASSES)
    images = facts.images(begin + samples)[begin:]
    for image, label in zip(images, labels, strict=True):
        image[2 * label] = 15
    return Dataset(images, labels, CLASSES, "stripes")


STUDY = {
    "network": {"name": "mlp", "widths": [5], "bits": 4, "steps": 2, "threshold": 0.05, "surrogate_width": 0.1},
    "data": {"name": "events", "path": "events.h5", "flip": True},
    "train": {"epochs": 2, "batch": 2, "lr": 0.1, "warmup_epochs": 1, "clip_norm": 5.0, "seed": 0},
    "prune": {"rates": 0.0, "batches": 2, "batch": 2},
    "finetune": {"epochs": 2, "batch": 2},
}
"""A recipe whose data are the events beside it, and whose network trains in milliseconds."""

EVERY_FIELD = {
    "network": {
        **{"name": "resnet20", "widths": list(range(2, 21)), "bits": 3, "steps": 6, "gamma": "percentile"},
        **{"granularity": "layer", "ste": "pass", "percentile": 0.95, "ends": "float", "threshold": 0.5, "beta": 0.25},
        **{"surrogate": "arctan", "surrogate_width": 2.0, "detach_reset": True},
    },
    "data": {
        **{"name": "events", "path": "some folder/events.h5", "limit": 100, "crop": 2, "flip": True, "cutout": 3},
        **{"autoaugment": True, "nda": 2, "resized_crop": 0.25, "frames": "count", "size": 32},
    },
    "train": {
        **{"epochs": 7, "batch": 32, "optimizer": "adam", "lr": 0.01, "momentum": 0.8, "weight_decay": 0.0},
        **{"schedule": "constant", "warmup_epochs": 2, "clip_norm": 1.5, "loss": "tet", "seed": 11},
    },
    "prune": {
        **{"criterion": "sca", "rates": {"lif1": 0.25, "stage1.lif2": 0.5}, "batches": 3, "batch": 16, "epsilon": 1e-5},
        **{"residual": "together", "reinit": "paper", "prune_last": True, "ties": "sca", "recalibrate": False},
    },
    "finetune": {
        **{"epochs": 3, "batch": 16, "optimizer": "sgd", "lr": 0.02, "momentum": 0.7, "weight_decay": 1e-4},
        **{"schedule": "cosine", "warmup_epochs": 1, "clip_norm": 2.0, "loss": "mean", "seed": 12, "steps": 4},
    },
    "lower": {"fraction_bits": 10},
}
"""A recipe with no field at its default."""

BY_HAND = """\
# As a person writes it: whole numbers for real ones, names with dots, most of it left out.
[network]
name = "vgg16"
width = 1

[prune]
rates.lif1 = 0
rates.lif2 = 0.5

[finetune]
lr = 1
"""

PAPER = '[prune]\nrates = "cifar10-0.51"\n'


def recordings(folder: Path) -> None:
    """NumPy files of events on 4 x 4 pixels, most of them on the side that the class is named after."""
    for split, count in (("train", 3), ("test", 2)):
        for label, name in enumerate(("left", "right")):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                index = np.arange(40 + 3 * number + label, dtype=np.int64)
                events = np.zeros(len(index), [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")])
                key = ((index + 1) * 2654435761 + 40503 * (number + 1) * count) % 2**32 >> 8
                events["x"], events["y"] = 2 * label + key % 2, key // 2 % 4
                events["x"] = np.where(key % 5 == 0, (events["x"] + 2) % 4, events["x"])
                events["t"], events["p"] = 100 + 37 * index + number, key // 8 % 2
                if number == 1:
                    events[[3, 4]] = events[[4, 3]]  # for a repair
                np.save(place / f"{number}.npy", events)
