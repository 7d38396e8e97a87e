"""The arrays and bounds of the integer nodes of spiking transformers: attention, and the readout of currents."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Longs, NamedArrays
from qpsnn_core.integer.bounds import Interval, scaled
from qpsnn_core.integer.transformer_nodes import IntAttention, IntCurrentReadout
from qpsnn_core.integer.value_specs import CODE_MAX, IntValueSpec, Spec, fits

INT64_MAX = 2**63 - 1


def attention_specs(node: IntAttention, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    """A gain for each channel of the values."""
    return {"gain": Spec((inputs[2].shape[2],), ("int32",))}


def attention(node: IntAttention, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    """A current of the values' shape, `gain * A`, A from 0 to `tokens * channels of a head`."""
    query, key, value = inputs
    for source, read in zip(node.sources, inputs, strict=True):
        place = f"{node.name} (from {source})"
        if read.max_count != 1:
            raise ShapeError(expected(place, "counts of 0 and 1", Unquoted(f"counts up to {read.max_count}")))
        if read.shape[:2] != query.shape[:2]:
            want = f"a map of {query.shape[:2]} (from {node.query})"
            raise ShapeError(expected(place, want, read.shape[:2]))
        if read.shape[2] % node.heads:
            raise ShapeError(expected(place, f"channels in {node.heads} heads of equal size", read.shape[2]))
    if key.shape[2] != query.shape[2]:
        want = f"{query.shape[2]} channels (from {node.query})"
        raise ShapeError(expected(f"{node.name} (from {node.key})", want, key.shape[2]))
    height, width, channels = query.shape
    zeros = np.zeros(value.shape[2], np.int64)
    most = height * width * (channels // node.heads)
    fits(node.name, zeros + most, "sums of matches")
    interval = scaled(Interval(zeros, zeros + most), arrays["gain"])
    fits(f"{node.name}.gain", interval.largest, "currents")
    return IntValueSpec("current", value.shape, interval, most)


def readout_specs(node: IntCurrentReadout, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    """Codes of all channels that are read; what each is multiplied with; a gain and a bias of each that is given."""
    channels = inputs[0].shape[2]
    return {
        "codes": Spec((channels, node.channels), ("int8", "int16"), -CODE_MAX, CODE_MAX),
        "factor": Spec((channels,), ("int32",), 0),
        "gain": Spec((node.channels,), ("int32",), 0),
        "bias": Spec((node.channels,), ("int32",)),
    }


def readout(node: IntCurrentReadout, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    """Sums over T, in 64 bits; what is added up of currents at one place fits int32."""
    for source, value in zip(node.sources, inputs, strict=True):
        if value.shape != inputs[0].shape:
            want = f"{inputs[0].shape} (from {node.sources[0]})"
            raise ShapeError(expected(f"{node.name} (from {source})", want, value.shape))
    height, width, _ = inputs[0].shape
    mean = node.places == "mean"
    largest = sums(node, tuple(value.interval for value in inputs), arrays, height * width if mean else 1)
    if max(largest) * steps > INT64_MAX:
        worst = max(range(len(largest)), key=largest.__getitem__)
        want = f"sums over {steps} steps of at most {INT64_MAX}"
        raise NumericsError(expected(node.name, want, Unquoted(f"up to {largest[worst] * steps} (class {worst})")))
    reach = np.array(largest, np.int64) * steps
    return IntValueSpec("current", (*((1, 1) if mean else (height, width)), node.channels), Interval(-reach, reach))


def sums(node: IntCurrentReadout, currents: tuple[Interval, ...], arrays: NamedArrays, area: int) -> list[int]:
    """What no partial sum on the way to U of each class exceeds, in Python's unbounded integers.

    area: the places that are added up. NumericsError where the sum of the currents of a place leaves int32.
    """
    each: Longs = sum((one.largest for one in currents), start=np.zeros_like(currents[0].low))
    fits(f"{node.name}.sources", each, "sums of currents")
    shifted = [((area * int(one) + node.half) >> node.shift) + 1 for one in each]
    read = np.array([size * int(factor) for size, factor in zip(shifted, arrays["factor"], strict=True)], object)
    totals = np.abs(arrays["codes"].astype(object)).T @ read
    biases = [abs(int(bias)) << node.bias_shift for bias in arrays["bias"]]
    return [
        int(total) * max(int(gain), 1) + bias for total, gain, bias in zip(totals, arrays["gain"], biases, strict=True)
    ]
