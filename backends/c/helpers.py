"""The C functions that many layers share: one template for each, filled for the types and widths that occur."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.codes import LONGEST_LIST, lane, most
from qpsnn_backends.c.counts import TYPES, WORD
from qpsnn_backends.c.helpers_pool import ADD, MAX_BITS, MAX_COUNTS, SUM_POOL

WINDOW = """\
/* A convolution, or a whole map as one window. A code is low + step * (what is stored). */
struct window {
    int32_t height, width, channels;               /* of what it reads */
    int32_t kernel_height, kernel_width;
    int32_t stride, padding;
    int32_t outputs;                               /* channels of its current */
    int32_t words;                                 /* elements of a row of codes */
    int32_t low, step;
};
"""

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

ADD_ROWS = Template("""\
/* Adds `count` listed rows of $bits-bit codes, at most $most$how. The code
 * of channel p*words + w stands in bits $bits*p.. of word w. */
static void add_$name(const uint32_t *codes, int32_t count, int32_t words)
{
    for (int32_t w = 0; w < words; w++) {
        $type *const sum = sums.of_$name + w;
        uint32_t $zeros;
        for (int32_t i = 0; i < count; i++) {
            const uint32_t word = codes[rows[i] + (uint32_t)w];
$added
        }
$apart
    }
}
""")

ADD_SUMS = Template("""\
/* drive[c] += gain[c] * (sum of codes); a code is low + step * stored, and `seen` of them were added. */
static void add_sums_$name(const struct window *k, const int32_t *gain, uint32_t seen)
{
    const uint32_t low = (uint32_t)k->low * seen, step = (uint32_t)k->step;
    const int32_t outputs = k->outputs;
    for (int32_t c = 0; c < outputs; c++) {
        drive[c] += (uint32_t)gain[c] * (low + step * sums.of_$name[c]);
    }
}
""")

CONV = Template("""\
/* Adds to `drive` the current at (y, x) of a window with $bits-bit codes: lists
 * $what, and adds up the rows of those. */
