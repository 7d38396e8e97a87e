"""How cost grows: with the firing rate at every width, and with rate, T, bits, width and batch of layers and steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import qpsnn_core as qp
from benchmarks.roofline.peaks import fastest
from qpsnn_core.common.types import Array
from qpsnn_core.engine.layers import conv
from qpsnn_core.engine.layers.base import LayerContext
from qpsnn_core.engine.layers.conv_gradients import weight_sums
from qpsnn_core.kernels.buffers import scratch
from qpsnn_core.kernels.conv.forward import conv_forward
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.parts import parts_of
from qpsnn_core.kernels.threads import chunks, parallel_map
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.synapses import Conv
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.optim.optimizers import OPTIMIZERS
from qpsnn_core.quantization.formats import Quantizer

Record = dict[str, Any]

RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
WIDTHS = ((16, 32, 64), (32, 32, 16), (64, 16, 16), (128, 16, 4), (256, 8, 4), (512, 4, 4))
"""(channels, side, batch) of equal work."""

ROWS = 512
"""Windows that a dense product takes at a time."""


class Point(NamedTuple):
    """A layer and a network: T, bits (None: floats), channels, side, batch, rate, and the factor on vgg_small's width.

    images: the network's batch.
    """

    steps: int = 4
    bits: int | None = 4
    channels: int = 64
    side: int = 16
    batch: int = 16
    rate: float = 0.15
    factor: float = 1.0
    images: int = 16


BASE = Point()


def points() -> dict[str, dict[Any, Point]]:
    """What is measured, by what changes and its value."""
    by_width = zip(WIDTHS[1:], (1.0, 2.0, 4.0, None, None), (16, 4, 1, 0, 0), strict=True)
    return {
        "rate": {rate: BASE._replace(rate=rate) for rate in RATES},
        "T": {steps: BASE._replace(steps=steps) for steps in (1, 2, 4, 8)},
        "bits": {bits or "float": BASE._replace(bits=bits) for bits in (2, 4, 8, None)},
        "width": {WIDTHS[0][0]: _wide(WIDTHS[0], 0.5, 64)} | {one[0]: _wide(one, *rest) for one, *rest in by_width},
        "batch": {count: BASE._replace(batch=count, images=count) for count in (1, 2, 4, 8, 16, 32, 64)},
    }


def _wide(layer: tuple[int, int, int], factor: float | None, images: int) -> Point:
    channels, side, batch = layer
    return BASE._replace(channels=channels, side=side, batch=batch, factor=factor or 0.0, images=images)


def curves(seconds: float, wanted: dict[str, dict[Any, Point]]) -> dict[str, list[Record]]:
    """For each point the seconds of a convolution forward (the whole layer), its weight gradient, and a step."""
    return {name: _curve(seconds, each_point) for name, each_point in wanted.items()}


def _curve(seconds: float, wanted: dict[Any, Point]) -> list[Record]:
    calls: dict[Any, Callable[[], Any]] = {}
    for value, point in wanted.items():
        calls["forward", value], calls["weight", value] = layer_calls(point)
        if point.factor:
            calls["step", value] = step_call(point)
    best = fastest(calls, seconds)
    return [
        {"x": value, **{part: best[part, value] for part in ("forward", "weight", "step") if (part, value) in best}}
        for value in wanted
    ]


def layer_calls(point: Point) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A Conv's forward in training (quantizing, packing, batch norm's statistics and all), and its weight gradient."""
    rng = np.random.default_rng(0)
    shape = (point.side, point.side, point.channels)
    node = Conv("conv", "in", point.channels, quantizer=Quantizer(point.bits, "mean") if point.bits else None)
    value = ValueSpec("spikes", shape, 1)
    params, state = conv.init(node, (value,), rng)
    context = LayerContext(params, state, (value,), point.steps, True, True)
    spikes = (rng.random((point.steps, point.batch, *shape)) < point.rate).astype(np.uint8)
    acc = conv.forward(node, context, spikes).cache.acc.reshape(-1, point.channels)
    gradient, factors = rng.normal(0, 1, acc.shape).astype(np.float32), np.ones((3, point.channels), np.float32)
    given = AccGradient(gradient, acc, factors)
    return lambda: conv.forward(node, context, spikes), lambda: weight_sums(
        conv.geometry_of(node, value), 1, spikes, given, parts_of(point.batch)
    )


def step_call(point: Point) -> Callable[[], Any]:
    """Forward, backward and SGD of vgg_small on 32x32x3, all of whose LIF fire at about the point's rate."""
    quantizer = Quantizer(point.bits, "mean") if point.bits else None
    network = qp.build("vgg_small", (32, 32, 3), 10, steps=point.steps, width=point.factor, quantizer=quantizer)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (point.images, 32, 32, 3)).astype(np.uint8)
    labels = rng.integers(0, 10, point.images)
    return training_step(awake(qp.initialise(network, 0), images, point.rate), images, labels)


