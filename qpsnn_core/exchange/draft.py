"""A network of ours as it grows while a NIR graph is read: its nodes, its weights, and what NIR's nodes have become."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from qpsnn_core.common.errors import NetworkError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Doubles
from qpsnn_core.exchange.values import Held, Options
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import Node, Sum


class Layers:
    """Nodes and weights as they are read."""

    def __init__(self, nodes: dict[str, Any], options: Options) -> None:
        self.found = nodes
        self.options = options
        self.nodes: list[Node] = []
        self.arrays: dict[str, dict[str, Doubles]] = {}
        self.held: dict[str, Held] = {}

    def model(self) -> Model:
        """The finished model, its weights real; NetworkError where there is no output."""
        network = Network(tuple(self.nodes), self.options.steps)
        params = {
            name: {key: np.ascontiguousarray(array, np.float32) for key, array in arrays.items()}
            for name, arrays in self.arrays.items()
        }
        return Model(network, params, {})

    def put(self, name: str, node: Any, held: Held, **arrays: Doubles) -> None:
        """Add one of our nodes."""
        for key, array in arrays.items():
            if not np.isfinite(array).all():
                raise NumericsError(expected(f"nir: {name}.{key}", "finite numbers", Unquoted("NaN or infinity")))
        self.nodes.append(node)
        if arrays:
            self.arrays[node.name] = arrays
        self.held[name] = held

    def named(self, name: str) -> str:
        """A name that our nodes may have, not yet taken."""
        plain = re.sub(r"[^\w.]", "_", name)
        plain = plain if re.match(r"[A-Za-z_]", plain) else f"n{plain}"
        taken = {node.name for node in self.nodes}
        while plain in taken:
            plain += "_"
        return plain

    def joined(self, name: str, sources: list[Held]) -> Held:
        """Spikes, or the input, that a synapse or pool reads; several add up in a Sum."""
        for source in sources:
            if source.current:
                raise NetworkError(expected(f"nir: {name}", "to read neurons, pools or the input", source.node))
            if (source.shape, source.gain, source.flat) != (sources[0].shape, sources[0].gain, sources[0].flat):
                raise ShapeError(expected(f"nir: {name} (from {source.node})", f"{sources[0].shape}", source.shape))
        if len(sources) == 1:
            return sources[0]
        node = Sum(self.named(f"{name}_sum"), tuple(source.node for source in sources))
        self.nodes.append(node)
        return sources[0]._replace(node=node.name)
