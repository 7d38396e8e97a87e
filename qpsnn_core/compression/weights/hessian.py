"""The Hessian of each layer's error, from the spikes that one pass of the dense network gives.

A change `dw` of one output's weights changes its membrane, without reset, by `sum_i M[t, i] dw S[i]`: the squared
change, summed over steps and places, mean over images, is `1/2 dw H dw` with `H = 2 E[(M S)^T (M S)]`. A reset by
subtraction takes off what does not depend on the weights, so that this is the change as long as no spike changes; a
reset to zero would also wipe it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qpsnn_core.common.elementary import powers
from qpsnn_core.common.errors import UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.common.validation import check_choice
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import forward
from qpsnn_core.engine.read import read_by, unit_of
from qpsnn_core.kernels.conv.windows import unfold
from qpsnn_core.kernels.linalg.obs import add_events
from qpsnn_core.kernels.linalg.product import Matrix, add_products, blocks_of
from qpsnn_core.kernels.linalg.sums import dot_rows, filter_steps
from qpsnn_core.kernels.neurons.learned import settled
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.current_readouts import CurrentReadout, Weighted
from qpsnn_core.network.gates import ChannelGate, Membrane, SpatialGate
from qpsnn_core.network.graph import Network
from qpsnn_core.network.leak import check_one_leak
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import LIF, AvgPool, Concat, Dropout, Input, MaxPool, Readout, Sum, Upsample
from qpsnn_core.network.synapses import BN_EPSILON, Conv, Linear, Shortcut

OBJECTIVES = ("membrane", "current")

PART = 2**22
"""Numbers (float64) of unfolded, filtered spikes at a time."""

MEMORY = 2**31
"""Bytes of Hessians that there are at once; where a network has more, it is run again for the others."""

MIN_CHUNK_PLACES = 2**14
"""Least number of places that are filtered by one thread."""

SPARSE = 0.2
"""Below this share of spikes, adding rows of events is faster than a product of all: measured, `docs/osbc.md`."""


def hessians(
    model: Model,
    parts: Sequence[Array],
    objective: str = "membrane",
    nodes: Sequence[Weighted] = (),
    on_progress: Callable[[int], None] = lambda batches: None,
) -> dict[str, Doubles]:
    """Of each of these synapses (else of all), by its name: float64 [d, d], d its inputs (k*k*C_in, or H*W*C_in).

    parts: batches of images, samples first. objective: the "membrane" (OSBC), or the "current" (OBC: M is the
    identity). on_progress: called after every batch. Raises ConfigError (objective), and what `forward` raises.
    """
    check_choice("hessians.objective", objective, OBJECTIVES)
    check_one_leak(model.network, "the filter of membranes")
    network = settled(model).network
    chosen = nodes or network.synapses
    found = {node.name: np.zeros((inputs_of(network, node),) * 2) for node in chosen}
    samples = sum(len(part) for part in parts)
    for index, part in enumerate(parts, 1):
        done = forward(model, steps_first(part), save_for_backward=True)
        for node in chosen:
            _add(network, node, read_by(node, done), objective, found[node.name])
        on_progress(index)
    for node in chosen:
        own = found[node.name]
        scale = unit_of(network, node)
        own *= 2 * (scale * scale) / samples
        for row in range(len(own)):
            own[row + 1 :, row] = own[row, row + 1 :]
    return found


def filters(network: Network, node: Weighted, objective: str = "membrane") -> list[Doubles]:
    """M of each reader of this synapse, [T, T]: `beta**(t - i)` for `i <= t` of a LIF, and of a Readout with a leak.

    A Readout without one has the identity, and so has a CurrentReadout, of its own weights as well. The error of
    its mean over T was tried, too: it has as many samples as there are images, not T times as many, and lost
    accuracy (`docs/osbc.md`).
    """
    if objective == "current":
        return [np.eye(network.steps)]
    gap = np.subtract.outer(np.arange(network.steps), np.arange(network.steps))
    readers = [node] if isinstance(node, CurrentReadout) else _driven(network, node.name)
    betas = [LEAKS[one](one) for one in readers]
    return [np.where(gap >= 0, powers(beta, network.steps)[np.maximum(gap, 0)], 0.0) for beta in betas]


def groups(network: Network) -> list[list[Weighted]]:
    """All synapses, those together whose Hessians MEMORY holds."""
    found: list[list[Weighted]] = [[]]
    used = 0
    for node in network.synapses:
        size = 8 * inputs_of(network, node) ** 2
        if found[-1] and used + size > MEMORY:
            found.append([])
            used = 0
        found[-1].append(node)
        used += size
    return found


def _driven(network: Network, name: str) -> list[Any]:
    """What a current drives, also through others that are made of it."""
    readers = network.consumers(name)
    through = {one.name for one in readers if LEAKS.entries.get(type(one)) is _THROUGH}
    return [last for one in readers for last in (_driven(network, one.name) if one.name in through else [one])]


def inputs_of(network: Network, node: Weighted) -> int:
    """How many weights each of its outputs has."""
    if isinstance(node, Conv) and node.groups > 1:
        want = "1: the outputs of a group read inputs of their own, and one Hessian is for all outputs"
        raise UnsupportedError(expected(f"{node.name}.groups", want, node.groups))
    shape = node.weight_shape(network.inputs_of(node)[0])
    return int(np.prod(shape[:-1]))


def _add(network: Network, node: Weighted, x: Array, objective: str, total: Doubles) -> None:
    """`total += S^T (M^T M) S`, its upper triangle; x: counts [T or 1, B, H, W, C]."""
    twice: Doubles = sum((_squared(m) for m in filters(network, node, objective)), start=np.zeros((network.steps,) * 2))
    if len(x) == 1:
        twice = np.full((1, 1), math.fsum(twice.flat))
    size = len(total)
    for counts, filtered in UNFOLDED[node](node, x, twice):
        if np.count_nonzero(counts) > SPARSE * counts.size:
            left, right, out = (Matrix(flat, 0, size) for flat in map(_flat, (counts, filtered, total)))
            work = left, right, out, len(counts), size, size, True, False
            parallel_for(add_products, blocks_of(size), 1, *work)
            continue
        inputs, places = np.nonzero(np.ascontiguousarray(counts.T))
        starts = np.zeros(len(total) + 1, np.int64)
        np.cumsum(np.bincount(inputs, minlength=len(total)), out=starts[1:])
        events = (starts, places, counts[places, inputs].astype(np.float64))
        parallel_for(add_events, len(total), 1, *events, filtered.reshape(-1), len(total), total.reshape(-1))


def _squared(m: Doubles) -> Doubles:
    """`M^T M`."""
    return np.array([[math.fsum(first * second) for second in m.T] for first in m.T])


def _filtered(twice: Doubles, x: Array) -> Doubles:
    """`twice` times x [T, n]: what each place of each step is filtered to."""
    found, x = np.empty(x.shape), np.ascontiguousarray(x)
    parallel_for(filter_steps, x.shape[1], MIN_CHUNK_PLACES, twice, x, found)
    return found


def _flat(matrix: Array) -> Doubles:
    """Its numbers, float64; those of a float64 matrix themselves."""
    return np.ascontiguousarray(matrix, np.float64).reshape(-1)


def _vectors(node: Linear, x: Array, twice: Doubles) -> Iterator[tuple[Array, Doubles]]:
    size = x[0, 0].size
    for start, stop in _spans(x.shape[1], len(x) * size):
        flat = x[:, start:stop].reshape(len(x), -1)
        yield flat.reshape(-1, size), _filtered(twice, flat).reshape(-1, size)


def _windows(node: Conv, x: Array, twice: Doubles) -> Iterator[tuple[Array, Doubles]]:
    (tall, wide), (down, right), (top, left) = both(node.kernel), both(node.stride), both(node.padding)
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left), (0, 0)))
    rows = (padded.shape[2] - tall) // down + 1
    columns = (padded.shape[3] - wide) // right + 1
    row = len(x) * columns * tall * wide * x.shape[4]
    for start, stop in _spans(x.shape[1], row * rows):
        for first, last in _spans(rows, row * (stop - start)):
            band = padded[:, start:stop, first * down : (last - 1) * down + tall]
            images = band.reshape(-1, *band.shape[2:])
            after = _filtered(twice, band.reshape(len(x), -1)).reshape(images.shape)
            yield tuple(unfold(i, (tall, wide), (down, right), i.dtype) for i in (images, after))  # type: ignore[misc] # two


def _currents(node: CurrentReadout, x: Array, twice: Doubles) -> Iterator[tuple[Array, Doubles]]:
    """Every place of them by itself."""
    channels = x.shape[-1]
    for start, stop in _spans(x.shape[1], x[:, 0].size):
        flat = x[:, start:stop].reshape(len(x), -1)
        yield flat.reshape(-1, channels), _filtered(twice, flat).reshape(-1, channels)


_NO_WEIGHTS = Refusal("it has no weights to be pruned or quantized")
_NO_READER = Refusal("it reads no current")
_THROUGH = Refusal("what pools, joins or spreads currents has no membrane; what reads it has")

UNFOLDED: KindTable[Callable[..., Iterator[tuple[Array, Doubles]]]] = KindTable(
    "the Hessian of weights",
    {
        Input: _NO_WEIGHTS,
        Conv: _windows,
        Linear: _vectors,
        Shortcut: _NO_WEIGHTS,
        LIF: _NO_WEIGHTS,
        MaxPool: _NO_WEIGHTS,
        AvgPool: _NO_WEIGHTS,
        Sum: _NO_WEIGHTS,
        Concat: _NO_WEIGHTS,
        Upsample: _NO_WEIGHTS,
        Dropout: _NO_WEIGHTS,
        ChannelGate: _NO_WEIGHTS,
        SpatialGate: _NO_WEIGHTS,
        Membrane: _NO_WEIGHTS,
        SelfAttention: _NO_WEIGHTS,
        Readout: _NO_WEIGHTS,
        CurrentReadout: _currents,
    },
)
"""`(node, x, twice)`: counts, and `twice` times them over time, each as rows [n, d] of what a sum of the synapse sees;
part by part."""

LEAKS: KindTable[Callable[[Any], float]] = KindTable(
    "the filter of membranes",
    {
        Input: _NO_READER,
        Conv: _NO_READER,
        Linear: _NO_READER,
        Shortcut: _NO_READER,
        LIF: lambda node: float(node.beta),
        MaxPool: _THROUGH,
        AvgPool: _THROUGH,
        Sum: _THROUGH,
        Concat: _THROUGH,
        Upsample: _THROUGH,
        Dropout: _NO_READER,
        ChannelGate: lambda node: 0.0,
        SpatialGate: lambda node: 0.0,
        Membrane: _NO_READER,
        SelfAttention: _NO_READER,
        Readout: lambda node: float(node.leak),
        CurrentReadout: lambda node: 0.0,
    },
)
"""What is left of a current in its reader after a step."""


def _spans(count: int, size: int) -> list[tuple[int, int]]:
    """`count` things of `size` numbers each, as many together as PART holds."""
    step = max(1, PART // size)
    return [(start, min(start + step, count)) for start in range(0, count, step)]


def error(hessian: Doubles, change: Doubles, factors: Doubles) -> float:
    """`1/2 sum_o (factor_o)**2 dw_o H dw_o`: the mean squared error per image, summed over steps and places.

    change: [O, d]; factors: what batch norm multiplies each output's current with, [O].
    """
    size, rows = len(hessian), len(change)
    driven, off = np.zeros((rows, size)), np.empty(rows)
    left, right, out = (
        Matrix(flat, 0, pitch)
        for flat, pitch in ((_flat(change.T), rows), (_flat(hessian), size), (_flat(driven), size))
    )
    work = left, right, out, size, rows, size, False, False
    parallel_for(add_products, blocks_of(rows), 1, *work)
    parallel_for(dot_rows, rows, 1, driven, np.ascontiguousarray(change, np.float64), off)
    return math.fsum(factors * factors * off) / 2


def errors(hessian: Doubles, change: Doubles, dense: Doubles, factors: Doubles) -> tuple[float, float]:
    """The error of a change, and its share of the dense weights' own squared magnitude; 0 where no spike comes."""
    off, whole = (error(hessian, weight, factors) for weight in (change, dense))
    return off, off / whole if whole else 0.0


def gains(model: Model, node: Weighted) -> Doubles:
    """What batch norm multiplies each output's current with, [C_out]; 1 without batch norm."""
    if not node.batch_norm:
        return np.ones(node.channels)
    own: Mapping[str, Array] = model.params[node.name]
    deviation = np.sqrt(model.state[node.name]["var"].astype(np.float64) + BN_EPSILON)
    gain: Doubles = own["bn_weight"] / deviation
    return gain
