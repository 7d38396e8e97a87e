"""NIR nodes, one after the other, as nodes and weights of ours; what we have not is refused by name.

NIR's values are (C, H, W), or (N,) for vectors; ours (H, W, C), vectors (1, 1, N). A Flatten is remembered and turned
into the order of the next layer's rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from qpsnn_core.common.errors import (
    FormatError,
    NetworkError,
    NumericsError,
    QpsnnError,
    ShapeError,
    Unquoted,
    expected,
)
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.types import Doubles
from qpsnn_core.exchange.values import FRAME_PEAK, Held, Options, bias_of, by_channel, padding_of, shape_of, the_same
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Input, MaxPool, Node, Readout, Sum
from qpsnn_core.network.synapses import Conv, Linear
from qpsnn_core.quantization.formats import Quantizer

STRICT = float(np.nextafter(np.float32(1), np.float32(2)))
"""`U >= STRICT` is `U > 1` for every float32."""


FLOAT32_ERROR = 1e-6
"""By what share a quotient of file numbers in float32 may be off."""


class Layers:
    """Nodes and weights as they are read."""

    def __init__(self, nodes: dict[str, Any], options: Options) -> None:
        self.found = nodes
        self.options = options
        self.nodes: list[Node] = []
        self.arrays: dict[str, dict[str, Doubles]] = {}
        self.held: dict[str, Held] = {}

    def add(self, name: str, sources: list[str]) -> None:
        """Read one NIR node; its sources have been read."""
        node = self.found[name]
        place, kind = f"nir: {name}", type(node)
        try:
            reader = READERS[node]
            if kind is not nir.Input and not sources:
                raise NetworkError(expected(place, "an edge that leads to it", Unquoted("none")))
            reader(self, name, node, [self.held[source] for source in sources])
        except QpsnnError as error:
            text = str(error).removeprefix("node: ")  # NIR's nodes have no names of their own
            raise error if text.startswith(place) else type(error)(f"{place}: {text}") from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise FormatError(f"{place}: not a whole {kind.__name__}: {error}") from error

    def model(self) -> Model:
        """The finished model; NetworkError where there is no output."""
        network = Network(tuple(self.nodes), self.options.steps)
        params = {
            name: {key: np.ascontiguousarray(array, np.float32) for key, array in arrays.items()}
            for name, arrays in self.arrays.items()
        }
        return Model(network, params, {})

    def put(self, name: str, node: Any, held: Held, **arrays: Doubles) -> None:
        """Add one of our nodes."""
        for key, array in arrays.items():
            if not np.isfinite(array).all():
                raise NumericsError(expected(f"nir: {name}.{key}", "finite numbers", Unquoted("NaN or infinity")))
        self.nodes.append(node)
        if arrays:
            self.arrays[node.name] = arrays
        self.held[name] = held

    def named(self, name: str) -> str:
        """A name that our nodes may have, not yet taken."""
        plain = re.sub(r"[^\w.]", "_", name)
        plain = plain if re.match(r"[A-Za-z_]", plain) else f"n{plain}"
        taken = {node.name for node in self.nodes}
        while plain in taken:
            plain += "_"
        return plain

    def joined(self, name: str, sources: list[Held]) -> Held:
        """Spikes, or the input, that a synapse or pool reads; several add up in a Sum."""
        for source in sources:
            if source.current:
                raise NetworkError(expected(f"nir: {name}", "to read neurons, pools or the input", source.node))
            if (source.shape, source.gain, source.flat) != (sources[0].shape, sources[0].gain, sources[0].flat):
                raise ShapeError(expected(f"nir: {name} (from {source.node})", f"{sources[0].shape}", source.shape))
        if len(sources) == 1:
            return sources[0]
        node = Sum(self.named(f"{name}_sum"), tuple(source.node for source in sources))
        self.nodes.append(node)
        return sources[0]._replace(node=node.name)

    @property
    def quantizer(self) -> Quantizer | None:
        """Of every synapse."""
        return Quantizer(self.options.bits) if self.options.bits else None


def _input(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    shape = shape_of(name, node.input_type["input"])
    given = layers.options
    peak = given.peak if given.peak is not None or not given.events else FRAME_PEAK
    made = Input(layers.named(name), shape, peak, given.scale if peak is not None else 1.0, given.events)
    layers.put(name, made, Held(made.name, shape, False, 1.0, len(node.input_type["input"]) == 1))


def _conv(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    source = layers.joined(name, sources)
    weight = np.asarray(node.weight, np.float64)
    if source.flat or weight.ndim != 4 or weight.shape[1] != source.shape[2]:
        got = Unquoted("a vector" if source.flat else f"{source.shape[2]} channels")
        raise ShapeError(expected(f"nir: {name} (from {source.node})", f"{weight.shape[1]} channels of a map", got))
    kernel = the_same(f"nir: {name}.weight", weight.shape[2:], "a square kernel")
    stride = the_same(f"nir: {name}.stride", node.stride, "one stride")
    padding = padding_of(name, node.padding, kernel)
    for label, value in (("dilation", node.dilation), ("groups", node.groups)):
        if not np.all(np.asarray(value) == 1):
            raise NetworkError(expected(f"nir: {name}.{label}", "1", Unquoted(f"{np.asarray(value).tolist()}")))
    channels = weight.shape[0]
    bias = bias_of(name, node.bias, channels)
    made = Conv(
        layers.named(name),
        source.node,
        channels,
        kernel,
        stride,
        padding,
        layers.quantizer,
        bias=True,
        batch_norm=False,
    )
    height, width = ((size + 2 * padding - kernel) // stride + 1 for size in source.shape[:2])
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
    made = Linear(layers.named(name), source.node, features, layers.quantizer, bias=True)
    layers.put(name, made, Held(made.name, (1, 1, features), True, flat=True), weight=rows * source.gain, bias=bias)


def _lif(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    _neuron(layers, name, node, sources, by_channel(name, "tau", node.tau, sources[0].shape))


def _if(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    _neuron(layers, name, node, sources, None)


def _neuron(layers: Layers, name: str, node: Any, sources: list[Held], tau: Doubles | None) -> None:
    """Folds thresholds, r and v_leak into the synapses, which no other neuron may read. tau: None without a leak."""
    if len(sources) == 1 and not sources[0].current and _max_pool(layers, name, node, sources[0], tau):
        return
    for source in sources:
        if not source.current:
            raise NetworkError(expected(f"nir: {name}", "to read convolutions or linear layers", source.node))
        if source.shape != sources[0].shape:
            raise ShapeError(expected(f"nir: {name} (from {source.node})", f"{sources[0].shape}", source.shape))
        if any(source.node in other.sources for other in layers.nodes if isinstance(other, LIF)):
            want = f"to be the only neuron that reads {source.node}"
            raise NetworkError(expected(f"nir: {name}", want, Unquoted("two")))
    shape, dt = sources[0].shape, layers.options.dt
    level = by_channel(name, "v_threshold", node.v_threshold, shape)
    reset = by_channel(name, "v_reset", getattr(node, "v_reset", 0.0), shape)
    if reset.any():
        raise NetworkError(expected(f"nir: {name}.v_reset", "0", float(reset[reset != 0][0])))
    if not (level > 0).all():
        raise NetworkError(expected(f"nir: {name}.v_threshold", "positive numbers", float(level.min())))
    gain, offset, beta = by_channel(name, "r", node.r, shape) * dt, np.zeros(shape[2]), 1.0
    if tau is not None:
        if tau.min() != tau.max() or not tau.min() >= dt * (1 - 1e-6):
            got = Unquoted(f"{tau.min():g} to {tau.max():g}")
            raise NetworkError(expected(f"nir: {name}.tau", f"one of at least dt ({dt:g}) for all neurons", got))
        share = min(dt / float(tau[0]), 1.0)
        beta = round(1 - share, 7)  # float32 holds tau and dt to 7 digits
        gain, offset = gain / tau, by_channel(name, "v_leak", node.v_leak, shape) * share
    for index, source in enumerate(sources):
        arrays = layers.arrays[source.node]
        arrays["weight"] = arrays["weight"] * (gain / level)
        arrays["bias"] = arrays["bias"] * (gain / level) + (offset / level if index == 0 else 0.0)
    threshold = 1.0 if layers.options.inclusive else STRICT
    reset = reset_of(layers, node)
    made = LIF(layers.named(name), tuple(source.node for source in sources), threshold, beta, reset=reset)
    layers.put(name, made, Held(made.name, shape, False, flat=sources[0].flat))


def reset_of(layers: Layers, node: Any) -> Any:
    """As the node's metadata says, where they do: NIR has no field for it."""
    return node.metadata.get("reset", layers.options.reset)


