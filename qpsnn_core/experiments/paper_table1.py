"""Table 1 of the QP-SNN paper: its own rows, the networks that they are of, and what those really take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Arrays, Shape
from qpsnn_core.compression.channels.rates import kept_count, prunable, resolve
from qpsnn_core.engine.passes import initialise
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network.cost import cost
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.zoo.vgg import build
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.recipes.paper_rates import PAPER_SETS, paper_rates


class PublishedCell(NamedTuple):
    """Of one cell of Table 1: accuracy in percent, size in 10**6 bytes."""

    accuracy: float
    size_mb: float


@dataclass(frozen=True)
class Entry:
    """One row of Table 1 of the paper's own networks. printed: by bits."""

    name: str
    dataset: str
    network: str
    shape: Shape
    classes: int
    printed: Mapping[int, PublishedCell]
    rates: tuple[float, ...] = field(default=())

    @property
    def rate(self) -> float:
        """The largest rate, by which the row is named; 0: the whole network."""
        return max(self.rates, default=0.0)

    def build(self, bits: int | None = 4, *, ends: str = "float", pruned: bool = True) -> Network:
        """The network of this row: `bits` per weight (None: floating point), the ends as in the paper's figures."""
        options: dict[str, Any] = {"quantizer": None if bits is None else Quantizer(bits, "mean"), "ends": ends}
        whole = build(self.network, self.shape, self.classes, **options)
        if not self.rates or not pruned:
            return whole
        rates = resolve(whole, paper_rates(self.network, *self.rates), prunable(whole))
        widths = [kept_count(whole.shape(name)[2], rate) for name, rate in rates.items()]
        return build(self.network, self.shape, self.classes, widths=widths, **options)


_SETS: Mapping[str, tuple[Shape, int]] = {
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "tinyimagenet": ((64, 64, 3), 200),
    "dvs-cifar10": ((48, 48, 2), 10),
    "imagenet": ((224, 224, 3), 1000),
}


def _entry(name: str, accuracies: tuple[float, ...], sizes: tuple[float, ...], bits: tuple[int, ...]) -> Entry:
    dataset = name.rpartition("-")[0]
    network, rates = PAPER_SETS.get(name, ("sew_resnet18", ()))
    printed = {b: PublishedCell(a, s) for b, a, s in zip(bits, accuracies, sizes, strict=True)}
    return Entry(name, dataset, network, *_SETS[dataset], MappingProxyType(printed), rates)


_EACH = (8, 4, 2)
TABLE_1: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        _entry("cifar10-0.6", (95.12, 95.41, 95.06), (6.27, 3.16, 1.61), _EACH),
        _entry("cifar10-0.75", (94.56, 94.65, 94.44), (3.92, 1.98, 1.02), _EACH),
        _entry("cifar10-0.51", (91.98, 91.90, 91.61), (4.28, 2.16, 1.10), _EACH),
        _entry("cifar10-0.8", (91.30, 91.19, 90.59), (1.45, 0.74, 0.39), _EACH),
        _entry("cifar100-0.6", (75.29, 75.77, 75.13), (6.45, 3.35, 1.79), _EACH),
        _entry("cifar100-0.75", (74.78, 74.73, 73.89), (4.10, 2.17, 1.20), _EACH),
        _entry("cifar100-0.7", (66.69, 66.21, 65.69), (2.48, 1.35, 0.79), _EACH),
        _entry("cifar100-0.78", (64.70, 64.22, 63.08), (1.85, 1.04, 0.63), _EACH),
        _entry("tinyimagenet-0.51", (53.32, 53.11, 53.07), (5.90, 3.78, 2.72), _EACH),
        _entry("tinyimagenet-0.62", (51.99, 51.78, 51.67), (4.67, 3.17, 2.41), _EACH),
        _entry("imagenet-0", (61.36, 58.06), (13.28, 7.71), (8, 4)),
        _entry("dvs-cifar10-0.7", (82.10, 81.80, 81.30), (1.61, 0.90, 0.55), _EACH),
        _entry("dvs-cifar10-0.8", (81.50, 80.90, 80.50), (1.05, 0.62, 0.41), _EACH),
        _entry("dvs-cifar10-0.93", (75.90, 75.40, 74.90), (0.40, 0.29, 0.24), _EACH),
    )
}
"""The rows of QP-SNN in Table 1, by name. Those of ImageNet have the size of the whole SEW-ResNet18."""


def entry(name: str) -> Entry:
    """The row of that name, such as "cifar10-0.51". ConfigError names the nearest valid name."""
    if name not in TABLE_1:
        raise ConfigError(expected("name", f"one of {', '.join(TABLE_1)}", name) + did_you_mean(name, TABLE_1))
    return TABLE_1[name]


class Size(NamedTuple):
    """One cell of the size column. rate: the largest of the row. size_mb: Eq. 16 in the paper's convention.

    printed_mb: the paper's; difference_mb: of `size_mb` from it, at its two digits. saved_mb: the arrays of the
    deployable integer network (8-bit ends, gains, thresholds and biases). file_mb: its whole file.
    """

    dataset: str
    network: str
    rate: float
    bits: int
    size_mb: float
    printed_mb: float
    difference_mb: float
    saved_mb: float
    file_mb: float
    name: str


def sizes() -> Iterator[Size]:
    """Table 1's size column for every row and number of bits, computed from the networks; files are really written."""
    for row in TABLE_1.values():
        for bits, printed in row.printed.items():
            paper = cost(row.build(bits)).size_mb
            deployed = row.build(bits, ends="integer")
            difference = round(round(paper, 2) - printed.size_mb, 2)
            figures = (paper, printed.size_mb, difference, cost(deployed).saved_mb, file_bytes(deployed) / 1e6)
            yield Size(row.dataset, row.network, row.rate, bits, *figures, row.name)


def file_bytes(network: Network, seed: int = 0) -> int:
    """What the integer file of such a network takes: written, weighed and removed.

    Weights are fresh, and batch norm's arrays drawn at random, since a network that was never trained would have the
    same threshold in every channel, which takes next to nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.h5"
        save_integer(path, lower(_drawn(initialise(network, seed), seed)).network)
        return path.stat().st_size


def _drawn(model: Model, seed: int) -> Model:
    """The model with batch norm's arrays, and biases, as different from channel to channel as training makes them."""
    rng = np.random.default_rng(seed)

    def changed(arrays: Arrays) -> Arrays:
        return {
            node: {
                name: array if name == "weight" else (array + rng.uniform(0, 0.5, array.shape)).astype(array.dtype)
                for name, array in own.items()
            }
            for node, own in arrays.items()
        }

    return model._replace(params=changed(model.params), state=changed(model.state))
