"""LIF (Eqs. 1 to 3): currents to spikes, one pass over memory; backward (Eq. 14) recomputes the membrane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Floats, NamedFloats
from qpsnn_core.engine.layers.base import Current, CurrentGradient, Gradients, LayerContext, LayerOutput, rows
from qpsnn_core.engine.layers.batch_norm import DeferredGradient
from qpsnn_core.engine.layers.currents import MIN_CHUNK_POSITIONS, added
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.cyclic_channels import tile_channels
from qpsnn_core.kernels.neurons.learned import STORED, leaks, thresholds
from qpsnn_core.kernels.neurons.lif import (
    RESETS,
    LIFSettings,
    current,
    lif_backward_pieces,
    lif_forward,
    lif_potentials,
)
from qpsnn_core.kernels.neurons.membrane import Levels
from qpsnn_core.kernels.neurons.own_surrogate import compiled
from qpsnn_core.kernels.parts import add_in_order, add_pieces, add_steps, parts_of, pieces_of
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.membranes import MembraneQuantizer
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.surrogates import surrogate_of
from qpsnn_core.network.values import ValueSpec

Neuron = tuple[Floats, Floats]
"""The leaks and the thresholds of a layer, float32, [1] or [C]."""


def init(node: LIF, inputs: tuple[ValueSpec, ...], rng: np.random.Generator) -> tuple[NamedFloats, NamedFloats]:
    """What is learned begins where the node says."""
    count = inputs[0].shape[2] if node.learn_per == "channel" else 1
    return {STORED[what]: np.zeros(count, np.float32) for what in node.learn}, {}


class Cache(NamedTuple):
    """currents: as given; driving: one or two of them, as the kernels take them (of more, the rest is one sum).

    turned: whether the second is the first of `driving`. parts: as of the LayerContext. neuron: its leak and threshold.
    """

    currents: tuple[Current, ...]
    driving: tuple[Any, Any]
    turned: bool
    steps: int
    parts: int
    neuron: Neuron


def forward(node: LIF, context: LayerContext, *currents: Current) -> LayerOutput:
    """Spikes uint8 [T, B, H, W, C]."""
    spikes = empty((context.steps, *currents[0].acc.shape[1:]), np.uint8)
    neuron = leaks(node, context.params), thresholds(node, context.params)
    driving, turned = _driving(node, currents, context)
    cache = Cache(currents, driving, turned, context.steps, context.parts, neuron)
    _run(lif_forward, node, cache, spikes)
    return LayerOutput(spikes, cache, {})


def backward(node: LIF, cache: Cache, gradient: Floats) -> Gradients:
    """dL/dX for each current; one that is the same at every step gets the sum over T. And of what is learned."""
    once = all(len(current.acc) == 1 for current in cache.currents)
    out = empty((1 if once else cache.steps, *gradient.shape[1:]), np.float32)
    positions = gradient[0].size // gradient.shape[-1]
    settings = _settings(node, cache, positions, gradient.shape[-1])
    derivative = surrogate_of(node.surrogate).derivative
    if derivative is not None:
        settings = settings._replace(own=compiled(derivative))
    given, flat = rows(gradient), rows(out)
    batch = gradient.shape[1]
    pieces = pieces_of(parts_of(batch, cache.parts), positions // batch, MIN_CHUNK_POSITIONS)
    ranges = pieces.reshape(-1, 2)
    sums = np.zeros((len(ranges), 5 if node.learn else 3, gradient.shape[-1]))
    parallel_for(lif_backward_pieces, len(ranges), 1, ranges, *cache.driving, given, flat, sums, settings)
    moments = add_pieces(sums, pieces)
    own = _learned(node, cache.neuron, moments[3:]) if node.learn else {}
    if len(cache.currents) > 2:
        summed = {len(x.acc): _summed(out, x) for x in cache.currents}
        shared = (DeferredGradient(summed[len(x.acc)], x.acc, cache.parts) for x in cache.currents)
        return Gradients(tuple(shared), own)
    found = zip(cache.currents, moments[2:0:-1] if cache.turned else moments[1:3], strict=False)
    return Gradients(tuple(CurrentGradient(_summed(out, x), moments[0], products) for x, products in found), own)


def potentials(node: LIF, cache: Cache) -> Floats:
    """The membrane before reset, U~ [T, B, H, W, C], recomputed."""
    out = empty((cache.steps, *cache.currents[0].acc.shape[1:]), np.float32)
    _run(lif_potentials, node, cache, out)
    return out


def _learned(node: LIF, neuron: Neuron, moments: Array) -> NamedFloats:
    """Gradients of what is stored, `dtheta/dr = theta`, of a sigmoid; moments: dL/dtheta, dL/dbeta of each channel."""
    beta, theta = (one.astype(np.float64) for one in neuron)
    slopes = {"threshold": moments[0] * theta, "leak": moments[1] * (beta * (1 - beta))}
    if node.learn_per == "layer":
        slopes = {what: add_in_order(slope[:, None]) for what, slope in slopes.items()}
    return {STORED[what]: slopes[what].astype(np.float32) for what in node.learn}


def _run(kernel: Any, node: LIF, cache: Cache, out: Array) -> None:
    positions = out[0].size // out.shape[-1]
    settings = _settings(node, cache, positions, out.shape[-1])
    parallel_for(kernel, positions, MIN_CHUNK_POSITIONS, *cache.driving, rows(out), settings)


def _settings(node: LIF, cache: Cache, positions: int, channels: int) -> LIFSettings:
    learned: tuple[Any, Any] = (None, None)
    if node.learn:
        leak, threshold = (tile_channels(np.resize(one, channels)) for one in cache.neuron)
        learned = leak, threshold
    return LIFSettings(
        cache.steps,
        positions,
        np.float32(node.beta),
        np.float32(node.threshold),
        RESETS[node.reset],
        surrogate_of(node.surrogate).number,
        np.float32(node.width),
        node.detach_reset,
        levels_of(node.membrane),
        *learned,
        node.threshold_gradient == "spquant",
    )


def levels_of(how: MembraneQuantizer | None) -> Levels | None:
    """The quantizer of membranes as the kernels take it."""
    if how is None:
        return None
    return Levels(*how.ends, how.parts, how.surrogate == "stacked", np.float32(how.k), how.masked)


def _summed(out: Floats, x: Current) -> Floats:
    return out if len(out) == len(x.acc) else add_steps(out)[None]


def _driving(node: LIF, currents: tuple[Current, ...], context: LayerContext) -> tuple[tuple[Any, Any], bool]:
    """The currents as the kernels take them, and whether they are turned round.

    All but the first are added up where there are more than two. Two stand in the order of their types: `a + b` and
    `b + a` are the same bits, and kernels are compiled for each order of types.
    """
    steps = context.steps
    if len(currents) > 2:
        rest = _added_on(currents[1:], node.sources[1:], context.sums)
        ones, zeros = np.ones(rest.shape[-1], np.float32), np.zeros(rest.shape[-1], np.float32)
        currents = (currents[0], Current(rest, ones, zeros))
    taken = []
    for acc, scale, shift in currents:
        positions = acc[0].size // acc.shape[-1]
        taken.append(current(rows(acc), scale, shift, positions if len(acc) == steps else 0))
    if len(taken) == 1:
        return (taken[0], None), False
    first, second = taken
    turned = first[0].dtype.str > second[0].dtype.str
    return ((second, first) if turned else (first, second)), turned


def _added_on(
    currents: tuple[Current, ...], names: tuple[str, ...], sums: dict[tuple[str, ...], Floats] | None
) -> Floats:
    """As `added`, from the sum of the first few that other neurons made; in its place stands the new one."""
    if sums is None:
        return added(currents)
    known = next((names[:count] for count in range(len(names), 0, -1) if names[:count] in sums), ())
    if known != names:
        sums[names] = added(currents[len(known) :], sums.pop(known) if known else None)
    return sums[names]
