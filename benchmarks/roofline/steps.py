"""A whole training step of each network: the least time that its kernels' roofs add up to, and the time it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import qpsnn_core as qp
from benchmarks.roofline import costs, model
from benchmarks.roofline.costs import ConvSize, Cost
from benchmarks.roofline.curves import awake, training_step
from benchmarks.roofline.peaks import fastest
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Input, MaxPool, Readout
from qpsnn_core.network.synapses import Conv, Linear, Shortcut
from qpsnn_core.network.values import ValueSpec

NETWORKS = {"vgg_small": {}, "vgg9": {}, "vgg16": {}, "resnet20": {}}
"""Those of `make bench`, at full width, and options of qp.build."""

STEPS, BATCH, RATE = 4, 16, 0.15
SHAPE = (32, 32, 3)
Record = dict[str, Any]
Costs = Cost | tuple[Cost, ...]
"""Of a kernel, or of each of those that give the same."""


class Place(NamedTuple):
    """A node in its network. inputs: the values it reads; rate: of its first input's neurons, those that are not 0.

    once: its currents are the same at every step, since only images lie before it. first: nothing before it learns.
    """

    node: Any
    inputs: tuple[ValueSpec, ...]
    steps: int
    batch: int
    rate: float
    once: bool
    first: bool


def _conv(place: Place) -> Iterator[Costs]:
    node, (value, *_) = place.node, place.inputs
    if not node.plain:
        raise NotImplementedError(f"{node.name}: expected a square window without groups, got {node}")
    levels = node.quantizer.levels if node.quantizer else 0
    steps = 1 if place.once else place.steps
    size = ConvSize(
        steps, place.batch, *value.shape, node.channels, node.kernel, node.stride, node.padding, place.rate, levels
    )
    yield costs.sgd_step(size)
    if levels:
        yield costs.encode(size)
    if value.kind == "analog":
        yield costs.image_forward(size)
        yield costs.image_gradient(size)
    else:
        yield costs.pack(size)
        exact = costs.conv_bytes(size), costs.dense_forward(size), costs.table_forward(size)
        yield (exact if value.max_count == 1 else exact[:2]) if levels else costs.conv_floats(size)
        yield costs.list_channels(size)
        yield costs.weight_gradient(size)
    yield costs.short_moments(size)
    if not place.first:
        tiled = (node.kernel, node.stride, node.padding) == (3, 1, 1) and min(value.shape[:2]) > 2
        yield costs.through_tiles(size) if tiled else costs.through_windows(size)


def _linear(place: Place) -> Iterator[Cost]:
    node, (value, *_) = place.node, place.inputs
    size = ConvSize(place.steps, place.batch, 1, 1, int(np.prod(value.shape)), node.features, 1, 1, 0, place.rate)
    yield costs.sgd_step(size)
    yield costs.encode(size)
    product = 2 * size.inputs * size.outputs
    for _ in ("forward", "weights", "inputs"):
        yield Cost(4 * (size.inputs + size.weights), 4 * size.sums, 0, 0, product, "multiply_add")


def _lif(place: Place) -> Iterator[Cost]:
    size = _same(place, place.inputs[0])
    yield costs.lif_forward(size)
    yield costs.lif_backward(size)
    for _ in place.inputs[1:]:  # a further current is read as well, forward and backward
        yield Cost(4 * size.sums, 0, 0, 0, 2 * size.sums, "float32")


def _pool(place: Place) -> Iterator[Cost]:
    size = _same(place, place.inputs[0])
    yield costs.max_forward(size)
    yield costs.apart_backward(size)


def _shortcut(place: Place) -> Iterator[Cost]:
    size = _same(place, place.inputs[0])
    reach = size.inputs / place.node.stride**2
    yield Cost(reach, 2 * reach, 0, 0, 0, "uint8")
    yield Cost(4 * reach, 4 * size.inputs, 0, 0, 0, "float32")


def _nothing(place: Place) -> Iterator[Cost]:
    yield from ()


KERNELS: dict[type, Callable[[Place], Iterator[Costs]]] = {
    Input: _nothing,
    Conv: _conv,
    Linear: _linear,
    LIF: _lif,
    MaxPool: _pool,
    AvgPool: _pool,
    Shortcut: _shortcut,
    Readout: _nothing,
}
"""The kernels that a training step calls for each kind of node: forward, backward and update."""


def step_costs(network_model: Model, images: Any) -> list[Costs]:
    """Of every kernel in a training step on these images, or of each of those that may serve.

    Raises NotImplementedError of a kind without an entry.
    """
    network = network_model.network
    done = qp.forward(network_model, images, train=True, save_for_backward=True)
    found: list[Costs] = []
    learned: dict[str, bool] = {}
    for node in network.nodes:
        if type(node) not in KERNELS:
            raise NotImplementedError(f"{node.name}: expected one of {_names()}, got {type(node).__name__}")
        inputs = network.inputs_of(node)
        first = not any(learned[source] for source in node.sources)
        learned[node.name] = not first or isinstance(node, Conv | Linear)
        once = bool(inputs) and inputs[0].kind == "analog"
        shown = done.values.get(node.sources[0]) if node.sources else None
        rate = np.count_nonzero(shown) / shown.size if isinstance(shown, np.ndarray) else 1.0
        place = Place(node, inputs, network.steps, len(images), rate, once, first)
        found += KERNELS[type(node)](place)
    return found


def measure(seconds: float, peaks: model.Peaks, networks: dict[str, dict[str, Any]] = NETWORKS) -> list[Record]:
    """For each network its spikes' rate, the bound and the measured seconds of a step."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, *SHAPE)).astype(np.uint8)
    labels = rng.integers(0, 10, BATCH)
    records = []
    for name, options in networks.items():
        built = qp.initialise(qp.build(name, SHAPE, 10, steps=STEPS, **options), 0)
        shown = awake(built, images, RATE)
        least = model.bound(step_costs(shown, images), peaks)
        best = fastest({name: training_step(shown, images, labels)}, seconds)[name]
        sizes = {"network": name, "T": STEPS, "batch": BATCH, "rate": RATE}
        records.append({**sizes, "bound": least, "seconds": best})
    return records


def _same(place: Place, value: ValueSpec) -> ConvSize:
    return ConvSize(place.steps, place.batch, *value.shape, value.shape[2], 1, 1, 0, place.rate)


def _names() -> str:
    return ", ".join(kind.__name__ for kind in KERNELS)
