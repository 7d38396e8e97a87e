"""The gradients of a model's weights and inputs on its own data, layer by layer, against finite differences.

A spike has no derivative, so no finite difference of the whole loss can show Eq. 14. But every part of the chain has
one: with dL/dX of a current as the engine has it, `sum dL/dX * X(W)` is a smooth function of the weights and of the
inputs (batch norm included). Neurons are audited in `audit_neurons`, gates in `audit_gates`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Arrays, Doubles
from qpsnn_core.engine.layers import LAYERS
from qpsnn_core.engine.passes import ForwardPass, forward
from qpsnn_core.engine.read import read_by, unit_of
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout, Weighted
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.synapses import BN_EPSILON, Conv, Linear, Shortcut
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.quantization.rescaw import gamma, quantize

STEP = 1e-4
"""Of finite differences, as a part of the largest weight."""


class Trace(NamedTuple):
    """A forward and a backward pass, with all that went from node to node: `given` to a node, its `back`."""

    done: ForwardPass
    given: dict[str, Any]
    back: dict[str, Any]
    params: Arrays
    gradient: npt.NDArray[np.float32]


def trace(model: Model, images: npt.NDArray[Any], labels: npt.NDArray[Any], loss: str = "mean") -> Trace:
    """Training mode, on these images (steps first)."""
    done = forward(model, images, train=True, save_for_backward=True)
    gradient = LOSSES[loss](done.logits, labels)[1]
    given: dict[str, Any] = {model.network.readout.name: gradient}
    backs: dict[str, Any] = {}
    for node in reversed(model.network.nodes[1:]):
        if node.name not in given:
            continue
        backs[node.name] = LAYERS[node].backward(node, done.caches[node.name], given[node.name])
        for source, share in zip(node.sources, backs[node.name].inputs, strict=True):
            if share is not None:
                given[source] = given[source] + share if source in given else share
    params = {name: back.params for name, back in backs.items() if back.params}
    return Trace(done, given, backs, params, gradient)


def weight_errors(model: Model, seen: Trace, samples: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Of every synapse, the largest error of `samples` weights' gradients, as a part of its largest gradient."""
    for node in model.network.synapses:
        layer = SynapseCheck(model, node, seen)
        weight = model.params[node.name]["weight"]
        found = seen.params[node.name]["weight"]
        worst = 0.0
        for index in rng.choice(weight.size, min(samples, weight.size), replace=False):
            place = tuple(int(i) for i in np.unravel_index(index, weight.shape))
            ref = layer.by_weight(place) * _passed(model, node, place)
            worst = max(worst, abs(float(found[place]) - ref))
        yield node.name, worst / largest_magnitude(found)


