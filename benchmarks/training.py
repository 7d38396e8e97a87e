"""Weights from a short training on CIFAR-10, by qpsnn, at T = 2; they are kept, and serve every T.

Rates of a fresh network say nothing about a trained one, and sparse layers are where engines differ.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import qpsnn_core as qp
from benchmarks.networks import SHAPE, build
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.optim.optimizers import OPTIMIZERS
from qpsnn_datasets import Dataset, batches, load_data

STEPS = 2
BATCH = 32
RATE = 0.002
IMAGES = 5000
KEPT = 64
"""Test images that are kept with the weights."""

Told = Callable[[str], None]


class Source(NamedTuple):
    """Where the images come from, in words, and the images."""

    words: str
    train: Dataset
    test: Dataset


class Trained(NamedTuple):
    """A model, test images with labels, and what the training was: data, updates, seconds, loss."""

    model: Model
    images: Any
    labels: Any
    note: dict[str, Any]


def images(path: Path | None, limit: int = IMAGES) -> Source:
    """CIFAR-10 from `path`; where that is not there, the digits of scikit-learn enlarged to 32 x 32 x 3."""
    if path is not None and path.exists():
        data = load_data("cifar10", path, limit=limit)
        return Source("CIFAR-10", data.train, data.test)
    data = load_data("digits")
    return Source("digits enlarged to 32x32x3 (CIFAR-10 was not found)", _enlarged(data.train), _enlarged(data.test))


def trained(name: str, source: Callable[[], Source], seconds: float, folder: Path, tell: Told) -> Trained:
    """The network after `seconds` of training: from `folder`, if it has been trained as long before."""
    path = folder / f"{name}.npz"
    if path.exists():
        found = stored(name, path)
        if found.note["budget"] >= seconds and found.model.network == _network(name, found.model.network.classes):
            return found
    data = source()
    tell(f"{name}: training for {seconds:.0f} s on {data.words}")
    model, note = _train(_network(name, len(data.train.classes)), data, seconds, tell)
    folder.mkdir(parents=True, exist_ok=True)
    notes = {f"note/{key}": value for key, value in {**note, "data": data.words, "budget": seconds}.items()}
    batch = {"images": data.test.images[:KEPT], "labels": data.test.labels[:KEPT]}
    np.savez(path, **notes, **batch, **_flat("params", model.params), **_flat("state", model.state))
    return stored(name, path)


def stored(name: str, path: Path) -> Trained:
    """What `trained` wrote."""
    with np.load(path) as file:
        arrays = dict(file)
    params, state, note = (_nested(arrays, part) for part in ("params", "state", "note"))
    last = "linear" if "linear" in params else "readout"
    network = _network(name, len(params[last]["bias"]))
    return Trained(
        Model(network, params, state),
        arrays["images"],
        arrays["labels"],
        {key: value.item() for key, value in note.items()},
    )


def _network(name: str, classes: int) -> Network:
    return build(name, SHAPE, classes, STEPS)


def _train(network: Network, source: Source, seconds: float, tell: Told) -> tuple[Model, dict[str, Any]]:
    model, optimizer = qp.initialise(network, 0), OPTIMIZERS["adam"](0.9, 0.0)
    state, losses, epoch = optimizer.init(model.params), [], 0
    began = told = perf_counter()
    while not losses or perf_counter() - began < seconds:
        for few, labels in batches(source.train, BATCH, seed=0, epoch=epoch, drop_last=True):
            done = qp.forward(model, few, train=True, save_for_backward=True)
            loss, gradient = LOSSES["mean"](done.logits, labels)
            params, state = optimizer.update(qp.backward(model, done, gradient), state, model.params, RATE)
            model = Model(network, params, done.state)
            losses.append(loss)
            if len(losses) == 1:
                began = told = perf_counter()  # the first update may have had kernels to compile
            if perf_counter() - told > 10:
                told = perf_counter()
                tell(f"  {len(losses)} updates, loss {np.mean(losses[-10:]):.2f}")
            if perf_counter() - began >= seconds:
                break
        epoch += 1
    return model, {"updates": len(losses), "seconds": perf_counter() - began, "loss": float(np.mean(losses[-10:]))}


def _flat(part: str, arrays: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{part}/{node}/{name}": array for node, own in arrays.items() for name, array in own.items()}


def _nested(arrays: dict[str, Any], part: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, array in arrays.items():
        first, *path = key.split("/")
        if first == part and len(path) == 2:
            found.setdefault(path[0], {})[path[1]] = array
        elif first == part:
            found[path[0]] = array
    return found


def _enlarged(data: Dataset) -> Dataset:
    height, width, channels = SHAPE
    factor = (1, height // data.images.shape[1], width // data.images.shape[2], channels // data.images.shape[3])
    return Dataset(np.kron(data.images, np.ones(factor, data.images.dtype)), data.labels, data.classes, data.name)
