"""What runs between integer nodes: kinds of value with their bounds; and what a node's arrays may be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.types import Array, Shape
from qpsnn_core.integer.bounds import INT32_MAX, Interval, Membrane
from qpsnn_core.integer.nodes import IntLevels

COUNTS, SIGNED = "counts", "signed"

CODE_MAX = 255
"""The largest code: 8 bits, odd integers from -255 to 255."""


@dataclass(frozen=True, eq=False)
class IntValueSpec:
    """What a node gives: its kind, its shape (H, W, C), its interval.

    kind: "counts" (0..max_count), "signed" images or priors (|x| <= max_count), a "current" (|X| <= max_count), or
    a mask of channels (1, 1, C) or places (H, W, 1). sums: for a
    synapse with codes, what no partial sum of `codes*S` exceeds. membrane: for an IntLIF, what its membrane can reach;
    levels: those that it stores, if it does.
    """

    kind: Literal["counts", "signed", "current", "channel mask", "place mask"]
    shape: Shape
    interval: Interval
    sums: int = 0
    membrane: Membrane | None = None
    levels: IntLevels | None = None

    @cached_property
    def max_count(self) -> int:
        """The largest magnitude of any channel."""
        return int(self.interval.largest.max())


class Spec(NamedTuple):
    """An array that a node holds: its shape, the dtypes it may have, its least and largest value."""

    shape: tuple[int, ...]
    dtypes: tuple[str, ...]
    low: int = -INT32_MAX - 1
    high: int = INT32_MAX


def fits(place: str, largest: Array, what: str) -> None:
    """NumericsError with figures unless every channel's largest magnitude is an int32."""
    if largest.max() > INT32_MAX:
        worst = int(largest.argmax())
        raise NumericsError(
            expected(
                place, f"{what} of at most {INT32_MAX}", Unquoted(f"up to {int(largest[worst])} (channel {worst})")
            )
        )
