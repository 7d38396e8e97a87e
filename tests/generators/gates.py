"""A network with gates of every kind that has an integer form."""

from __future__ import annotations

from oracle import networks
from qpsnn_core.network import AvgPool, Network


def deployable(steps=4):
    """The oracle's network of gates, but its places are predicted from pooled spikes, not from membranes."""
    nodes = {node.name: node for node in networks.NETWORKS["gates"]}
    nodes["prior"] = AvgPool("prior", "lif1", 2)
    return Network(tuple(nodes.values()), steps)
