"""How counts lie in memory, and which of them share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qpsnn_core.common.input_range import image_type
from qpsnn_core.common.types import Shape

WORD = 32
"""Bits of a word of spikes."""

TYPES = {
    **{"bits": "uint32_t", "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t"},
    **{"s8": "int8_t", "s16": "int16_t", "s32": "int32_t"},
}
"""The C type of each kind's elements."""

BYTES = {"bits": 4, "u8": 1, "u16": 2, "u32": 4, "s8": 1, "s16": 2, "s32": 4}

SIGNED = {np.dtype(np.int8): "s8", np.dtype(np.int16): "s16", np.dtype(np.int32): "s32"}
"""The kinds of signed images."""


@dataclass(frozen=True)
class Counts:
    """A node's counts: spikes as bits, each pixel in whole words, or one integer each, [H, W, C].

    low: the least integer, below 0 of signed images alone.
    """

    name: str
    shape: Shape
    max_count: int
    kind: str
    low: int = 0

    @property
    def variable(self) -> str:
        """What it is called in C."""
        return f"{self.name}_{'spikes' if self.kind == 'bits' else 'counts'}"

    @property
    def type(self) -> str:
        """The C type of an element."""
        return TYPES[self.kind]

    @property
    def words(self) -> str:
        """Name and size, for comments."""
        return f"{self.name} ({size(self.shape)})"

    @property
    def per_pixel(self) -> int:
        """Elements of one pixel."""
        return -(-self.shape[2] // WORD) if self.kind == "bits" else self.shape[2]

    @property
    def length(self) -> int:
        """Elements of the whole map."""
        return self.shape[0] * self.shape[1] * self.per_pixel

    @property
    def bytes(self) -> int:
        """Of the whole map."""
        return self.length * BYTES[self.kind]


def size(shape: tuple[int, ...]) -> str:
    """Height x width x channels, or other sizes."""
    return " x ".join(map(str, shape))


def kind_of_images(low: int, largest: int) -> str:
    """The narrowest kind that holds images from `low` to `largest`."""
    if low < -(2**15) or (low < 0 and largest >= 2**15):
        return "s32"
    return SIGNED.get(np.dtype(image_type(low, largest)), narrowest(largest))


def narrowest(largest: int) -> str:
    """The narrowest unsigned kind that holds 0..largest."""
    return "u8" if largest < 2**8 else "u16" if largest < 2**16 else "u32"


@dataclass(frozen=True)
class Slot:
    """Memory that several maps use one after another, within one step."""

    maps: tuple[Counts, ...]

    @property
    def bytes(self) -> int:
        """Of the largest, in whole units of the widest element."""
        unit = max(BYTES[one.kind] for one in self.maps)
        return -(-max(one.bytes for one in self.maps) // unit) * unit


def shared(made: Sequence[Counts], last_read: Sequence[int]) -> tuple[Slot, ...]:
    """Slots for maps that are made in this order; map i is read for the last time while map `last_read[i]` is made.

    Each goes where it adds the fewest bytes; a map is never in the slot of one that is still read.
    """
    slots: list[list[int]] = []
    for index, counts in enumerate(made):
        free = [slot for slot in slots if last_read[slot[-1]] < index]
        size = counts.bytes
        held = [max(made[i].bytes for i in slot) for slot in free]
        growth = [(max(0, size - other), -other) for other in held]
        if free:
            free[growth.index(min(growth))].append(index)
        else:
            slots.append([index])
    return tuple(Slot(tuple(made[i] for i in slot)) for slot in slots)
