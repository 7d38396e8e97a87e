"""The hyper-parameters that an integer node may have; each check raises ConfigError or ShapeError, naming the field."""

from __future__ import annotations

from typing import Any

from qpsnn_core.common.errors import ConfigError, ShapeError, Unquoted, expected
from qpsnn_core.common.pairs import check_below, checked_pair
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check_at_least, check_at_most, check_choice
from qpsnn_core.integer.nodes import (
    IntAttention,
    IntConcat,
    IntConv,
    IntCurrentReadout,
    IntGate,
    IntInput,
    IntLevels,
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
from qpsnn_core.network.current_readouts import PLACES
from qpsnn_core.network.gates import CHANNEL_MASK, PLACE_MASK, gates_of
from qpsnn_core.network.images import check_low
from qpsnn_core.network.membranes import check_levels
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.readouts import MODES, READ_PLACES
from qpsnn_core.network.values import check_sources

MASKS = (CHANNEL_MASK, PLACE_MASK)

SHIFT_MAX = 12
"""Leaks are k/2**m with m up to 12, as on Loihi."""

SUM_SHIFT_MAX = 40
"""Sums of 64 bits that are shifted by more have fewer digits left than their weights."""

COUNT_MAX = 2**16 - 1
"""The largest count of an input."""


def input_node(node: IntInput) -> None:
    """Shape, range and scale."""
    if not isinstance(node.shape, tuple) or len(node.shape) != 3:
        raise ShapeError(expected(f"{node.name}.shape", "(H, W, C)", node.shape))
    for size in node.shape:
        check_at_least(f"{node.name}.shape", size, 1)
    check_at_least(f"{node.name}.peak", node.peak, 1)
    if node.peak > COUNT_MAX:
        raise ConfigError(expected(f"{node.name}.peak", f"at most {COUNT_MAX}", node.peak))
    check_low(node.name, node.low, node.peak)
    if not (isinstance(node.scale, float) and 0 <= node.scale < float("inf")):
        raise ConfigError(expected(f"{node.name}.scale", "a positive number, or 0 where it is not known", node.scale))


def conv(node: IntConv) -> None:
    """Sizes, channels in groups, and padding less than the kernel."""
    for label, least in (("kernel", 1), ("stride", 1), ("padding", 0)):
        checked_pair(f"{node.name}.{label}", getattr(node, label), least)
    for label in ("channels", "groups"):
        check_at_least(f"{node.name}.{label}", getattr(node, label), 1)
    check_below(f"{node.name}.padding", node.padding, "kernel", node.kernel)
    if node.channels % node.groups:
        raise ConfigError(expected(f"{node.name}.groups", f"a divisor of the channels ({node.channels})", node.groups))


def masks(node: IntConv, inputs: tuple[Any, ...], given: Shape) -> None:
    """A first source of counts or images, and masks that fit. inputs: IntValueSpec; given: the shape of the sums."""
    read, *found = inputs
    if found and not node.plain:
        plain = "a square window without groups, where gates close parts of it"
        raise ShapeError(expected(node.name, plain, Unquoted("another")))
    if read.kind not in ("counts", "signed") or (node.input_gate is not None and read.kind != "counts"):
        kinds = "counts" if node.input_gate is not None else "counts or signed"
        raise ShapeError(expected(f"{node.name} (from {node.source})", kinds, read.kind))
    masked = [shape for shape, name in ((given, node.gate), (read.shape, node.input_gate)) if name is not None]
    for name, mask, (height, width, channels) in zip(gates_of(node), found, masked, strict=True):
        if mask.kind not in MASKS:
            raise ShapeError(expected(f"{node.name} (from {name})", " or ".join(MASKS), mask.kind))
        want = (1, 1, channels) if mask.kind == CHANNEL_MASK else (height, width, 1)
        if mask.shape != want:
            raise ShapeError(expected(f"{node.name} (from {name})", f"a {mask.kind} {want}", mask.shape))


def linear(node: IntLinear) -> None:
    """At least one feature."""
    check_at_least(f"{node.name}.features", node.features, 1)


def shortcut(node: IntShortcut) -> None:
    """One entry of the map for each channel."""
    check_at_least(f"{node.name}.channels", node.channels, 1)
    check_at_least(f"{node.name}.stride", node.stride, 1)
    if not isinstance(node.channel_map, tuple) or len(node.channel_map) != node.channels:
        raise ShapeError(expected(f"{node.name}.channel_map", f"{node.channels} entries", node.channel_map))
    for index in node.channel_map:
        check_at_least(f"{node.name}.channel_map", index, -1)


def lif(node: IntLIF) -> None:
    """A leak of at most 1, in at most SHIFT_MAX bits; a reset that there is; levels about 0."""
    check_sources(node.name, node.sources, 1)
    _leak(node)
    check_choice(f"{node.name}.reset", node.reset, RESETS)
    if node.membrane is not None:
        if type(node.membrane) is not IntLevels:
            raise ConfigError(expected(f"{node.name}.membrane", "IntLevels, or None", node.membrane))
        check_levels(f"{node.name}.membrane", node.membrane.low, node.membrane.high, node.membrane.parts)


def _leak(node: IntLIF | IntReadout) -> None:
    check_at_least(f"{node.name}.shift", node.shift, 0)
    check_at_least(f"{node.name}.multiplier", node.multiplier, 0)
    if node.shift > SHIFT_MAX:
        raise ConfigError(expected(f"{node.name}.shift", f"at most {SHIFT_MAX}", node.shift))
    if node.multiplier > 2**node.shift:
        want = f"at most 2**shift = {2**node.shift} (a leak, no growth)"
        raise ConfigError(expected(f"{node.name}.multiplier", want, node.multiplier))


def max_pool(node: IntMaxPool) -> None:
    """Sizes, and padding less than the window."""
    for label, least in (("size", 1), ("stride", 1), ("padding", 0)):
        checked_pair(f"{node.name}.{label}", getattr(node, label), least)
    check_below(f"{node.name}.padding", node.padding, "size", node.size)


def sum_pool(node: IntSumPool) -> None:
    """At least one pixel; a stride, or 0."""
    checked_pair(f"{node.name}.size", node.size, 1)
    checked_pair(f"{node.name}.stride", node.stride, 1 if isinstance(node.stride, tuple) else 0)


def sum_node(node: IntSum | IntConcat) -> None:
    """At least two different sources."""
    check_sources(node.name, node.sources, 2)


def upsample(node: IntUpsample) -> None:
    """Each pixel at least twice."""
    check_at_least(f"{node.name}.factor", node.factor, 2)


def gate(node: IntGate) -> None:
    """Channels in groups of at least one, or the sizes of a map of places."""
    check_at_least(f"{node.name}.size", node.size, 1)
    if node.shape is None:
        return
    if not isinstance(node.shape, tuple) or len(node.shape) != 2 or node.size != 1:
        raise ShapeError(expected(f"{node.name}.shape", "(H, W) and size 1, or None for channels", node.shape))
    for size in node.shape:
        check_at_least(f"{node.name}.shape", size, 1)


def attention(node: IntAttention) -> None:
    """Three different sources, and at least one head."""
    check_sources(node.name, node.sources, 3)
    check_at_least(f"{node.name}.heads", node.heads, 1)


def prior(node: IntMembrane) -> None:
    """Windows of at least one pixel."""
    check_at_least(f"{node.name}.size", node.size, 1)


def current_readout(node: IntCurrentReadout) -> None:
    """A positive, finite scale; places that there are; shifts of 64-bit numbers."""
    check_sources(node.name, node.sources, 1)
    check_at_least(f"{node.name}.channels", node.channels, 1)
    check_choice(f"{node.name}.places", node.places, PLACES)
    for label in ("shift", "bias_shift"):
        check_at_least(f"{node.name}.{label}", getattr(node, label), 0)
        check_at_most(f"{node.name}.{label}", getattr(node, label), SUM_SHIFT_MAX)
    _scale(node)


def _scale(node: IntReadout | IntCurrentReadout) -> None:
    if not (isinstance(node.scale, float) and 0 < node.scale < float("inf")):
        raise ConfigError(expected(f"{node.name}.scale", "a positive number", node.scale))


def readout(node: IntReadout) -> None:
    """A positive, finite scale; a leak of at most 1; a mode and places that there are."""
    _scale(node)
    check_choice(f"{node.name}.mode", node.mode, MODES)
    check_choice(f"{node.name}.places", node.places, READ_PLACES)
    _leak(node)
