"""The hyper-parameters that an integer node may have; each check raises ConfigError or ShapeError, naming the field."""

from __future__ import annotations

from qpsnn_core.common.errors import ConfigError, ShapeError, expected
from qpsnn_core.common.pairs import check_below, checked_pair
from qpsnn_core.common.validation import check_at_least, check_choice
from qpsnn_core.integer.nodes import (
    IntConcat,
    IntConv,
    IntInput,
    IntLevels,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntShortcut,
    IntSum,
    IntSumPool,
)
from qpsnn_core.network.images import check_low
from qpsnn_core.network.membranes import check_levels
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.readouts import MODES
from qpsnn_core.network.values import check_sources

SHIFT_MAX = 12
"""Leaks are k/2**m with m up to 12, as on Loihi."""

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


def readout(node: IntReadout) -> None:
    """A positive, finite scale; a leak of at most 1; a mode that there is."""
    if not (isinstance(node.scale, float) and 0 < node.scale < float("inf")):
        raise ConfigError(expected(f"{node.name}.scale", "a positive number", node.scale))
    check_choice(f"{node.name}.mode", node.mode, MODES)
    _leak(node)
