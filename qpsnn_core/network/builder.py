"""Writes networks: `sequential` of a list of layers, `Builder` of any graph; both give the nodes names and sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from qpsnn_core.common.errors import ArgumentError, ConfigError, NetworkError, QpsnnError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check_kind, described, whole
from qpsnn_core.network.graph import Network
from qpsnn_core.network.join_layers import Concat
from qpsnn_core.network.layers import Branches, Conv, Input, Layer, Linear, Readout
from qpsnn_core.network.nodes import READOUTS, Node
from qpsnn_core.network.readout_layers import CurrentReadout
from qpsnn_core.network.values import ValueSpec
from qpsnn_core.quantization.formats import BY_PLACE, FULL_PRECISION, Quantizer

STEPS = 4

HINTS = {
    "current": "LIF() makes spikes of a current: put it between",
    "spikes": "Conv, Linear or Shortcut makes a current of spikes: put one between",
    "analog": "Conv or Linear makes a current of an image, and LIF() spikes of that: put them between",
}
"""What helps a layer that cannot read a value of this kind."""


class Value(NamedTuple):
    """What a node of a Builder gives: its name, and `spec`, its kind and shape."""

    name: str
    spec: ValueSpec

    def __repr__(self) -> str:
        return f"Value({self.name!r}, {self.spec.kind} {'x'.join(map(str, self.spec.shape))})"

    @property
    def shape(self) -> Shape:
        """(H, W, C)."""
        return self.spec.shape


class Builder:
    """A network in the making: `add` a layer to values, `chain` several, then take the `network`.

    input_shape: (H, W, C) of images, or an Input layer. steps: T. bits: of the weights of all layers whose quantizer is
    left to the builder, 2 to 8, where the first and the last get 8 (network/defaults.py); 32 is floating point.
    input_range: of images made of real numbers, `data.train.input_range`; None: 0..255, intensities x/255.
    Raises ArgumentError, ConfigError, ShapeError.
    """

    def __init__(
        self,
        input_shape: Shape | Input,
        *,
        steps: int = STEPS,
        bits: int = BY_PLACE.bits,
        input_range: InputRange | None = None,
    ) -> None:
        self._quantizer = quantizer_of("Builder.bits", bits)
        self._steps = whole("Builder.steps", steps, 1)
        self._nodes: list[Node] = []
        self._values: dict[str, Value] = {}
        self.input = self._put(_input("Builder", input_shape, input_range), ())

    def __repr__(self) -> str:
        return f"Builder({len(self._nodes)} nodes, T = {self._steps})"

    def add(self, layer: Layer, *sources: Value) -> Value:
        """One layer that reads these values: LIF, Sum, Concat and SelfAttention several, the others one.

        Raises what is wrong.
        """
        check_kind("Builder.add.layer", layer, Layer)
        if not sources:
            raise ArgumentError(expected("Builder.add", "the values that the layer reads", Unquoted("none")))
        for one in sources:
            self._check_own("Builder.add.sources", one)
        try:
            return self._add(layer, sources)
        except QpsnnError as error:
            raise type(error)(f"{layer!r}: {error}") from error

    def concat(self, *sources: Value) -> Value:
        """The channels of these spikes, or currents, side by side: `add(Concat(), ...)`."""
        return self.add(Concat(), *sources)

    def chain(self, source: Value, *layers: Layer | Branches) -> Value:
        """Layer after layer, from a value; Branches divide the way, and the layer behind joins them.

        Raises what is wrong, with the position and the layer in front.
        """
        self._check_own("Builder.chain.source", source)
        return self._chain(source, layers, "layers")

    def network(self) -> Network:
        """The network; a Readout of the last value is added where there is none. Raises NetworkError, ShapeError."""
        if not any(isinstance(node, READOUTS) for node in self._nodes):
            last = self._nodes[-1].name
            try:
                self._put(Readout(), (self._values[last],))
            except QpsnnError as error:
                want = "Linear(classes), whose current is the logits, or a LIF() behind it, whose spikes are counted"
                raise type(error)(f"{expected(f'{last}: the last layer', want, self._values[last])}") from error
        return Network(tuple(self._nodes), self._steps)

    def _check_own(self, place: str, value: Value) -> None:
        check_kind(place, value, Value)
        if self._values.get(value.name) is not value:
            raise NetworkError(expected(place, "a value of this builder", value))

    def _chain(self, source: Value, layers: Sequence[Any], place: str) -> Value:
        values: tuple[Value, ...] = (source,)
        at = place
        for index, layer in enumerate(layers):
            at = f"{place}[{index}]"
            if isinstance(layer, Branches):
                values = self._divide(values, layer, at)
                continue
            if not isinstance(layer, Layer):
                raise ArgumentError(expected(at, "a layer, such as Conv(32)", Unquoted(_described(layer))))
            try:
                values = (self._add(layer, values),)
            except QpsnnError as error:
                raise type(error)(f"{at} {layer!r}: {error}") from error
        if len(values) > 1:
            want = "a layer behind it that joins the branches: LIF() for currents, Sum() or Concat() for either"
            raise ConfigError(expected(f"{at} Branches", want, Unquoted("none")))
        return values[0]

    def _divide(self, values: tuple[Value, ...], branches: Branches, place: str) -> tuple[Value, ...]:
        if len(values) > 1:
            raise ConfigError(expected(f"{place} Branches", "one value to begin from", Unquoted(f"{len(values)}")))
        if len(branches.paths) < 2:
            raise ConfigError(expected(f"{place} Branches", "at least two paths", len(branches.paths)))
        ends = []
        for index, path in enumerate(branches.paths):
            at = f"{place}.paths[{index}]"
            if not isinstance(path, (list, tuple)):
                raise ArgumentError(expected(at, "a list of layers", Unquoted(_described(path))))
            ends.append(self._chain(values[0], path, at))
        return tuple(ends)

    def _add(self, layer: Layer, sources: tuple[Value, ...]) -> Value:
        if len(sources) > 1 and not layer.many:
            names = ", ".join(one.name for one in sources)
            want = "one value (LIF() sums currents, Sum() adds values, Concat() puts their channels side by side)"
            raise ConfigError(f"expected {want}, got {len(sources)}: {names}")
        return self._put(layer, sources)

    def _put(self, layer: Layer, sources: tuple[Value, ...]) -> Value:
        name = self._name(layer)
        specs = tuple(one.spec for one in sources)
        if isinstance(layer, (Conv, Linear, CurrentReadout)) and layer.quantizer == BY_PLACE:
            layer = replace(layer, quantizer=self._quantizer)
        node = layer.node(name, tuple(one.name for one in sources), specs)
        try:
            made = Value(name, node.output(*specs, *self._gates(node, len(specs))))
        except QpsnnError as error:
            raise type(error)(f"{error}{_hint(layer, specs)}") from error
        self._nodes.append(node)
        self._values[name] = made
        return made

    def _gates(self, node: Node, read: int) -> tuple[ValueSpec, ...]:
        """What the gates give that a node names, beyond the values that it was added to."""
        names = node.sources[read:]
        for name in names:
            if name not in self._values:
                want = "the name of a gate that was added before" + did_you_mean(name, self._values)
                raise NetworkError(expected(f"{node.name}: gate", want, name))
        return tuple(self._values[name].spec for name in names)

    def _name(self, layer: Layer) -> str:
        if layer.name:
            check_kind("name", layer.name, str)
            if layer.name in self._values:
                raise NetworkError(expected("name", "a name of its own", Unquoted("an earlier layer's")))
            return layer.name
        if isinstance(layer, (Input, Readout, CurrentReadout)) and layer.prefix not in self._values:
            return layer.prefix
        count = 1 + sum(isinstance(node, layer.kind) for node in self._nodes)
        while f"{layer.prefix}{count}" in self._values:
            count += 1
        return f"{layer.prefix}{count}"


def sequential(
    input_shape: Shape | Input,
    layers: Sequence[Layer | Branches],
    *,
    steps: int = STEPS,
    bits: int = BY_PLACE.bits,
    input_range: InputRange | None = None,
) -> Network:
    """A network of layers one after the other: `sequential((28, 28, 1), [Conv(32), LIF(), MaxPool(2), Linear(10)])`.

    input_shape: (H, W, C) of images, or an Input layer. layers: of `qpsnn_core.layers`, without Input and
    Readout, which are added; Branches divide the way. The last one is Linear(classes), or a LIF behind it, whose spikes
    are counted. Nodes are named by kind and number ("conv1", "lif1"), unless a layer has a `name`. steps: T. bits: of
    the weights, 2 to 8, where the first and the last layer get 8; 32 is floating point; a layer's own `quantizer` goes
    before.
    input_range: as of Builder.
    Raises ArgumentError, ConfigError, ShapeError, NetworkError, with the position and the layer.
    """
    steps = whole("sequential.steps", steps, 1)
    quantizer_of("sequential.bits", bits)
    if not isinstance(layers, (list, tuple)):
        raise ArgumentError(expected("sequential.layers", "a list of layers", Unquoted(described(layers))))
    layer = _input("sequential", input_shape, input_range)
    if not layers:
        raise ConfigError(expected("sequential.layers", "at least one layer", Unquoted("none")))
    builder = Builder(layer, steps=steps, bits=bits)
    builder.chain(builder.input, *layers)
    return builder.network()


def quantizer_of(place: str, bits: int) -> Quantizer | None:
    """Of layers that leave it to the builder: chosen by their place, with so many bits; None for floating point.

    ConfigError, naming `place`, for another number.
    """
    want = f"an integer from 2 to 8, or {FULL_PRECISION}"
    if isinstance(bits, bool) or not hasattr(bits, "__index__"):
        raise ConfigError(expected(place, want, bits))
    bits = whole(place, bits, 0)
    if not (2 <= bits <= 8 or bits == FULL_PRECISION):
        raise ConfigError(expected(place, want, bits))
    return None if bits == FULL_PRECISION else replace(BY_PLACE, bits=bits)


def _input(verb: str, given: Any, span: InputRange | None) -> Input:
    """The Input layer of a shape and a range; a layer that is given has its own range."""
    if span is not None:
        check_kind(f"{verb}.input_range", span, InputRange)
    if not isinstance(given, Input):
        shape = _shape(f"{verb}.input_shape", given)
        return Input(shape) if span is None else Input(shape, span.peak, span.scale, low=span.low)
    if span is not None:
        want = "None beside an Input, which has peak, scale and low of its own"
        raise ConfigError(expected(f"{verb}.input_range", want, Unquoted(f"{span}")))
    return given


def _shape(place: str, shape: Any) -> Shape:
    """(H, W, C) as a tuple."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        frames = isinstance(shape, (tuple, list)) and len(shape) == 4
        hint = " (of frames (T, H, W, C), the last three; T is steps)" if frames else ""
        got = shape if isinstance(shape, (tuple, list)) else Unquoted(described(shape))
        raise ArgumentError(expected(place, f"(H, W, C){hint}", got))
    height, width, channels = (whole(place, size, 1) for size in shape)
    return height, width, channels


def _described(thing: Any) -> str:
    """What came instead of a layer; a node, or the class of a layer, says what was meant."""
    if isinstance(thing, type) and issubclass(thing, Layer):
        return f"the class {thing.__name__} (write {thing.__name__}(...))"
    named = hasattr(thing, "name") and type(thing).__module__.startswith("qpsnn_core.network")
    return described(thing) + (" of network (layers have the same names: qpsnn_core.layers)" if named else "")


def _hint(layer: Layer, specs: tuple[ValueSpec, ...]) -> str:
    """What helps where a layer reads a value of a kind that it cannot."""
    wrong = [one.kind for one in specs if one.kind not in layer.reads]
    return f" ({HINTS[wrong[0]]})" if wrong else ""