def _max_pool(layers: Layers, name: str, node: Any, source: Held, tau: Doubles | None) -> bool:
    """A neuron that fires whenever a spike is in the window of its pool: together they are a max-pool."""
    made = {each.name: each for each in layers.nodes}
    pool = made[source.node]
    if not isinstance(pool, AvgPool) or not isinstance(made[pool.source], (LIF, MaxPool)):
        return False
    one = by_channel(name, "r", node.r, source.shape) * layers.options.dt
    one = (one if tau is None else one / tau) * source.gain / pool.size**2
    level = by_channel(name, "v_threshold", node.v_threshold, source.shape)
    rest = [by_channel(name, label, getattr(node, label, 0.0), source.shape).any() for label in ("v_leak", "v_reset")]
    if reset_of(layers, node) != "zero" or any(rest) or not ((level > 0) & (one > level * (1 + FLOAT32_ERROR))).all():
        return False
    layers.nodes.remove(pool)
    found = MaxPool(layers.named(name), pool.source, pool.size)
    layers.put(name, found, source._replace(node=found.name, gain=1.0))
    return True


def _mean_pool(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    _pool(layers, name, node, sources)


def _sum_pool(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    _pool(layers, name, node, sources, summed=True)


def _pool(layers: Layers, name: str, node: Any, sources: list[Held], summed: bool = False) -> None:
    source = layers.joined(name, sources)
    size = the_same(f"nir: {name}.kernel_size", node.kernel_size, "a square window")
    stride = the_same(f"nir: {name}.stride", node.stride, "one stride")
    padding = the_same(f"nir: {name}.padding", node.padding, "one padding")
    if stride != size or padding:
        got = Unquoted(f"windows of {size}, stride {stride}, padding {padding}")
        raise NetworkError(expected(f"nir: {name}", "windows side by side", got))
    made = AvgPool(layers.named(name), source.node, size)
    height, width, channels = source.shape
    gain = source.gain * (size**2 if summed else 1)
    layers.put(name, made, Held(made.name, (height // size, width // size, channels), False, gain))


def _flatten(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    source = layers.joined(name, sources)
    dims = 1 if source.flat else 3
    start, end = int(node.start_dim), int(node.end_dim)
    if start not in (0, -dims) or end not in (-1, dims - 1):
        raise NetworkError(expected(f"nir: {name}", "to flatten all axes", Unquoted(f"{start} to {end}")))
    layers.held[name] = source._replace(flat=True)


def _output(layers: Layers, name: str, node: Any, sources: list[Held]) -> None:
    """The current of one linear layer; spikes are read by an identity, so that the logits are their mean."""
    if len(sources) > 1:
        raise NetworkError(expected(f"nir: {name}", "one source", Unquoted(f"{len(sources)}")))
    source = sources[0]
    if not source.current:
        size = int(np.prod(source.shape))
        made = Linear(layers.named(f"{name}_weights"), source.node, size, layers.quantizer, bias=False)
        arrays = {"weight": np.eye(size)}
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
        nir.LIF: _lif,
        nir.IF: _if,
        nir.SumPool2d: _sum_pool,
        nir.AvgPool2d: _mean_pool,
        nir.Flatten: _flatten,
        nir.Output: _output,
    },
)
"""From NIR's kind to what reads it."""
