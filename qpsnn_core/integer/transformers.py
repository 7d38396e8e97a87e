"""Attention and the readout of currents in the exact simulator."""

from __future__ import annotations

from functools import partial

import numpy as np

from qpsnn_core.common.types import Array, Longs
from qpsnn_core.integer.step import IntCurrent, OperationContext, Step
from qpsnn_core.integer.transformer_nodes import IntAttention, IntCurrentReadout
from qpsnn_core.kernels.attention import HeadShape, attention_forward
from qpsnn_core.kernels.exact_types import sum_type
from qpsnn_core.kernels.threads import parallel_for

MIN_CHUNK_HEADS = 16
"""Least number of heads, of all images and steps, in a chunk."""


def attention(node: IntAttention, context: OperationContext, *spikes: Array) -> Step:
    """`A = q (k^T v)` of each head, int16 or int32 [T or 1, B, H, W, C]."""
    steps, batch = max(map(len, spikes)), spikes[0].shape[1]
    height, width, given = context.gives.shape
    matched = context.reads[0].shape[2]
    acc = context.room((steps, batch, height, width, given), sum_type(context.gives.sums))
    shape = HeadShape(height * width, node.heads, matched // node.heads, given // node.heads)
    read = tuple(_at_every_step(one, steps, context) for one in spikes)
    flat = (*(one.reshape(-1) for one in read), acc.reshape(-1), shape)
    compute = partial(parallel_for, attention_forward, steps * batch * node.heads, MIN_CHUNK_HEADS, *flat)

    def run() -> None:
        for one, own in zip(spikes, read, strict=True):
            if own is not one:
                own[...] = one
        compute()

    return Step(IntCurrent(acc, context.arrays["gain"]), run)


def _at_every_step(spikes: Array, steps: int, context: OperationContext) -> Array:
    """The spikes themselves, or room for them: uint8, one copy for each step."""
    if len(spikes) == steps and spikes.dtype == np.uint8:
        return spikes
    return context.room((steps, *spikes.shape[1:]), np.uint8)


def current_readout(node: IntCurrentReadout, context: OperationContext, *currents: IntCurrent) -> Step:
    """Y, int64 [B, K], or of each place [B, H, W, K]."""
    codes, factor, gain, bias = (context.arrays[name].astype(np.int64) for name in ("codes", "factor", "gain", "bias"))
    still = all(len(acc) == 1 for acc, _ in currents)
    batch, mean = currents[0].acc.shape[1], node.places == "mean"
    total = context.room((batch, *(() if mean else context.gives.shape[:2]), node.channels), np.int64)
    offset, done = bias << node.bias_shift, 1 if still else context.steps

    def run() -> None:
        total[...] = 0
        for step in range(done):
            rounded = (_added(currents, step, mean) + node.half) >> node.shift
            total[...] += (rounded * factor) @ codes * gain + offset
        total[...] *= context.steps // done

    return Step(total, run)


def _added(currents: tuple[IntCurrent, ...], step: int, mean: bool) -> Longs:
    """Z of a step, int64 [B, C] of a mean, else [B, H, W, C]."""
    found: Longs = np.zeros((), np.int64)
    for acc, gain in currents:
        own = acc[step if len(acc) > 1 else 0]
        sums = own.sum((1, 2), dtype=np.int64) if mean else own.astype(np.int64)
        found = found + sums * gain
    return found
