"""The columns of an event stream, as the kernels take them."""

from __future__ import annotations

from typing import NamedTuple

from qpsnn_core.kernels.buffers import Array


class EventColumns(NamedTuple):
    """Events in the order of the stream, all `[N]`.

    x, y: uint16, column and row of the pixel. t: int64, microseconds. p: bool or uint8, 1 for brighter.
    """

    x: Array
    y: Array
    t: Array
    p: Array
