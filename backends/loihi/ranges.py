"""What the integers of a population need on a chip: bits of weights, the size of thresholds, biases and states."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qpsnn_backends.loihi.limits import WEIGHT_BITS, Chip, Limit
from qpsnn_backends.loihi.memory import weight_bits
from qpsnn_backends.loihi.projections import Population, Projection
from qpsnn_core.common.elementary import ceil_log2
from qpsnn_core.common.kind_table import KindTable, Refusal
from qpsnn_core.common.types import Array, Longs
from qpsnn_core.integer.bounds import integrated
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

FAR_TOO_MANY = 2**8
"""More leaks than any chip's state has bits: figures of more steps are those of so many, which do not fit either."""


class Need(NamedTuple):
    """What is needed of a resource, beside its limit. place: the node, or the synapse, that needs it.

    fraction: the most fraction bits with which it fits, below 0 where even none are too many; None where codes do not.
    """

    place: str
    resource: str
    used: int
    limit: Limit
    fraction: int | None


def _fraction(population: Population, network: IntegerNetwork) -> Longs:
    """The fraction bits that each channel was lowered with, as `lower` counts them.

    Of its current with the largest reach the gain is 2**f; where several meet, f is that asked for and
    `ceil(log2(reach of the next))` more.
    """
    names = list(dict.fromkeys(p.synapse for p in population.projections))
    gains = np.array([np.abs(network.arrays[name]["gain"].astype(np.int64)) for name in names])
    largest = np.array([network.values[name].interval.largest for name in names])
    reaches = np.where(gains > 0, largest // np.maximum(gains, 1), -1)
    order = reaches.argsort(0, kind="stable")
    bits = np.array([max(int(gain).bit_length() - 1, 0) for gain in np.take_along_axis(gains, order[-1:], 0)[0]])
    if len(names) == 1:
        return bits
    others = np.take_along_axis(reaches, order[-2:-1], 0)[0]
    return bits - ceil_log2(np.maximum(others, 1))


def _weight(projection: Projection, network: IntegerNetwork, chip: Chip, scale: int, fraction: int) -> Need:
    """Where gains are powers of two, a shift takes them up; others need bits of their own."""
    used = weight_bits(projection.weights, chip, scale)
    arrays = network.arrays[projection.synapse]
    codes, gain = arrays.get("codes", np.ones(1, np.int8)), arrays.get("gain", np.ones(1, np.int32))
    free = weight_bits(codes.astype(np.int64), chip, 0)
    left: int | None
    if free > WEIGHT_BITS:
        left = None
    elif (np.abs(gain) & (np.abs(gain) - 1)).any():
        left = fraction - (used - WEIGHT_BITS)
    else:
        left = min(fraction, chip.weight_shift - scale + WEIGHT_BITS - free)
    return Need(projection.synapse, "weight bits", used, chip.weight_bits, left)


def _neurons(population: Population, network: IntegerNetwork, chip: Chip) -> list[Need]:
    """Of an IntLIF, its state scaled up by its own fraction bits (Loihi 1: the threshold's unit is 2**6), and,

    where leaks round otherwise than ours, by as many as keep T-1 leaks of `shift` bits each from rounding.
    """
    node: IntLIF = population.node
    rounding = _rounding(node, network, chip)
    scale, fraction = chip.fraction + rounding, _fraction(population, network)
    strict = 0 if chip.exact_leak else 1  # it fires above the threshold, ours at it
    need = _need(
        node.name,
        "threshold",
        network.arrays[node.name]["threshold"],
        scale - chip.fraction,
        chip.threshold,
        fraction,
    )
    membrane = network.values[node.name].membrane
    assert membrane is not None  # noqa: S101 - an IntLIF has one
    return [
        *_weights(population, network, chip, scale, fraction),
        _bias(node.name, network, chip, scale, fraction),
        need._replace(used=need.used - strict),
        _need(node.name, "state", membrane.largest, scale, chip.state, fraction),
    ]


def _rounding(node: IntLIF | IntReadout, network: IntegerNetwork, chip: Chip) -> int:
    """Bits that keep leaks from rounding, where the chip's round otherwise than ours."""
    return 0 if chip.exact_leak or not node.multiplier else node.shift * min(network.steps - 1, FAR_TOO_MANY)


def _readout(population: Population, network: IntegerNetwork, chip: Chip) -> list[Need]:
    """It is compared with nothing: its state is scaled for a leak alone, as that of neurons.

    The neurons hold the sum of all steps, or a membrane, which the host reads at each step and sums or compares.
    """
    name, fraction, node = population.name, _fraction(population, network), population.node
    scale = _rounding(node, network, chip)
    state = network.values[name].interval
    if node.multiplier:
        current, bias = network.values[node.source].interval, network.arrays[name]["bias"]
        state = integrated(current, bias, node.multiplier, node.shift, network.steps)
    return [
        *_weights(population, network, chip, scale, fraction),
        _bias(name, network, chip, scale, fraction),
        _need(name, "state", state.largest, scale, chip.state, fraction),
    ]


def _max_pool(population: Population, network: IntegerNetwork, chip: Chip) -> list[Need]:
    """Weights of 1, no bias and no state."""
    return _weights(population, network, chip, 0, np.zeros(1, np.int64))


FOLDED = Refusal("it is no population, but a part of those that read it")

NEEDS: KindTable[Callable[[Population, IntegerNetwork, Chip], list[Need]]] = KindTable(
    "the ranges of Loihi",
    {
        IntInput: Refusal("images are on the host"),
        IntConv: FOLDED,
        IntLinear: FOLDED,
        IntShortcut: FOLDED,
        IntLIF: _neurons,
        IntMaxPool: _max_pool,
        IntSumPool: FOLDED,
        IntSum: FOLDED,
        IntConcat: FOLDED,
        IntUpsample: FOLDED,
        IntGate: Refusal("no core of the chip computes a mask for the synapses of another"),
        IntAttention: Refusal("no core multiplies spikes with spikes"),
        IntMembrane: Refusal("no core of the chip sends the membranes of its neurons"),
        IntReadout: _readout,
        IntCurrentReadout: Refusal("no core reads the currents of several neurons' synapses as they are"),
    },
)


def needs(population: Population, network: IntegerNetwork, chip: Chip) -> list[Need]:
    """Weight bits of each projection; of neurons threshold, bias and state; of the readout bias and state."""
    return NEEDS[population.node](population, network, chip)


def _weights(population: Population, network: IntegerNetwork, chip: Chip, scale: int, fraction: Longs) -> list[Need]:
    found = {p.synapse: _weight(p, network, chip, scale, int(fraction.min())) for p in population.projections}
    return list(found.values())


def _bias(name: str, network: IntegerNetwork, chip: Chip, scale: int, fraction: Longs) -> Need:
    bias = np.abs(network.arrays[name]["bias"].astype(np.int64))
    return _need(name, "bias", bias, scale - min(chip.bias_shift, scale), chip.bias, fraction)


def _need(place: str, resource: str, values: Array, scale: int, limit: Limit, fraction: Longs) -> Need:
    """values: of each channel; on the chip times 2**scale."""
    most = limit.maximum or 0
    sizes = [int(value) << scale for value in values]
    left = [int(bits) - (size // (most + 1)).bit_length() for size, bits in zip(sizes, fraction, strict=True)]
    return Need(place, resource, max(sizes), limit, min(left))
