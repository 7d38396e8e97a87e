"""What Lava's own LIF computes exactly (lava-nc 0.10.0, fixed point): chains of layers, all integers times 2**k.

Its neuron: `v = sgn(v)*((|v|*(4096 - dv)) >> 12) + 64*(a + bias)`, a spike where `v > 64*vth`. Ours leaks downwards and
fires at `U >= theta`. The same spikes come from weights and biases times 2**k and `vth = theta*2**k - 1`, where no leak
of T steps then rounds: `k = shift*(T - 1)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Longs
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
    IntNode,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)
from qpsnn_core.network.ordered_graph import sources_of

THRESHOLD_BITS = 17
"""Lava's LIF: `vth` is an unsigned integer of so many bits."""

THRESHOLD_MAX = 2**THRESHOLD_BITS - 1

STATE_MAX = 2**17 - 1
"""Lava's LIF: currents and membranes of 24 bits with their sign, 6 of them below the unit of weights."""

BIAS_MAX = 2**12 - 1
"""Lava's LIF: `bias_mant` has 13 bits with its sign."""


class StockLayer(NamedTuple):
    """A synapse and the neuron, or the readout, that alone reads it."""

    synapse: IntConv | IntLinear
    neuron: IntLIF | IntReadout


def chain(network: IntegerNetwork, who: str) -> list[StockLayer]:
    """The layers in order; UnsupportedError, naming the node, where the network is no chain of them. who: refuses.

    A readout that counts spikes is in none of them, as it has no synapse.
    """
    if len(network.readouts) > 1 or network.readouts[0].places == "each":
        want = "one readout of one pixel, the end of a chain of layers"
        names = ", ".join(f"{node.name} (places {node.places!r})" for node in network.readouts)
        raise UnsupportedError(expected(f"{who}: readouts", want, Unquoted(names)))
    last = network.input.name
    counted = counts_spikes(network)
    for node in network.nodes[1 : len(network.nodes) - counted]:
        try:
            SCALES[node]  # refuses what is in no layer
        except UnsupportedError as error:
            raise UnsupportedError(f"{who}: {error}") from error
        sources = sources_of(node)
        if sources != (last,):
            want = f"to read {last} alone (a chain of layers)"
            raise UnsupportedError(expected(f"{who}: {node.name}", want, ", ".join(sources)))
        last = node.name
    nodes = network.nodes[: len(network.nodes) - counted]
    pairs: Any = zip(nodes[1::2], nodes[2::2], strict=True)  # counts and currents take turns
    return [StockLayer(synapse, neuron) for synapse, neuron in pairs]


def counts_spikes(network: IntegerNetwork) -> bool:
    """Whether the readout counts the spikes of neurons, instead of reading a current."""
    return network.values[sources_of(network.readout)[0]].kind == "counts"


def scale(neuron: IntLIF | IntReadout, steps: int, who: str) -> int:
    """The k of the powers of two; 0 of a readout. UnsupportedError where not even a threshold of 1 would fit."""
    return SCALES[neuron](neuron, steps, who)


def _no_leak(node: IntNode, steps: int, who: str) -> int:
    return 0


def check_whole(neuron: IntLIF, who: str) -> None:
    """UnsupportedError where what is stored of a membrane is rounded to levels."""
    if neuron.membrane is not None:
        want = "None: no LIF of Lava rounds what it keeps of its membrane"
        raise UnsupportedError(expected(f"{who}: {neuron.name}.membrane", want, neuron.membrane))


def _leak(neuron: IntLIF, steps: int, who: str) -> int:
    if not neuron.multiplier:
        return 0  # nothing is left of a membrane, whatever its reset
    check_whole(neuron, who)
    if neuron.reset != "zero":
        want = "\"zero\": Lava's own LIF resets to 0, and lava-dl's NetX loads no other neuron"
        raise UnsupportedError(expected(f"{who}: {neuron.name}.reset", want, neuron.reset))
    bits = neuron.shift * (steps - 1)
    if bits > THRESHOLD_BITS:
        want = f"at most {THRESHOLD_BITS} bits of leaks in {steps} steps (a threshold of 1 times 2**k has 17)"
        raise UnsupportedError(expected(f"{who}: {neuron.name}.shift", want, bits))
    return bits


NO_LAYER = Refusal("it computes Conv or Linear, LIF and Readout in a chain, no pools, sums, shortcuts and attention")

SCALES: KindTable[Callable[[Any, int, str], int]] = KindTable(
    "Lava's own LIF",
    {
        IntInput: _no_leak,
        IntConv: _no_leak,
        IntLinear: _no_leak,
        IntShortcut: NO_LAYER,
        IntLIF: _leak,
        IntMaxPool: NO_LAYER,
        IntSumPool: NO_LAYER,
        IntSum: NO_LAYER,
        IntConcat: NO_LAYER,
        IntUpsample: NO_LAYER,
        IntGate: NO_LAYER,
        IntAttention: NO_LAYER,
        IntMembrane: NO_LAYER,
        IntReadout: _no_leak,
        IntCurrentReadout: NO_LAYER,
    },
    UnsupportedError,
)
"""From the kinds of node of a chain to the k that keeps their leaks from rounding."""


def thresholds(network: IntegerNetwork, neuron: IntLIF, k: int, who: str) -> Longs:
    """`vth` of each channel; UnsupportedError with figures where it is out of range."""
    found: Longs = (network.arrays[neuron.name]["threshold"].astype(np.int64) << k) - 1
    at_most(f"{who}: {neuron.name}.threshold", int(found.max()), THRESHOLD_MAX, k)
    return found


def reach(network: IntegerNetwork, neuron: IntLIF) -> int:
    """The largest magnitude of any current, membrane or partial sum on the way to it, before scaling."""
    membrane = network.values[neuron.name].membrane
    assert membrane is not None  # noqa: S101 - an IntLIF has one
    return max(int(membrane.largest.max()), max(network.values[source].max_count for source in neuron.sources))


def at_most(place: str, value: int, limit: int, k: int) -> None:
    """UnsupportedError unless the value, already times 2**k, is at most the limit."""
    if value > limit:
        raise UnsupportedError(expected(place, f"at most {limit} (Lava's own LIF, here times 2**{k})", value))
