"""The plan of a network on Lava's own LIFReset, Conv and Dense: integers times 2**k, as `integer.lava_lif` says.

Lava's Dense clips weights to 8 bits and drops the lowest where signs are mixed. So weights are written in digits of
8 bits with their sign, each a Dense of its own with doubled weights and `weight_exp` one less; their currents meet in
the neuron's InPort. Most layers need one. Its Conv takes weights of any width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava import plan as ordinary
from qpsnn_backends.lava.planner import LavaPlan
from qpsnn_backends.lava.wiring import LavaProcessSpec, Wiring
from qpsnn_core.common.errors import Unquoted, UnsupportedError, expected
from qpsnn_core.common.kind_table import KindTable, OptionTable, Refusal
from qpsnn_core.common.types import Longs, NamedArrays
from qpsnn_core.integer.bounds import INT32_MAX, accumulator
from qpsnn_core.integer.lava_lif import (
    BIAS_MAX,
    STATE_MAX,
    at_most,
    chain,
    check_whole,
    counts_spikes,
    reach,
    scale,
    thresholds,
)
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntMembrane,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
    IntUpsample,
)

WHO = "lava: stock"

BIAS_EXP = 6
"""Puts a bias into the unit of weights."""

STRIDE_MAX = 2**7 - 1
"""Lava's Conv keeps stride and padding in 8 bits with their sign."""

DIGIT_BITS = 8
DIGIT_MIN = -(2 ** (DIGIT_BITS - 1))
"""The least weight of a Dense whose weights are doubled; the largest is `-DIGIT_MIN - 1`."""

Names = tuple[str, ...]
Digits = Iterator[tuple[int, Longs]]


class Planner:
    """Holds what is planned so far; takes the parts of the ordinary plan in order."""

    def __init__(self, network: IntegerNetwork, given: NamedArrays, spikes: bool) -> None:
        self.network = network
        self.given = given
        self.spikes = spikes
        self.parts: list[LavaProcessSpec] = []
        self.arrays: NamedArrays = {}

    def put(self, part: LavaProcessSpec, **arrays: npt.NDArray[Any]) -> Names:
        """One more part, with its arrays; its name."""
        self.parts.append(part)
        self.arrays.update({f"{part.name}.{name}": array for name, array in arrays.items()})
        return (part.name,)


def _conv(planner: Planner, node: IntConv, part: LavaProcessSpec, k: int) -> Names:
    for name in ("stride", "padding"):
        _limited(f"{part.name}.{name}", max(part.settings[name]), STRIDE_MAX, "Lava's own Conv")
    weights = planner.given[f"{part.name}.weight"].astype(np.int64)
    return planner.put(part, weight=(weights << k).astype(np.int32))


def _linear(planner: Planner, node: IntLinear, part: LavaProcessSpec, k: int) -> Names:
    """As many Dense as the weights need."""
    ends = planner.network.values[node.source].interval
    names: Names = ()
    for index, (exponent, digit) in enumerate(digits(planner.given[f"{part.name}.weight"].astype(np.int64))):
        exponent += k - 1
        largest = int(accumulator(2 * digit.T, int(ends.high.max()), int(ends.low.min())).largest.max()) << max(
            0, exponent
        )
        _limited(f"{part.name}.weight", largest, INT32_MAX, "sums of Lava's own Dense")
        settings = {**part.settings, "weight_exp": exponent}
        one = replace(part, name=part.name + f"#{index}" * (index > 0), settings=settings)
        names += planner.put(one, weight=(2 * digit).astype(np.int32))
    return names


def _lif(planner: Planner, node: IntLIF, part: LavaProcessSpec, k: int) -> Names:
    """With its record, where that is wanted."""
    network, bias = planner.network, planner.given[f"{part.name}.bias"]
    vth = thresholds(network, node, k, WHO)
    at_most(f"{WHO}: {part.name}.state", reach(network, node) << k, STATE_MAX, k)
    _limited(f"{part.name}.bias", int(np.abs(bias).max()), BIAS_MAX, "bias_mant of Lava's own LIF")
    name = planner.put(replace(part, settings={"bias_exp": BIAS_EXP + k}), vth=vth.astype(np.int32), bias=bias)
    if planner.spikes:
        planner.put(LavaProcessSpec(f"{part.name}+record", "record", name, part.inputs, part.inputs, part.latency))
    return name


def _readout(planner: Planner, node: IntReadout, part: LavaProcessSpec, k: int) -> Names:
    return planner.put(part, bias=planner.given[f"{part.name}.bias"])


NO_LAYER = Refusal("only layers in a chain, of Conv or Linear and a LIF or the Readout, run on Lava's own processes")

PLANNED: KindTable[Callable[[Planner, Any, LavaProcessSpec, int], Names]] = KindTable(
    "Lava's stock processes",
    {
        IntInput: Refusal("the source of images is ours, and never in a layer"),
        IntConv: _conv,
        IntLinear: _linear,
        IntShortcut: NO_LAYER,
        IntLIF: _lif,
        IntMaxPool: NO_LAYER,
        IntSumPool: NO_LAYER,
        IntSum: NO_LAYER,
        IntConcat: NO_LAYER,
        IntUpsample: NO_LAYER,
        IntGate: NO_LAYER,
        IntAttention: NO_LAYER,
        IntMembrane: NO_LAYER,
        IntReadout: _readout,
        IntCurrentReadout: NO_LAYER,
    },
    UnsupportedError,
)
"""Plans a node from its part in the ordinary plan, integers times 2**k; the names of those that send its value."""


RESETS: OptionTable[None] = OptionTable(
    f"{WHO}: Lava's own LIF",
    "reset",
    {
        "zero": None,
        "subtract": Refusal("LIFReset, and every other LIF of lava-nc 0.10.0, sets a membrane that fires to 0"),
    },
)
"""What a spike may leave of a membrane; nothing is planned for it."""


def plan(network: IntegerNetwork, spikes: bool = True) -> LavaPlan:
    """The processes that compute the network, each after those it reads. spikes: with one more for each LIF's records.

    Raises UnsupportedError, naming the node: anything but a chain of layers, a leak other than 1/2, a reset by
    subtraction, membranes of few levels, integers that the stock processes would clip or wrap.
    """
    wiring, given = ordinary.plan(network)
    layers = chain(network, WHO)
    parts = {part.name: part for part in wiring}
    planner = Planner(network, given, spikes)
    planner.parts.append(parts[network.input.name])
    reads: Names = (network.input.name,)
    for lif in network.of(IntLIF):
        _check_neuron(lif)
    for layer in layers:
        k = scale(layer.neuron, network.steps, WHO)
        for node in layer:
            reads = PLANNED[node](planner, node, replace(parts[node.name], reads=reads), k)
    if counts_spikes(network):
        last = network.readout
        PLANNED[last](planner, last, replace(parts[last.name], reads=reads), 0)
    return LavaPlan(Wiring(tuple(planner.parts), network.steps, stock=True), planner.arrays)


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


def _check_neuron(node: IntLIF) -> None:
    """Lava's own LIF leaks by a half, resets to zero, and keeps its membrane whole."""
    RESETS[node]
    check_whole(node, WHO)
    if 2 * node.multiplier != 1 << node.shift:
        got = Unquoted(f"{node.multiplier}/{1 << node.shift}")
        raise UnsupportedError(expected(f"{WHO}: {node.name}", "a leak of 1/2", got))


def _limited(place: str, value: int, limit: int, whose: str) -> None:
    if value > limit:
        raise UnsupportedError(expected(f"{WHO}: {place}", f"at most {limit} ({whose})", value))
