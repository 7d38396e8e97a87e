"""What a node multiplies with its weights in a pass: spikes or an image, or real currents."""

from __future__ import annotations

from qpsnn_core.common.types import Array
from qpsnn_core.engine.layers.gated_conv import spikes_read
from qpsnn_core.engine.passes import ForwardPass
from qpsnn_core.network.current_readouts import CurrentReadout, Weighted
from qpsnn_core.network.graph import Network


def read_by(node: Weighted, done: ForwardPass) -> Array:
    """Stored counts or pixels [T or 1, B, H, W, C], behind an input gate; of a CurrentReadout real currents.

    done: a pass made with `save_for_backward`.
    """
    if isinstance(node, CurrentReadout):
        currents: Array = done.caches[node.name].x
        return currents
    return spikes_read(node, done.values)


def unit_of(network: Network, node: Weighted) -> float:
    """What 1 of those is."""
    return network.values[node.sources[0]].scale
