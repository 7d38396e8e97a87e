"""Maps of the layers that learn locally (DECOLLE), and their flat arrays: weights in panels of 16 channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.types import Array, Longs, Shape
from qpsnn_core.kernels.neurons.decolle_layout import LANES, Place, State


@dataclass(frozen=True)
class LayerMap:
    """inputs, outputs: (height, width, channels), of a layer before its pool."""

    inputs: Shape
    kernel: int
    padding: int
    outputs: Shape
    pool: int

    @property
    def pooled(self) -> Shape:
        """After the pool; what does not fill a window is left out."""
        height, width, channels = self.outputs
        return height // self.pool, width // self.pool, channels

    @property
    def lanes(self) -> int:
        """Channels, filled up to a multiple of 16."""
        return -(-self.outputs[2] // 16) * 16

    @property
    def fan_in(self) -> int:
        """Inputs of a neuron."""
        return self.kernel * self.kernel * self.inputs[2]

    @property
    def features(self) -> int:
        """Pooled spikes."""
        height, width, channels = self.pooled
        return height * width * channels


class Layout(NamedTuple):
    """table: int64 `[layers, fields of a Place]`. The others: numbers of all layers together."""

    table: Longs
    inputs: int
    neurons: int
    features: int
    weights: int
    biases: int


@lru_cache(maxsize=32)
def layout_of(maps: tuple[LayerMap, ...]) -> Layout:
    """Where each layer's part of every flat array begins."""
    rows: list[Place] = []
    inputs = neurons = features = weights = biases = 0
    for index, one in enumerate(maps):
        (height, width, channels), pad = one.inputs, one.padding
        row = (width + 2 * pad) * channels
        size = (height + 2 * pad) * row
        rows.append(
            Place(
                inputs=inputs,
                neurons=neurons,
                features=features,
                weights=weights,
                biases=biases,
                readouts=features,
                channels=channels,
                row=row,
                pad=pad,
                kernel=one.kernel,
                height=one.outputs[0],
                width=one.outputs[1],
                outputs=one.outputs[2],
                lanes=one.lanes,
                pool=one.pool,
                below=rows[-1].features if index else -1,
                size=size,
                in_height=height,
                in_width=width,
            )
        )
        inputs += size
        neurons += one.outputs[0] * one.outputs[1] * one.lanes
        features += one.features
        weights += one.fan_in * one.lanes
        biases += one.lanes
    return Layout(np.array(rows, np.int64), inputs, neurons, features, weights, biases)


def packed(weights: Array, one: LayerMap) -> Array:
    """`[kernel, kernel, channels, outputs]` as panels `[panel, kernel, kernel, channels, LANES]`, flat."""
    filled = np.zeros((one.fan_in, one.lanes), weights.dtype)
    filled[:, : one.outputs[2]] = weights.reshape(one.fan_in, one.outputs[2])
    panels = filled.reshape(one.fan_in, one.lanes // LANES, LANES).transpose(1, 0, 2)
    return np.ascontiguousarray(panels).reshape(-1)


def unpacked(flat: Array, one: LayerMap) -> Array:
    """The weights of a layer from its panels."""
    panels = flat.reshape(one.lanes // LANES, one.fan_in, LANES).transpose(1, 0, 2).reshape(one.fan_in, one.lanes)
    shape = (one.kernel, one.kernel, one.inputs[2], one.outputs[2])
    return np.ascontiguousarray(panels[:, : one.outputs[2]]).reshape(shape)


def flat_weights(weights: Sequence[Array], maps: tuple[LayerMap, ...]) -> Array:
    """All layers' weights as one flat array."""
    return np.concatenate([packed(one, each) for one, each in zip(weights, maps, strict=True)])


def flat_biases(biases: Sequence[Array], maps: tuple[LayerMap, ...]) -> Array:
    """All layers' biases, each filled up to its lanes with zeros."""
    parts = [
        np.concatenate([one, np.zeros(each.lanes - len(one), one.dtype)])
        for one, each in zip(biases, maps, strict=True)
    ]
    return np.concatenate(parts)


def parted(weights: Array, biases: Array, maps: tuple[LayerMap, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Weights and biases of each layer from the flat arrays."""
    at = layout_of(maps).table
    names = Place._fields
    w, b = names.index("weights"), names.index("biases")
    found = [
        (
            unpacked(weights[at[k, w] : at[k, w] + one.fan_in * one.lanes], one),
            biases[at[k, b] : at[k, b] + one.outputs[2]].copy(),
        )
        for k, one in enumerate(maps)
    ]
    return tuple(one for one, _ in found), tuple(one for _, one in found)


def new_state(
    maps: tuple[LayerMap, ...], samples: int, kind: type[np.generic], *, observe: bool = False, filtered: bool = False
) -> State:
    """A state of zeros. kind: float32 or int32. observe: with room for ranges. filtered: as in Dynamics."""
    at = layout_of(maps)
    traces = at.neurons if filtered else at.inputs

    def zeros(count: int, dtype: type[np.generic]) -> Array:
        return np.zeros((samples, count), dtype)

    p, v = zeros(traces, kind), zeros(at.neurons, kind)
    real = kind is np.float32
    seen = zeros(8 if observe else 0, np.float32)
    seen[:, 0::2], seen[:, 1::2] = np.inf, -np.inf
    return State(
        q=zeros(traces, kind),
        p=p,
        r=zeros(at.neurons, kind),
        v=v,
        s=zeros(at.neurons, np.uint8),
        emitted=zeros(at.features, np.uint8),
        p_real=p if real else zeros(at.inputs, np.float32),
        v_real=v if real else zeros(at.neurons, np.float32),
        lost=np.zeros((samples, 4), np.int64),
        seen=seen,
    )
