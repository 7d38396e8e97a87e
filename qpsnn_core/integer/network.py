"""An integer network: nodes, their arrays and T, checked and proven to fit int32 before anything runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from qpsnn_core.common.errors import ConfigError, NetworkError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import TAG, converter, did_you_mean, structure, tag_union
from qpsnn_core.common.text_table import aligned
from qpsnn_core.common.types import Array, NamedArrays
from qpsnn_core.common.validation import check_kind
from qpsnn_core.integer.node_kinds import KINDS
from qpsnn_core.integer.nodes import INT_READOUTS, IntCurrentReadout, IntInput, IntLIF, IntNode, IntReadout
from qpsnn_core.integer.packing import pack
from qpsnn_core.integer.value_specs import IntValueSpec, Spec
from qpsnn_core.network.ordered_graph import Ordered, check_order, check_read, only, sources_of

_convert = converter()
tag_union(_convert, IntNode)

TAGS: KindTable[str] = KindTable("the JSON of an integer network", {kind: kind.__name__ for kind in get_args(IntNode)})
"""What JSON calls each kind."""


@dataclass(frozen=True, eq=False, repr=False)
class IntegerNetwork(Ordered[IntNode]):
    """Nodes in the order in which they run, `arrays[node][name]`, and the number of time steps T.

    The first node is the IntInput, the last a readout; there may be more readouts. Each node reads only earlier ones,
    and each but a readout is read by a later one. Arrays are copied and made read-only. `values[name]` is what a node
    gives, with its static bounds: every
    accumulator, current and membrane is proven to fit int32 in any order of summation (only the product `U *
    multiplier` of a leak, and the readout's sums, need 64 bits).
    Raises NetworkError, ShapeError, ConfigError, or NumericsError where an integer can leave its range.
    """

    nodes: tuple[IntNode, ...]
    arrays: dict[str, NamedArrays] = field(repr=False)
    steps: int
    values: dict[str, IntValueSpec] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", plain(self.steps))
        if type(self.steps) is not int or self.steps < 1:
            raise ConfigError(expected("network.steps", "an integer of at least 1", self.steps))
        kinds = [KINDS[node] for node in (self.nodes if isinstance(self.nodes, tuple) else ())]
        check_order(self.nodes, IntInput, *INT_READOUTS)
        check_kind("network.arrays", self.arrays, Mapping)
        for name, own in self.arrays.items():
            check_kind(f"{name}.arrays", own, Mapping)
        _check_names("network.arrays", self.arrays, {node.name for node in self.nodes}, "the name of a node")
        values: dict[str, IntValueSpec] = {}
        arrays: dict[str, NamedArrays] = {}
        for node, kind in zip(self.nodes, kinds, strict=True):
            kind.check(node)
            inputs = tuple(values[source] for source in sources_of(node))
            for source, value in zip(sources_of(node), inputs, strict=True):
                if value.kind not in kind.reads:
                    want = " or ".join(kind.reads)
                    raise ShapeError(expected(f"{node.name} (from {source})", want, value.kind))
            arrays[node.name] = _checked(node.name, kind.specs(node, inputs), self.arrays.get(node.name, {}))
            values[node.name] = kind.output(node, inputs, arrays[node.name], self.steps)
        check_read(self.nodes, *INT_READOUTS)
        object.__setattr__(self, "arrays", arrays)
        object.__setattr__(self, "values", values)

    def __str__(self) -> str:
        """A table of the nodes: kinds, sources, shapes, how many integers, and the bits of the codes."""
        rows = [("name", "kind", "reads", "gives", "integers", "bits")]
        for node in self.nodes:
            own = self.arrays[node.name]
            count = sum(array.size for array in own.values())
            bits = str(pack(own["codes"]).bits) if "codes" in own else ""
            shape = "x".join(map(str, self.shape(node.name)))
            kind, reads = type(node).__name__, ", ".join(sources_of(node))
            rows.append((node.name, kind, reads, shape, f"{count:,}" if count else "", bits))
        total = sum(array.size for own in self.arrays.values() for array in own.values())
        size, state = sum(self.size_bytes.values()) / 1e6, sum(self.membrane_bits.values()) / 8e6
        last = f"{total:,} integers, {size:.4g} MB, membranes {state:.4g} MB, T = {self.steps}"
        return "\n".join([*aligned(rows, right=(4, 5)), last])

    @property
    def input(self) -> IntInput:
        """The first node."""
        node = self.nodes[0]
        assert isinstance(node, IntInput)  # noqa: S101 - checked when the network was made
        return node

    @property
    def readouts(self) -> tuple[IntReadout | IntCurrentReadout, ...]:
        """The nodes that give answers, in order; of most networks the last node alone."""
        return self.of(*INT_READOUTS)

    @property
    def readout(self) -> IntReadout | IntCurrentReadout:
        """The only readout. NetworkError, naming them, where there are several."""
        return only({node.name: node for node in self.readouts})

    def sources(self, node: IntNode) -> tuple[str, ...]:
        """The names that a node reads."""
        return sources_of(node)

    @property
    def size_bytes(self) -> dict[str, int]:
        """Bytes of each node's packed arrays, as the file holds them: a b-bit code takes b bits."""
        return {name: sum(pack(array).data.size for array in named.values()) for name, named in self.arrays.items()}

    @property
    def membrane_bits(self) -> dict[str, int]:
        """Bits of the membranes of each IntLIF for one image: those of its levels, or 8, 16 or 32 that hold them."""
        found = {}
        for node in self.nodes:
            value = self.values[node.name]
            if isinstance(node, IntLIF) and value.membrane is not None:
                low, high = (int(end) for end in (value.membrane.after.low.min(), value.membrane.after.high.max()))
                whole = next(b for b in (8, 16, 32) if low >= -(2 ** (b - 1)) and high < 2 ** (b - 1))
                bits = whole if node.membrane is None else node.membrane.bits
                found[node.name] = bits * int(np.prod(value.shape))
        return found

    def nodes_json(self) -> str:
        """The nodes as canonical JSON: sorted keys, no spaces."""
        nodes = [{TAG: TAGS[node], **_convert.unstructure(node)} for node in self.nodes]
        return json.dumps(nodes, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of T, the nodes and every array: the same for equal networks, in any process."""
        text = hashlib.sha256(f"{self.steps}\n{self.nodes_json()}".encode())
        for node in self.nodes:
            for name, array in sorted(self.arrays[node.name].items()):
                text.update(f"\n{node.name}.{name} {array.dtype.name} {array.shape}\n".encode())
                text.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        return text.hexdigest()


def nodes_from_json(text: str) -> tuple[IntNode, ...]:
    """Read what `nodes_json` wrote; ConfigError where it is not that."""
    try:
        data = json.loads(text)
    except ValueError as error:  # not JSON, or an integer of thousands of digits
        raise ConfigError(f"network.nodes: not JSON: {error}") from error
    return structure(_convert, data, tuple[IntNode, ...], "network.nodes")


def _check_names(place: str, found: Mapping[str, Any], valid: set[str], what: str) -> None:
    for name in found:
        if name not in valid:
            raise NetworkError(expected(place, what + did_you_mean(name, valid), name))


def _checked(node: str, specs: dict[str, Spec], found: Mapping[str, Array]) -> NamedArrays:
    """Read-only copies of a node's arrays, each as its spec demands."""
    _check_names(f"{node}.arrays", found, set(specs), f"one of {', '.join(specs) or 'none'}")
    return {name: _one(f"{node}.{name}", spec, found.get(name)) for name, spec in specs.items()}


def _one(place: str, spec: Spec, array: Array | None) -> Array:
    kinds = " or ".join(spec.dtypes)
    if not isinstance(array, np.ndarray):
        got = Unquoted("nothing" if array is None else type(array).__name__)
        raise NetworkError(expected(place, f"an array of {kinds} {spec.shape}", got))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NumericsError(expected(place, kinds, Unquoted("NaN or infinity")))
    if array.dtype.name not in spec.dtypes:
        raise NetworkError(expected(place, kinds, array.dtype.name))
    if array.shape != spec.shape:
        raise ShapeError(expected(place, f"shape {spec.shape}", Unquoted(f"{array.shape}")))
    low, high = int(array.min()), int(array.max())
    if low < spec.low or high > spec.high:
        raise NumericsError(expected(place, f"integers from {spec.low} to {spec.high}", Unquoted(f"{low} to {high}")))
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy
