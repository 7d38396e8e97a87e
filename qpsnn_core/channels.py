"""Removes channels from a network: a pure function of the model and of which channels stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.errors import ConfigError, expected
from qpsnn_core.model import Arrays, Model
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Node, Readout, Shortcut, Sum
from qpsnn_core.structure import nearest

Indices = npt.NDArray[np.int64]
Keep = Mapping[str, Sequence[int] | npt.NDArray[np.integer[Any]]]


def remove_channels(model: Model, keep: Keep) -> Model:
    """The model with only the channels `keep[lif]` of each LIF named in it; a pure function.

    keep: rising channel indices by LIF name; a LIF that is not named keeps all. The synapses that feed a LIF lose
    output channels (weight, bias, batch norm, running statistics), those that read it lose input channels (Linear:
    rows in (H, W, C) order), and a Shortcut gets a `channel_map` to the source channels that are left, -1 where the
    source lost its channel. All other arrays are carried over. Where no channel goes, a node and its arrays stay as
    they are: the network is equal to the old one if nothing is removed.

    Stored weights are carried over, codes need not be: gamma (Eq. 9) is a function of the weights, so a quantizer
    with gamma "mean", "max" or "percentile" takes it anew from those that are left, as the paper does. With gamma
    "one", and without a quantizer, the codes stay too, and removing a channel that never fires changes no logit.

    Raises ConfigError, naming the LIF: an unknown name, channels that are not rising, out of range or none, a LIF
    that shares channels with another (`tied`) with a different set, one whose channels cannot be removed.
    """
    network = model.network
    kept = _kept(network, keep)
    nodes: list[Node] = []
    params: Arrays = {}
    state: Arrays = {}
    for node in network.nodes:
        size = network.shape(node.name)[2]
        outputs = kept[node.name]
        source = kept[node.sources[0]] if node.sources else outputs
        changed = len(outputs) < size
        if isinstance(node, Shortcut):
            nodes.append(_shortcut(node, network.shape(node.source)[2], source, outputs))
        elif isinstance(node, Conv) and changed:
            nodes.append(replace(node, channels=len(outputs)))
        elif isinstance(node, Linear) and changed:
            nodes.append(replace(node, features=len(outputs)))
        else:
            nodes.append(node)
        for old, new in ((model.params, params), (model.state, state)):
            if node.name in old:
                shape = network.shape(node.sources[0]) if isinstance(node, Linear) else None
                new[node.name] = {name: _slice(name, a, source, outputs, shape) for name, a in old[node.name].items()}
    return Model(replace(network, nodes=tuple(nodes)), params, state)


def tied(network: Network, *, together: bool = False) -> tuple[tuple[str, ...], ...]:
    """The LIFs of a network in groups that must keep the same channels; most are alone. In the network's order.

    LIFs share channels where their spikes meet in a Sum, or where one synapse feeds them both. together: also where
    a Shortcut leads from one to the other channel by channel (`channel_map` the identity, as many channels).
    """
    origin = origins(network)
    parent = {node.name: node.name for node in network.of(LIF)}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    def join(names: Iterable[str]) -> None:
        roots = [root(name) for name in names if name in parent]
        for other in roots[1:]:
            parent[other] = roots[0]

    for node in network.nodes:
        if isinstance(node, Sum):
            join(origin[node.name])
        elif isinstance(node, (Conv, Linear, Shortcut)):
            readers = [reader.name for reader in network.consumers(node.name) if isinstance(reader, LIF)]
            through = together and isinstance(node, Shortcut) and _identity(network, node)
            join([*readers, *origin[node.source]] if through else readers)
    groups: dict[str, list[str]] = {}
    for name in parent:
        groups.setdefault(root(name), []).append(name)
    return tuple(tuple(group) for group in groups.values())


def origins(network: Network) -> dict[str, tuple[str, ...]]:
    """For each node that gives spikes or the image, the LIFs (or the Input) whose channels these are; else none."""
    found: dict[str, tuple[str, ...]] = {}
    for node in network.nodes:
        if isinstance(node, (Input, LIF)):
            found[node.name] = (node.name,)
        elif isinstance(node, (Conv, Linear, Shortcut, Readout)):
            found[node.name] = ()
        else:
            found[node.name] = tuple(dict.fromkeys(name for source in node.sources for name in found[source]))
    return found


def fixed(network: Network) -> frozenset[str]:
    """The LIFs whose channels cannot be removed: they meet the Input in a Sum, or share a synapse with the Readout."""
    origin = origins(network)
    names = {lif.name for lif in network.of(LIF) if set(lif.sources) & set(network.readout.sources)}
    for node in network.of(Sum):
        if network.input.name in origin[node.name]:
            names.update(origin[node.name])
    return frozenset(lif for group in tied(network) if names & set(group) for lif in group)


def _identity(network: Network, node: Shortcut) -> bool:
    inputs = network.shape(node.source)[2]
    return node.mapping(inputs) == tuple(range(inputs))


def _kept(network: Network, keep: Keep) -> dict[str, Indices]:
    """The channels that stay of every node's output."""
    lifs = {lif.name: network.shape(lif.name)[2] for lif in network.of(LIF)}
    for name in keep:
        if name not in lifs:
            raise ConfigError(expected("keep", "the name of a LIF" + nearest(name, lifs), name))
    chosen = {name: _checked(name, keep.get(name), size) for name, size in lifs.items()}
    for group in tied(network):
        for name in group[1:]:
            if not np.array_equal(chosen[name], chosen[group[0]]):
                want = f"those of keep.{group[0]}, as both have the same channels"
                raise ConfigError(expected(f"keep.{name}", want, _brief(chosen[name])))
    for name in sorted(fixed(network)):
        if len(chosen[name]) < lifs[name]:
            raise ConfigError(
                expected(f"keep.{name}", f"all {lifs[name]} (the input or the logits share them)", len(chosen[name]))
            )
    kept: dict[str, Indices] = {}
    origin = origins(network)
    for node in network.nodes:
        readers = tuple(reader.name for reader in network.consumers(node.name) if isinstance(reader, LIF))
        found = [name for name in origin[node.name] + readers if name in chosen]
        kept[node.name] = chosen[found[0]] if found else np.arange(network.shape(node.name)[2])
    return kept


