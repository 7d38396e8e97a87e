"""Neurons in C, all of it: what is planned of an IntLIF, its membrane's type and floor, and the text of its update."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from string import Template
from typing import NamedTuple

import numpy as np

from qpsnn_backends.c import levels as few
from qpsnn_backends.c.counts import Counts, size
from qpsnn_backends.c.items import Item, table
from qpsnn_backends.c.jobs import Giving
from qpsnn_backends.c.lasting import lasting
from qpsnn_backends.c.pixels import every_pixel, place
from qpsnn_backends.c.synapses import Synapse, maps_of
from qpsnn_core.common.kind_table import OptionTable
from qpsnn_core.common.types import Array
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntLIF

SHIFT = """\
/* floor(u / 2**shift), by numbers that are not negative: C leaves open what >> does to the others. */
static inline int32_t leak(int32_t u, int32_t shift)
{
    return as_signed((((uint32_t)u + 0x80000000u) >> shift) - (0x80000000u >> shift));
}
"""

LEAK = """\
/* floor(u * multiplier / 2**shift): C leaves open what >> does to negative numbers. */
static inline int32_t leak(int32_t u, int32_t multiplier, int32_t shift)
{
    const int64_t product = (int64_t)u * multiplier;
    return (int32_t)(product < 0 ? ~(~product >> shift) : product >> shift);
}
"""

SUM = "const int32_t u = as_signed((uint32_t)left + driven);"

HELD_SUM = "const int64_t sum = (int64_t)left + as_signed(driven), u = sum < floor ? floor : sum;"


class Reset(NamedTuple):
    """The text of one kind of reset.

    words: of the layer's comment. suffix: of the functions' names. what: of their comment. left: what stays in the
    membrane, of type int${bits}_t. kept: what goes to a level. ends, bounds, left_held: where it is held, the
    parameters, the comment and the text.
    """

    words: str
    suffix: str
    what: str
    left: str
    ends: tuple[str, ...]
    bounds: str
    left_held: str
    kept: str


RESETS: OptionTable[Reset] = OptionTable(
    "the C export",
    "reset",
    {
        "zero": Reset(
            words="",
            suffix="",
            what="and 0 again",
            left="*membrane = fired ? 0 : (int${bits}_t)u;",
            ends=("floor",),
            bounds="A membrane is held at `floor`, which it cannot reach within the steps of one image.",
            left_held="*membrane = fired ? 0 : (int${bits}_t)u;",
            kept="0",
        ),
        "subtract": Reset(
            words=", reset by subtraction",
            suffix="_subtract",
            what="and the threshold off",
            left="*membrane = (int${bits}_t)(fired ? u - threshold : u);",
            ends=("floor", "ceiling"),
            bounds="A membrane is held at `floor` and `ceiling`, which it does not pass within the steps of one image.",
            left_held="const int64_t left_over = fired ? u - threshold : u;\n"
            "    *membrane = (int${bits}_t)(left_over > ceiling ? ceiling : left_over);",
            kept="u - threshold[c]",
        ),
    },
)

FIRE = Template("""\
/* One step of a neuron: leak, add what drives it; where that reaches the threshold a spike, $what.$held */
static inline uint32_t neuron_i$name(int${bits}_t *membrane, uint32_t driven, int32_t threshold,
                                  $parameters)
{
    const int32_t left = leak(*membrane, $arguments);
    $sum
    const uint32_t fired = u >= threshold;
    $left
    return fired;
}

/* Eight of them: their spikes as bits. */
static inline uint32_t eight_i$name(int${bits}_t *restrict membrane, const uint32_t *restrict driven,
                                  const int32_t *restrict threshold, $parameters)
{
    uint32_t fired[8];
    for (int32_t i = 0; i < 8; i++) {
        fired[i] = neuron_i$name(membrane + i, driven[i], threshold[i], $passed);
    }
    for (int32_t i = 0; i < 4; i++) {
        fired[i] |= fired[i + 4] << 4;
    }
    return fired[0] | fired[1] << 1 | fired[2] << 2 | fired[3] << 3;
}

/* All of a pixel. */
static void fire_i$name(int${bits}_t *membrane, const int32_t *threshold, uint32_t *spikes,
                    int32_t channels, $parameters)
{
    const uint32_t *driven = drive;
    for (int32_t left_over = channels; left_over > 0; left_over -= 32) {
        uint32_t word = 0, place = 0;
        for (; place < 32 && (int32_t)place + 8 <= left_over; place += 8) {
            word |= eight_i$name(membrane, driven, threshold, $passed) << place;
            membrane += 8, driven += 8, threshold += 8;
        }
        for (; place < 32 && (int32_t)place < left_over; place++) {
            word |= neuron_i$name(membrane++, *driven++, *threshold++, $passed) << place;
        }
        *spikes++ = word;
    }
}
""")

ALL_STEPS = Template("""\
/* All steps of a still image at once, whose current is computed only once. The spikes of a pixel then take the place
 * of its membranes. */
static void ${name}_all_steps($frame)
{
$body
}