def input_errors(model: Model, seen: Trace, samples: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Likewise of `samples` of its inputs."""
    for node in model.network.synapses:
        found = _read_gradient(node, seen)
        if found is None:
            continue
        layer, worst = SynapseCheck(model, node, seen), 0.0
        for index in rng.choice(found.size, min(samples, found.size), replace=False):
            place = tuple(int(i) for i in np.unravel_index(index, found.shape))
            worst = max(worst, abs(float(found[place]) - layer.by_input(place)))
        yield node.name, worst / largest_magnitude(found)


class Windows(NamedTuple):
    """What a synapse multiplies with its weights: windows of images [M, H, W, C]; of sizes (rows, columns).

    groups: of channels, each of which feeds its own outputs.
    """

    images: Doubles
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int


_NO_WEIGHTS = Refusal("it has no weights")

WINDOWS: KindTable[Callable[..., Windows]] = KindTable(
    "the audit of weights",
    {
        Input: _NO_WEIGHTS,
        Conv: lambda node, x: Windows(
            x.reshape(-1, *x.shape[2:]), both(node.kernel), both(node.stride), both(node.padding), node.groups
        ),
        Linear: lambda node, x: Windows(x.reshape(-1, 1, 1, x[0, 0].size), (1, 1), (1, 1), (0, 0), 1),
        Shortcut: _NO_WEIGHTS,
        LIF: _NO_WEIGHTS,
        MaxPool: _NO_WEIGHTS,
        AvgPool: _NO_WEIGHTS,
        Sum: _NO_WEIGHTS,
        Concat: _NO_WEIGHTS,
        Upsample: _NO_WEIGHTS,
        Dropout: _NO_WEIGHTS,
        ChannelGate: _NO_WEIGHTS,
        SpatialGate: _NO_WEIGHTS,
        Membrane: _NO_WEIGHTS,
        SelfAttention: _NO_WEIGHTS,
        Readout: _NO_WEIGHTS,
        CurrentReadout: lambda node, x: Windows(x.reshape(-1, *x.shape[2:]), (1, 1), (1, 1), (0, 0), 1),
    },
)


def _read_gradient(node: Weighted, seen: Trace) -> Any:
    """The engine's gradient of what a node multiplies with its weights: of a CurrentReadout, of a mean over places.

    All of its currents have one; those that are the same at every step have its sum over T, and are not the ones.
    """
    every = seen.back[node.name].inputs
    if every[0] is None or not isinstance(node, CurrentReadout):
        return every[0]
    array = max((one.array for one in every), key=len)
    return array.sum((2, 3), keepdims=True) if node.places == "mean" else array


def _given_gradient(node: Weighted, seen: Trace, shape: tuple[int, ...]) -> Doubles:
    """dL/dX of a current, or of logits, [T or 1, B, H, W, C]; shape: of what the node reads."""
    if not isinstance(node, CurrentReadout):
        found: Doubles = seen.given[node.name].array.astype(np.float64)
        return found
    logits = seen.given[node.name].astype(np.float64)
    wide: Doubles = logits.reshape(len(logits), *shape[1:4], -1)
    return wide.sum(0, keepdims=True) if shape[0] == 1 else wide


class SynapseCheck:
    """One synapse in float64: `L = sum dL/dX * X`, X being batch norm's of all windows' sums."""

    def __init__(self, model: Model, node: Weighted, seen: Trace) -> None:
        values, self.scale = seen.done.values, unit_of(model.network, node)
        x = read_by(node, seen.done).astype(np.float64) * self.scale
        self.shape = x.shape
        used: Any = model.params[node.name]["weight"].astype(np.float64)
        if node.quantizer is not None:
            stored = model.state.get(node.name, {}).get("gamma")
            codes = quantize(model.params[node.name]["weight"], node.quantizer, stored)
            used = codes.codes * codes.step.astype(np.float64)
        images, size, self.stride, padding, self.groups = WINDOWS[node](node, x)
        (top, left), inputs = padding, images.shape[3] // self.groups
        self.images = np.pad(images, ((0, 0), (top, top), (left, left), (0, 0)))
        self.weight = np.zeros((*size, images.shape[3], used.shape[-1]))
        self.inputs, outputs = inputs, used.shape[-1] // self.groups
        for g in range(self.groups):
            own = slice(g * outputs, (g + 1) * outputs)
            self.weight[:, :, g * inputs : (g + 1) * inputs, own] = used.reshape(*size, inputs, -1)[..., own]
        self.padding = padding
        array = _given_gradient(node, seen, self.shape)
        self.gradient = array.reshape(-1, *array.shape[2:])
        self.gain = model.params[node.name].get("bn_weight")
        self.step = STEP * float(np.abs(self.weight).max())
        height, width = self.gradient.shape[1:3]
        self.sums = np.zeros(self.gradient.shape)
        for ky, kx in np.ndindex(*size):
            self.sums += self._seen(ky, kx, height, width) @ self.weight[ky, kx]
        self.open = _mask(values, getattr(node, "gate", None), array.shape)
        self.read = _mask(values, getattr(node, "input_gate", None), self.shape)

    def _seen(self, ky: int, kx: int, height: int, width: int) -> Doubles:
        """What tap (ky, kx) of every window sees, [M, H', W', C]."""
        down, right = self.stride
        return self.images[:, ky : ky + down * (height - 1) + 1 : down, kx : kx + right * (width - 1) + 1 : right]

    def _loss(self, sums: Doubles, gradient: Doubles, gain: Any, mask: Doubles) -> float:
        if gain is None:
            return float((gradient * sums * mask).sum())
        sums = sums * mask
        normed = (sums - sums.mean((0, 1, 2))) / np.sqrt(sums.var((0, 1, 2)) + BN_EPSILON)
        return float((gradient * normed * gain.astype(np.float64)).sum())

    def by_weight(self, place: tuple[int, ...]) -> float:
        """dL/dW_hat of the weight at [ky, kx, c_in, c_out] (a Linear's: [in, out])."""
        ky, kx, source, channel = place if len(place) == 4 else (0, 0, *place)
        line = slice(channel, channel + 1)
        source += channel * self.groups // self.sums.shape[-1] * self.inputs
        change = self._seen(ky, kx, *self.gradient.shape[1:3])[..., source : source + 1]
        gain = None if self.gain is None else self.gain[line]
        high, low = (
            self._loss(
                self.sums[..., line] + sign * self.step * change, self.gradient[..., line], gain, self.open[..., line]
            )
            for sign in (1, -1)
        )
        return (high - low) / (2 * self.step)

    def by_mask(self, m: int, y: int, x: int) -> float:
        """dL/dM of the mask of its sums, at one place of an image."""
        high, low = self.open.copy(), self.open.copy()
        high[m, y, x] += STEP
        low[m, y, x] -= STEP
        upper, lower = (self._loss(self.sums, self.gradient, self.gain, mask) for mask in (high, low))
        return (upper - lower) / (2 * STEP)

    def by_read_mask(self, t: int, b: int, y: int, x: int, counts: Doubles) -> float:
        """dL/dM of the mask of what it reads, at one place of an image. counts: [T, B, H, W, C], without the mask."""
        return sum(
            self.by_input((t, b, y, x, c), masked=False) * float(counts[t, b, y, x, c])
            for c in np.flatnonzero(counts[t, b, y, x])
        )

    def by_input(self, place: tuple[int, ...], masked: bool = True) -> float:
        """dL/dS of the stored count at [t, b, y, x, c]; not masked: of the count behind the input gate."""
        m = place[0] * self.shape[1] + place[1]
        y, x, c = place[2:]
        if self.images.shape[1:3] == (1, 1) and self.shape[2:4] != (1, 1):
            y, x, c = 0, 0, int(np.ravel_multi_index(place[2:], self.shape[2:]))
        change = np.zeros(self.sums.shape)
        let = self.read[m, place[2], place[3], place[4]] if masked else 1.0
        for ky, kx in np.ndindex(self.weight.shape[:2]):
            row, column = y + self.padding[0] - ky, x + self.padding[1] - kx
            if row % self.stride[0] == 0 and column % self.stride[1] == 0:
                i, j = row // self.stride[0], column // self.stride[1]
                if 0 <= i < change.shape[1] and 0 <= j < change.shape[2]:
                    change[m, i, j] += self.scale * self.weight[ky, kx, c] * let
        high, low = (
            self._loss(self.sums + sign * STEP * change, self.gradient, self.gain, self.open) for sign in (1, -1)
        )
        return (high - low) / (2 * STEP)


def _mask(values: dict[str, Any], gate: str | None, shape: tuple[int, ...]) -> Doubles:
    """What a gate lets through, 0 or 1, for each image: [M, H, W, C] of values [T, B, H, W, C]; 1 without a gate."""
    mask = np.float64(1) if gate is None else values[gate].astype(np.float64)
    return np.ascontiguousarray(np.broadcast_to(mask, shape)).reshape(-1, *shape[2:])


def _passed(model: Model, node: Weighted, place: tuple[int, ...]) -> float:
    """What of dL/dW_hat reaches the weight: the straight-through estimator; nothing where it is pruned."""
    weight = model.params[node.name]["weight"]
    if node.sparse and weight[place] == 0:
        return 0.0
    if node.quantizer is None:
        return 1.0
    scale = float(gamma(weight, node.quantizer, model.state.get(node.name, {}).get("gamma"))[place[-1]])
    if node.quantizer.ste == "clip":
        return float(abs(float(weight[place])) <= scale)
    return 1 / scale


def largest_magnitude(array: npt.NDArray[Any]) -> float:
    """Of an array, but never 0."""
    return max(float(np.abs(array).max(initial=0)), 1e-30)