static void conv_${kind}_$name(const struct window *k, const uint32_t *codes, const int32_t *gain,
                         const $type *in, int32_t y, int32_t x)
{
    const int32_t top = y * k->stride - k->padding, left = x * k->stride - k->padding;
    const int32_t bottom = end_inside(top, k->kernel_height, k->height), begin = first_inside(left);
    const int32_t end = end_inside(left, k->kernel_width, k->width), channels = k->channels, words = k->words;
    const int32_t per_pixel = $per_pixel;
    int32_t count = 0;
    uint32_t seen = 0;

    memset(sums.of_$name, 0, (size_t)(words * $planes) * sizeof sums.of_$name[0]);
    for (int32_t ky = first_inside(top); ky < bottom; ky++) {
        const $type *at = in + ((top + ky) * k->width + left + begin) * per_pixel;
        for (int32_t kx = begin; kx < end; kx++) {
            uint32_t row = (uint32_t)((ky * k->kernel_width + kx) * channels * words);
            for (int32_t i = 0; i < per_pixel; i++, row += (uint32_t)$step) {
                $open
                    $push
                    if (count == $most) {
                        add_$name(codes, count, words);
                        count = 0;
                    }
                }
            }
        }
    }
    add_$name(codes, count, words);
    add_sums_$name(k, gain, seen);
}
""")

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
/* floor(u / 2**shift): C leaves open what >> does to negative numbers. */
static inline int32_t leak(int32_t u, int32_t shift)
{
    return u < 0 ? ~(~u >> shift) : u >> shift;
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

SUM = """\
            const int32_t u = as_signed((uint32_t)left + drive[c]);"""

HELD = "\n * A membrane is held at `floor`, which it cannot reach within the steps of one image."

HELD_SUM = """\
            const int64_t sum = (int64_t)left + as_signed(drive[c]), u = sum < floor ? floor : sum;"""

FIRE = Template("""\
/* One step of a pixel's neurons: leak, add drive; where that reaches the threshold a spike, and 0 again.$held */
static void fire_i$name(int${bits}_t *membrane, const int32_t *threshold, uint32_t *spikes,
                    int32_t channels, $parameters)
{
    for (int32_t base = 0; base < channels; base += 32) {
        const int32_t end = channels - base < 32 ? channels - base : 32;
        uint32_t word = 0;
        for (int32_t i = 0; i < end; i++) {
            const int32_t c = base + i, left = leak(membrane[c], $arguments);
$sum
            const uint32_t fired = u >= threshold[c];
            membrane[c] = fired ? 0 : (int${bits}_t)u;
            word |= fired << i;
        }
        spikes[base / 32] = word;
    }
}
""")


def name_of(bits: int, listed: bool) -> str:
    """What functions and sums for codes of this width are called."""
    return f"rows_{bits}" if listed else f"products_{bits}"


def add_rows(bits: int, listed: bool, kind: str) -> str:
    """The function that adds listed rows; kind: of the sums."""
    added = (
        _lanes(bits)
        if listed
        else [f"s{plane} += values[i] * {_part('word', bits * plane, bits)};" for plane in range(WORD // bits)]
    )
    wide, groups = (lane(bits), lane(bits) // bits) if listed else (WORD, WORD // bits)
    apart = []
    for plane in range(WORD // bits):
        part = _part(f"s{plane % groups}", plane // groups * wide, wide)
        place = f"sum[{plane} * words]" if plane > 1 else "sum[words]" if plane else "sum[0]"
        apart.append(f"        {place} = ({TYPES[kind]})({place} + {part});")
    return ADD_ROWS.substitute(
        bits=bits,
        name=name_of(bits, listed),
        how=f": in lanes of {wide} bits, which are then taken apart" if listed else ", each times its value",
        most=most(bits) if listed else LONGEST_LIST,
        type=TYPES[kind],
        zeros=", ".join(f"s{group} = 0" for group in range(groups)),
        added="\n".join(f"            {line}" for line in added),
        apart="\n".join(apart),
    )


def _lanes(bits: int) -> list[str]:
    """Several codes at once, each in a lane of its own."""
    wide = lane(bits)
    mask = sum((2**bits - 1) << place for place in range(0, WORD, wide))
    shifted = [f"(word >> {down})" if down else "word" for down in range(0, wide, bits)]
    return [f"s{group} += {one} & 0x{mask:08X}u;" for group, one in enumerate(shifted)]


def _part(word: str, down: int, bits: int) -> str:
    """`bits` bits of a word, from bit `down` on."""
    shifted = f"({word} >> {down})" if down else word
    return shifted if down + bits == WORD else f"({shifted} & 0x{2**bits - 1:X}u)"


def conv(kind: str, bits: int, listed: bool) -> str:
    """The function that lists what a window holds; kind: of the counts that it reads; listed: else multiplied."""
    spikes = kind == "bits"
    opened = f"for ({TYPES[kind]} left_over = *at++; left_over != 0; left_over--) {{"
    pushed = ["rows[count++] = row;", "seen++;"]
    if spikes:
        opened = "for (uint32_t left_over = *at++; left_over != 0; left_over &= left_over - 1) {"
        pushed = ["rows[count++] = row + lowest(left_over) * (uint32_t)words;", "seen++;"]
    elif not listed:
        opened = f"const {TYPES[kind]} value = *at++;\n                if (value != 0) {{"
        pushed = ["values[count] = value;", "rows[count++] = row;", "seen += value;"]
    return CONV.substitute(
        kind=kind,
        bits=bits,
        name=name_of(bits, listed),
        type=TYPES[kind],
        what="its spikes" if spikes else "every count as often as it says" if listed else "what is not 0",
        per_pixel="(channels + 31) / 32" if spikes else "channels",
        planes=WORD // bits,
        step=f"({WORD} * words)" if spikes else "words",
        open=opened,
        push="\n                    ".join(pushed),
        most=most(bits) if listed else LONGEST_LIST,
    )


def add_sums(name: str) -> str:
    """The function that adds a window's sums to the drive."""
    return ADD_SUMS.substitute(name=name)


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
