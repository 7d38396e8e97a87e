"""A model: a network, its parameters, and what training does not train: batch norm's statistics, kept gammas."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Arrays
from qpsnn_core.network.graph import Network


class Model(NamedTuple):
    """`params[node][name]` and `state[node][name]`, all float32.

    Conv: `weight` [k, k, C_in, C_out]; Linear: `weight` [H*W*C_in, features], rows in (H, W, C) order; both: `bias`
    [C_out] where the node has one, and with batch norm `bn_weight`, `bn_bias` [C_out] in params and the running `mean`,
    `var` [C_out] in state; there, too, `gamma` [C_out] where the quantizer keeps it. LIF: `log_threshold`, `logit_leak`
    [1] or [C] where they are learned: how far they have moved from the node's (kernels/neurons/learned.py).
    """

    network: Network
    params: Arrays
    state: Arrays

    def __repr__(self) -> str:
        count = sum(array.size for own in self.params.values() for array in own.values())
        return f"Model({self.network!r}, {count:,} parameters)"


def with_steps(model: Model, steps: int, place: str = "steps") -> Model:
    """The same arrays with T time steps per image; none of them depends on T.

    Raises ConfigError, naming `place`: no number of steps, or another than that of the frames of events it reads.
    """
    network = model.network
    if network.input.spikes and steps != network.steps:
        raise ConfigError(expected(place, f"{network.steps}, a step for each frame of events", steps))
    return model._replace(network=replace(network, steps=steps))
