"""Digests of small training runs, which every processor, NumPy and Numba must repeat bit for bit.

`python -m golden.training_bits` (in `tests/`) prints them as JSON; with `--write` it records them, which is right only
after a deliberate change of the arithmetic; with `--arrays` it prints a digest of each array of the first step, to find
the first one that differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.engine.evaluation import measure_model
from qpsnn_core.engine.passes import backward, forward, initialise
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.zoo.blocks import Neuron
from qpsnn_core.network.zoo.vgg import mlp, resnet20, vgg_small
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import train
from qpsnn_datasets import Augment, Dataset, Split, load_digits

FILE = Path(__file__).with_suffix(".json")

TRAINED, TESTED = 96, 32


class Run(NamedTuple):
    """A training run. data: "images", or "frames" of counts that the digits are taken apart into."""

    network: Network
    data: str
    config: TrainConfig
    augment: Augment


def counts() -> Network:
    """Counts of events, sums of spikes, every pool, weights in floating point, and every kind of gamma."""
    nodes = (
        Input("events", (8, 8, 2), peak=5, scale=0.5, spikes=True),
        Conv("conv1", "events", 20, quantizer=Quantizer(8, gamma="mean", granularity="layer")),
        _neuron("lif1", "conv1"),
        Conv("conv2", "lif1", 20, quantizer=Quantizer(4, gamma="percentile", percentile=0.97)),
        Shortcut("short", "lif1", 20),
        _neuron("lif2", "conv2", "short"),
        Sum("sum", ("lif1", "lif2")),
        MaxPool("pool", "sum", 3, 2, 1),
        Conv("conv3", "pool", 36, quantizer=None, bias=True),
        _neuron("lif3", "conv3"),
        Conv("conv4", "lif3", 24, kernel=2, padding=0, quantizer=None),
        _neuron("lif4", "conv4"),
        AvgPool("average", "lif4", 3),
        Linear("hidden", "average", 30, quantizer=None, batch_norm=True),
        _neuron("lif5", "hidden"),
        Linear("hidden2", "lif5", 17, quantizer=Quantizer(3, gamma="percentile", granularity="layer")),
        _neuron("lif6", "hidden2"),
        Linear("linear", "lif6", 10, quantizer=Quantizer(8, gamma="one")),
        Readout("readout", "linear"),
    )
    return Network(nodes, 4)


def _neuron(name: str, *sources: str) -> LIF:
    return LIF(name, sources, threshold=0.7, beta=0.75, surrogate="rectangular", width=1.5)


def runs() -> dict[str, Run]:
    """Every kind of node, loss, optimizer, schedule, surrogate and reset is in one of them."""
    sigmoid = Neuron(surrogate="sigmoid", width=0.5, reset="subtract", detach_reset=True)
    shape = (8, 8, 1)
    small = {"epochs": 2, "batch": 16}
    return {
        "vgg": Run(
            vgg_small(shape, 10, width=0.75),
            "images",
            TrainConfig(**small, optimizer="adam", lr=0.01, schedule="cosine", warmup_epochs=1),
            Augment(crop=1, flip=True, cutout=2, resized_crop=0.6),
        ),
        "residual": Run(
            resnet20(shape, 10, steps=3, width=0.75, quantizer=Quantizer(2, ste="pass"), ends="float", neuron=sigmoid),
            "images",
            TrainConfig(**small, optimizer="sgd", lr=0.05, schedule="step", loss="tet", clip_norm=2.0),
            Augment(),
        ),
        "perceptron": Run(
            mlp(shape, 10, steps=5, widths=(70, 40), quantizer=None, neuron=Neuron(surrogate="arctan")),
            "images",
            TrainConfig(epochs=2, batch=19, optimizer="adamw", lr=0.003, schedule="constant", clip_norm=0.5),
            Augment(),
        ),
        "counts": Run(
            counts(),
            "frames",
            TrainConfig(**small, optimizer="sgd", momentum=0.0, lr=0.1, weight_decay=1e-3),
            Augment(nda=2),
        ),
    }


@cache
def digits() -> Split:
    """Some of scikit-learn's digits."""
    found = load_digits()
    return Split(_first(found.train, TRAINED), _first(found.test, TESTED))


