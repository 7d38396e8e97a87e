"""Layers whose quantizer cuts off much of their weights, where no batch norm restores the scale."""

from __future__ import annotations

import warnings
from collections.abc import Collection

import numpy as np

from qpsnn_core.common.callers import users_level
from qpsnn_core.common.errors import ClippedWeightsWarning, Unquoted, expected
from qpsnn_core.common.types import Floats
from qpsnn_core.network.model import Model
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.quantization.rescaw import gamma

MOST_CLIPPED = 0.2
"""Largest share of a layer's weights that may lie outside [-gamma, gamma] without a warning."""


def clipped_shares(model: Model) -> dict[str, float]:
    """The share of weights with `|W/gamma| > 1` of each quantized node without batch norm.

    Batch norm divides by the deviation that remains, so the paper's gamma "mean" cuts off two weights in five and does
    no harm; elsewhere the currents lose those magnitudes, and with `ste` "clip" those weights get no gradient.
    """
    return {
        node.name: _share(
            model.params[node.name]["weight"], node.quantizer, model.state.get(node.name, {}).get("gamma")
        )
        for node in model.network.synapses
        if node.quantizer and not node.batch_norm
    }


def warn_clipped(model: Model, *, known: Collection[str] = ()) -> tuple[str, ...]:
    """A ClippedWeightsWarning for each node above MOST_CLIPPED that is not `known`; the names of all such nodes."""
    found = {name: share for name, share in clipped_shares(model).items() if share > MOST_CLIPPED}
    want = f"to clip at most {MOST_CLIPPED:.0%} of the weights of a layer without batch norm"
    for name, share in found.items():
        if name not in known:
            told = expected(f"{name}.quantizer", want, Unquoted(f"{share:.0%}"))
            text = f'{told}; gamma "max" clips none, "auto" chooses by place'
            warnings.warn(ClippedWeightsWarning(text), stacklevel=users_level())
    return tuple(found)


def _share(weight: Floats, quantizer: Quantizer, stored: Floats | None) -> float:
    return float(np.mean(np.abs(weight) > gamma(weight, quantizer, stored)))
