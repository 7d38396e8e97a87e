"""NIR nodes, one after the other, as nodes and weights of ours; what we have not is refused by name.

NIR's values are (C, H, W), or (N,) for vectors; ours (H, W, C), vectors (1, 1, N). A Flatten is remembered and turned
into the order of the next layer's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from qpsnn_core.common.errors import FormatError, NetworkError, QpsnnError, ShapeError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.exchange.draft import Layers
from qpsnn_core.exchange.nir_neurons import if_, lif
from qpsnn_core.exchange.values import FRAME_PEAK, Held, bias_of, padding_of, shape_of, the_same, two_of
from qpsnn_core.network.nodes import AvgPool, Input, Readout
from qpsnn_core.network.synapses import Conv, Linear
from qpsnn_core.network.values import windows


def read_node(layers: Layers, name: str, sources: list[str]) -> None:
    """Read one NIR node; its sources have been read."""
    node = layers.found[name]
    place, kind = f"nir: {name}", type(node)
    try:
        reader = READERS[node]
        if kind is not nir.Input and not sources:
            raise NetworkError(expected(place, "an edge that leads to it", Unquoted("none")))
        reader(layers, name, node, [layers.held[source] for source in sources])
    except QpsnnError as error:
        text = str(error).removeprefix("node: ")  # NIR's nodes have no names of their own
        raise error if text.startswith(place) else type(error)(f"{place}: {text}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise FormatError(f"{place}: not a whole {kind.__name__}: {error}") from error


def _input(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    shape = shape_of(name, node.input_type["input"])
    given = layers.options
    peak = given.peak if given.peak is not None or not given.events else FRAME_PEAK
    scale = given.scale if peak is not None else 1.0
    unit = given.unit or scale
    made = Input(layers.named(name), shape, peak, unit, given.events, given.low)
    layers.put(name, made, Held(made.name, shape, False, scale / unit, len(node.input_type["input"]) == 1))


def _conv(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    source = layers.joined(name, sources)
    weight = np.asarray(node.weight, np.float64)
    groups = the_same(f"nir: {name}.groups", node.groups, "one number")
    if source.flat or weight.ndim != 4 or weight.shape[1] * groups != source.shape[2]:
        got = Unquoted("a vector" if source.flat else f"{source.shape[2]} channels")
        raise ShapeError(
            expected(f"nir: {name} (from {source.node})", f"{weight[0].shape[0] * groups} channels of a map", got)
        )
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    stride = two_of(f"nir: {name}.stride", node.stride)
    padding = padding_of(name, node.padding, kernel)
    if not np.all(np.asarray(node.dilation) == 1):
        got = Unquoted(f"{np.asarray(node.dilation).tolist()}")
        raise NetworkError(expected(f"nir: {name}.dilation", "1", got))
    channels = weight.shape[0]
    bias = bias_of(name, node.bias, channels)
    made = Conv(
        layers.named(name),
        source.node,
        channels,
        kernel,
        stride,
        padding,
        None,
        bias=True,
        batch_norm=False,
        groups=groups,
    )
    height, width = windows(f"nir: {name}", source.shape, kernel, stride, padding)
    held = Held(made.name, (height, width, channels), True)
    layers.put(name, made, held, weight=weight.transpose(2, 3, 1, 0) * source.gain, bias=bias)


def _linear(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    source = layers.joined(name, sources)
    weight = np.asarray(node.weight, np.float64)
    height, width, channels = source.shape
    size = height * width * channels
    if weight.ndim != 2 or weight.shape[1] != size or not source.flat:
        got = Unquoted(f"{size} of them" if source.flat else f"a map {source.shape}, not flattened")
        want = f"{weight.shape[-1]} inputs in a vector"
        raise ShapeError(expected(f"nir: {name} (from {source.node})", want, got))
    features = weight.shape[0]
    rows = weight.reshape(features, channels, height, width).transpose(2, 3, 1, 0).reshape(size, features)
    bias = bias_of(name, getattr(node, "bias", np.zeros(features)), features)
    made = Linear(layers.named(name), source.node, features, None, bias=True)
    layers.put(name, made, Held(made.name, (1, 1, features), True, flat=True), weight=rows * source.gain, bias=bias)


def _mean_pool(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    _pool(layers, name, node, sources)


def _sum_pool(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    _pool(layers, name, node, sources, summed=True)


def _pool(layers: Layers, name: str, node: Any, sources: list[Held], summed: bool = False) -> None:
    source = layers.joined(name, sources)
    size, stride = two_of(f"nir: {name}.kernel_size", node.kernel_size), two_of(f"nir: {name}.stride", node.stride)
    padding = two_of(f"nir: {name}.padding", node.padding)
    if any(padding):
        got = Unquoted(f"windows of {size}, stride {stride}, padding {padding}")
        raise NetworkError(expected(f"nir: {name}", "windows without padding", got))
    made = AvgPool(layers.named(name), source.node, size, 0 if stride == size else stride)
    height, width = windows(f"nir: {name}", source.shape, size, stride, 0)
    gain = source.gain * (made.area if summed else 1)
    layers.put(name, made, Held(made.name, (height, width, source.shape[2]), False, gain))


def _flatten(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    """Of a map; of a current too, where that is 1 x 1 and nothing is put in another order."""
    one_pixel = len(sources) == 1 and sources[0].current and sources[0].shape[:2] == (1, 1)
    source = sources[0] if one_pixel else layers.joined(name, sources)
    dims = 1 if source.flat else 3
    start, end = int(node.start_dim), int(node.end_dim)
    if start not in (0, -dims) or end not in (-1, dims - 1):
        raise NetworkError(expected(f"nir: {name}", "to flatten all axes", Unquoted(f"{start} to {end}")))
    layers.held[name] = source._replace(flat=True)


def _output(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    """The current of one linear layer, or the spikes of one pixel, which are counted.

    Other spikes are read by an identity, so that the logits are their mean, with the unit that the file gives them. It
    is sparse: its zeros stay zeros in training and in codes.
    """
    if len(sources) > 1:
        raise NetworkError(expected(f"nir: {name}", "one source", Unquoted(f"{len(sources)}")))
    source = sources[0]
    if not source.current and not (source.shape[:2] == (1, 1) and source.gain == 1):
        height, width, channels = source.shape
        size = height * width * channels
        check_bytes(f"nir: {name} (weights that read {source.node})", 8 * size**2, 0)
        made = Linear(layers.named(f"{name}_weights"), source.node, size, None, bias=False, sparse=True)
        rows = np.eye(size).reshape(channels, height, width, size).transpose(1, 2, 0, 3).reshape(size, size)
        arrays = {"weight": rows * source.gain}
        layers.put(f"{name}_weights", made, Held(made.name, (1, 1, size), True), **arrays)
        source = layers.held[f"{name}_weights"]
    layers.put(name, Readout(layers.named(name), source.node), source)


Reader = Callable[[Layers, str, Any, list[Held]], None]

READERS: KindTable[Reader] = KindTable(
    "the reader of NIR",
    {
        nir.Input: _input,
        nir.Conv2d: _conv,
        nir.Linear: _linear,
        nir.Affine: _linear,
        nir.LIF: lif,
        nir.IF: if_,
        nir.SumPool2d: _sum_pool,
        nir.AvgPool2d: _mean_pool,
        nir.Flatten: _flatten,
        nir.Output: _output,
    },
)
"""From NIR's kind to what reads it."""
