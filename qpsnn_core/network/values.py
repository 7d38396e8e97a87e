"""What runs between nodes, and the checks that nodes share.

Three kinds of value:
- `"analog"`: the input image, integers `0..peak` times `scale` (or real numbers, `peak` None);
- `"spikes"`: integers `0..peak` (1 for a neuron, more after a Sum or an AvgPool) times `scale`;
- `"current"`: what a synapse gives to a neuron, an accumulator with a per-channel affine, not multiplied out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from qpsnn_core.errors import ConfigError, ShapeError, Words, expected
from qpsnn_core.structure import nearest

Kind = Literal["analog", "spikes", "current"]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Value:
    """What a node gives: its kind, shape (H, W, C), largest integer `peak` and the `scale` of one unit."""

    kind: Kind
    shape: Shape
    peak: int | None = None
    scale: float = 1.0


def check_name(name: str) -> None:
    """ConfigError unless `name` can name a node, and a part of a file."""
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        raise ConfigError(expected("node.name", "a letter, then letters, digits, '_' or '.'", name))


def check_at_least(place: str, value: int, least: int) -> None:
    """ConfigError unless `value` is an integer of at least `least`."""
    if type(value) is not int or value < least:
        raise ConfigError(expected(place, f"an integer of at least {least}", value))


def positive(value: float) -> bool:
    """Finite and above 0."""
    return 0 < value < math.inf


def check_number(place: str, value: float, want: str, valid: Callable[[float], bool]) -> None:
    """ConfigError unless `value` is a number (a truth value or a word is none) that is `valid`, as `want` says."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not valid(value):
        raise ConfigError(expected(place, want, value))


def check_choice(place: str, value: str, valid: tuple[str, ...]) -> None:
    """ConfigError, with the nearest valid word, unless `value` is one of them."""
    if value not in valid:
        raise ConfigError(expected(place, f"one of {', '.join(valid)}", value) + nearest(value, valid))


def check_sources(name: str, sources: tuple[str, ...], least: int) -> None:
    """ConfigError unless `sources` are at least `least` different names."""
    if not isinstance(sources, tuple) or len(sources) < least or len(set(sources)) != len(sources):
        raise ConfigError(expected(f"{name}.sources", f"a tuple of at least {least} different names", sources))


def check_kind(name: str, source: str, value: Value, *kinds: str) -> None:
    """ShapeError unless the value that `name` reads from `source` is of one of the kinds."""
    if value.kind not in kinds:
        raise ShapeError(expected(f"{name} (from {source})", " or ".join(kinds), value.kind))


def window(place: str, size: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows fit along one side; ShapeError when none does."""
    out = (size + 2 * padding - kernel) // stride + 1
    if size + 2 * padding < kernel or out < 1:
        raise ShapeError(expected(place, f"a map of at least {kernel - 2 * padding} pixels", Words(f"{size}")))
    return out
