"""ChannelGate, SpatialGate and the Membrane that is its prior: masks from currents, and what trains them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Array, Doubles, Floats, NamedFloats
from qpsnn_core.engine.layers.base import Current, Gradients, LayerContext, LayerOutput, MaskGradient, nothing
from qpsnn_core.engine.layers.batch_norm import with_moments
from qpsnn_core.engine.layers.lif import Cache as NeuronCache
from qpsnn_core.engine.layers.lif import potentials
from qpsnn_core.kernels.counter_random import WORD, random_words
from qpsnn_core.kernels.elementary import exp, log
from qpsnn_core.kernels.parts import add_in_order, add_steps
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.values import ValueSpec

SEEDS = 2**24
"""Seeds of noise: whole numbers that float32 holds, as all statistics are kept."""

MIN_CHUNK_WORDS = 2**12

init = nothing


class Cache(NamedTuple):
    """current: what was read; logits: Z, float64 [T or 1, B, h, w, C]; noise: what was added to Z, or None."""

    current: Current
    logits: Doubles
    noise: Doubles | None
    parts: int


def channel_gate(node: ChannelGate, context: LayerContext, current: Current) -> LayerOutput:
    """`Z > 0`, uint8 [T or 1, B, 1, 1, C], each number for `size` channels."""
    logits = real_current(current)
    mask = np.repeat((logits > 0).astype(np.uint8), node.size, axis=-1)
    return LayerOutput(mask, Cache(current, logits, None, context.parts), {})


def channel_gate_back(node: ChannelGate, cache: Cache, gradient: MaskGradient) -> Gradients:
    """`dL/dZ = weight * sum over synapses of (sigmoid(Z) - target) / count`, count: the numbers of Z."""
    array = _of_targets(node, cache, gradient).astype(np.float32)
    return Gradients((with_moments(array, cache.current.acc, cache.parts),), {})


def _of_targets(node: ChannelGate | SpatialGate, cache: Cache, gradient: MaskGradient) -> Doubles:
    """dL/dZ of the cross-entropies with the targets of all synapses."""
    logits = cache.logits
    total = np.zeros(logits.shape)
    for activation in gradient.activations:
        goal = targets(node, activation, logits.shape)
        off = (sigmoid(logits) - goal) / max(goal.size, logits.size)
        total = total + (off if len(off) == len(logits) else add_steps(off)[None])
    return node.weight * total


def targets(node: ChannelGate | SpatialGate, activation: Array, shape: tuple[int, ...]) -> Doubles:
    """1 for the groups of channels, or the places, that the gate is to open, else 0: float64, as Z but for its steps.

    Groups in falling order of their activation, of equal ones the first, while the cumulative share is at most
    `target`; the first of all is always open, unless nothing is active. activation: as in MaskGradient. shape: of Z.
    """
    if isinstance(node, SpatialGate):
        small = _by_logit(node, activation, shape)
        return _chosen(small.reshape(len(small) * small.shape[1], -1), node.target).reshape(small.shape)
    rows = activation.reshape(-1, activation.shape[-1] // node.size, node.size)
    pooled = add_in_order([rows[..., one] for one in range(node.size)])
    return _chosen(pooled, node.target).reshape(*activation.shape[:-1], -1)


def _by_logit(node: SpatialGate, values: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the places [.., H, W, 1] that each Z serves, [.., h, w, 1]. shape: of Z."""
    rows, columns = nearest(node, shape)
    found: Array = np.stack(
        [add_in_order([values[:, :, y] for y in np.flatnonzero(rows == i)]) for i in range(shape[2])], 2
    )
    found = np.stack(
        [add_in_order([found[:, :, :, x] for x in np.flatnonzero(columns == i)]) for i in range(shape[3])], 3
    )
    return found


def _chosen(pooled: Array, target: float) -> Doubles:
    """Of each row the groups that `targets` opens."""
    order = np.argsort(-pooled, axis=1, kind="stable")
    together = np.cumsum(np.take_along_axis(pooled, order, 1), axis=1)
    whole = together[:, -1:]
    inside = together <= target * whole
    inside[:, 0] = True
    goal = np.zeros(pooled.shape)
    np.put_along_axis(goal, order, (inside & (whole > 0)).astype(np.float64), 1)
    return goal


def cross_entropy(logits: Doubles, goal: Doubles) -> Doubles:
    """`log(1 + e**Z) - goal*Z` for each number, without overflow."""
    terms: Doubles = np.maximum(logits, 0) - goal * logits + log(1 + exp(-np.abs(logits)))
    return terms


def init_noise(
    node: SpatialGate, inputs: tuple[ValueSpec, ...], rng: np.random.Generator
) -> tuple[NamedFloats, NamedFloats]:
    """No parameters; the statistics that noise is a function of: `seed`, and `draws`, the batches so far."""
    return {}, {"seed": np.array([rng.integers(SEEDS)], np.float32), "draws": np.zeros(1, np.float32)}


