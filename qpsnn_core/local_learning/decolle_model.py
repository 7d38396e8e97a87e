"""A DECOLLE network with its arrays: as it begins, LSUV, and from float32 to fixed point and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array, Doubles, Floats
from qpsnn_core.common.validation import check_at_least, check_kind, described
from qpsnn_core.kernels.neurons.decolle_start import orthogonal_rows
from qpsnn_core.local_learning.decolle import Decolle
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT, DecolleFormats, dynamics
from qpsnn_core.quantization.fixed_point import FixedPoint, check_seed, quantize, values_of

WEIGHTS, READOUTS, READOUT_BIASES = range(3)
"""The streams of draws at the start."""


@dataclass(frozen=True)
class DecolleModel:
    """weights: `[kernel, kernel, channels, outputs]` of each layer, biases: `[outputs]`; float32, or int32 codes.

    readouts: float32 `[features, classes]`, readout_biases: `[classes]`, which nothing changes. seed: what all draws
    depend on. seen: the samples that it has learnt from. Raises ConfigError, DataError, NumericsError, ShapeError.
    """

    network: Decolle
    formats: DecolleFormats
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    readouts: tuple[Floats, ...]
    readout_biases: tuple[Floats, ...]
    seed: int
    seen: int = 0

    def __post_init__(self) -> None:
        check_kind("DecolleModel.network", self.network, Decolle)
        check_kind("DecolleModel.formats", self.formats, DecolleFormats)
        check_seed("stochastic", self.seed)
        check_at_least("DecolleModel.seen", self.seen, 0)
        dynamics(self.network, self.formats, self.seed)
        maps, classes = self.network.maps, self.network.classes
        shapes: dict[str, list[tuple[int, ...]]] = {
            "weights": [(one.kernel, one.kernel, one.inputs[2], one.outputs[2]) for one in maps],
            "biases": [(one.outputs[2],) for one in maps],
            "readouts": [(one.features, classes) for one in maps],
            "readout_biases": [(classes,)] * len(maps),
        }
        for name, wanted in shapes.items():
            form = self.formats.weights if name in ("weights", "biases") else None
            _check_arrays(f"DecolleModel.{name}", getattr(self, name), wanted, form)


def _check_arrays(
    place: str, arrays: tuple[Array, ...], shapes: list[tuple[int, ...]], form: FixedPoint | None
) -> None:
    if len(arrays) != len(shapes):
        raise ShapeError(expected(place, f"{len(shapes)} arrays, one for each layer", len(arrays)))
    want = np.dtype(np.int32 if form else np.float32)
    for index, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        here = f"{place}[{index}]"
        if not isinstance(array, np.ndarray) or array.dtype != want:
            raise DataError(expected(here, f"an array of {want}", Unquoted(described(array))))
        if array.shape != shape:
            raise ShapeError(expected(here, list(shape), list(array.shape)))
        if form is None and not np.isfinite(array).all():
            raise NumericsError(expected(here, "finite numbers", "NaN or infinity"))
        if form is not None and not form.low <= int(array.min()) <= int(array.max()) <= form.high:
            raise NumericsError(expected(here, f"codes of {form}", f"{array.min()} to {array.max()}"))


def initialise_decolle(network: Decolle, seed: int) -> DecolleModel:
    """Orthogonal weights (of numbers drawn from [-1, 1)), zero biases, readouts drawn as `Decolle.readout` says.

    The same seed gives the same bits. float32; `quantized_decolle` gives other formats. Raises ConfigError.
    """
    check_kind("network", network, Decolle)
    check_seed("stochastic", seed)
    weights: list[Floats] = []
    readouts: list[Floats] = []
    biases: list[Floats] = []
    for k, one in enumerate(network.maps):
        outputs = one.outputs[2]
        drawn = _uniform(outputs * one.fan_in, seed, k, WEIGHTS).reshape(outputs, one.fan_in)
        tall = outputs > one.fan_in
        rows = np.ascontiguousarray(drawn.T) if tall else drawn
        orthogonal_rows(rows)
        matrix = rows if tall else np.ascontiguousarray(rows.T)
        weights.append(matrix.astype(np.float32).reshape(one.kernel, one.kernel, one.inputs[2], outputs))
        bound = network.readout / math.sqrt(one.features)
        read = _uniform(one.features * network.classes, seed, k, READOUTS) * bound
        readouts.append(read.astype(np.float32).reshape(one.features, network.classes))
        biases.append((_uniform(network.classes, seed, k, READOUT_BIASES) * bound).astype(np.float32))
    zeros = tuple(np.zeros(one.outputs[2], np.float32) for one in network.maps)
    return DecolleModel(network, DECOLLE_FLOAT, tuple(weights), zeros, tuple(readouts), tuple(biases), seed)


def _uniform(count: int, seed: int, *key: int) -> Doubles:
    """Numbers of [-1, 1), by (seed, key)."""
    raw = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)).random_raw(count)
    found: Doubles = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
    return found


def quantized_decolle(model: DecolleModel, formats: DecolleFormats) -> DecolleModel:
    """A model in float32 in other formats. Stochastic rounding draws by the model's seed.

    Raises ConfigError for a model that is in fixed point already, or a format that does not hold a weight or bias.
    """
    check_kind("model", model, DecolleModel)
    check_kind("formats", formats, DecolleFormats)
    if model.formats != DECOLLE_FLOAT:
        raise ConfigError(expected("model.formats", "float32: quantize the dequantized model", str(model.formats)))
    form, rounding = formats.weights, str(formats.rounding)
    if form is None:
        return model

    def codes(name: str, arrays: tuple[Array, ...], first: int) -> tuple[Array, ...]:
        found = []
        for k, array in enumerate(arrays):
            done = quantize(array, form, rounding, (model.seed + first + k) % 2**32)
            if done.saturated:
                got = Unquoted(f"{done.saturated} beyond, {array.min()} to {array.max()}")
                raise ConfigError(expected(f"{name}[{k}]", f"numbers that {form} holds", got))
            found.append(done.codes.astype(np.int32))
        return tuple(found)

    layers = len(model.weights)
    weights, biases = codes("weights", model.weights, 0), codes("biases", model.biases, layers)
    return replace(model, formats=formats, weights=weights, biases=biases)


def dequantized_decolle(model: DecolleModel) -> DecolleModel:
    """The model in float32, each number the one its code stands for."""
    check_kind("model", model, DecolleModel)
    form = model.formats.weights
    if form is None:
        return model
    weights, biases = (
        tuple(values_of(one, form).astype(np.float32) for one in arrays) for arrays in (model.weights, model.biases)
    )
    return replace(model, formats=DECOLLE_FLOAT, weights=weights, biases=biases)
