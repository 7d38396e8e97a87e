"""Networks with gates of every kind that have an integer form: places by pooled spikes, or by membranes of levels."""

from __future__ import annotations

from oracle import networks
from qpsnn_core.network import AvgPool, MembraneQuantizer, Network


def deployable(steps=4):
    """The oracle's network of gates, but its places are predicted from pooled spikes, not from membranes."""
    nodes = {node.name: node for node in networks.NETWORKS["gates"]}
    nodes["prior"] = AvgPool("prior", "lif1", 2)
    return Network(tuple(nodes.values()), steps)


def by_membranes(steps=4, how=MembraneQuantizer(-3, 1), **neuron):  # noqa: B008 - frozen
    """The oracle's network of gates, whose neurons store a few levels."""
    return networks.network("gates", steps, neuron={"membrane": how, **neuron})