def _first(data: Dataset, count: int) -> Dataset:
    return Dataset(data.images[:count], data.labels[:count], data.classes, data.name)


def frames(data: Dataset) -> Dataset:
    """Four frames of counts up to 5, of two channels: bits of the pixels, and their shifted sums."""
    levels = data.images // 16
    steps = [np.concatenate(((levels >> t & 3) + (levels >> 2), (15 - levels) >> t & 1), -1) for t in range(4)]
    made = np.minimum(np.stack(steps, 1), 5).astype(np.uint8)
    return Dataset(made, data.labels, data.classes, data.name)


def data_of(run: Run) -> Split:
    """The run's own."""
    return digits() if run.data == "images" else Split(*map(frames, digits()))


def results(run: Run) -> dict[str, str]:
    """A digest of each stage: fresh weights, the arrays of the first step, what is trained, its evaluation."""
    data = data_of(run)
    done = train(run.network, data.train, run.config, augment=run.augment)
    found = measure_model(done.model, data.test)
    optimizer = done.checkpoint.optimizer
    groups = {"params": done.model.params, "state": done.model.state, **(optimizer.slots if optimizer else {})}
    figures = [(epoch.loss, epoch.accuracy, epoch.firing_rate, epoch.lr) for epoch in done.history]
    return {
        "fresh": digest(flat({"params": initialise(run.network, run.config.seed).params})),
        "first step": digest(first_step(run)),
        "trained": digest(flat(groups)),
        "history": digest([(repr(figures), found.confusion)]),
        "evaluated": digest([(repr(found.loss), found.predictions), *sorted(found.spikes.items())]),
    }


def first_step(run: Run) -> Iterator[tuple[str, Any]]:
    """The logits, loss, its slope, new statistics and all gradients of the first images, with names."""
    data = data_of(run).train
    model = initialise(run.network, run.config.seed)
    images = data.images[: run.config.batch]
    images = images if images.ndim == 4 else np.ascontiguousarray(images.swapaxes(0, 1))
    done = forward(model, images, train=True, save_for_backward=True)
    loss, slope = LOSSES[run.config.loss](done.logits, data.labels[: run.config.batch])
    yield from (("logits", done.logits), (f"loss {loss!r}", slope))
    for node, value in done.values.items():
        arrays = value if isinstance(value, tuple) else (value,)
        yield from ((f"value.{node}.{place}", array) for place, array in enumerate(arrays))
    yield from flat({"state": done.state, "gradient": backward(model, done, slope)})


def flat(groups: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every array of `groups[group][node][name]`, with its name, in order of names."""
    for group, nodes in sorted(groups.items()):
        for node, own in sorted(nodes.items()):
            yield from ((f"{group}.{node}.{name}", array) for name, array in sorted(own.items()))


def digest(arrays: Any) -> str:
    """SHA-256 of names, types, shapes and bytes; its first half."""
    total = sha256()
    for name, array in arrays:
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:32]


def main(options: list[str]) -> None:
    """Print the digests of the runs that are named, or of all."""
    chosen = {name: run for name, run in runs().items() if name in options or not set(options) & set(runs())}
    if "--arrays" in options:
        for name, run in chosen.items():
            for place, array in first_step(run):
                print(name, place, digest([(place, array)]))  # noqa: T201 - what the process is started for
        return
    text = json.dumps({name: results(run) for name, run in chosen.items()}, indent=1) + "\n"
    if "--write" in options:
        FILE.write_text(text, encoding="utf-8")
    print(text, end="")  # noqa: T201 - what the process is started for


if __name__ == "__main__":
    main(sys.argv[1:])
