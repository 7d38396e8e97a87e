"""A network's constants in its formats, as its kernels take them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Array
from qpsnn_core.kernels.neurons.diehl_cook import Layers
from qpsnn_core.kernels.neurons.diehl_cook_original import OriginalLayers
from qpsnn_core.local_learning.formats import NumberFormats
from qpsnn_core.local_learning.network import DiehlCook
from qpsnn_core.local_learning.neuron_constants import excitatory_constants, inhibitory_constants
from qpsnn_core.local_learning.original_constants import original_layers
from qpsnn_core.local_learning.synapse_constants import plasticity


class Arithmetic(NamedTuple):
    """layers: for kernels. like: arrays of length 0 in the types of sums of weights, wide numbers, sums of columns."""

    layers: Layers | OriginalLayers
    like: tuple[Array, Array, Array]


@lru_cache(maxsize=32)
def arithmetic(network: DiehlCook, formats: NumberFormats, seed: int) -> Arithmetic:
    """The network's constants in its formats. ConfigError, naming the field, where a format does not hold one."""
    wide = np.float32 if formats.neurons is None else np.int64
    sums = np.float64 if formats.weights is None else np.int64
    layers: Layers | OriginalLayers
    if network.conductances is None and formats.neurons is not None and formats.neurons.conductance is not None:
        want = "None for a network without conductances"
        raise ConfigError(expected("NeuronFormats.conductance", want, formats.neurons.conductance))
    if network.conductances is not None:
        layers = original_layers(network, formats, seed)
    else:
        layers = Layers(
            excitatory=excitatory_constants(network, formats),
            inhibitory=inhibitory_constants(network, formats),
            rule=plasticity(network, formats),
            seed=np.uint64(seed),
        )
    return Arithmetic(layers, (np.empty(0, _totals(network, formats)), np.empty(0, wide), np.empty(0, sums)))


def _totals(network: DiehlCook, formats: NumberFormats) -> type[np.generic]:
    if formats.weights is None:
        return np.float32
    return np.int32 if network.inputs * (formats.weights.high + 1) < 2**31 else np.int64


def check_learnable(network: DiehlCook, formats: NumberFormats) -> None:
    """ConfigError where learning in these formats undoes itself: floor takes a whole step from a leaking threshold."""
    if formats.neurons is not None and formats.rounding == "truncation" and network.neuron.theta_tau is not None:
        want = (
            "None with truncation: a leak, however slow, would take 2**-f mV from every raised threshold in each step"
        )
        raise ConfigError(expected("AdaptiveLIF.theta_tau", want, network.neuron.theta_tau))
