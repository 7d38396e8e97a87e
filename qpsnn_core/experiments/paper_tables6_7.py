"""Tables 6 and 7 of the QP-SNN paper: synaptic operations from measured firing, and the energy they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.engine.passes import initialise
from qpsnn_core.engine.pricing import measured_cost, nonzero
from qpsnn_core.experiments.paper_table1 import entry
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.network.cost import cost
from qpsnn_core.network.cost_figures import energy_mj
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_datasets import Dataset


class PublishedRow(NamedTuple):
    """A row of Table 6 as printed. bits: None for the whole network in floating point; sops: millions per step."""

    name: str
    bits: int | None
    connections: float
    size_mb: float
    sops: float
    power_mj: float
    accuracy: float


TABLE_6 = (
    PublishedRow("cifar10-0.8", None, 1.0, 58.88, 54.60, 0.204, 93.63),
    PublishedRow("cifar10-0.8", 4, 0.0961, 0.74, 11.63, 0.046, 91.19),
    PublishedRow("cifar100-0.75", None, 1.0, 68.4, 415.64, 0.756, 79.49),
    PublishedRow("cifar100-0.75", 4, 0.2269, 2.17, 131.53, 0.126, 74.73),
)

TABLE_7 = (
    ("Deng et al. 2021", "7Conv2FC", 8, 62.16, 107.97),
    ("Shi et al. 2024", "6Conv2FC", 8, 33.76, 11.98),
    ("Li et al. 2024", "VGG-16", 4, 5.68, None),
)
"""The other systems of Table 7 as printed: method, architecture, steps, size in MB, millions of SOPs."""


class Efficiency(NamedTuple):
    """What a network costs. connections: the share of the whole network's weights that is left, if known.

    size_mb: Eq. 16. firing_rate: spikes per neuron and step, measured. sops: synaptic operations per image, the total
    over T; sops_per_step: the paper's figure. energy_mj: `0.9 pJ * sops + 4.6 pJ * MACs on the image, once`.
    accuracy: 0 to 1, None where the weights were never trained.
    """

    name: str
    network: str
    steps: int
    bits: int | None
    connections: float | None
    size_mb: float
    firing_rate: float
    sops: float
    sops_per_step: float
    energy_mj: float
    accuracy: float | None


def measured(
    name: str, model: Model, data: Dataset, *, trained: bool = True, whole: Network | None = None, kind: str = ""
) -> Efficiency:
    """The row of a model, its firing measured on `data`; whole: what it was pruned from. Raises as `evaluate`."""
    network, found = model.network, evaluate(model, data)
    price = measured_cost(model, found)
    sops, energy = price.sops or 0.0, price.energy_mj or 0.0
    figures = (price.size_mb, found.firing_rate, sops, sops / network.steps, energy)
    accuracy = found.accuracy if trained else None
    left = count_weights(network) - sum(int((~mask).sum()) for mask in nonzero(model).values())
    connections = left / count_weights(whole) if whole else None
    return Efficiency(name, kind, network.steps, bits_of(network), connections, *figures, accuracy)


def unpruned_network(config: NetworkConfig, network: Network) -> Network:
    """The network of a recipe for what `network` reads and tells apart: `network` itself, before any pruning."""
    return config.build(network.input.shape, network.classes, events=network.input.spikes)


def untrained(data: Dataset | None = None, images: int = 16, seed: int = 0) -> Iterator[Efficiency]:
    """The networks of Table 6 with fresh weights, their batch norm calibrated on the images.

    data: images of 32 x 32 x 3 (else noise of coarse squares); `images` of them are taken. Firing is set by batch
    norm and the threshold far more than by training: 15 to 20% before it, and as much after it.
    """
    for row in TABLE_6:
        paper = entry(row.name)
        whole = paper.build(None, pruned=False)
        network = whole if row.bits is None else paper.build(row.bits)
        chosen = (noise(images, paper.classes, seed) if data is None else data).limited(images)
        model = recalibrate(initialise(network, seed), chosen)
        yield measured(row.name, model, chosen, trained=False, whole=whole, kind=paper.network)


def noise(images: int, classes: int, seed: int = 0) -> Dataset:
    """Images of 32 x 32 x 3 whose squares of 4 x 4 pixels have each a random colour."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (images, 8, 8, 3), np.uint8)
    names = tuple(map(str, range(classes)))
    return Dataset(coarse.repeat(4, 1).repeat(4, 2), rng.integers(0, classes, images), names, "noise")


def paper_energy_mj(row: PublishedRow) -> float:
    """The paper's convention on its own SOPs: `0.9 pJ * SOPs per step * T + 4.6 pJ * MACs of the first layer, once`."""
    network = entry(row.name).build(row.bits, pruned=row.bits is not None)
    return energy_mj(row.sops * 1e6 * network.steps, cost(network).image_macs)


def count_weights(network: Network) -> int:
    """All parameters but batch norm's and biases: what "connection" counts."""
    return sum(math.prod(node.weight_shape(network.inputs_of(node)[0])) for node in network.synapses)


def bits_of(network: Network) -> int | None:
    """The fewest bits of any weight; None in floating point."""
    found = [node.quantizer.bits for node in network.synapses if node.quantizer]
    return min(found, default=None)
