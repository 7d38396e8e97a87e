"""LIF (Eqs. 1 to 3): currents to spikes, one pass over memory; backward (Eq. 14) recomputes the membrane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.kernels.lif import add_current, lif_backward, lif_forward, lif_potentials
from qpsnn_core.kernels.parallel import chunks, each
from qpsnn_core.layers.base import Array, Back, Call, Current, Floats, Output, nothing, rows
from qpsnn_core.network.nodes import LIF, SURROGATES

LEAST = 64
"""Positions in a chunk."""

init = nothing


class Cache(NamedTuple):
    """total: the one current, or the sum of several; lengths: the steps each had, 1 or T."""

    total: Current
    lengths: tuple[int, ...]
    steps: int


def forward(node: LIF, call: Call, *currents: Current) -> Output:
    """Spikes uint8 [T, B, H, W, C]."""
    total = currents[0] if len(currents) == 1 else _added(currents)
    spikes = np.empty((call.steps, *total.acc.shape[1:]), np.uint8)
    each(lif_forward, *_arguments(node, total, spikes))
    return Output(spikes, Cache(total, tuple(len(current.acc) for current in currents), call.steps), {})


def backward(node: LIF, cache: Cache, gradient: Floats) -> Back:
    """dL/dX for each current; one that is the same at every step gets the sum over T."""
    out = np.empty((cache.steps, *cache.total.acc.shape[1:]), np.float32)
    spans, acc, scale, shift, flat, steps, positions, step, beta, threshold = _arguments(node, cache.total, out)
    kind, width = SURROGATES.index(node.surrogate), np.float32(node.width)
    sizes = (steps, positions, step, beta, threshold, kind, width, node.detach_reset)
    each(lif_backward, spans, acc, scale, shift, rows(gradient), flat, *sizes)
    return Back(tuple(out if length == cache.steps else out.sum(0, keepdims=True) for length in cache.lengths), {})


def potentials(node: LIF, cache: Cache) -> Floats:
    """The membrane before reset, U~ [T, B, H, W, C], recomputed."""
    out = np.empty((cache.steps, *cache.total.acc.shape[1:]), np.float32)
    each(lif_potentials, *_arguments(node, cache.total, out))
    return out


def _arguments(node: LIF, total: Current, out: Array) -> tuple[Any, ...]:
    flat = rows(total.acc)
    positions = len(flat) // len(total.acc)
    step = positions if len(total.acc) == len(out) else 0
    constants = (np.float32(node.beta), np.float32(node.threshold))
    spans = chunks(positions, LEAST)
    return (spans, flat, total.scale, total.shift, rows(out), len(out), positions, step, *constants)


def _added(currents: tuple[Current, ...]) -> Current:
    steps = max(len(current.acc) for current in currents)
    acc = np.zeros((steps, *currents[0].acc.shape[1:]), np.float32)
    positions = acc[0].size // acc.shape[-1]
    for current in currents:
        step = positions if len(current.acc) == steps else 0
        flat = (rows(acc), rows(current.acc), current.scale, current.shift)
        each(add_current, chunks(positions, LEAST), *flat, steps, positions, step)
    channels = acc.shape[-1]
    return Current(acc, np.ones(channels, np.float32), np.zeros(channels, np.float32))
