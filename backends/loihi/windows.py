"""Which rows and columns of a map the windows of a node hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Bools, Longs, Pair
from qpsnn_core.integer.network import IntegerNetwork


def windows(size: int, out: int, kernel: int, stride: int, padding: int) -> Bools:
    """[size, out]: whether window `out`, from `out*stride - padding`, holds the position."""
    offset = np.arange(size)[:, None] + padding - stride * np.arange(out)
    return (offset >= 0) & (offset < kernel)


def outer(rows: Any, cols: Any, channels: Any) -> Longs:
    """The product of three, [H, W, C]."""
    product: Longs = np.asarray(np.einsum("i,j,k->ijk", rows, cols, channels), np.int64)
    return product


def slid(network: IntegerNetwork, node: Any, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Bools, Bools]:
    """Which rows, and which columns, of its source the windows of a node hold."""
    before, after = network.shape(node.source), network.shape(node.name)
    sizes = zip(before[:2], after[:2], both(kernel), both(stride), both(padding), strict=True)
    rows, cols = (windows(*one) for one in sizes)
    return rows, cols
