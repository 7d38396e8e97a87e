"""A NIR graph, node by node, from layers in our order of axes: weights HWIO or [H*W*C, out], values (H, W, C)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import NetworkError, Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import OptionTable, Refusal
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Pair, Shape


def named(network: Any, source: str, reader: str) -> str:
    """A synapse's name; where several read it, each has its own copy."""
    return source if len(network.consumers(source)) == 1 else f"{source}_{reader}"


def gap(beta: float) -> float:
    """`dt/tau`, by which a LIF multiplies its input; an IF does not."""
    return 1 - beta if beta < 1 else 1.0


def check_whole(node: Any) -> None:
    """UnsupportedError where a neuron, trained or of integers, rounds what it stores of its membrane to levels."""
    if node.membrane is not None:
        want = "None: no neuron of NIR rounds what it keeps of its membrane"
        raise UnsupportedError(expected(f"nir: {node.name}.membrane", want, node.membrane))


def copying(channel_map: tuple[int, ...], inputs: int) -> npt.NDArray[np.float64]:
    """A 1x1 kernel that copies channels: [1, 1, in, out]."""
    return np.equal.outer(np.arange(inputs), np.array(channel_map)).astype(np.float64)[None, None]


def _dense(weight: Array, groups: int) -> Array:
    """[..., in, out] of a weight [..., in / groups, out] of groups, 0 between them."""
    if groups == 1:
        return weight
    *taps, inputs, outputs = weight.shape
    out, own = np.zeros((*taps, inputs * groups, outputs), weight.dtype), outputs // groups
    for g in range(groups):
        columns = slice(g * own, (g + 1) * own)
        out[..., g * inputs : (g + 1) * inputs, columns] = weight[..., columns]
    return out


