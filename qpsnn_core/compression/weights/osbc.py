"""`qp.compress`: prune to a sparsity and quantize to b bits, in one pass over a few images, without training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Array, Arrays, Doubles
from qpsnn_core.common.validation import check_at_least, check_choice, check_number
from qpsnn_core.compression.weights import eliminate, hessian, round
from qpsnn_core.engine.calibration import calibration_batches
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.evaluation import MEMORY, bytes_of
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.pricing import effective
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.engine.reach import warn_dead_in_model
from qpsnn_core.network.current_readouts import Weighted
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import Node
from qpsnn_core.quantization.formats import KEPT, Quantizer
from qpsnn_datasets import Dataset, Split

METHODS = ("osbc", "obc", "magnitude", "rtn")
"""The membrane's error (OSBC), the current's (ExactOBS and OBQ), none but the weight's own magnitude, none at all."""

WITHOUT_INVERSE = ("magnitude", "rtn")

MATRICES = 6
"""Of the size of a Hessian that its inverse and the removal of weights take, at the least."""

GROUPS = 256
"""Removals of a row between two of which the inverse Hessian is brought up to date, as the paper has it: d / 256."""


class LayerReport(NamedTuple):
    """What compression did to one synapse. kept: weights that are not pruned; bits: None for floating point.

    error: the mean squared error per image that is predicted, summed over steps, places and channels, of the membrane
    without reset (of the current for "obc"); share: of that membrane's (current's) own squared magnitude.
    """

    name: str
    weights: int
    kept: int
    bits: int | None
    error: float
    share: float


class Compressed(NamedTuple):
    """The compressed model, and the report: layer by layer, in the network's order. seconds: of it all."""

    model: Model
    layers: tuple[LayerReport, ...]
    seconds: float

    def __repr__(self) -> str:
        return f"Compressed({self.model!r}, {len(self.layers)} layers, {self.sparsity:.2%} of the weights pruned)"

    @property
    def sparsity(self) -> float:
        """The share of all weights that are pruned."""
        return 1 - sum(layer.kept for layer in self.layers) / sum(layer.weights for layer in self.layers)


@dataclass
class Prepared:
    """A dense model and its images: what every sparsity and every number of bits begins from.

    parts: batches of images. weights: of each synapse, as it is used, float64 [C_out, d]. hessians: those that are
    there now. traces: the first pass of pruning, made when needed. seconds, traced: what the first pass over the
    images and that of pruning took.
    """

    model: Model
    method: str
    damping: float
    parts: list[Array]
    weights: dict[str, Doubles]
    progress: Listener | None = None
    hessians: dict[str, Doubles] = field(default_factory=dict)
    traces: dict[str, eliminate.Trace] = field(default_factory=dict)
    seconds: float = 0.0
    traced: float = 0.0

    def hessian(self, name: str) -> Doubles:
        """Of one synapse. Where not all fit in memory, those of others are forgotten, and the model runs again."""
        if name not in self.hessians:
            self.hessians = {}
            groups = hessian.groups(self.model.network)
            turn, group = next((i, g) for i, g in enumerate(groups, 1) if name in {node.name for node in g})
            objective = "current" if self.method == "obc" else "membrane"

            def on_progress(batch: int) -> None:
                if self.progress:
                    self.progress(Progress("calibrate", turn, len(groups), batch, len(self.parts), None, None))

            self.hessians = hessian.hessians(self.model, self.parts, objective, group, on_progress)
        return self.hessians[name]


