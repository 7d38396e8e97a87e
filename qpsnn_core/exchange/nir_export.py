"""Networks as NIR files: exact, from integers, or for float simulators with one threshold for each layer.

NIR's LIF at step dt is `v += dt/tau*((v_leak - v) + r*I)`, it fires when `v > v_threshold` and is reset to v_reset.
NIR has no reset by subtraction: which one a neuron has is in its metadata, and other simulators must be told.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any, NamedTuple

import nir
import numpy as np

from qpsnn_core.common.atomic import replacing, write_all
from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.types import Array
from qpsnn_core.engine.reach import warn_dead_in_model
from qpsnn_core.exchange.nir_integers import float_bits, of_integers
from qpsnn_core.exchange.nir_model import of_model
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.model import Model
from qpsnn_core.network.nodes import Input

EXACT_DT = 1.0
FLOAT_DT = 1e-4
"""The step that snnTorch takes for granted, and SpikingJelly's default."""

FLOAT32_BITS = 24


class NirSummary(NamedTuple):
    """What was written. bits: that a float needs for the same spikes as the integers, 0 where none are promised."""

    variant: str
    nodes: int
    edges: int
    dt: float
    steps: int
    bits: int

    @property
    def float32(self) -> bool:
        """Whether simulators that compute in float32 give the same spikes."""
        return 0 < self.bits <= FLOAT32_BITS


def save_nir(
    path: str | os.PathLike[str], source: Model | IntegerNetwork, *, exact: bool = False, dt: float = 0.0
) -> NirSummary:
    """Write a model, or an integer network, whole or not at all.

    exact (integers only): weights, biases and sums, each channel's divided by what divides all of its integers,
    `tau = dt/(1 - beta)`, `r = tau/dt` (dt 1: tau 2, r 2 for a leak of 1/2), `v_threshold = theta - 2**-(shift*(T-1) +
    1)`: between the largest state that is below theta and theta, so that `>` and `>=` give the same spikes, as integers
    do (without a leak and with resets by subtraction `theta - 2**-bits(T)`, as up to T of them add up). Else thresholds
    and `r` are folded into the weights (`v_threshold` 1, `r` 1), batch norm too; sum-pools become mean-pools. A
    convolution of a Linear layer's spikes, which has one pixel, becomes an Affine. dt: 0 is 1 if exact, else 1e-4.
    Raises UnsupportedError (a max-pool of counts, a map made of a vector; if exact, a leak that is no power of two),
    ConfigError (floats cannot be exact, dt).
    """
    if exact and not isinstance(source, IntegerNetwork):
        raise ConfigError(expected("nir: exact", "an integer network (lower it first)", Unquoted("a model in floats")))
    if not (isinstance(dt, (int, float)) and 0 <= dt < float("inf")):
        raise ConfigError(expected("nir: dt", "a positive number, or 0", dt))
    step = dt or (EXACT_DT if exact else FLOAT_DT)
    bits = 0
    if isinstance(source, IntegerNetwork):
        bits = float_bits(source) if exact else 0
        graph = of_integers(source, exact, step, np.float64 if bits > FLOAT32_BITS else np.float32)
        network: Any = source
        warn_dead_integers("nir", source)
    else:
        graph = of_model(source, step)
        network = source.network
        warn_dead_in_model("nir", source)
    about = {
        "variant": "exact" if exact else "float",
        "rule": ">=",
        "dt": step,
        "steps": network.steps,
        "input": _input(network),
        "bits": {node: _width(array) for node, array in _codes(source).items()},
    }
    made = graph.finished({"qpsnn": json.dumps(about)})
    image = io.BytesIO()
    nir.write(image, made)
    with replacing(path) as beside:
        write_all(beside, image.getbuffer())
    return NirSummary(about["variant"], len(made.nodes), len(made.edges), step, network.steps, bits)


def _codes(source: Model | IntegerNetwork) -> dict[str, Array]:
    if isinstance(source, IntegerNetwork):
        return {name: arrays["codes"] for name, arrays in source.arrays.items() if "codes" in arrays}
    chosen = {node.name: node.quantizer for node in source.network.synapses if node.quantizer is not None}
    return {name: np.array([quantizer.levels]) for name, quantizer in chosen.items()}


def _width(codes: Array) -> int:
    """Of a b-bit quantizer, whose codes go to 2**b - 1."""
    return int(np.abs(codes.astype(np.int64)).max()).bit_length()


def _input(network: Any) -> dict[str, Any]:
    """What a reader must know of the images: of a model, the real number of one unit; integers are as they are.

    unit: of integers, the real number for which one stands, where that is known.
    """
    given = network.input
    spikes = bool(getattr(given, "spikes", False))
    scale = float(given.scale) if isinstance(given, Input) else 1.0
    about = {"peak": given.peak, "scale": scale, "events": spikes}
    unit = 0.0 if isinstance(given, Input) else given.scale
    return about | ({"low": given.low} if given.low else {}) | ({"unit": unit} if unit else {})
