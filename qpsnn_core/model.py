"""A model: a network, its parameters, and what training does not train: batch norm's statistics, kept gammas."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.network.graph import Network

Array = npt.NDArray[np.generic]
Arrays = dict[str, dict[str, npt.NDArray[np.float32]]]
"""Arrays of each node, by node name and array name."""


class Model(NamedTuple):
    """`params[node][name]` and `state[node][name]`, all float32.

    Conv: `weight` [k, k, C_in, C_out]; Linear: `weight` [H*W*C_in, features], rows in (H, W, C) order; both: `bias`
    [C_out] where the node has one, and with batch norm `bn_weight`, `bn_bias` [C_out] in params and the running
    `mean`, `var` [C_out] in state; there, too, `gamma` [C_out] where the quantizer keeps it.
    """

    network: Network
    params: Arrays
    state: Arrays
