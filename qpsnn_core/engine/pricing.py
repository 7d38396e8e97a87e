"""What a model costs as it is: the weights that its layers multiply with, those that are not 0, and the price."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.types import Array
from qpsnn_core.engine.evaluation import Evaluation
from qpsnn_core.network.cost import cost, counted
from qpsnn_core.network.cost_figures import Cost
from qpsnn_core.network.current_readouts import Weighted
from qpsnn_core.network.model import Model
from qpsnn_core.quantization.rescaw import dequantize, quantize


def effective(model: Model, node: Weighted) -> Array:
    """The weights that the layer multiplies with, its own or those of its codes."""
    weight = model.params[node.name]["weight"]
    if node.quantizer is None:
        return weight
    stored = model.state.get(node.name, {}).get("gamma")
    return dequantize(quantize(weight, node.quantizer, stored))


def nonzero(model: Model) -> dict[str, npt.NDArray[np.bool_]]:
    """Of each synapse in which weights can be 0: which of them are not, for `cost`."""
    chosen = [node for node in model.network.synapses if node.sparse or (node.quantizer and node.quantizer.zero)]
    return {node.name: effective(model, node) != 0 for node in chosen}


def measured_cost(model: Model, found: Evaluation) -> Cost:
    """What a model costs, with the spikes that were found: weights that are 0 take no operation."""
    spikes = {name: found.spikes[name] for name in counted(model.network)}
    return cost(model.network, spikes, frames=found.frames, masks=nonzero(model))
