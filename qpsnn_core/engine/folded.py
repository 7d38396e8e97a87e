"""Trained weights as plain real numbers: quantized as in inference, batch norm folded in."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.types import Doubles
from qpsnn_core.network.current_readouts import Weighted
from qpsnn_core.network.model import Model
from qpsnn_core.network.synapses import BN_EPSILON
from qpsnn_core.quantization.rescaw import quantize


def folded(model: Model, node: Weighted) -> tuple[Doubles, Doubles]:
    """`X = weight * S + bias` for S in real units, or a current: `W_hat*ratio`, `bn_bias + (bias - mean)*ratio`.

    `ratio = bn_weight/sqrt(var + eps)`. weight: of the node's weight's shape; bias: [C_out].
    """
    params: Any = model.params[node.name]
    weight = params["weight"].astype(np.float64)
    if node.quantizer is not None:
        codes = quantize(params["weight"], node.quantizer, model.state.get(node.name, {}).get("gamma"))
        weight = codes.codes * codes.step.astype(np.float64)
    bias = params["bias"].astype(np.float64) if node.bias else np.zeros(node.channels)
    if not node.batch_norm:
        return weight, bias
    state = model.state[node.name]
    ratio = params["bn_weight"].astype(np.float64) / np.sqrt(state["var"].astype(np.float64) + BN_EPSILON)
    return weight * ratio, params["bn_bias"] + (bias - state["mean"]) * ratio
