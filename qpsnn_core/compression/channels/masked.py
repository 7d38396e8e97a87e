"""Which nodes share the channels of a current, and of a mask of channels."""

from __future__ import annotations

from collections.abc import Mapping

from qpsnn_core.network import ChannelGate, Conv, Network


def driven(network: Network, name: str) -> list[str]:
    """The nodes that read a value; of a current also those that read pools of it."""
    found: list[str] = []
    for reader in network.consumers(name):
        found.append(reader.name)
        if network.values[reader.name].kind == network.values[name].kind == "current":
            found += driven(network, reader.name)
    return found


def masked_by(network: Network, gate: ChannelGate, origin: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The LIFs (or the Input) whose channels a gate masks: of sums those that read them, of spikes their origin."""
    found: list[str] = []
    for node in network.of(Conv):
        if node.gate == gate.name:
            found += driven(network, node.name)
        if node.input_gate == gate.name:
            found += origin[node.source]
    return tuple(dict.fromkeys(found))
