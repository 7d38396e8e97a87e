"""Neurons in C whose membranes have few levels: 1, 2, 4 or 8 bits each, packed, and the text of their update."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from qpsnn_core.integer.nodes import IntLevels, IntLIF

WIDTHS = (1, 2, 4, 8)
"""Bits of a packed level, of which a whole number is in a byte."""

LEVEL = """\
/* Level `at` of packed ones of so many bits: those above `high` stand for negative ones. */
static inline int32_t level_of(const uint8_t *levels, int32_t at, int32_t bits, int32_t high)
{
    const int32_t code = (levels[at * bits / 8] >> (at * bits % 8)) & ((1 << bits) - 1);
    return code > high ? code - (1 << bits) : code;
}

/* The level, from `low` to `high` steps, that is nearest to u; of two as near, the lower one. */
static inline int32_t nearest_level(int64_t u, int32_t step, int32_t low, int32_t high)
{
    int64_t edge = (2 * (int64_t)low + 1) * step;
    int32_t level = low;
    for (; level < high && 2 * u > edge; level++) {
        edge += 2 * (int64_t)step;
    }
    return level;
}

/* Keeps a level. */
static inline void keep_level(uint8_t *levels, int32_t at, int32_t bits, int32_t level)
{
    uint8_t *const byte = levels + at * bits / 8;
    const int32_t place = at * bits % 8, mask = (1 << bits) - 1;
    *byte = (uint8_t)((*byte & ~(mask << place)) | (level & mask) << place);
}
"""

FIRE = Template("""\
/* All neurons of a pixel, whose membranes are levels: leak, add what drives it, a spike where that reaches the
 * threshold; what is left goes to the nearest level. */
static void fire_$name(uint8_t *levels, const int32_t *threshold, uint32_t *spikes, int32_t channels,
                    int32_t bits, int32_t low, int32_t high, int32_t parts, $parameters)
{
    uint32_t word = 0;
    for (int32_t c = 0; c < channels; c++) {
        const int32_t step = threshold[c] / parts;
        const int32_t left = leak(level_of(levels, c, bits, high) * step, $passed);
        const int64_t u = (int64_t)left + as_signed(drive[c]);
        const uint32_t fired = u >= threshold[c];
        keep_level(levels, c, bits, nearest_level(fired ? $kept : u, step, low, high));
        word |= fired << (c % 32);
        if (c % 32 == 31 || c == channels - 1) {
            *spikes++ = word;
            word = 0;
        }
    }
}
""")

OBSERVE = Template("""\
#ifdef ${upper}_OBSERVE
#define OBSERVE_LEVELS(lif, spikes, levels, pixels, channels, bytes, bits, high, threshold, parts)       \\
    for (int32_t i = 0; i < (pixels) * (channels); i++) {                                            \\
        const int32_t c = i % (channels), word = i / (channels) * (((channels) + 31) / 32) + c / 32; \\
        const int32_t level = level_of((levels) + i / (channels) * (bytes), c, (bits), (high));      \\
        ${name}_observe((lif), i, (int)(((spikes)[word] >> (c % 32)) & 1u),                          \\
                        level * ((threshold)[c] / (parts)));                                         \\
    }
#else
#define OBSERVE_LEVELS(lif, spikes, levels, pixels, channels, bytes, bits, high, threshold, parts)
#endif

""")


@dataclass(frozen=True)
class PackedLevels:
    """How a layer keeps its levels: so many bits each, the channels of a pixel in whole bytes. low, high: in steps."""

    bits: int
    low: int
    high: int
    parts: int
    channels: int

    @property
    def bytes(self) -> int:
        """Of a pixel."""
        return -(-self.channels * self.bits // 8)

    @property
    def passed(self) -> tuple[int, ...]:
        """The arguments of `fire` that say so."""
        return self.bits, self.low, self.high, self.parts

    def observed(self, name: str) -> str:
        """The last arguments of OBSERVE_LEVELS, of the layer of that name."""
        return f"{self.bytes}, {self.bits}, {self.high}, {name}_threshold, {self.parts}"


def packed(levels: IntLevels, channels: int) -> PackedLevels:
    """The fewest bits that hold them."""
    bits = next(width for width in WIDTHS if levels.bits <= width)
    return PackedLevels(bits, *levels.ends, levels.parts, channels)


def name_of(node: IntLIF) -> str:
    """What the function of its neurons is called, behind "fire_"."""
    return f"levels_{node.reset}"


def fire(node: IntLIF, halving: bool, kept: str) -> str:
    """The neurons of a pixel. halving: as of Neurons. kept: what a spike leaves of u before it goes to its level."""
    passed = ("shift",) if halving else ("multiplier", "shift")
    parameters = ", ".join(f"int32_t {one}" for one in passed)
    return FIRE.substitute(name=name_of(node), parameters=parameters, passed=", ".join(passed), kept=kept)