def _checked(name: str, indices: Any, size: int) -> Indices:
    if indices is None:
        return np.arange(size)
    array = np.asarray(indices)
    rising = array.ndim == 1 and array.size > 0 and array.dtype.kind in "iu" and bool((np.diff(array) > 0).all())
    if not rising or array[0] < 0 or array[-1] >= size:
        want = f"rising channel indices from 0 to {size - 1}, at least one"
        raise ConfigError(expected(f"keep.{name}", want, _brief(array)))
    return array.astype(np.int64)


def _brief(indices: Any) -> str:
    return np.array2string(indices, threshold=12)


def _shortcut(node: Shortcut, inputs: int, source: Indices, outputs: Indices) -> Shortcut:
    if len(source) == inputs and len(outputs) == node.channels:
        return node
    place = np.full(inputs + 1, -1)
    place[source] = np.arange(len(source))
    mapping = place[np.array(node.mapping(inputs))[outputs]]
    return replace(node, channels=len(outputs), channel_map=tuple(int(index) for index in mapping))


def _slice(name: str, array: Any, source: Indices, outputs: Indices, shape: tuple[int, ...] | None) -> Any:
    """The part of a synapse's array that stays, copied. shape: (H, W, C) of the spikes that a Linear flattens."""
    if name == "weight":
        spread = array if shape is None else array.reshape(*shape, array.shape[-1])
        cut = spread[:, :, source][..., outputs]
        array = cut if shape is None else cut.reshape(-1, len(outputs))
    else:
        array = array[..., outputs]
    return np.ascontiguousarray(array)
