"""Synapses in C: what is planned of a convolution, a Linear or a shortcut, their tables and the calls that drive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from qpsnn_backends.c import helpers_sums
from qpsnn_backends.c.codes import StoredCodes, encode
from qpsnn_backends.c.counts import WORD, Counts
from qpsnn_backends.c.items import Item, record, table
from qpsnn_core.common.types import Array, Shape
from qpsnn_core.integer.nodes import IntShortcut


@dataclass(frozen=True, eq=False)
class ConvJob:
    """A convolution, or a Linear: one window over its whole source. shape: of the current.

    Rows of codes for spikes lie column by column, all else row by row. exponent: each gain times the codes' step is
    2**exponent; None where it is no such number, and channels have gains of their own. gate: the mask of its sums.
    """

    name: str
    source: Counts
    shape: Shape
    kernel: tuple[int, int]
    stride: int
    padding: int
    codes: StoredCodes
    gain: Array
    exponent: int | None
    linear: bool
    gate: Counts | None = None
    within: ClassVar[tuple[Synapse, ...]] = ()

    @property
    def maps(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return (self.source,) if self.gate is None else (self.source, self.gate)

    @property
    def opens(self) -> str:
        """What its gate opens: "places", "channels", or "" without a gate."""
        if self.gate is None:
            return ""
        return "places" if self.gate.shape[:2] == self.shape[:2] and self.gate.shape[2] == 1 else "channels"

    @property
    def own(self) -> bool:
        """Whether channels have gains of their own."""
        return self.exponent is None

    @property
    def columns(self) -> int:
        """Columns of the source whose spikes are listed at a time: of a Linear one after another; 0 for products."""
        return 0 if not self.codes.spikes else 1 if self.linear else self.source.shape[1]

    @property
    def listed(self) -> int:
        """Spikes that a list holds, at most."""
        return self.kernel[0] * self.columns * self.source.shape[2]

    @property
    def marks(self) -> int:
        """Where columns begin in a list, and where the last one ends."""
        return self.columns + 1 if self.columns else 0

    @property
    def width(self) -> int:
        """Channels that it drives, padding included."""
        return self.codes.padded

    @property
    def function(self) -> str:
        """The name of the C function that adds its rows."""
        return helpers_sums.function(self.codes, "" if self.codes.spikes else self.source.kind, self.own)

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        kernel = f"{self.kernel[0]} x {self.kernel[1]}"
        codes = f"{self.codes.table.shape[0]} rows of {self.shape[2]} codes of {self.codes.bits} bits"
        return f"{self.name}: {kernel} of {self.source.words}, stride {self.stride}, padding {self.padding}; {codes}"

    @property
    def packing(self) -> str:
        """How its codes lie in their table."""
        codes = self.codes
        packed = f", in {codes.words} words, {WORD // codes.bits} codes of {codes.bits} bits in each"
        return f": a row of {self.shape[2]} codes for each input of a window{packed if codes.packed else ''}"

    def constants(self) -> Iterator[Item]:
        """Its struct and tables."""
        kernel = (self.kernel[0], 1) if self.linear and self.codes.spikes else self.kernel
        low = self.codes.low * (1 if self.exponent is None else int(self.gain[0]))
        row = (self.codes.words, low, self.codes.step, self.exponent or 0)
        numbers = (*self.source.shape, *kernel, self.stride, self.padding, *row)
        yield record(self.name, f"struct window {self.name}_window", numbers)
        yield table(self.name, f"{self.name}_codes", f"{self.codes.table.dtype}_t", self.codes.table)
        if self.own:
            padded = np.zeros(self.codes.padded, np.int32)
            padded[: len(self.gain)] = self.gain
            yield table(self.name, f"{self.name}_gain", "int32_t", padded)

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """The call that lists what the windows of row y see. spikes, columns: where its lists begin."""
        if not self.codes.spikes or self.linear:
            return []
        moved = y if y == "0" or self.stride == 1 else f"{y} * {self.stride}"
        top = f"{moved} - {self.padding}" if self.padding else moved
        further = f"{top}, 0, {self.source.shape[1]},\n            {_lists(spikes, columns)}"
        call = f"make_list(&{self.name}_window, {self.source.variable}, {further});"
        if self.gate is None or self.opens != "places":
            return [call]
        width = self.shape[1]
        return [f"if (any_open({self.gate.variable} + {y} * {width}, {width})) {{", f"    {call}", "}"]

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """What adds its current at (y, x) to the drive, where its gate is open. spikes, columns: of its lists."""
        call, indent = self._added(y, x, spikes, columns, depth), f"\n{'    ' * depth}"
        if self.gate is None:
            return call
        mask, channels = self.gate.variable, self.shape[2]
        if self.opens == "places":
            return f"if ({mask}[{y} * {self.shape[1]} + {x}]) {{{indent}    {call}{indent}}}"
        lines = [
            f"if (any_open({mask}, {channels})) {{",
            f"    memcpy(held, drive, {channels} * sizeof *held);",
            f"    {call}",
            f"    keep_open({mask}, {channels});",
            "}",
        ]
        return indent.join(lines)

    def _added(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        name, source = self.name, self.source
        gain = f"{name}_gain, " if self.own else ""
        window = f"{self.function}(&{name}_window, {name}_codes"
        if not self.codes.spikes:
            return f"{window}, {gain}{source.variable}, {y}, {x});"
        lists, further = _lists(spikes, columns), f"\n{'    ' * (depth + 1)}"
        if not self.linear:
            return f"{window},{further}{gain}{lists}, {x});"
        rows = source.shape[0] * source.shape[2] * self.codes.words
        lines = [
            f"for (int32_t column = 0; column < {source.shape[1]}; column++) {{",
            f"    make_list(&{name}_window, {source.variable}, 0, column, column + 1,{further}    {lists});",
            f"    {window} + column * {rows},{further}    {gain}{lists}, 0);",
            "}",
        ]
        return f"\n{'    ' * depth}".join(lines)


@dataclass(frozen=True, eq=False)
class ShortcutJob:
    """A shortcut. chosen: the source's channel of each, 0 where there is none (its gain is 0)."""

    name: str
    source: Counts
    shape: Shape
    stride: int
    chosen: Array
    gain: Array
    gate: ClassVar[Counts | None] = None
    listed: ClassVar[int] = 0
    marks: ClassVar[int] = 0
    packing: ClassVar[str] = ""
    within: ClassVar[tuple[Synapse, ...]] = ()

    @property
    def maps(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return (self.source,)

    @property
    def width(self) -> int:
        """Channels that it drives."""
        return self.shape[2]

    @property
    def words(self) -> str:
        """A line of its layer's comment."""
        return f"{self.name}: channels of {self.source.words}, stride {self.stride}"

    def constants(self) -> Iterator[Item]:
        """Its tables."""
        yield table(self.name, f"{self.name}_from", "uint32_t", self.chosen.astype(np.uint32))
        yield table(self.name, f"{self.name}_gain", "int32_t", self.gain.astype(np.int32))

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """It lists nothing."""
        return []

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """The call that adds its current at (y, x) to the drive."""
        source = self.source
        pixel = f"{source.variable} + ({y} * {source.shape[1]} + {x}) * {self.stride * source.per_pixel}"
        return f"skip_{source.kind}({pixel}, {self.name}_from, {self.name}_gain, {self.shape[2]});"


class Synapse(Protocol):
    """What drives neurons: a convolution, a Linear, a shortcut, attention, or a pool of what one of these gives."""

    @property
    def name(self) -> str:
        """In C."""

    @property
    def maps(self) -> tuple[Counts, ...]:
        """All that it reads itself."""

    @property
    def shape(self) -> Shape:
        """Of the current."""

    @property
    def width(self) -> int:
        """Channels that it drives, padding included."""

    @property
    def listed(self) -> int:
        """Spikes that a list holds, at most."""

    @property
    def marks(self) -> int:
        """Where columns begin in a list, and where the last one ends."""

    @property
    def packing(self) -> str:
        """How its codes lie in their table."""

    @property
    def words(self) -> str:
        """A line of its layer's comment."""

    @property
    def within(self) -> tuple[Synapse, ...]:
        """What a pool is of, before itself."""

    @property
    def gate(self) -> Counts | None:
        """The mask of its own sums."""

    def constants(self) -> Iterator[Item]:
        """Its struct and tables."""

    def lists(self, y: str, spikes: int, columns: int) -> list[str]:
        """The call that lists what the windows of row y see."""

    def driven(self, y: str, x: str, spikes: int, columns: int, depth: int) -> str:
        """What adds its current at (y, x) to the drive."""


def flat(synapse: Synapse) -> list[Synapse]:
    """A synapse, before it those that it is a pool of."""
    return [*(one for inner in synapse.within for one in flat(inner)), synapse]


def maps_of(*synapses: Synapse) -> tuple[Counts, ...]:
    """The maps that synapses read, their gates' among them, each once."""
    parts = [part for one in synapses for part in flat(one)]
    return tuple(dict.fromkeys(counts for part in parts for counts in part.maps))


def shortcut_job(node: IntShortcut, name: str, source: Counts, shape: Shape, gain: Array) -> ShortcutJob:
    """Plan a shortcut."""
    chosen = np.array(node.channel_map, np.int64)
    return ShortcutJob(name, source, shape, node.stride, np.maximum(chosen, 0), np.where(chosen < 0, 0, gain))


def conv_job(
    name: str, source: Counts, shape: Shape, kernel: tuple[int, int, int, int], arrays: dict[str, Array], linear: bool
) -> ConvJob:
    """Plan a convolution, or a Linear. kernel: height, width, stride, padding."""
    height, width, stride, padding = kernel
    gain, spikes = arrays["gain"], source.kind == "bits"
    rows = arrays["codes"].reshape(height, width, source.shape[2], -1)
    codes = encode(rows.swapaxes(0, 1) if spikes else rows, source.max_count, spikes, source.low < 0)
    exponent = _exponent(gain, codes.step)
    return ConvJob(name, source, shape, (height, width), stride, padding, codes, gain, exponent, linear)


def _exponent(gain: Array, step: int) -> int | None:
    scale = int(gain[0]) * step
    same = bool((gain == gain[0]).all())
    return scale.bit_length() - 1 if same and 0 < scale == 1 << (scale.bit_length() - 1) < 2**32 else None


def _lists(spikes: int, columns: int) -> str:
    """Where a synapse's lists begin."""
    return f"lists.of_spikes.events{_offset(spikes)}, lists.of_spikes.columns{_offset(columns)}"


def _offset(by: int) -> str:
    return f" + {by}" if by else ""
