"""The plan of a network on Lava's own LIFReset, Conv and Dense: integers times 2**k, as `integer.stock` says.

Lava's Dense clips weights to 8 bits and drops the lowest where signs are mixed. So weights are written in digits of
8 bits with their sign, each a Dense of its own with doubled weights and `weight_exp` one less; their currents meet in
the neuron's InPort. Most layers need one. Its Conv takes weights of any width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava import plan as ordinary
from qpsnn_backends.lava.plan import Arrays, Plan
from qpsnn_backends.lava.wiring import Part, Wiring
from qpsnn_core.errors import UnsupportedError, Words, expected
from qpsnn_core.integer.bounds import INT32_MAX, accumulator
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntLIF
from qpsnn_core.integer.stock import BIAS_MAX, STATE_MAX, Layer, at_most, chain, reach, scale, thresholds

WHO = "lava: stock"

BIAS_EXP = 6
"""Puts a bias into the unit of weights."""

STRIDE_MAX = 2**7 - 1
"""Lava's Conv keeps stride and padding in 8 bits with their sign."""

DIGIT_BITS = 8
DIGIT_MIN = -(2 ** (DIGIT_BITS - 1))
"""The least weight of a Dense whose weights are doubled; the largest is `-DIGIT_MIN - 1`."""

Digits = Iterator[tuple[int, npt.NDArray[np.int64]]]


def plan(network: IntegerNetwork, spikes: bool = True) -> Plan:
    """The processes that compute the network, each after those it reads. spikes: with one more for each LIF's records.

    Raises UnsupportedError, naming the node: anything but a chain of layers, a leak other than 1/2, integers that the
    stock processes would clip or wrap.
    """
    layers = chain(network, WHO)
    wiring, given = ordinary.plan(network)
    parts = {part.name: part for part in wiring}
    planner = Planner(network, given)
    planner.parts.append(parts[network.input.name])
    reads = (network.input.name,)
    for layer in layers:
        synapse, neuron = (parts[node.name] for node in layer)
        names = planner.synapse(layer, replace(synapse, reads=reads))
        reads = (neuron.name,)
        planner.neuron(layer, replace(neuron, reads=names), spikes)
    return Plan(Wiring(tuple(planner.parts), network.steps, stock=True), planner.arrays)


class Planner:
    """Holds what is planned so far; takes the parts of the ordinary plan in order."""

    def __init__(self, network: IntegerNetwork, given: Arrays) -> None:
        self.network = network
        self.given = given
        self.parts: list[Part] = []
        self.arrays: Arrays = {}

    def synapse(self, layer: Layer, part: Part) -> tuple[str, ...]:
        """Plan a Conv, or as many Dense as its weights need; their names."""
        k = _scale(layer, self.network.steps)
        weights = self.given[f"{part.name}.weight"].astype(np.int64)
        if isinstance(layer.synapse, IntConv):
            for name in ("stride", "padding"):
                _limited(f"{part.name}.{name}", part.settings[name], STRIDE_MAX, "Lava's own Conv")
            self._put(part, weight=(weights << k).astype(np.int32))
            return (part.name,)
        peak = self.network.values[layer.synapse.source].peak
        names = []
        for index, (exponent, digit) in enumerate(digits(weights)):
            name = part.name + f"#{index}" * (index > 0)
            exponent += k - 1
            largest = int(accumulator(2 * digit.T, peak).largest.max()) << max(0, exponent)
            _limited(f"{part.name}.weight", largest, INT32_MAX, "sums of Lava's own Dense")
            self._put(
                replace(part, name=name, settings={**part.settings, "weight_exp": exponent}),
                weight=(2 * digit).astype(np.int32),
            )
            names.append(name)
        return tuple(names)

    def neuron(self, layer: Layer, part: Part, spikes: bool) -> None:
        """Plan a LIF, with its record, or the readout."""
        neuron = layer.neuron
        if not isinstance(neuron, IntLIF):
            self._put(part, bias=self.given[f"{part.name}.bias"])
            return
        k = _scale(layer, self.network.steps)
        vth = thresholds(self.network, neuron, k, WHO)
        bias = self.given[f"{part.name}.bias"]
        at_most(f"{WHO}: {part.name}.state", reach(self.network, neuron) << k, STATE_MAX, k)
        _limited(f"{part.name}.bias", int(np.abs(bias).max()), BIAS_MAX, "bias_mant of Lava's own LIF")
        self._put(replace(part, settings={"bias_exp": BIAS_EXP + k}), vth=vth.astype(np.int32), bias=bias)
        if spikes:
            self._put(Part(f"{part.name}+record", "record", (part.name,), part.inputs, part.inputs, part.latency))

    def _put(self, part: Part, **arrays: npt.NDArray[Any]) -> None:
        self.parts.append(part)
        self.arrays.update({f"{part.name}.{name}": array for name, array in arrays.items()})


def digits(weights: npt.NDArray[np.int64]) -> Digits:
    """(exponent, digit): `weights = sum digit * 2**exponent`, digits of 8 bits with their sign; at least one."""
    together = int(np.bitwise_or.reduce(np.abs(weights), axis=None))
    exponent = max(0, (together & -together).bit_length() - 1)
    rest = weights >> exponent
    while True:
        digit = ((rest - DIGIT_MIN) & (2**DIGIT_BITS - 1)) + DIGIT_MIN
        yield exponent, digit
        rest = (rest - digit) >> DIGIT_BITS
        exponent += DIGIT_BITS
        if not rest.any():
            return


def _scale(layer: Layer, steps: int) -> int:
    neuron = layer.neuron
    if isinstance(neuron, IntLIF) and 2 * neuron.multiplier != 1 << neuron.shift:
        got = Words(f"{neuron.multiplier}/{1 << neuron.shift}")
        raise UnsupportedError(expected(f"{WHO}: {neuron.name}", "a leak of 1/2", got))
    return scale(neuron, steps, WHO)


def _limited(place: str, value: int, limit: int, whose: str) -> None:
    if value > limit:
        raise UnsupportedError(expected(f"{WHO}: {place}", f"at most {limit} ({whose})", value))
