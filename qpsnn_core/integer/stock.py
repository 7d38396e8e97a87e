"""What Lava's own LIF computes exactly (lava-nc 0.10.0, fixed point): chains of layers, all integers times 2**k.

Its neuron: `v = sgn(v)*((|v|*(4096 - dv)) >> 12) + 64*(a + bias)`, a spike where `v > 64*vth`. Ours leaks downwards and
fires at `U >= theta`. The same spikes come from weights and biases times 2**k and `vth = theta*2**k - 1`, where no leak
of T steps then rounds: `k = shift*(T - 1)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qpsnn_core.errors import UnsupportedError, Words, expected
from qpsnn_core.integer.bounds import Longs
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntLIF, IntLinear, IntReadout

THRESHOLD_BITS = 17
"""Lava's LIF: `vth` is an unsigned integer of so many bits."""

THRESHOLD_MAX = 2**THRESHOLD_BITS - 1

STATE_MAX = 2**17 - 1
"""Lava's LIF: currents and membranes of 24 bits with their sign, 6 of them below the unit of weights."""

BIAS_MAX = 2**12 - 1
"""Lava's LIF: `bias_mant` has 13 bits with its sign."""


class Layer(NamedTuple):
    """A synapse and the neuron, or the readout, that alone reads it."""

    synapse: IntConv | IntLinear
    neuron: IntLIF | IntReadout


def chain(network: IntegerNetwork, who: str) -> list[Layer]:
    """The layers in order; UnsupportedError, naming the node, where the network is no chain of them. who: refuses."""
    layers: list[Layer] = []
    synapse: IntConv | IntLinear | None = None
    last = network.input.name
    for node in network.nodes[1:]:
        place = f"{who}: {node.name}"
        if isinstance(node, (IntConv, IntLinear)):
            if node.source != last:
                raise UnsupportedError(expected(place, f"to read {last} (a chain of layers)", node.source))
            synapse = node
        elif isinstance(node, (IntLIF, IntReadout)) and synapse is not None:
            sources = node.sources if isinstance(node, IntLIF) else (node.source,)
            if sources != (last,):
                raise UnsupportedError(expected(place, f"to read {last} alone", ", ".join(sources)))
            layers.append(Layer(synapse, node))
        else:
            want = "Conv or Linear, LIF and Readout, no pools, sums and shortcuts"
            raise UnsupportedError(expected(place, want, Words(type(node).__name__)))
        last = node.name
    return layers


def scale(neuron: IntLIF | IntReadout, steps: int, who: str) -> int:
    """The k of the powers of two; 0 of a readout. UnsupportedError where not even a threshold of 1 would fit."""
    if not isinstance(neuron, IntLIF) or not neuron.multiplier:
        return 0
    bits = neuron.shift * (steps - 1)
    if bits > THRESHOLD_BITS:
        want = f"at most {THRESHOLD_BITS} bits of leaks in {steps} steps (a threshold of 1 times 2**k has 17)"
        raise UnsupportedError(expected(f"{who}: {neuron.name}.shift", want, bits))
    return bits


def thresholds(network: IntegerNetwork, neuron: IntLIF, k: int, who: str) -> Longs:
    """`vth` of each channel; UnsupportedError with figures where it is out of range."""
    found: Longs = (network.arrays[neuron.name]["threshold"].astype(np.int64) << k) - 1
    at_most(f"{who}: {neuron.name}.threshold", int(found.max()), THRESHOLD_MAX, k)
    return found


def reach(network: IntegerNetwork, neuron: IntLIF) -> int:
    """The largest magnitude of any current, membrane or partial sum on the way to it, before scaling."""
    membrane = network.values[neuron.name].membrane
    assert membrane is not None  # noqa: S101 - an IntLIF has one
    return max(int(membrane.largest.max()), max(network.values[source].peak for source in neuron.sources))


def at_most(place: str, value: int, limit: int, k: int) -> None:
    """UnsupportedError unless the value, already times 2**k, is at most the limit."""
    if value > limit:
        raise UnsupportedError(expected(place, f"at most {limit} (Lava's own LIF, here times 2**{k})", value))
