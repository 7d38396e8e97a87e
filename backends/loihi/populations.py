"""An integer network as a chip sees it: populations of neurons, and the projections that end on them.

Only neurons take part: LIF, max-pools (a neuron that fires when any of its window did) and the readout's accumulators,
besides the input. Sum-pools and sums of spikes are folded into the synapses that read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_backends.loihi.projections import Population, Projection
from qpsnn_backends.loihi.refusals import (
    ATTENTION,
    COUNTS,
    CURRENT,
    FINER,
    FOLDED,
    GATE,
    PRIOR,
    STREAM,
    SUMS,
    check_counts,
)
from qpsnn_backends.loihi.windows import slid
from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Bools, Longs
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)


class _Origin(NamedTuple):
    """A population that counts come from: rows[i, y] says that row y of the counts holds row i of the population.

    channels: of the counts, those that are its own.
    """

    name: str
    rows: Bools
    cols: Bools
    channels: slice


def _itself(network: IntegerNetwork, node: Any) -> list[_Origin]:
    height, width, channels = network.shape(node.name)
    return [_Origin(node.name, np.eye(height, dtype=bool), np.eye(width, dtype=bool), slice(0, channels))]


def _of_summands(network: IntegerNetwork, node: IntSum) -> list[_Origin]:
    return [origin for source in node.sources for origin in _origins(network, source)]


def _side_by_side(network: IntegerNetwork, node: IntConcat) -> list[_Origin]:
    found, first = [], 0
    for source in node.sources:
        for origin in _origins(network, source):
            own = slice(first + origin.channels.start, first + origin.channels.stop)
            found.append(origin._replace(channels=own))
        first += network.shape(source)[2]
    return found


def _of_windows(network: IntegerNetwork, node: IntSumPool) -> list[_Origin]:
    check_counts(network, node)
    rows, cols = slid(network, node, node.size, node.step, 0)
    if max(rows.sum(1).max(), cols.sum(1).max()) > 1:
        want = "windows of a sum that do not overlap, as they are folded into the synapses that read them"
        got = Unquoted(f"size {node.size}, stride {node.step} (a stride of at least the size has none)")
        raise UnsupportedError(expected(f"loihi: {node.name}", want, got))
    return [o._replace(rows=o.rows @ rows, cols=o.cols @ cols) for o in _origins(network, node.source)]


ORIGINS: KindTable[Callable[[IntegerNetwork, Any], list[_Origin]]] = KindTable(
    "the Loihi mapping of spikes",
    {
        IntInput: _itself,
        IntConv: CURRENT,
        IntLinear: CURRENT,
        IntShortcut: CURRENT,
        IntLIF: _itself,
        IntMaxPool: _itself,
        IntSumPool: _of_windows,
        IntSum: _of_summands,
        IntConcat: _side_by_side,
        IntUpsample: FINER,
        IntGate: GATE,
        IntAttention: CURRENT,
        IntMembrane: PRIOR,
        IntReadout: SUMS,
        IntCurrentReadout: SUMS,
    },
)
"""The populations that a node's spikes come from."""


def _origins(network: IntegerNetwork, name: str) -> list[_Origin]:
    node = network[name]
    return ORIGINS[node](network, node)


def _read(
    network: IntegerNetwork,
    node: Any,
    rows: Bools,
    cols: Bools,
    channels: Bools,
    weights: Longs,
    *,
    shared: int = 0,
    regular: bool = False,
) -> list[Projection]:
    """The projections of a node, one for each population that its source's counts come from; rows, cols: of these."""
    return [
        Projection(node.name, o.name, o.rows @ rows, o.cols @ cols, channels[o.channels], weights, shared, regular)
        for o in _origins(network, node.source)
    ]


def _conv(network: IntegerNetwork, node: IntConv) -> list[Projection]:
    rows, cols = slid(network, node, node.kernel, node.stride, node.padding)
    own = np.eye(node.groups, dtype=bool)
    inputs, outputs = network.shape(node.source)[2] // node.groups, node.channels // node.groups
    channels = np.kron(own, np.ones((inputs, outputs), bool))
    taps = math.prod(both(node.kernel))
    return _read(network, node, rows, cols, channels, _weights(network, node), shared=taps)


def _linear(network: IntegerNetwork, node: IntLinear) -> list[Projection]:
    height, width, channels = network.shape(node.source)
    rows, cols, every = (np.ones(shape, bool) for shape in ((height, 1), (width, 1), (channels, node.features)))
    return _read(network, node, rows, cols, every, _weights(network, node), regular=True)


