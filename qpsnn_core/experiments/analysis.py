"""What the paper's figures are drawn from: how quantizers use their bits, and how scores vary from batch to batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.types import Floats
from qpsnn_core.compression.channels.score import score, stability
from qpsnn_core.network.model import Model
from qpsnn_core.quantization.formats import GAMMAS, Quantizer
from qpsnn_core.quantization.rescaw import integers, quantize, utilization
from qpsnn_datasets import Dataset

PERCENTILES = (0.01, 0.99)
"""Between which Sec. 4.1 takes the range of the weights."""

NAMES = {"one": "vanilla", "max": "largest", "percentile": "percentile", "mean": "mean magnitude"}
"""What a figure calls each gamma."""


class BitUtilization(NamedTuple):
    """How one layer uses its bits. a: `max(|P01|, |P99|)` of its weights, the range of Sec. 4.1.

    expected: `(s*a + 1) / (s + 1)`, Sec. 4.1's share of the integers for vanilla quantization (1 for an `a` above 1).
    measured: Eq. 8 for each gamma. central: likewise of the weights between the percentiles, which `expected` is of.
    """

    layer: str
    bits: int
    a: float
    expected: float
    measured: dict[str, float]
    central: dict[str, float]


class LayerCodes(NamedTuple):
    """One layer's weights, flat, and its integers W_int for each gamma; edges: the two percentiles."""

    layer: str
    bits: int
    weights: Floats
    edges: tuple[float, float]
    codes: dict[str, npt.NDArray[np.int32]]


class Stability(NamedTuple):
    """Of one LIF: scores of each batch [N, C] by criterion, and AvgCosS (Eq. 15)."""

    layer: str
    scores: dict[str, npt.NDArray[np.float64]]
    average_cosine: dict[str, float]


def use_of_bits(model: Model, bits: int | None = None) -> list[BitUtilization]:
    """Eq. 8, and the formula of Sec. 4.1, for every quantized layer. bits: instead of each layer's own.

    Raises ConfigError where no layer is quantized and no bits are given.
    """
    return [_utilization(name, weight, quantizer) for name, weight, quantizer in _layers(model, bits)]


def layer_codes(model: Model, bits: int | None = None) -> list[LayerCodes]:
    """Weights and integers of every quantized layer (Figs. 2, 5c, 7 to 12). Raises as `use_of_bits`."""
    found = []
    for name, weight, quantizer in _layers(model, bits):
        own = {gamma: integers(quantize(weight, other).codes, other) for gamma, other in _gammas(quantizer)}
        low, high = np.quantile(weight, PERCENTILES)
        flat = {gamma: values.reshape(-1) for gamma, values in own.items()}
        found.append(LayerCodes(name, quantizer.bits, weight.reshape(-1), (float(low), float(high)), flat))
    return found


def stabilities(model: Model, data: Dataset, *, batches: int = 8, batch: int = 32) -> list[Stability]:
    """Scores of several batches by SVS and SCA, and how alike they are (Figs. 3, 5b, 13 to 18). Raises as `score`."""
    found = {kind: score(model, data, criterion=kind, batches=batches, batch=batch) for kind in ("sca", "svs")}
    alike = {kind: stability(scores) for kind, scores in found.items()}
    return [
        Stability(
            name,
            {kind: scores.batches[name] for kind, scores in found.items()},
            {kind: alike[kind][name] for kind in found},
        )
        for name in found["svs"].values
    ]


def _utilization(name: str, weight: Floats, quantizer: Quantizer) -> BitUtilization:
    low, high = np.quantile(weight, PERCENTILES)
    a = float(max(abs(low), abs(high)))
    inner = (weight >= low) & (weight <= high)
    measured: dict[str, float] = {}
    central: dict[str, float] = {}
    for gamma, other in _gammas(quantizer):
        measured[gamma] = utilization(weight, other)
        central[gamma] = len(np.unique(quantize(weight, other).codes[inner])) / (other.levels + 1)
    share = min(1.0, (quantizer.levels * a + 1) / (quantizer.levels + 1))
    return BitUtilization(name, quantizer.bits, a, share, measured, central)


def _gammas(quantizer: Quantizer) -> list[tuple[str, Quantizer]]:
    names = ("one", *(gamma for gamma in GAMMAS if gamma != "one"))
    return [(name, Quantizer(quantizer.bits, name, quantizer.granularity)) for name in names]


def _layers(model: Model, bits: int | None) -> list[tuple[str, Any, Quantizer]]:
    """Name, weight and quantizer of the layers between the ends; the ends have bits of their own, for deployment."""
    first, *inner, last = model.network.synapses
    chosen = inner or [first, last]
    found = []
    for node in chosen:
        if node.quantizer is not None or bits is not None:
            quantizer = Quantizer(bits or (node.quantizer.bits if node.quantizer else 0), "mean")
            found.append((node.name, model.params[node.name]["weight"], quantizer))
    if not found:
        raise ConfigError(expected("bits", "bits, as no layer of the network is quantized", Unquoted("none")))
    return found
