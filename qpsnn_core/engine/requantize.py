"""A finished model with other quantizers: each layer's own, chosen by error, without training."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Arrays
from qpsnn_core.common.validation import check_kinds
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.pricing import effective
from qpsnn_core.engine.reach import warn_dead_in_model
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import Node
from qpsnn_core.quantization.fit import fit


class LayerFit(NamedTuple):
    """What was chosen for one layer. gamma: as of a Quantizer; zero: whether 0 is a level.

    clipped: the share of its weights beyond gamma; error: `|W_hat - W| / |W|`.
    """

    name: str
    bits: int
    gamma: str
    granularity: str
    zero: bool
    clipped: float
    error: float


class Requantized(NamedTuple):
    """The model, and what was chosen for each layer, in the network's order."""

    model: Model
    layers: tuple[LayerFit, ...]

    def __repr__(self) -> str:
        return f"Requantized({self.model!r}, {len(self.layers)} layers)"


def requantize(model: Model, bits: int, *, layers: Collection[str] | None = None) -> Requantized:
    """Quantize the finished weights of a model to `bits`, each layer with the quantizer that has the least error.

    layers: the names of those to change, by default all that have weights. A layer that was quantized begins from the
    weights that it multiplies with; a pruned weight stays 0. Weights beyond a gamma that is kept are moved to it: their
    codes are the same, and the straight-through rule "clip" trains them on. Biases and batch norm stay as they are. An
    optimizer's state does not fit: fine-tuning starts a fresh one. Warns of layers that can never fire.
    Raises ConfigError (bits, a name), ShapeError or NumericsError (model).
    """
    bits = plain(bits)
    check_model(model)
    network = model.network
    names = [node.name for node in network.synapses]
    check_kinds("requantize", Collection, layers=layers)
    for name in () if layers is None else layers:
        if not isinstance(name, str) or name not in names:
            raise ConfigError(expected("requantize.layers", "names of layers" + did_you_mean(name, names), name))
    params: Arrays = {name: dict(own) for name, own in model.params.items()}
    state: Arrays = {name: dict(own) for name, own in model.state.items()}
    changed: dict[str, Node] = {}
    told = []
    for node in network.synapses:
        if layers is not None and node.name not in layers:
            continue
        weight = effective(model, node)
        found = fit(weight, bits, like=node.quantizer, sparse=node.sparse)
        params[node.name]["weight"] = weight if found.gamma is None else np.clip(weight, -found.gamma, found.gamma)
        own: dict[str, Any] = state.setdefault(node.name, {})
        own.pop("gamma", None)
        if found.gamma is not None:
            own["gamma"] = found.gamma
        if not own:
            del state[node.name]
        chosen = found.quantizer
        changed[node.name] = replace(node, quantizer=chosen)
        figures = chosen.bits, chosen.gamma, chosen.granularity, chosen.zero, found.clipped, found.error
        told.append(LayerFit(node.name, *figures))
    nodes = tuple(changed.get(node.name, node) for node in network)
    made = Model(Network(nodes, network.steps), params, state)
    warn_dead_in_model("requantize", made)
    return Requantized(made, tuple(told))
