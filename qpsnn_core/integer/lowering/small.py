"""Units without idle digits: integers of neurons over the power of two that all of them are multiples of."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.elementary import floor_log2
from qpsnn_core.common.types import Longs
from qpsnn_core.integer.bounds import Interval, membrane, scaled
from qpsnn_core.integer.lowering.fixed_point import COARSE, Neuron, OfChannels, Rounded
from qpsnn_core.integer.lowering.fold import Affine
from qpsnn_core.network.nodes import LIF


def smallest(lifs: tuple[LIF | OfChannels, ...], currents: dict[str, Affine], rounded: Rounded, steps: int) -> Rounded:
    """The same spikes from smaller integers; as it is where a leak is no mere shift, or membranes have levels.

    With `U = 2**g * u + rest`: `((U >> s) + 2**g*x) >> g = (u >> s) + x`, since floors of shifts commute; `U >=
    2**g*theta` where `u >= theta`; and a reset to zero, or by `2**g*theta`, leaves `u = U >> g`.
    """
    neurons = rounded.neurons.values()
    if any(neuron.multiplier > 1 or neuron.levels for neuron in neurons):
        return rounded
    every = [*rounded.gains.values(), *(n.bias for n in neurons), *(n.threshold for n in neurons)]
    shared = np.gcd.reduce(np.abs(every))
    digits = floor_log2(np.maximum(shared & -shared, 1))
    gains = {name: gain >> digits for name, gain in rounded.gains.items()}
    made = {lif.name: _shifted(lif, currents, gains, rounded.neurons[lif.name], digits, steps) for lif in lifs}
    bits = np.where(rounded.bits == COARSE, COARSE, rounded.bits - digits)
    return Rounded(np.ldexp(rounded.unit, digits), bits, gains, made)


def _shifted(
    lif: LIF | OfChannels,
    currents: dict[str, Affine],
    gains: dict[str, Longs],
    neuron: Neuron,
    digits: Longs,
    steps: int,
) -> Neuron:
    threshold, bias = neuron.threshold >> digits, neuron.bias >> digits
    reaches: tuple[Interval, ...] = tuple(scaled(currents[name].reach, gains[name]) for name in lif.sources)
    reach = membrane(reaches, bias, threshold, neuron.multiplier, neuron.shift, lif.reset, steps)
    return neuron._replace(threshold=threshold, bias=bias, reach=reach)