@shows_progress
def compress(
    model: Model,
    images: Dataset | Split | Array,
    *,
    sparsity: float = 0.0,
    bits: int | None = None,
    method: str = "osbc",
    ratios: str = "lamps",
    scale: str = "max",
    batches: int = 16,
    batch: int = 64,
    damping: float = 0.01,
    seed: int | None = None,
    progress: Listener | bool | None = None,
) -> Compressed:
    """Prune the share `sparsity` of all weights, and quantize the others to `bits` (None: to none).

    images: for calibration, without labels, as for `score`; `batches` of `batch` of them at most, the first ones or
    those that `seed` draws. method: "osbc" keeps the membranes where they were, "obc" the currents; "magnitude" prunes
    the smallest weights and rounds the others to nearest, "rtn" only rounds. ratios: which layer loses how much,
    "lamps" or "uniform". scale: of a channel's integers -(2**(b-1)-1)..2**(b-1)-1, from its largest weight ("max") or
    the one that rounds its weights best ("search"). damping: of the Hessian, times its mean diagonal. Layers that were
    quantized begin from their quantized weights, and what was pruned before stays pruned. Batch norm stays as it is;
    `recalibrate` takes its statistics anew.
    progress: called after every batch, as stage "calibrate", and after some rows of weights, as stage "prune".
    The result is deployed as any model: pruned weights are 0 and stay 0 in fine-tuning, in codes, in integers.
    Raises ConfigError (an argument), DataError, ShapeError (images), NumericsError (weights; a Hessian that needs more
    damping).
    """
    sparsity, bits, method, ratios, scale, damping = plain((sparsity, bits, method, ratios, scale, damping))
    progress = listener_of("compress", progress)
    check_target(sparsity, bits, method, ratios, scale)
    options: dict[str, Any] = {"batches": batches, "batch": batch, "damping": damping, "seed": seed}
    return finish(prepare(model, images, method, progress=progress, **options), sparsity, bits, ratios, scale)


def check_target(sparsity: float, bits: int | None, method: str, ratios: str = "lamps", scale: str = "max") -> None:
    """ConfigError, naming the argument, unless this is something to compress to."""
    check_choice("compress.method", method, METHODS)
    check_choice("compress.ratios", ratios, tuple(eliminate.RATIOS))
    check_choice("compress.scale", scale, round.SCALES)
    check_number("compress.sparsity", sparsity, "a number from 0 to below 1", lambda share: 0 <= share < 1)
    if bits is not None and (type(bits) is not int or not 2 <= bits <= 8):
        raise ConfigError(expected("compress.bits", "an integer from 2 to 8, or None for floating point", bits))
    if method == "rtn" and sparsity:
        raise ConfigError(
            expected("compress.sparsity", "0 for 'rtn', which only rounds ('magnitude' prunes)", sparsity)
        )
    if not sparsity and bits is None:
        raise ConfigError(expected("compress", "a sparsity above 0, or bits", "neither"))


