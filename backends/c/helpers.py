"""The C functions that many layers share: one template for each, filled for the types and widths that occur."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.counts import TYPES
from qpsnn_backends.c.helpers_pool import ADD, MAX_BITS, MAX_COUNTS, SUM_POOL

SIGNED = """\
/* The number whose two's complement this is. */
static inline int32_t as_signed(uint32_t x)
{
    return x <= INT32_MAX ? (int32_t)x : -(int32_t)(UINT32_MAX - x) - 1;
}
"""

INSIDE = """\
/* The first place of a window at `from` that lies on the map, and the place behind the last. */
static inline int32_t first_inside(int32_t from)
{
    return from < 0 ? -from : 0;
}

static inline int32_t end_inside(int32_t from, int32_t kernel, int32_t size)
{
    return from + kernel > size ? size - from : kernel;
}
"""

LOWEST = """\
/* The place of the lowest bit that is set, by a de Bruijn sequence; bits is not 0. */
static inline uint32_t lowest(uint32_t bits)
{
    return place_of_bit[(uint32_t)((bits & (~bits + 1u)) * 0x077CB531u) >> 27];
}
"""

PLACES = (
    *(0, 1, 28, 2, 29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4, 8),
    *(31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6, 11, 5, 10, 9),
)
"""The table of `lowest`."""

SKIP = Template("""\
/* drive[c] += gain[c] * (the pixel's count of channel from[c]). */
static void skip_$kind(const $type *pixel, const uint32_t *from, const int32_t *gain, int32_t channels)
{
    for (int32_t c = 0; c < channels; c++) {
        drive[c] += (uint32_t)gain[c] * $count;
    }
}
""")

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

HELD = "\n * A membrane is held at `floor`, which it cannot reach within the steps of one image."

HELD_SUM = "const int64_t sum = (int64_t)left + as_signed(driven), u = sum < floor ? floor : sum;"

FIRE = Template("""\
/* One step of a neuron: leak, add what drives it; where that reaches the threshold a spike, and 0 again.$held */
static inline uint32_t neuron_i$name(int${bits}_t *membrane, uint32_t driven, int32_t threshold,
                                  $parameters)
{
    const int32_t left = leak(*membrane, $arguments);
    $sum
    const uint32_t fired = u >= threshold;
    *membrane = fired ? 0 : (int${bits}_t)u;
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


def skip(kind: str) -> str:
    """The function that adds a shortcut's current."""
    count = "((pixel[from[c] / 32] >> (from[c] % 32)) & 1u)" if kind == "bits" else "pixel[from[c]]"
    return SKIP.substitute(kind=kind, type=TYPES[kind], count=count)


def fire(bits: int, halving: bool, held: bool) -> str:
    """The neurons of a pixel; bits: of their membranes; held: whether those stop at a floor."""
    arguments = "shift" if halving else "multiplier, shift"
    parameters = "int32_t shift" if halving else "int32_t multiplier, int32_t shift"
    return FIRE.substitute(
        bits=bits,
        name=f"{bits}_held" if held else bits,
        held=HELD if held else "",
        sum=HELD_SUM if held else SUM,
        parameters=f"{parameters}, int32_t floor" if held else parameters,
        arguments=arguments,
        passed=f"{arguments}, floor" if held else arguments,
    )


def max_pool(kind: str) -> str:
    """The largest of each window."""
    return MAX_BITS if kind == "bits" else MAX_COUNTS.substitute(kind=kind, type=TYPES[kind])


def sum_pool(source: str, gives: str) -> str:
    """The sum of each window."""
    count = "(at[c / 32] >> (c % 32)) & 1u" if source == "bits" else "at[c]"
    return SUM_POOL.substitute(source=source, gives=gives, type=TYPES[source], result=TYPES[gives], count=count)


def add(source: str, gives: str) -> str:
    """One summand of a sum of counts."""
    count = "(in[c / 32] >> (c % 32)) & 1u" if source == "bits" else "in[c]"
    return ADD.substitute(source=source, gives=gives, type=TYPES[source], result=TYPES[gives], count=count)
