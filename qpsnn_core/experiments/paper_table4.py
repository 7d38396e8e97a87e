"""Table 4 of the QP-SNN paper: Spikingformer-4-384, quantized and pruned; beside it the network of the pruned shape.

The table is of CIFAR-100, as the scripts and the 79.09% of the published network show, though the text names no set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.engine.passes import initialise
from qpsnn_core.experiments.paper_tables6_7 import count_weights, measured, noise
from qpsnn_core.network.cost import cost
from qpsnn_core.network.graph import Network
from qpsnn_core.network.zoo.spikingformer import spikingformer_4_256, spikingformer_4_384, unused_parameters
from qpsnn_datasets import Dataset

CLASSES, HEADS = 100, 8

HALF_BYTES = 2
"""The table counts 2 bytes for each parameter of a network that is not quantized."""


class PublishedRow(NamedTuple):
    """A row as printed; None where nothing is. sops: millions per image; connections: of the whole network's weights.

    accuracy: in percent, on CIFAR-100; of the last row as its authors print it, arXiv:2304.11954's repository.
    """

    name: str
    bits: int | None
    connections: float | None
    size_mb: float | None
    sops: float | None
    power_mj: float | None
    accuracy: float


TABLE_4 = (
    PublishedRow("Spikingformer-4-384", None, 1.0, 18.64, 292.14, 0.266, 79.09),
    PublishedRow("QP-SNN of it", 4, 0.4474, 2.25, 130.05, 0.118, 76.94),
    PublishedRow("Spikingformer-4-256, from scratch", None, None, None, None, None, 77.43),
)


class Row(NamedTuple):
    """What a network of the table takes. parameters: as published, those that nothing uses included.

    size_mb: Eq. 16 of a quantized network, its first convolution, batch norm and readout in floating point; else 2
    bytes for each parameter that is used (the printed 18.64 MB are of the network for 10 classes). saved_mb: of the
    integers that are deployed, whose ends have 8 bits. connections: of the first row's weights. firing_rate, sops (per
    image, all T steps), energy_mj: measured, of fresh weights.
    """

    name: str
    bits: int | None
    parameters: int
    unused: int
    connections: float
    size_mb: float
    saved_mb: float | None
    firing_rate: float
    sops: float
    energy_mj: float
    printed: PublishedRow


def networks(classes: int = CLASSES) -> tuple[Network, Network, Network]:
    """Those of TABLE_4; the second has biases as in QP-SNN's script: of the first convolution alone."""
    return (
        spikingformer_4_384(classes=classes, heads=HEADS, quantizer=None),
        spikingformer_4_256(classes=classes, heads=HEADS, ends="float", biases="first"),
        spikingformer_4_256(classes=classes, heads=HEADS, quantizer=None),
    )


def rows(data: Dataset | None = None, images: int = 16, seed: int = 0) -> Iterator[Row]:
    """The table's rows, of fresh weights whose batch norm is calibrated on the images.

    data: images of 32 x 32 x 3 (else noise of coarse squares); `images` of them are taken. Raises as `evaluate`.
    """
    classes = CLASSES if data is None else len(data.classes)
    found = networks(classes)
    for printed, network in zip(TABLE_4, found, strict=True):
        chosen = (noise(images, classes, seed) if data is None else data).limited(images)
        run = measured(printed.name, recalibrate(initialise(network, seed), chosen), chosen, trained=False)
        price = cost(network)
        whole = printed.bits is None
        unused = unused_parameters(network.shape("block1.lif")[2], 4) if whole else 0
        deployed = None if whole else cost(spikingformer_4_256(classes=classes, heads=HEADS, biases="first")).saved_mb
        yield Row(
            printed.name,
            printed.bits,
            price.parameters + unused,
            unused,
            count_weights(network) / count_weights(found[0]),
            HALF_BYTES * price.parameters / 1e6 if whole else price.size_mb,
            deployed,
            run.firing_rate,
            run.sops,
            run.energy_mj,
            printed,
        )