def _square(
    place: str, weight: Array, stride: tuple[int, int], padding: tuple[int, int], shape: tuple[int, ...]
) -> tuple[Array, tuple[int, int]]:
    """The kernel with zeros around it, so that it is square, and the padding with which the windows stay what they are.

    shape: (H, W) of what is read. UnsupportedError where no zeros on both sides leave as many windows.
    """
    most, before, edges = max(weight.shape[:2]), [], []
    for axis in (0, 1):
        size, step, edge, lacking = weight.shape[axis], stride[axis], padding[axis], most - weight.shape[axis]
        count = (shape[axis] + 2 * edge - size) // step
        fit = [
            more
            for more in (lacking // 2, -(-lacking // 2))
            if (shape[axis] + 2 * (edge + more) - most) // step == count
        ]
        if not fit:
            want = "a kernel that zeros can make square, as nir takes all for square when it follows shapes"
            raise UnsupportedError(expected(place, want, Unquoted(" x ".join(map(str, weight.shape[:2])))))
        before.append(fit[0])
        edges.append(edge + fit[0])
    out = np.zeros((most, most, *weight.shape[2:]), weight.dtype)
    out[before[0] : before[0] + weight.shape[0], before[1] : before[1] + weight.shape[1]] = weight
    return out, (edges[0], edges[1])


_NO_READOUT = Refusal("NIR has no word for what is read of a membrane that never fires, and when")

MODES: OptionTable[None] = OptionTable("NIR", "mode", {"mean": None, "last": _NO_READOUT, "max": _NO_READOUT})
"""What may be read of the readout, whose currents or spikes are the graph's output; nothing is written for it."""


def check_readout(node: Any, leaks: bool) -> None:
    """UnsupportedError of a readout with a membrane, or of a map."""
    MODES[node]
    if node.places == "each":
        want = "one pixel to read: NIR's output is what comes last, and says nothing of places"
        raise UnsupportedError(expected(f"nir: {node.name}.places", want, node.places))
    if leaks:
        raise UnsupportedError(f"nir: {node.name}: expected a readout without a leak: {_NO_READOUT.reason}")


def check_one_readout(network: Any) -> None:
    """UnsupportedError of several readouts."""
    if len(network.readouts) > 1:
        names = ", ".join(node.name for node in network.readouts)
        raise UnsupportedError(expected("nir: readouts", "one, the output of the graph", Unquoted(names)))


class Graph:
    """A graph that grows.

    `ends[name]` are the NIR nodes whose outputs add up to one of our values; edges that meet in a node are summed.
    dtype: of all numbers.
    """

    def __init__(self, name: str, shape: Shape, dtype: Any) -> None:
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.ends: dict[str, tuple[str, ...]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtype = dtype
        height, width, channels = shape
        self._add(name, (), nir.Input(np.array([channels, height, width])), (channels, height, width))

    def conv(
        self,
        name: str,
        source: str,
        weight: Array,
        bias: Array,
        stride: Pair,
        padding: Pair,
        out: Shape,
        groups: int = 1,
    ) -> None:
        """A Conv2d, or, of a vector, an Affine with the one tap that its values meet.

        weight: [rows, columns, in / groups, out]; out: (H, W, C) of what it gives. nir 1.0.8 follows the shapes of
        square kernels without groups alone: zeros make others of them. Raises UnsupportedError (a map of a vector, a
        kernel that no zeros make square).
        """
        weight = _dense(weight, groups)
        if self._is_vector(name, source, out):
            self._affine(name, self.ends[source], weight[both(padding)].T, bias)
            return
        weight, edge = _square(f"nir: {name}.kernel", weight, both(stride), both(padding), self._shape(source)[1:])
        node = nir.Conv2d(
            input_shape=self._shape(source)[1:],
            weight=self._numbers(weight.transpose(3, 2, 0, 1)),
            stride=both(stride),
            padding=edge,
            dilation=(1, 1),
            groups=1,
            bias=self._numbers(bias),
        )
        self._add(name, self.ends[source], node, (out[2], out[0], out[1]))

    def linear(self, name: str, source: str, weight: Array, bias: Array, shape: Shape) -> None:
        """A Flatten, where the source is a map, and an Affine. weight: [H*W*C, out]; shape: (H, W, C) of the source."""
        before = self.ends[source]
        flat = self._shape(source)
        if len(flat) > 1:
            flatten = f"{name}_flatten"  # axes from the end: some importers count the batch, some do not
            self._add(flatten, before, nir.Flatten(np.array(flat), -len(flat), -1), (int(np.prod(flat)),))
            before = self.ends[flatten]
        rows = weight.reshape(*shape, -1).transpose(3, 2, 0, 1).reshape(weight.shape[1], -1)
        self._affine(name, before, rows, bias)

    def neuron(
        self, name: str, sources: Sequence[str], beta: float, r: float, threshold: Array, dt: float, reset: str
    ) -> None:
        """A LIF of `tau = dt/(1 - beta)`; at beta 1 an IF with `r = 1/dt`. threshold: [C], the same at every place.

        reset: "zero" or "subtract". NIR has no field for it, so it is the node's metadata; `v_reset` is 0 either way.
        """
        before = self._alike([end for source in sources for end in self.ends[source]])
        shape = self.shapes[before[0]]
        level = self._numbers(np.broadcast_to(threshold.reshape(-1, *(1,) * (len(shape) - 1)), shape))
        zeros = np.zeros(shape, self.dtype)
        said = {"reset": reset}
        if beta == 1:
            node = nir.IF(r=zeros + self.dtype(1 / dt), v_threshold=level, v_reset=zeros, metadata=said)
        else:
            node = nir.LIF(
                tau=zeros + self.dtype(dt / (1 - beta)),
                r=zeros + self.dtype(r),
                v_leak=zeros,
                v_threshold=level,
                v_reset=zeros.copy(),
                metadata=said,
            )
        self._add(name, before, node, shape)

    def pool(self, name: str, source: str, size: Pair, mean: bool, stride: Pair = 0, padding: Pair = 0) -> None:
        """An AvgPool2d, or a SumPool2d; stride 0: windows side by side. Nothing, of a vector, which has one pixel."""
        tall, step, edge = both(size), both(stride or size), both(padding)
        *_, height, width = (1, 1, *self._shape(source)[1:])
        out = [(n + 2 * edge[i] - tall[i]) // step[i] + 1 for i, n in enumerate((height, width))]
        if self._is_vector(name, source, (out[0], out[1], 0)):
            self.ends[name] = self.ends[source]
            return
        kind = nir.AvgPool2d if mean else nir.SumPool2d
        sizes = (np.array(pair) for pair in (tall, step, edge))
        self._add(name, self.ends[source], kind(*sizes), (self._shape(source)[0], *out))

    def max_pool(
        self, name: str, source: str, size: Pair, stride: Pair, padding: Pair, dt: float, *, mean: bool, r: float
    ) -> None:
        """Of spikes: a pool, and a LIF that fires whenever one spike is in the window, so that nothing is left to leak.

        `r` is 1 or 2, beta 1/2: one spike makes `r/2`, of a mean-pool `r/2/area`; the threshold is half of it.
        """
        self.pool(f"{name}_window", source, size, mean, stride, padding)
        if self.ends[f"{name}_window"] == self.ends[source]:
            self.ends[name] = self.ends[source]
            return
        one = r / 2 / (math.prod(both(size)) if mean else 1)
        level = np.full(self._shape(f"{name}_window")[0], one / 2)
        self.neuron(name, (f"{name}_window",), 0.5, r, level, dt, "zero")

    def join(self, name: str, sources: Sequence[str]) -> None:
        """A sum: no node, more edges."""
        self.ends[name] = self._alike([end for source in sources for end in self.ends[source]])

    def output(self, name: str, source: str) -> None:
        """The graph's output."""
        shape = self._shape(source)
        self._add(name, self.ends[source], nir.Output(np.array(shape)), shape)

    def finished(self, metadata: dict[str, Any]) -> Any:
        """The graph, its shapes checked by NIR; UnsupportedError with what it objects to."""
        try:
            return nir.NIRGraph(self.nodes, self.edges, metadata=metadata)
        except ValueError as error:
            want = f"a network whose shapes nir {nir.__version__} can follow"
            raise UnsupportedError(expected("nir", want, Unquoted(str(error)))) from error

    def _add(self, name: str, before: tuple[str, ...], node: Any, shape: tuple[int, ...]) -> None:
        key = name.replace(".", "_")  # PyTorch's modules, which importers make of them, take no dots
        if key in self.nodes:
            raise NetworkError(expected(f"nir: {name}", "a name of its own (dots become '_')", key))
        self.nodes[key] = node
        self.edges += [(end, key) for end in before]
        self.ends[name] = (key,)
        self.shapes[key] = shape

    def _affine(self, name: str, before: tuple[str, ...], rows: Array, bias: Array) -> None:
        self._add(name, before, nir.Affine(weight=self._numbers(rows), bias=self._numbers(bias)), (len(rows),))

    def _is_vector(self, name: str, source: str, out: Shape) -> bool:
        """Whether the source is a vector (N,): NIR has no node that makes maps of it, of 1 x 1 or any other size."""
        if len(self._shape(source)) > 1:
            return False
        if out[:2] != (1, 1):
            want = f"an output of 1 x 1, as {source} is a vector (a Linear layer's), and NIR has no maps of vectors"
            got = Unquoted(f"{out[0]} x {out[1]}; make {source}'s layer a Conv whose kernel is its whole input")
            raise UnsupportedError(expected(f"nir: {name}", want, got))
        return True

    def _alike(self, ends: Sequence[str]) -> tuple[str, ...]:
        """Ends that meet: where one is a vector, maps of 1 x 1 are flattened."""
        if len({len(self.shapes[end]) for end in ends}) == 1:
            return tuple(ends)
        return tuple(end if len(self.shapes[end]) == 1 else self._flattened(end) for end in ends)

    def _flattened(self, end: str) -> str:
        flatten, shape = f"{end}_flat", self.shapes[end]
        if flatten not in self.nodes:
            self._add(flatten, (end,), nir.Flatten(np.array(shape), -len(shape), -1), (int(np.prod(shape)),))
        return flatten

    def _shape(self, source: str) -> tuple[int, ...]:
        return self.shapes[self.ends[source][0]]

    def _numbers(self, values: Any) -> Array:
        return np.ascontiguousarray(values, self.dtype)
