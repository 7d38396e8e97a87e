"""The network with its arrays: as it begins, and from float32 to fixed point and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array, Floats
from qpsnn_core.common.validation import check_at_least, check_kind, described
from qpsnn_core.local_learning.arithmetic import arithmetic
from qpsnn_core.local_learning.formats import FLOAT, NumberFormats
from qpsnn_core.local_learning.network import DiehlCook
from qpsnn_core.quantization.fixed_point import FixedPoint, check_seed, quantize, values_of

FIRST_WEIGHTS = 0.3
"""Weights begin as this times a number drawn from [0, 1)."""

WEIGHT_DRAWS, THRESHOLD_ROUNDING = range(2)


@dataclass(frozen=True)
class LocalModel:
    """The network's arrays: all that learning changes.

    weights: `[inputs, neurons]`, float32 or codes. adaptation: `[neurons]`, float32 theta, or codes of threshold +
    theta, int32, as those of membranes are. seed: what all draws depend on, 0 to 2**32 - 1. seen: the samples it has
    learnt from, which number the draws.
    Raises ConfigError (a format that does not hold a constant), ShapeError, DataError (type), NumericsError.
    """

    network: DiehlCook
    formats: NumberFormats
    weights: Array
    adaptation: Array
    seed: int
    seen: int = 0

    def __post_init__(self) -> None:
        check_kind("LocalModel.network", self.network, DiehlCook)
        check_kind("LocalModel.formats", self.formats, NumberFormats)
        check_seed("stochastic", self.seed)
        check_at_least("LocalModel.seen", self.seen, 0)
        arithmetic(self.network, self.formats, self.seed)
        neurons = self.formats.neurons
        shape, w = (self.network.inputs, self.network.neurons), self.formats.weights
        _check_array("weights", self.weights, shape, w, w.dtype if w else None)
        threshold = neurons.threshold if neurons else None
        _check_array("adaptation", self.adaptation, shape[1:], threshold, np.dtype(np.int32))


def _check_array(
    name: str, array: Array, shape: tuple[int, ...], form: FixedPoint | None, codes: np.dtype[Any] | None
) -> None:
    place, want = f"LocalModel.{name}", codes if form else np.dtype(np.float32)
    if not isinstance(array, np.ndarray) or array.dtype != want:
        kind = f"codes of {form}" if form else "real numbers"
        raise DataError(expected(place, f"an array of {want} ({kind})", Unquoted(described(array))))
    if array.shape != shape:
        raise ShapeError(expected(place, list(shape), list(array.shape)))
    if form is None and not np.isfinite(array).all():
        raise NumericsError(expected(place, "finite numbers", "NaN or infinity"))
    if form is not None and array.size and not form.low <= int(array.min()) <= int(array.max()) <= form.high:
        raise NumericsError(expected(place, f"codes of {form}", f"{array.min()} to {array.max()}"))


def initialise(network: DiehlCook, formats: NumberFormats, seed: int) -> LocalModel:
    """Weights drawn from [0, 0.3) and scaled to `STDP.total`, thresholds raised by `AdaptiveLIF.theta`; in formats.

    The same seed gives the same bits. Raises ConfigError.
    """
    check_kind("network", network, DiehlCook)
    raw = np.random.PCG64(np.random.SeedSequence(check_seed("stochastic", seed), spawn_key=(WEIGHT_DRAWS,)))
    words = raw.random_raw(network.inputs * network.neurons).reshape(network.inputs, network.neurons)
    drawn = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 * FIRST_WEIGHTS
    if network.rule.total is not None:
        total = np.zeros(network.neurons)
        for row in drawn:
            total += row
        drawn = drawn * (network.rule.total / total)
    weights: Floats = np.clip(drawn, network.rule.low, network.rule.high).astype(np.float32)
    adaptation = np.full(network.neurons, network.neuron.theta, np.float32)
    model = LocalModel(network, FLOAT, weights, adaptation, seed)
    return model if formats == FLOAT else quantized(model, formats)


def quantized(model: LocalModel, formats: NumberFormats) -> LocalModel:
    """A model in float32 in other formats (post-training quantization, or the start of training in fixed point).

    Stochastic rounding draws by the model's seed. Raises ConfigError for a model that is in fixed point already
    (`dequantized` first), or a format that does not hold a weight or threshold.
    """
    check_kind("model", model, LocalModel)
    check_kind("formats", formats, NumberFormats)
    if model.formats != FLOAT:
        raise ConfigError(expected("model.formats", "float32: quantize dequantized(model)", str(model.formats)))
    weights, adaptation, rounding = model.weights, model.adaptation, str(formats.rounding)
    if formats.weights is not None:
        weights = _codes("weights", weights, formats.weights, rounding, model.seed)
    if formats.neurons is not None:
        limits = model.adaptation.astype(np.float64) + model.network.neuron.threshold
        seed = (model.seed + THRESHOLD_ROUNDING) % 2**32
        adaptation = _codes("thresholds", limits, formats.neurons.threshold, rounding, seed).astype(np.int32)
    return replace(model, formats=formats, weights=weights, adaptation=adaptation)


def _codes(place: str, values: Array, form: FixedPoint, rounding: str, seed: int) -> Array:
    found = quantize(values, form, rounding, seed)
    if found.saturated:
        want = f"numbers that {form} holds"
        raise ConfigError(
            expected(place, want, Unquoted(f"{found.saturated} beyond, {values.min()} to {values.max()}"))
        )
    return found.codes


def dequantized(model: LocalModel) -> LocalModel:
    """The model in float32, each number the one its code stands for."""
    check_kind("model", model, LocalModel)
    weights, adaptation = model.weights, model.adaptation
    if model.formats.weights is not None:
        weights = values_of(weights, model.formats.weights).astype(np.float32)
    if model.formats.neurons is not None:
        limits = values_of(adaptation, model.formats.neurons.threshold)
        adaptation = (limits - model.network.neuron.threshold).astype(np.float32)
    return replace(model, formats=FLOAT, weights=weights, adaptation=adaptation)