def _shortcut(network: IntegerNetwork, node: IntShortcut) -> list[Projection]:
    rows, cols = slid(network, node, 1, node.stride, 0)
    channels = np.arange(network.shape(node.source)[2])[:, None] == np.array(node.channel_map)
    gain = network.arrays[node.name]["gain"].astype(np.int64)
    return _read(network, node, rows, cols, channels, gain[channels.any(0)])


def _window(network: IntegerNetwork, node: IntMaxPool) -> list[Projection]:
    rows, cols = slid(network, node, node.size, node.stride, node.padding)
    channels = np.eye(network.shape(node.source)[2], dtype=bool)
    return _read(network, node, rows, cols, channels, np.ones(1, np.int64))


def _weights(network: IntegerNetwork, node: IntConv | IntLinear) -> Longs:
    arrays = network.arrays[node.name]
    weights: Longs = arrays["codes"].astype(np.int64) * arrays["gain"].astype(np.int64)
    return weights


def _no_current_pool(network: IntegerNetwork, node: IntSumPool) -> list[Projection]:
    """A pool of counts is folded into the synapses that read it, and never asked for its own."""
    check_counts(network, node)
    raise UnsupportedError(f"loihi: {node.name}: expected a node with synapses, got a pool that is folded into them")


SYNAPSES: KindTable[Callable[[IntegerNetwork, Any], list[Projection]]] = KindTable(
    "the Loihi mapping of synapses",
    {
        IntInput: COUNTS,
        IntConv: _conv,
        IntLinear: _linear,
        IntShortcut: _shortcut,
        IntLIF: COUNTS,
        IntMaxPool: _window,
        IntSumPool: _no_current_pool,
        IntSum: FOLDED,
        IntConcat: FOLDED,
        IntUpsample: FINER,
        IntGate: GATE,
        IntAttention: ATTENTION,
        IntMembrane: PRIOR,
        IntReadout: SUMS,
        IntCurrentReadout: SUMS,
    },
)
"""The projections of a node, one for each population that it reads."""


def _projections(network: IntegerNetwork, *names: str) -> tuple[Projection, ...]:
    """Those of nodes that have synapses."""
    return tuple(projection for name in names for projection in SYNAPSES[network[name]](network, network[name]))


def _folded(network: IntegerNetwork, node: Any) -> tuple[Population, ...]:
    """No neurons: it is part of what reads it; refused where it joins currents, which no synapse can."""
    if isinstance(node, IntSum | IntConcat):
        check_counts(network, node)
    return ()


def _input(network: IntegerNetwork, node: IntInput) -> tuple[Population, ...]:
    return (Population(node, "input", network.shape(node.name), ()),)


def _lif(network: IntegerNetwork, node: IntLIF) -> tuple[Population, ...]:
    return (Population(node, "neurons", network.shape(node.name), _projections(network, *node.sources)),)


def _max_pool(network: IntegerNetwork, node: IntMaxPool) -> tuple[Population, ...]:
    """A neuron for each window, with synapses of its own."""
    check_counts(network, node)
    return (Population(node, "pool", network.shape(node.name), _projections(network, node.name)),)


def _readout(network: IntegerNetwork, node: IntReadout) -> tuple[Population, ...]:
    """Accumulators; spikes are counted where they leave the chip."""
    if network.values[node.source].kind == "counts":
        return ()
    return (Population(node, "readout", network.shape(node.name), _projections(network, node.source)),)


POPULATIONS: KindTable[Callable[[IntegerNetwork, Any], tuple[Population, ...]]] = KindTable(
    "the Loihi mapping",
    {
        IntInput: _input,
        IntConv: _folded,
        IntLinear: _folded,
        IntShortcut: _folded,
        IntLIF: _lif,
        IntMaxPool: _max_pool,
        IntSumPool: _folded,
        IntSum: _folded,
        IntConcat: _folded,
        IntUpsample: FINER,
        IntGate: GATE,
        IntAttention: ATTENTION,
        IntMembrane: PRIOR,
        IntReadout: _readout,
        IntCurrentReadout: STREAM,
    },
)
"""The populations that a node becomes."""


def populations(network: IntegerNetwork) -> tuple[Population, ...]:
    """All populations, in order; the first is the input. Raises NodeKindError for a kind of node that is not known."""
    entries = [POPULATIONS[node] for node in network]  # refuses a kind before any node of others
    return tuple(one for node, entry in zip(network, entries, strict=True) for one in entry(network, node))