def prepare(
    model: Model,
    images: Dataset | Split | Array,
    method: str = "osbc",
    *,
    batches: int = 16,
    batch: int = 64,
    damping: float = 0.01,
    seed: int | None = None,
    progress: Listener | None = None,
) -> Prepared:
    """The pass over the images; arguments as in `compress`."""
    begun = time.perf_counter()
    check_model(model, "compress.model")
    check_choice("compress.method", method, METHODS)
    check_number("compress.damping", damping, "a number of at least 0", lambda share: 0 <= share < np.inf)
    if seed is not None:
        check_at_least("compress.seed", seed, 0)
    whole = calibration_batches("compress", images, batches, batch, seed)
    check_model(model)
    check_fits("compress: one image", kept_bytes(model.network, 1))
    for node in model.network.synapses:
        size = 8 * hessian.inputs_of(model.network, node) ** 2
        check_fits("compress: a Hessian", {node.name: size * (1 if method in WITHOUT_INVERSE else MATRICES)})
    most = max(1, MEMORY // bytes_of(model.network))
    parts = [part[start : start + most] for part in whole for start in range(0, len(part), most)]
    weights = {node.name: rows_of(effective(model, node)) for node in model.network.synapses}
    ready = Prepared(model, method, damping, parts, weights, progress)
    ready.hessian(model.network.synapses[0].name)
    ready.seconds = time.perf_counter() - begun
    return ready


def finish(
    prepared: Prepared, sparsity: float = 0.0, bits: int | None = None, ratios: str = "lamps", scale: str = "max"
) -> Compressed:
    """The compressed model; arguments as in `compress`. The first pass of pruning is kept for the next call."""
    check_target(sparsity, bits, prepared.method, ratios, scale)
    begun, earlier = time.perf_counter(), prepared.traced
    counts = eliminate.RATIOS[ratios](prepared.weights, sparsity)
    changed: dict[str, Node] = {}
    params: Arrays = {name: dict(own) for name, own in prepared.model.params.items()}
    state: Arrays = {name: dict(own) for name, own in prepared.model.state.items()}
    layers = []
    network = prepared.model.network
    for node in network.synapses:
        weight, gamma, kept = _one(prepared, node, counts, bits, scale)
        layers.append(_report(prepared, node, weight, kept, bits))
        shape = params[node.name]["weight"].shape
        params[node.name]["weight"] = np.ascontiguousarray(weight.T.reshape(shape), np.float32)
        own = state.setdefault(node.name, {})
        own.pop("gamma", None)
        if gamma is not None:
            own["gamma"] = gamma
        if not own:
            del state[node.name]
        quantizer = Quantizer(bits, gamma=KEPT, zero=True) if bits else None
        changed[node.name] = replace(node, quantizer=quantizer, sparse=sparsity > 0 or node.sparse)
    nodes = tuple(changed.get(node.name, node) for node in network)
    model = Model(Network(nodes, network.steps), params, state)
    warn_dead_in_model("compress", model)
    seconds = time.perf_counter() - begun - (prepared.traced - earlier)
    seconds += prepared.seconds + (prepared.traced if sparsity else 0.0)
    return Compressed(model, tuple(layers), seconds)


def rows_of(weight: Array) -> Doubles:
    """[..., C_out] as [C_out, d], float64."""
    return np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]).T, np.float64)


def _one(
    prepared: Prepared, node: Weighted, counts: Mapping[str, int], bits: int | None, scale: str
) -> tuple[Doubles, npt.NDArray[np.float32] | None, npt.NDArray[np.bool_]]:
    """One layer's weights, its gammas (None in floating point), and which weights are not pruned."""
    name, weight = node.name, prepared.weights[node.name]
    there = weight != 0 if node.sparse else np.ones(weight.shape, np.bool_)
    if prepared.method in WITHOUT_INVERSE:
        kept = there & eliminate.smallest(weight, counts[name])
        pruned = np.where(kept, weight, 0.0)
        if bits is None:
            return pruned, None, kept
        return *round.to_nearest(pruned, bits, scale), kept
    own = eliminate.damped(prepared.hessian(name), prepared.damping)
    kept, pruned = there, weight
    if counts[name]:
        if name not in prepared.traces:
            begun, group = time.perf_counter(), max(1, weight.shape[1] // GROUPS)
            prepared.traces[name] = eliminate.trace(name, weight, own, group, _report_rows(prepared, name))
            prepared.traced += time.perf_counter() - begun
        kept = there & eliminate.chosen(prepared.traces[name], counts[name], hessian.gains(prepared.model, node))
        pruned = eliminate.compensated(weight, kept, own)
    if bits is None:
        return pruned, None, kept
    return *round.compensating(name, pruned, kept, own, bits, scale), kept


def _report_rows(prepared: Prepared, name: str) -> Callable[[int], None]:
    """Tells how many rows of the whole network are done when so many of this layer are."""
    names = list(prepared.weights)
    before = sum(len(prepared.weights[other]) for other in names[: names.index(name)])
    total = sum(len(weight) for weight in prepared.weights.values())

    def tell(rows: int) -> None:
        if prepared.progress:
            prepared.progress(Progress("prune", 1, 1, before + rows, total, None, None))

    return tell


def _report(
    prepared: Prepared, node: Weighted, weight: Doubles, kept: npt.NDArray[np.bool_], bits: int | None
) -> LayerReport:
    dense, own = prepared.weights[node.name], prepared.hessian(node.name)
    factors = hessian.gains(prepared.model, node)
    return LayerReport(
        node.name, weight.size, int(kept.sum()), bits, *hessian.errors(own, weight - dense, dense, factors)
    )
