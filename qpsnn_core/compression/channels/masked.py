"""Which nodes share the channels of a current, and of a mask of channels."""

from __future__ import annotations

from collections.abc import Mapping

from qpsnn_core.network import ChannelGate, Conv, CurrentReadout, Network


def driven(network: Network, name: str) -> list[str]:
    """The nodes that read a value; of a current also those that read pools of it, or meet it in a CurrentReadout."""
    found: list[str] = []
    queue = [name]
    for one in queue:
        for reader in network.consumers(one):
            current = network.values[reader.name].kind == network.values[one].kind == "current"
            more = reader.sources if isinstance(reader, CurrentReadout) else (reader.name,) if current else ()
            queue += [other for other in more if other not in queue]
            found += [reader.name] if reader.name not in found else []
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
