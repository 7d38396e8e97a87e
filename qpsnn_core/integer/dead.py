"""The layers of an integer network that can never fire, by its static bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

from qpsnn_core.common.dead_layers import DeadLayer, Reach, dead_layers, warn_dead_layers
from qpsnn_core.integer.bounds import UNBOUNDED
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF

_dead: WeakKeyDictionary[IntegerNetwork, list[DeadLayer]] = WeakKeyDictionary()


def reaches(network: IntegerNetwork) -> Iterator[Reach]:
    """What the membranes of each LIF reach, in integers, whatever the images."""
    for node in network.of(IntLIF):
        membrane = network.values[node.name].membrane
        if membrane is not None:
            yield Reach(node.name, membrane.before.high, network.arrays[node.name]["threshold"], network.steps)


def dead_integers(network: IntegerNetwork, fired: Mapping[str, int] | None = None, seen: str = "") -> list[DeadLayer]:
    """Those that cannot fire; given the spikes of a run, also those that did not. Arguments as in `dead_layers`."""
    return dead_layers(reaches(network), fired, seen)


def warn_dead_integers(place: str, network: IntegerNetwork, *, keep: bool = False) -> None:
    """A DeadLayerWarning for each LIF that cannot fire. keep: membranes go on for any number of steps."""
    if keep:
        network = IntegerNetwork(network.nodes, network.arrays, UNBOUNDED)
    dead = _dead.get(network)
    if dead is None:
        dead = _dead[network] = dead_integers(network)
    warn_dead_layers(place, dead)
