"""Values of NIR nodes as ours: one number where NIR has many, or an error that names the node and the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import NetworkError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Shape
from qpsnn_core.exchange.time_step import Units

FRAME_PEAK = 255
"""The largest count that frames of events hold, which are bytes: the input's where neither file nor user says one."""


@dataclass(frozen=True)
class Options:
    """How a file is read; see `load_nir`.

    inclusive: neurons fire at their threshold, not only above it. reset: of neurons whose metadata say none. low: the
    least integer of images. unit: the real number for which an integer of images stands, 0 where that is `scale`.
    """

    steps: int
    units: Units
    peak: int | None
    scale: float
    events: bool
    inclusive: bool
    reset: str
    low: int = 0
    unit: float = 0.0


class Held(NamedTuple):
    """What one of our nodes gives. current: of a synapse (else spikes or the input). gain: what NIR's value is times.

    flat: NIR sees a vector, in the order (C, H, W).
    """

    node: str
    shape: Shape
    current: bool
    gain: float = 1.0
    flat: bool = False


def shape_of(name: str, shape: Any) -> Shape:
    """(H, W, C) of NIR's (C, H, W) or (N,)."""
    sizes = [int(size) for size in np.asarray(shape).reshape(-1)]
    if len(sizes) == 1:
        return (1, 1, sizes[0])
    if len(sizes) != 3:
        raise ShapeError(expected(f"nir: {name}.shape", "(C, H, W) or (N,)", Unquoted(f"{tuple(sizes)}")))
    return (sizes[1], sizes[2], sizes[0])


def the_same(place: str, value: Any, want: str) -> int:
    """The number that all of them are."""
    found = np.unique(np.asarray(value))
    if len(found) != 1:
        raise NetworkError(expected(place, want, Unquoted(f"{np.asarray(value).tolist()}")))
    return int(found[0])


def two_of(place: str, value: Any) -> tuple[int, int]:
    """(rows, columns) of one number, or of two."""
    found = [int(one) for one in np.asarray(value).reshape(-1)]
    if len(found) not in (1, 2):
        raise NetworkError(expected(place, "one number, or two: (rows, columns)", Unquoted(f"{found}")))
    return found[0], found[-1]


def padding_of(name: str, value: Any, kernel: tuple[int, int]) -> tuple[int, int]:
    """Of both sides, (rows, columns); NIR has numbers, "same" and "valid"."""
    word = value.decode() if isinstance(value, bytes) else value
    if isinstance(word, str):
        if word == "same" and not all(size % 2 for size in kernel):
            raise NetworkError(expected(f"nir: {name}.padding", "the same on both sides", "same"))
        return ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2) if word == "same" else (0, 0)
    return two_of(f"nir: {name}.padding", value)


def bias_of(name: str, value: Any, channels: int) -> Doubles:
    """One number for each channel."""
    bias = np.zeros(channels) if value is None else np.asarray(value, np.float64)
    if bias.shape not in ((channels,), ()):
        raise ShapeError(expected(f"nir: {name}.bias", f"{channels} numbers", Unquoted(f"{bias.shape}")))
    return np.broadcast_to(bias, (channels,)).copy()


def by_channel(name: str, label: str, value: Any, shape: Shape) -> Doubles:
    """A neuron's parameter, one number for each channel."""
    array = np.asarray(value, np.float64)
    height, width, channels = shape
    if array.size == 1:
        return np.full(channels, float(array.reshape(-1)[0]))
    if array.size != height * width * channels:
        want = f"one number, or {channels} x {height} x {width}"
        raise ShapeError(expected(f"nir: {name}.{label}", want, Unquoted(f"{array.shape}")))
    rows = array.reshape(channels, -1)
    if (rows != rows[:, :1]).any():
        raise NetworkError(
            expected(f"nir: {name}.{label}", "one number for each channel", Unquoted("others at places"))
        )
    return rows[:, 0].copy()
