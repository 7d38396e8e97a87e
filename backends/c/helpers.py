"""The C functions that many layers share: one template for each, filled for the types and widths that occur."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.counts import TYPES

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

OPEN = """\
/* Whether a mask opens any of so many. */
static inline int any_open(const uint8_t *mask, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (mask[i]) {
            return 1;
        }
    }
    return 0;
}
"""

KEEP_OPEN = """\
/* Take back what was added to the drive of channels that are closed: it was held. */
static void keep_open(const uint8_t *mask, int32_t channels)
{
    for (int32_t c = 0; c < channels; c++) {
        drive[c] = mask[c] ? drive[c] : held[c];
    }
}
"""

SKIP = Template("""\
/* drive[c] += gain[c] * (the pixel's count of channel from[c]). */
static void skip_$kind(const $type *pixel, const uint32_t *from, const int32_t *gain, int32_t channels)
{
    for (int32_t c = 0; c < channels; c++) {
        drive[c] += (uint32_t)gain[c] * $count;
    }
}
""")


def skip(kind: str) -> str:
    """The function that adds a shortcut's current."""
    count = "((pixel[from[c] / 32] >> (from[c] % 32)) & 1u)" if kind == "bits" else "pixel[from[c]]"
    return SKIP.substitute(kind=kind, type=TYPES[kind], count=count)