/* The spikes at step t of those. */
static void ${name}_replay(int32_t t, uint32_t *$spikes)
{
    for (int32_t at = 0; at < $pixels; at++) {
        const unsigned char *const pixel = (const unsigned char *)(${name}_membrane + at * $channels);
        memcpy($spikes + at * $words, pixel + t * $words * 4, $words * 4);
    }
}
""")


@dataclass(frozen=True, eq=False)
class Neurons(Giving):
    """A LIF with the synapses that drive it.

    membrane: the bits of its C type, or of a packed level, where `levels` says how those are kept. ends: where the
    membrane is held, the values of the reset's `ends`; none where it cannot leave its type, however long it runs.
    Within the network's T steps it never passes them. halving: whether every leak of the network is a shift alone.
    """

    gives: Counts
    synapses: tuple[Synapse, ...]
    node: IntLIF
    bias: Array
    threshold: Array
    membrane: int
    ends: tuple[int, ...]
    halving: bool
    levels: few.PackedLevels | None = None

    @property
    def reads(self) -> tuple[Counts, ...]:
        """The maps that it reads."""
        return maps_of(*self.synapses)

    def words(self) -> Iterator[str]:
        """The beginning of its comment."""
        leak = Fraction(self.node.multiplier, 2**self.node.shift)
        stored = f", membranes of {self.levels.bits} bits" if self.levels else ""
        yield f"{self.name}, neurons {size(self.shape)}, leak {leak}{RESETS[self.node].words}{stored}. Driven by:"

    def constants(self) -> Iterator[Item]:
        """Its own tables."""
        yield table(self.name, f"{self.name}_bias", "int32_t", self.bias)
        yield table(self.name, f"{self.name}_threshold", "int32_t", self.threshold)

    def state(self) -> Iterator[Item]:
        """Its membranes."""
        count = int(np.prod(self.shape))
        if self.levels:
            count = count // self.levels.channels * self.levels.bytes
            yield Item(self.name, f"static uint8_t {self.name}_membrane[{count}];", count)
            return
        yield Item(self.name, f"static int{self.membrane}_t {self.name}_membrane[{count}];", count * self.membrane // 8)

    def functions(self) -> Iterator[str]:
        """The shared functions that it calls."""
        yield SHIFT if self.halving else LEAK
        if self.levels:
            yield few.LEVEL
            yield few.fire(self.node, self.halving, RESETS[self.node].kept)
            return
        yield fire(self.membrane, self.halving, RESETS[self.node], bool(self.ends))

    def body(self) -> str:
        """Of its function: drive and update a pixel's neurons, one pixel after another."""
        height, width, channels = self.shape

        def update(at: str) -> list[str]:
            spikes = place(self.gives.variable, at, self.gives.per_pixel)
            each = self.levels.bytes if self.levels else channels
            return [self._fire(place(f"{self.name}_membrane", at, each), spikes)]

        return every_pixel(height, width, self.name, self.synapses, update)

    def all_steps(self, steps: int, frame: Counts) -> str:
        """The functions of a layer that is run for all steps at once, and of its spikes at one of them."""
        height, width, channels = self.shape

        def update(at: str) -> list[str]:
            return [
                f"uint32_t spikes[{steps}][{self.gives.per_pixel}];",
                f"void *const membrane = {place(f'{self.name}_membrane', at, channels)};",
                f"for (int32_t t = 0; t < {steps}; t++) {{",
                f"    {self._fire('membrane', 'spikes[t]')}",
                "}",
                "memcpy(membrane, spikes, sizeof spikes);",
            ]

        return ALL_STEPS.substitute(
            name=self.name,
            pixels=height * width,
            channels=channels,
            words=self.gives.per_pixel,
            frame=f"const {frame.type} *{frame.variable}",
            spikes=self.gives.variable,
            body=every_pixel(height, width, self.name, self.synapses, update),
        )

    def _fire(self, membrane: str, spikes: str) -> str:
        """The call that updates a pixel's neurons."""
        leak = () if self.halving else (self.node.multiplier,)
        if self.levels:
            name, held = few.name_of(self.node), self.levels.passed
            sizes = ", ".join(map(str, (self.shape[2], *held, *leak, self.node.shift)))
            return f"fire_{name}({membrane}, {self.name}_threshold, {spikes}, {sizes});"
        name = _named(self.membrane, RESETS[self.node], bool(self.ends))
        sizes = ", ".join(map(str, (self.shape[2], *leak, self.node.shift, *self.ends)))
        return f"fire_i{name}({membrane}, {self.name}_threshold, {spikes}, {sizes});"


def neurons(network: IntegerNetwork, node: IntLIF, gives: Counts, synapses: tuple[Synapse, ...]) -> Neurons:
    """Plan an IntLIF, its membranes in the narrowest type, or packed where they have few levels."""
    arrays, halving = network.arrays[node.name], all(lif.multiplier == 1 for lif in network.of(IntLIF))
    if node.membrane is not None:
        levels = few.packed(node.membrane, gives.shape[2])
        return Neurons(gives, synapses, node, arrays["bias"], arrays["threshold"], levels.bits, (), halving, levels)
    reach, lasts = lasting(network, node)
    low, high = int(reach.low.min()), int(reach.high.max())
    bits = next(bits for bits in (8, 16, 32) if low >= -(2 ** (bits - 1)) and high < 2 ** (bits - 1))
    held = () if lasts else (low, high)[: len(RESETS[node].ends)]
    return Neurons(gives, synapses, node, arrays["bias"], arrays["threshold"], bits, held, halving)


def fire(bits: int, halving: bool, reset: Reset, held: bool) -> str:
    """The neurons of a pixel; bits: of their membranes; held: whether those stop at the reset's ends."""
    passed = ["shift"] if halving else ["multiplier", "shift"]
    given = [*passed, *reset.ends] if held else passed
    return FIRE.substitute(
        bits=bits,
        name=_named(bits, reset, held),
        what=reset.what,
        held=f"\n * {reset.bounds}" if held else "",
        sum=HELD_SUM if held else SUM,
        left=Template(reset.left_held if held else reset.left).substitute(bits=bits),
        parameters=", ".join(f"int32_t {one}" for one in given),
        arguments=", ".join(passed),
        passed=", ".join(given),
    )


def _named(bits: int, reset: Reset, held: bool) -> str:
    return f"{bits}{reset.suffix}{'_held' * held}"