def training_step(model: Model, images: Array, labels: Array) -> Callable[[], Any]:
    """A call that trains a step from the same parameters each time."""
    optimizer = OPTIMIZERS["sgd"](0.9, 0.0)
    state = optimizer.init(model.params)

    def step() -> None:
        done = qp.forward(model, images, train=True, save_for_backward=True)
        _, gradient = LOSSES["mean"](done.logits, labels)
        optimizer.update(qp.backward(model, done, gradient), state, model.params, 0.1)

    return step


def awake(model: Model, images: Array, rate: float) -> Model:
    """The model with batch norm's shifts moved together, such that its neurons spike at that rate on average."""
    low, high = -3.0, 4.0
    for _ in range(8):
        middle = (low + high) / 2
        moved = _moved(model, middle)
        done = qp.forward(moved, images, train=True, save_for_backward=True)
        spikes = [done.values[node.name] for node in model.network.of(LIF)]
        found = sum(np.count_nonzero(one) for one in spikes) / sum(one.size for one in spikes)
        low, high = (middle, high) if found < rate else (low, middle)
    return moved


def _moved(model: Model, shift: float) -> Model:
    params = {name: dict(own) for name, own in model.params.items()}
    for own in params.values():
        if "bn_bias" in own:
            own["bn_bias"] = own["bn_bias"] + np.float32(shift)
    return Model(model.network, params, model.state)


def crossing(seconds: float, widths: Sequence[tuple[int, int, int]] = WIDTHS, steps: int = 4) -> list[Record]:
    """By width and rate: the event-driven product on bytes and on floats, packing and all, and a dense one.

    The dense one is of float32: windows laid out as rows, 512 at a time, and BLAS; its time does not depend on spikes.
    """
    records = []
    for channels, side, batch in widths:
        rng = np.random.default_rng(0)
        images = steps * batch
        codes = (2 * rng.integers(0, 16, (3, 3, channels, channels)) - 15).astype(np.int8)
        real = codes.astype(np.float32)
        size = images * side * side * channels
        short = np.empty(size, np.int16 if channels * 9 * 15 < 2**15 else np.int32)
        wide, product = np.empty(size, np.float32), np.empty((images * side * side, channels), np.float32)
        calls: dict[Any, Callable[[], Any]] = {}
        for rate in RATES:
            spikes = (rng.random(size) < rate).astype(np.uint8)
            calls["bytes", rate] = _gathered(spikes, codes, short, images, side)
            calls["floats", rate] = _gathered(spikes, real, wide, images, side)
        shaped = spikes.reshape(images, side, side, channels)
        calls["pack", "bytes"], calls["pack", "floats"] = partial(pack, codes, 1, side), partial(pack, real, 1, side)
        calls["dense"] = partial(dense, shaped, real.reshape(-1, channels), product)
        best = fastest(calls, seconds)
        calls["floats", RATES[-1]]()
        if not np.allclose(product, wide.reshape(product.shape), atol=1e-3):
            raise ArithmeticError(f"{channels} channels: the two products differ")
        times = {kind: [best[kind, rate] for rate in RATES] for kind in ("bytes", "floats")}
        packing = {kind: best["pack", kind] for kind in ("bytes", "floats")}
        sizes = {"channels": channels, "side": side, "images": images}
        records.append({**sizes, **times, "pack": packing, "dense": best["dense"]})
    return records


def _gathered(spikes: Array, weights: Array, total: Array, images: int, side: int) -> Callable[[], Any]:
    channels = weights.shape[-1]
    sizes = ConvGeometry.of((side, side, channels), channels, 3, 1, 1)
    return lambda: parallel_map(conv_forward, chunks(images), spikes, 1, pack(weights, 1, side), total, sizes)


def dense(images: Array, weights: Array, out: Array) -> None:
    """`out = windows of images [M, H, W, C] x weights [9*C, C_out]`, 3x3 with a border of zeros."""
    count, side, _, channels = images.shape
    few, area = max(1, ROWS // side**2), side * side
    room = np.zeros((few, side + 2, side + 2, channels), np.float32)
    image, row, pixel, one = room.strides
    columns = scratch("windows", (few * area, 9 * channels), np.float32)
    for start in range(0, count, few):
        part = images[start : start + few]
        room[: len(part), 1:-1, 1:-1] = part
        shape = (len(part), side, side, 3, 3 * channels)
        windows = np.lib.stride_tricks.as_strided(room, shape, (image, row, pixel, row, one))
        columns[: len(part) * area].reshape(shape)[...] = windows
        np.dot(columns[: len(part) * area], weights, out=out[start * area : (start + len(part)) * area])