def spatial_gate(node: SpatialGate, context: LayerContext, current: Current) -> LayerOutput:
    """`Z >= 0`, or in training with "gumbel" `Z + G >= 0`, uint8 [T or 1, B, H, W, 1], nearest to `shape`."""
    logits, state, noise = real_current(current), context.state, None
    if context.train and node.sampling == "gumbel":
        noise = logistic(int(state["seed"][0]), int(state["draws"][0]), logits.shape)
        state = {**state, "draws": (state["draws"] + np.float32(1)) % np.float32(SEEDS)}
    small = ((logits if noise is None else logits + noise) >= 0).astype(np.uint8)
    rows, columns = nearest(node, logits.shape)
    mask = np.ascontiguousarray(small[:, :, rows][:, :, :, columns])
    return LayerOutput(mask, Cache(current, logits, noise, context.parts), state)


def spatial_gate_back(node: SpatialGate, cache: Cache, gradient: MaskGradient) -> Gradients:
    """dL/dM, added up over the places that a Z serves, times `y(1 - y)/temperature` ("gumbel"); and of its targets."""
    if gradient.task is None and not node.weight:
        return Gradients((None,), {})
    total = _of_targets(node, cache, gradient) if node.weight else np.zeros(cache.logits.shape)
    if gradient.task is not None:
        task = gradient.task.astype(np.float64)
        if len(task) > len(cache.logits):
            task = add_steps(task)[None]
        task = _by_logit(node, task, cache.logits.shape)
        if node.sampling == "gumbel":
            soft = sigmoid((cache.logits if cache.noise is None else cache.logits + cache.noise) / node.temperature)
            task = task * (soft * (1 - soft) / node.temperature)
        total = total + task
    return Gradients((with_moments(total.astype(np.float32), cache.current.acc, cache.parts),), {})


def nearest(node: SpatialGate, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """For each row and column of the mask, that of Z: `y*h // H`, `x*w // W`. shape: [T, B, h, w, 1]."""
    rows, columns = (np.arange(size) * small // size for size, small in zip(node.shape, shape[2:4], strict=True))
    return rows, columns


def logistic(seed: int, draw: int, shape: tuple[int, ...]) -> Doubles:
    """The difference of two Gumbel numbers for each place: `log(u) - log(1 - u)`, u uniform between 0 and 1.

    A function of the seed, the draw and the place [T, B, h, w, 1].
    """
    words = np.empty(int(np.prod(shape)), np.uint32)
    parallel_for(random_words, len(words), MIN_CHUNK_WORDS, draw, seed, words)
    uniform = (words + 0.5) / 2**WORD
    numbers: Doubles = log(uniform) - log(1 - uniform)
    return numbers.reshape(shape)


def membrane(node: Membrane, context: LayerContext, stored: Floats) -> LayerOutput:
    """Of windows of the step before, 0 at the first: [T, B, H/size, W/size, C], the mean in float32, of levels the sum.

    stored: as `stored` gives it.
    """
    size = node.size
    height, width = (edge // size for edge in stored.shape[2:4])
    taps = [
        stored[:-1, :, y : y + height * size : size, x : x + width * size : size]
        for y in range(size)
        for x in range(size)
    ]
    shape, levels = (*stored.shape[:2], height, width, stored.shape[4]), context.inputs[0].levels
    if levels is None:
        prior = np.zeros(shape, np.float32)
        prior[1:] = add_in_order(taps) / np.float32(size**2)
        return LayerOutput(prior, None, {})
    value = node.output(context.inputs[0])
    prior = np.zeros(shape, image_type(value.low, value.max_count or 1))
    prior[1:] = add_in_order(taps)
    return LayerOutput(prior, None, {})


def membrane_back(node: Membrane, cache: None, gradient: Floats) -> Gradients:
    """The prior is data: no gradient passes."""
    return Gradients((None,), {})


def stored(node: LIF, cache: NeuronCache, spikes: Array) -> Floats:
    """U[t] / theta, the membrane after its reset, or the level that is stored, an integer, as the kernel has it.

    float32 [T, B, H, W, C].
    """
    before, threshold = potentials(node, cache), cache.neuron[1]
    fired = spikes.astype(np.float32)
    after: Floats = before * (np.float32(1) - fired) if node.reset == "zero" else before - threshold * fired
    if node.membrane is None:
        whole: Floats = after / threshold
        return whole
    step = threshold / np.float32(node.membrane.parts)
    low, high = (np.float32(end) for end in node.membrane.ends)
    v = np.clip(after / step, low, high)
    level = np.rint(v)
    kept: Floats = np.where(level - v >= np.float32(0.5), level - np.float32(1), level)
    return kept


def sigmoid(x: Doubles) -> Doubles:
    """`1 / (1 + e**-x)`, the same bits everywhere."""
    value: Doubles = 1 / (1 + exp(-x))
    return value


def real_current(current: Current) -> Doubles:
    """`X = scale*acc + shift` in float64, whose sign is exact for sums below 2**29."""
    return current.scale.astype(np.float64) * current.acc + current.shift.astype(np.float64)
