"""What each kind of integer node reads, holds and gives: one literal table, `KINDS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.kind_table import KindTable
from qpsnn_core.common.pairs import both
from qpsnn_core.common.types import Longs, NamedArrays, Shape
from qpsnn_core.integer import node_checks, transformer_kinds
from qpsnn_core.integer.bounds import Interval, accumulator, integrated, membrane, scaled, times
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
from qpsnn_core.integer.value_specs import CODE_MAX, COUNTS, SIGNED, IntValueSpec, Spec, fits
from qpsnn_core.network.gates import CHANNEL_MASK, PLACE_MASK
from qpsnn_core.network.values import windows


class Kind(NamedTuple):
    """The behaviour of one kind of node.

    reads: the kinds that its sources may be. check(node): its hyper-parameters.
    specs(node, inputs): its arrays. output(node, inputs, arrays, steps): the IntValueSpec it gives, proven to
    fit int32.
    """

    reads: tuple[str, ...]
    check: Callable[[Any], None]
    specs: Callable[[Any, tuple[IntValueSpec, ...]], dict[str, Spec]]
    output: Callable[[Any, tuple[IntValueSpec, ...], NamedArrays, int], IntValueSpec]


def _no_arrays(node: Any, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    return {}


def _counts(shape: Shape, max_count: int) -> IntValueSpec:
    zeros = np.zeros(shape[2], np.int64)
    return IntValueSpec("counts", shape, Interval(zeros, zeros + max_count))


def _conv_specs(node: IntConv, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    channels = inputs[0].shape[2]
    if channels % node.groups:
        want, got = f"channels in {node.groups} groups", Unquoted(f"{channels} channels")
        raise ShapeError(expected(f"{node.name} (from {node.source})", want, got))
    shape = (*both(node.kernel), channels // node.groups, node.channels)
    return {
        "codes": Spec(shape, ("int8", "int16"), -CODE_MAX, CODE_MAX),
        "gain": Spec((node.channels,), ("int32",)),
    }


def _linear_specs(node: IntLinear, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    shape = (int(np.prod(inputs[0].shape)), node.features)
    return {
        "codes": Spec(shape, ("int8", "int16"), -CODE_MAX, CODE_MAX),
        "gain": Spec((node.features,), ("int32",)),
    }


def _weighted(name: str, shape: Shape, value: IntValueSpec, arrays: NamedArrays) -> IntValueSpec:
    reach = accumulator(arrays["codes"], int(value.interval.high.max()), int(value.interval.low.min()))
    sums = reach.high - reach.low
    fits(f"{name}.codes", sums, "accumulators")
    interval = scaled(reach, arrays["gain"])
    fits(f"{name}.gain", interval.largest, "currents")
    return IntValueSpec("current", shape, interval, int(sums.max()))


def _conv_output(node: IntConv, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    place = f"{node.name} (from {node.source})"
    height, width = windows(place, inputs[0].shape, node.kernel, node.stride, node.padding)
    given = _weighted(node.name, (height, width, node.channels), inputs[0], arrays)
    node_checks.masks(node, inputs, given.shape)
    return given


def _linear_output(node: IntLinear, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    return _weighted(node.name, (1, 1, node.features), inputs[0], arrays)


def _shortcut_specs(node: IntShortcut, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    return {"gain": Spec((node.channels,), ("int32",))}


def _shortcut_output(
    node: IntShortcut, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int
) -> IntValueSpec:
    height, width, channels = inputs[0].shape
    chosen = np.array(node.channel_map, np.int64)
    if chosen.max() >= channels:
        limit = f"-1 to {channels - 1} (from {node.source})"
        raise ShapeError(expected(f"{node.name}.channel_map", limit, int(chosen.max())))
    high = np.where(chosen >= 0, inputs[0].max_count, 0)
    interval = scaled(Interval(np.zeros_like(high), high), arrays["gain"])
    fits(f"{node.name}.gain", interval.largest, "currents")
    return IntValueSpec("current", (-(-height // node.stride), -(-width // node.stride), node.channels), interval)


def _lif_specs(node: IntLIF, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    channels = inputs[0].shape[2]
    return {"threshold": Spec((channels,), ("int32",), 1), "bias": Spec((channels,), ("int32",))}


def _lif_output(node: IntLIF, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    _same_shape(node.name, node.sources, inputs)
    currents = tuple(value.interval for value in inputs)
    threshold, levels = arrays["threshold"], node.membrane
    if levels is not None and (threshold % levels.parts).any():
        want = f"multiples of {levels.parts}, as a threshold has so many levels"
        got = Unquoted(f"{threshold[threshold % levels.parts > 0][0]}")
        raise NumericsError(expected(f"{node.name}.threshold", want, got))
    reach = membrane(currents, arrays["bias"], threshold, node.multiplier, node.shift, node.reset, steps, levels)
    fits(f"{node.name}.membrane", reach.largest, f"membranes within {steps} steps")
    spikes = _counts(inputs[0].shape, 1)
    return IntValueSpec("counts", spikes.shape, spikes.interval, membrane=reach, levels=levels)


def _same_shape(name: str, sources: tuple[str, ...], inputs: tuple[IntValueSpec, ...]) -> None:
    for source, value in zip(sources, inputs, strict=True):
        if value.shape != inputs[0].shape:
            want = f"{inputs[0].shape} (from {sources[0]})"
            raise ShapeError(expected(f"{name} (from {source})", want, value.shape))


def _max_pool_output(
    node: IntMaxPool, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int
) -> IntValueSpec:
    (value,) = inputs
    height, width = windows(f"{node.name} (from {node.source})", value.shape, node.size, node.stride, node.padding)
    return IntValueSpec(value.kind, (height, width, value.shape[2]), value.interval)


def _sum_pool_output(
    node: IntSumPool, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int
) -> IntValueSpec:
    (value,) = inputs
    height, width = windows(f"{node.name} (from {node.source})", value.shape, node.size, node.step, 0)
    interval = Interval(times(value.interval.low, node.area), times(value.interval.high, node.area))
    fits(node.name, interval.largest, "currents" if value.kind == "current" else value.kind)
    return IntValueSpec(value.kind, (height, width, value.shape[2]), interval)


def _sum_output(node: IntSum, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    _same_shape(node.name, node.sources, inputs)
    if _alike(node, inputs) == COUNTS:
        return _bounded_counts(node.name, inputs[0].shape, sum(value.max_count for value in inputs))
    low, high, largest = (
        sum((one[part] for one in _parts(inputs)), start=np.zeros(inputs[0].shape[2], np.int64)) for part in range(3)
    )
    fits(node.name, largest, "currents")
    return IntValueSpec("current", inputs[0].shape, Interval(low, high))


def _parts(inputs: tuple[IntValueSpec, ...]) -> list[tuple[Longs, Longs, Longs]]:
    """Of each current its ends and its largest magnitude, [C]."""
    return [(*value.interval, value.interval.largest) for value in inputs]


def _alike(node: IntSum | IntConcat, inputs: tuple[IntValueSpec, ...]) -> str:
    """Of what kind all inputs are; ShapeError where they differ."""
    for source, value in zip(node.sources, inputs, strict=True):
        if value.kind != inputs[0].kind:
            raise ShapeError(expected(f"{node.name} (from {source})", inputs[0].kind, value.kind))
    return inputs[0].kind


def _concat_output(node: IntConcat, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    shape = inputs[0].shape[:2]
    for source, value in zip(node.sources, inputs, strict=True):
        if value.shape[:2] != shape:
            want = f"a map of {shape} (from {node.sources[0]})"
            raise ShapeError(expected(f"{node.name} (from {source})", want, value.shape[:2]))
    interval = Interval(*(np.concatenate([value.interval[end] for value in inputs]) for end in (0, 1)))
    _alike(node, inputs)
    return IntValueSpec(inputs[0].kind, (*shape, len(interval.low)), interval)


def _upsample_output(
    node: IntUpsample, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int
) -> IntValueSpec:
    height, width, channels = inputs[0].shape
    return IntValueSpec(inputs[0].kind, (height * node.factor, width * node.factor, channels), inputs[0].interval)


def _bounded_counts(name: str, shape: Shape, max_count: int) -> IntValueSpec:
    value = _counts(shape, max_count)
    fits(name, value.interval.high, "counts")
    return value


def _readout_specs(node: IntReadout, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    return {"bias": Spec((inputs[0].shape[2],), ("int32",))}


def _readout_output(
    node: IntReadout, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int
) -> IntValueSpec:
    value, bias = inputs[0], arrays["bias"].astype(np.int64)
    if value.shape[:2] != (1, 1) and node.places == "one":
        raise ShapeError(expected(f"{node.name} (from {node.source})", "a shape (1, 1, classes)", value.shape))
    if value.kind == COUNTS and (node.mode != "mean" or node.multiplier or bias.any()):
        want = f"to sum the counts of {node.source}: mode 'mean', multiplier 0, bias 0"
        raise ConfigError(expected(node.name, want, Unquoted(f"{node.mode!r}, {node.multiplier}, {bias.tolist()}")))
    fits(f"{node.name}.bias", value.interval.largest + np.abs(bias), "currents with their bias")
    reach = integrated(value.interval, bias, node.multiplier, node.shift, steps)
    fits(f"{node.name}.membrane", reach.largest, f"membranes within {steps} steps")
    if node.mode == "mean":
        reach = Interval(times(reach.low, steps), times(reach.high, steps))
    return IntValueSpec("current", value.shape, reach)


def _no_output(node: IntInput, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    if not node.low:
        return _counts(node.shape, node.peak)
    ends = (np.full(node.shape[2], end, np.int64) for end in (node.low, node.peak))
    return IntValueSpec("signed", node.shape, Interval(*ends))


def _gate_specs(node: IntGate, inputs: tuple[IntValueSpec, ...]) -> dict[str, Spec]:
    return {"threshold": Spec((inputs[0].shape[2],), ("int32",))}


def _gate_output(node: IntGate, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    height, width, channels = inputs[0].shape
    place, ends = f"{node.name} (from {node.source})", Interval(np.zeros(1, np.int64), np.ones(1, np.int64))
    if node.shape is None:
        if (height, width) != (1, 1):
            raise ShapeError(expected(place, "a shape (1, 1, channels)", inputs[0].shape))
        return IntValueSpec(CHANNEL_MASK, (1, 1, channels * node.size), ends)
    if channels != 1 or height > node.shape[0] or width > node.shape[1]:
        raise ShapeError(expected(place, f"one channel, of at most {node.shape} places", inputs[0].shape))
    return IntValueSpec(PLACE_MASK, (*node.shape, 1), ends)


def _prior_output(node: IntMembrane, inputs: tuple[IntValueSpec, ...], arrays: NamedArrays, steps: int) -> IntValueSpec:
    (value,) = inputs
    place = f"{node.name} (from {node.source})"
    if value.levels is None:
        raise ShapeError(expected(place, "an IntLIF whose membrane has levels", Unquoted("none")))
    height, width = windows(place, value.shape, node.size, node.size, 0)
    ends = (np.full(value.shape[2], end * node.size**2, np.int64) for end in value.levels.ends)
    interval = Interval(*ends)
    fits(node.name, interval.largest, "sums of levels")
    return IntValueSpec("signed", (height, width, value.shape[2]), interval)


KINDS: KindTable[Kind] = KindTable(
    "the integer network",
    {
        IntInput: Kind((COUNTS,), node_checks.input_node, _no_arrays, _no_output),
        IntConv: Kind((COUNTS, SIGNED, CHANNEL_MASK, PLACE_MASK), node_checks.conv, _conv_specs, _conv_output),
        IntLinear: Kind((COUNTS, SIGNED), node_checks.linear, _linear_specs, _linear_output),
        IntShortcut: Kind((COUNTS,), node_checks.shortcut, _shortcut_specs, _shortcut_output),
        IntLIF: Kind(("current",), node_checks.lif, _lif_specs, _lif_output),
        IntMaxPool: Kind((COUNTS, SIGNED, "current"), node_checks.max_pool, _no_arrays, _max_pool_output),
        IntSumPool: Kind((COUNTS, SIGNED, "current"), node_checks.sum_pool, _no_arrays, _sum_pool_output),
        IntSum: Kind((COUNTS, "current"), node_checks.sum_node, _no_arrays, _sum_output),
        IntConcat: Kind((COUNTS, "current"), node_checks.sum_node, _no_arrays, _concat_output),
        IntUpsample: Kind((COUNTS, "current"), node_checks.upsample, _no_arrays, _upsample_output),
        IntGate: Kind(("current",), node_checks.gate, _gate_specs, _gate_output),
        IntAttention: Kind(
            (COUNTS,), node_checks.attention, transformer_kinds.attention_specs, transformer_kinds.attention
        ),
        IntMembrane: Kind((COUNTS,), node_checks.prior, _no_arrays, _prior_output),
        IntReadout: Kind(("current", COUNTS), node_checks.readout, _readout_specs, _readout_output),
        IntCurrentReadout: Kind(
            ("current",), node_checks.current_readout, transformer_kinds.readout_specs, transformer_kinds.readout
        ),
    },
)
"""From node kind to behaviour."""
