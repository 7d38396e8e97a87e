"""What is left of a node and of its arrays when channels go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Longs, Shape
from qpsnn_core.network import Conv, Linear, Node, Shortcut


class Cut(NamedTuple):
    """What a node keeps. before: (H, W, C) of its first source as it was; source, outputs: the channels that stay."""

    before: Shape
    source: Longs
    outputs: Longs


def same(node: Node, cut: Cut) -> Node:
    """A node whose options name no channels."""
    return node


def narrow_conv(node: Conv, cut: Cut) -> Conv:
    """With the channels that stay; a depthwise one has as many groups."""
    groups = len(cut.outputs) if node.groups > 1 and len(cut.outputs) < node.channels else node.groups
    return replace(node, channels=len(cut.outputs), groups=groups)


def narrow_linear(node: Linear, cut: Cut) -> Linear:
    """With the features that stay."""
    return replace(node, features=len(cut.outputs))


def narrow_shortcut(node: Shortcut, cut: Cut) -> Shortcut:
    """With a map from the channels that are left, -1 where the source lost its channel."""
    inputs = cut.before[2]
    if len(cut.source) == inputs and len(cut.outputs) == node.channels:
        return node
    place = np.full(inputs + 1, -1)
    place[cut.source] = np.arange(len(cut.source))
    mapping = place[np.array(node.mapping(inputs))[cut.outputs]]
    return replace(node, channels=len(cut.outputs), channel_map=tuple(int(index) for index in mapping))


def by_output(array: Any, cut: Cut) -> Any:
    """One number is of all channels, such as a threshold that a layer learns; it stays."""
    return array.copy() if array.shape == (1,) else array[..., cut.outputs]


def of_kernel(weight: Any, cut: Cut) -> Any:
    """A depthwise one's channels are those of its outputs; groups of several keep all of theirs."""
    if weight.shape[2] < cut.before[2]:
        return weight[..., cut.outputs]
    return weight[:, :, cut.source][..., cut.outputs]


def of_currents(weight: Any, cut: Cut) -> Any:
    """Of a CurrentReadout, `[C, K]`: rows by the channels of its currents."""
    return weight[cut.source]


def of_rows(weight: Any, cut: Cut) -> Any:
    """Of a Linear: rows in (H, W, C) order."""
    return of_kernel(weight.reshape(*cut.before, weight.shape[-1]), cut).reshape(-1, len(cut.outputs))


def checked_channels(name: str, indices: Any, size: int) -> Longs:
    """The channels that stay, all where none are said. Raises ConfigError, naming the LIF."""
    if indices is None:
        return np.arange(size)
    array = np.asarray(indices)
    rising = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iu" and bool((np.diff(array) > 0).all())
    if not rising or array[0] < 0 or array[-1] >= size:
        want = f"rising channel indices from 0 to {size - 1}, at least one"
        raise ConfigError(expected(f"keep.{name}", want, brief(array)))
    return array.astype(np.int64)


def brief(indices: Any) -> str:
    """So many of them as a message has room for."""
    return np.array2string(indices, threshold=12)
