"""What happens inside a network: spikes, membranes and currents of named layers, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Array, NamedArrays
from qpsnn_core.common.validation import described
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.evaluation import MEMORY, bytes_of
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.measures import answers
from qpsnn_core.engine.membranes import MEMBRANES
from qpsnn_core.engine.passes import forward
from qpsnn_core.inference.samples import graph_of, images_of
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.integer.simulate import each_value, integer_images
from qpsnn_core.integer.step import Fired, IntCurrent
from qpsnn_core.kernels.neurons.learned import real_thresholds
from qpsnn_core.network.model import Model
from qpsnn_core.network.ordered_graph import Ordered
from qpsnn_datasets import Dataset, Split


@dataclass(frozen=True, eq=False)
class Inspection:
    """Arrays [T, N, H, W, C] by the names of nodes, over N images and all T steps.

    spikes: of every node that gives them. membranes: of LIF, U~ before the reset (Eq. 1), which is compared with the
    `thresholds`. currents: of synapses what they give; of LIF all that is added to the membrane in a step, so that
    `U~[t] = beta*U[t-1] + current[t]`. In floating point of a model; of integers in the integers' own units, whose
    codes, and so currents, may have another sign (a negative batch-norm scale). thresholds: [C] of LIF. labels: the
    answers, int64 [N].
    """

    spikes: NamedArrays
    membranes: NamedArrays
    currents: NamedArrays
    thresholds: NamedArrays
    labels: npt.NDArray[np.int64]
    steps: int

    def __repr__(self) -> str:
        """Names, not the arrays."""
        names = dict.fromkeys([*self.spikes, *self.currents])
        return f"Inspection({len(self.labels)} images, T = {self.steps}, of {_listed(tuple(names))})"


def inspect(
    model: Model | IntegerNetwork, images: Dataset | Split | Array, layers: str | Sequence[str] | None = None
) -> Inspection:
    """Run images [N, H, W, C], frames [N, T, H, W, C] or a set, and keep what the named layers hold at every step.

    layers: the name of a node, or several; None: every LIF. A model runs with its running statistics; integers run on
    the exact simulator.
    Raises ArgumentError, ConfigError (no such layer; more images than the memory holds), ShapeError, DataError,
    NumericsError.
    """
    network = graph_of("inspect.model", model)
    samples = images_of("inspect.images", network, images)
    neurons = model.network.neurons if isinstance(model, Model) else model.of(IntLIF)
    names = _named(network, tuple(node.name for node in neurons), layers)
    least = {name: len(samples) * network.steps * prod(network.shape(name)) for name in names}
    check_fits(f"inspect: what is kept of {len(samples):,} images", least)
    size = max(1, MEMORY // bytes_of(network))
    parts = [samples[start : start + size] for start in range(0, len(samples), size)]
    if isinstance(model, Model):
        check_model(model, "inspect.model")
        found = [_of_model(model, steps_first(part), names) for part in parts]
        thresholds = {
            one.name: real_thresholds(one, model.params.get(one.name, {}), network.shape(one.name)[2])
            for one in model.network.neurons
        }
    else:
        found = [_of_integers(model, integer_images(model, steps_first(part)), names) for part in parts]
        thresholds = {one.name: model.arrays[one.name]["threshold"] for one in model.of(IntLIF)}
    spikes, membranes, currents, labels = zip(*found, strict=True)
    kept = {name: values for name, values in thresholds.items() if name in names}
    arrays = _joined(spikes), _joined(membranes), _joined(currents)
    return Inspection(*arrays, kept, np.concatenate(labels), network.steps)


NO_CLASS = -1
"""The label of an image whose outputs are no classes."""

Parts = tuple[NamedArrays, NamedArrays, NamedArrays, npt.NDArray[np.int64]]
"""Spikes, membranes, currents and answers of a batch."""


def _of_model(model: Model, images: Array, names: Sequence[str]) -> Parts:
    network = model.network
    done = forward(model, images, save_for_backward=True)
    spikes = {name: done.values[name] for name in names if network.values[name].kind == "spikes"}
    neurons = [node for node in network.neurons if node.name in names]

    def current(name: str) -> Array:
        x = done.values[name]
        return _all_steps(x.scale * x.acc + x.shift, network.steps)

    currents = {name: current(name) for name in names if network.values[name].kind == "current"}
    currents |= {node.name: _sum([current(source) for source in node.sources]) for node in neurons}
    membranes = {node.name: MEMBRANES[node](node, done.caches[node.name]) for node in neurons}
    labels = answers(done.logits) if network.classifies else np.full(images.shape[-4], NO_CLASS)
    return spikes, membranes, currents, labels


def _of_integers(network: IntegerNetwork, images: Array, names: Sequence[str]) -> Parts:
    neurons = {node.name: node for node in network.of(IntLIF) if node.name in names}
    wanted = {*names, *(source for node in neurons.values() for source in node.sources)}
    spikes: NamedArrays = {}
    currents: NamedArrays = {}
    after: NamedArrays = {}
    labels = np.full(images.shape[-4], NO_CLASS)
    ends = [node.name for node in network.readouts if network.classifies]
    for name, value in each_value(network, images, {}, neurons):
        if name in ends:
            labels = value.argmax(1)
        elif name not in wanted:
            continue
        elif isinstance(value, Fired):
            spikes[name] = value.spikes
            if value.membranes is not None:
                after[name] = value.membranes
        elif isinstance(value, IntCurrent):
            currents[name] = _all_steps(value.acc.astype(np.int64) * value.gain, network.steps)
        else:
            spikes[name] = _all_steps(value, network.steps)
    own = {name: array for name, array in currents.items() if name in names}
    membranes: NamedArrays = {}
    for name, node in neurons.items():
        own[name] = _sum([currents[source] for source in node.sources]) + network.arrays[name]["bias"]
        before = np.concatenate([np.zeros_like(after[name][:1]), after[name][:-1]]).astype(np.int64)
        membranes[name] = (before * node.multiplier >> node.shift) + own[name]
    return {name: array for name, array in spikes.items() if name in names}, membranes, own, labels


def _named(network: Ordered[Any], neurons: tuple[str, ...], layers: str | Sequence[str] | None) -> tuple[str, ...]:
    """The names of the layers to look at."""
    if layers is None:
        return neurons
    layers = plain(layers)
    asked = (layers,) if isinstance(layers, str) else layers
    if not isinstance(asked, (list, tuple)):
        want = "the name of a layer, or a list of names"
        raise ConfigError(expected("inspect.layers", want, Unquoted(described(layers))))
    able = [node.name for node in network.nodes[1:-1]]
    for name in asked:
        if not isinstance(name, str) or name not in able:
            want = f"names of layers, of {_listed(able)}" + did_you_mean(name, able)
            raise ConfigError(expected("inspect.layers", want, name))
    return tuple(dict.fromkeys(asked))


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _all_steps(array: Array, steps: int) -> Array:
    """[1, ...], which is the same at every step, as [T, ...]."""
    return array if len(array) == steps else np.broadcast_to(array, (steps, *array.shape[1:]))


def _sum(arrays: Sequence[Array]) -> Array:
    return np.sum(np.stack(arrays), axis=0) if len(arrays) > 1 else arrays[0]


def _joined(parts: Sequence[Mapping[str, Array]]) -> NamedArrays:
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
