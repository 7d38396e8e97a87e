"""How the maps of a network are read for a set with boxes: its head, and which readout gives which map."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from qpsnn_core.common.detection import BOX, DetectionHead
from qpsnn_core.common.errors import DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Floats
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.network.model import Model
from qpsnn_core.network.ordered_graph import Ordered, sources_of


def levels_of(network: Ordered[Any]) -> tuple[str, ...]:
    """The readouts, the finest map first."""
    return tuple(sorted((node.name for node in network.readouts), key=lambda name: -network.shape(name)[0]))


def units_of(network: Ordered[Any]) -> tuple[float, ...]:
    """What 1 of each map of an integer network is of a real number, the finest first."""
    nodes = {node.name: node for node in network.readouts}
    return tuple(float(nodes[name].unit(network.steps)) for name in levels_of(network))


class Coded(Protocol):
    """What says how boxes are coded: a DetectionDataset, or what a checkpoint says of one."""

    @property
    def name(self) -> str:
        """That messages use."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """Width and height, in pixels of the network's input, by rising area."""

    @property
    def decode(self) -> str:
        """Of `DetectionHead`."""


def head_of(network: Ordered[Any], dataset: Coded) -> DetectionHead:
    """The head of a network for the classes and anchors of a set; the smallest anchors are those of the finest map.

    Raises ShapeError: a readout whose map no stride gives, or whose channels are not `A*(5 + K)`, as many anchors in
    all as the set has; DataError: a set without anchors.
    """
    height, width, _ = network.shape(network.input.name)
    classes, own = len(dataset.classes), BOX + len(dataset.classes)
    if not dataset.anchors:
        want = "anchors, which load_data(..., anchors=6) fits to its boxes"
        raise DataError(expected(f"{dataset.name}.anchors", want, Unquoted("none")))
    strides, counts = [], []
    for name in levels_of(network):
        rows, columns, channels = network.shape(name)
        if height % rows or (height // rows) * columns != width:
            want = f"a map that a stride makes of {height} x {width} pixels"
            raise ShapeError(expected(f"network: {name}", want, Unquoted(f"{rows} x {columns}")))
        if channels % own:
            want = f"A*(5 + {classes}) channels, for {classes} classes of {dataset.name}"
            raise ShapeError(expected(f"network: {name}", want, channels))
        strides.append(height // rows)
        counts.append(channels // own)
    if sum(counts) != len(dataset.anchors):
        want = f"{sum(counts)}, as the readouts {', '.join(levels_of(network))} have"
        raise ShapeError(expected(f"{dataset.name}: number of anchors", want, len(dataset.anchors)))
    ends = np.cumsum([0, *counts]).tolist()
    anchors = tuple(dataset.anchors[start:stop] for start, stop in pairwise(ends))
    return DetectionHead(classes, tuple(strides), anchors, dataset.decode)


def with_start_bias(model: Model, head: DetectionHead) -> Model:
    """A fresh model whose maps begin with `DetectionHead.start_bias`: that of each readout, or of what it reads.

    Raises ShapeError: a readout without a bias of its channels.
    """
    network, params = model.network, dict(model.params)
    height, width, _ = network.shape(network.input.name)
    for name, bias in zip(levels_of(network), head.start_bias(max(height, width)), strict=True):
        sources = (name, *sources_of(network[name]))
        owners = [one for one in sources if params.get(one, {}).get("bias", np.zeros(0)).shape == bias.shape]
        if not owners:
            want = f"a bias of {len(bias)} channels, its own or of {', '.join(sources[1:])}"
            raise ShapeError(expected(f"network: {name}", want, Unquoted("none")))
        params[owners[0]] = {**params[owners[0]], "bias": bias}
    return Model(network, params, model.state)


def mean_maps(network: Ordered[Any], outputs: Mapping[str, Floats]) -> list[Floats]:
    """The maps of a pass, means over T, float32 `[B, H, W, K]`, the finest first."""
    found = [add_steps(outputs[name].astype(np.float64)) / len(outputs[name]) for name in levels_of(network)]
    return [one.astype(np.float32) for one in found]
