"""What a network takes of memory at the least, compared with what the machine has before any of it is taken."""

from __future__ import annotations

from math import prod

from qpsnn_core.common.memory import check_fits
from qpsnn_core.network.current_readouts import CurrentReadout
from qpsnn_core.network.gates import CHANNEL_MASK, PLACE_MASK
from qpsnn_core.network.graph import Network
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.synapses import Conv, Linear

BYTES = {"spikes": 1, "current": 2, "analog": 1, CHANNEL_MASK: 1, PLACE_MASK: 1}
"""The fewest bytes in which training keeps an element of a value: counts in uint8, accumulators in int16."""

SUM_BYTES = 4
"""Of a sum of currents, which is float32."""


def weight_counts(network: Network) -> dict[str, int]:
    """The weights of each node that has any."""
    weighted = (node for node in network.nodes if isinstance(node, Conv | Linear | CurrentReadout))
    return {node.name: prod(node.weight_shape(network.inputs_of(node)[0])) for node in weighted}


def kept_bytes(network: Network, batch: int) -> dict[str, int]:
    """By node, the fewest bytes that a forward pass of `batch` samples keeps for the backward pass.

    What depends on an image alone is kept once, all else at each of the T steps; neurons that read more than two
    currents also keep the sum of all but one.
    """
    still = set() if network.input.spikes else {network.input.name}
    found: dict[str, int] = {}
    summed: set[tuple[str, ...]] = set()
    for node in network.nodes:
        value = network.values[node.name]
        if node.sources and value.kind == "current" and set(node.sources) <= still:
            still.add(node.name)
        steps = 1 if node.name in still else network.steps
        found[node.name] = BYTES[value.kind] * batch * steps * prod(value.shape)
        if type(node) is LIF and len(node.sources) > 2 and node.sources[1:] not in summed:
            summed.add(node.sources[1:])
            found[node.name] += SUM_BYTES * batch * steps * prod(value.shape)
    return found


def check_weights(place: str, network: Network, copies: int = 1) -> None:
    """ConfigError unless so many float32 copies of all weights fit the machine: gradients and an optimizer's count."""
    parts = {name: 4 * copies * count for name, count in weight_counts(network).items()}
    check_fits(f"{place}: weights", parts)


def check_step(place: str, network: Network, batch: int, copies: int) -> None:
    """ConfigError unless a step of training on `batch` samples may fit: what is kept, and `copies` of the weights."""
    parts = kept_bytes(network, batch)
    for name, count in weight_counts(network).items():
        parts[name] += 4 * copies * count
    check_fits(f"{place}: a step with T = {network.steps} and batch {batch}", parts)
