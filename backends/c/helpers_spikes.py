"""The C functions that list spikes, and add up their rows of codes in lanes of a word."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.codes import SPIKE_BLOCKS, StoredCodes, chunk, lane
from qpsnn_backends.c.counts import WORD
from qpsnn_backends.c.helpers_sums import down, every_block, function, gains, indented, mask, scale, to_drive, zeros

LIST = Template("""\
/* Lists the spikes of columns from..to in the rows of windows at `top`, column by column: in event[i] the row of codes
 * of spike i, for a window that begins at column `from`; in column[x - from] the first spike of column x. */
static void make_list(const struct window *k, const uint32_t *in, int32_t top, int32_t from, int32_t to,
                      $event *event, $event *column)
{
    const int32_t bottom = end_inside(top, k->kernel_height, k->height), words = (k->channels + 31) / 32;
    int32_t count = 0;
    for (int32_t x = from; x < to; x++) {
        column[x - from] = ($event)count;
        for (int32_t ky = first_inside(top); ky < bottom; ky++) {
            const uint32_t *at = in + ((top + ky) * k->width + x) * words;
            uint32_t row = (uint32_t)(((x - from) * k->kernel_height + ky) * k->channels);
            for (int32_t i = 0; i < words; i++, row += 32) {
                for (uint32_t left_over = at[i]; left_over != 0; left_over &= left_over - 1) {
                    event[count++] = ($event)(row + lowest(left_over));
                }
            }
        }
    }
    column[to - from] = ($event)count;
}
""")

SPIKES_BLOCK = Template("""\
/* Adds the rows of `count` spikes, $size words of $bits-bit codes, to the current of $channels channels: at most $most
 * at a time in lanes of $wide bits. Channel ${size}p + w stands in bits ${bits}p.. of word w. */
static void ${name}_x$size(const struct window *k, const uint32_t *codes,$gains
                            const $event *event, int32_t count, int32_t first, uint32_t *restrict driven)
{
    const int32_t words = k->words;
    const uint32_t low = (uint32_t)k->low * (uint32_t)count, $scale;
    uint32_t sums[$sums] = {0};
    for (int32_t from = 0; from < count; from += $most) {
        const int32_t end = count - from < $most ? count : from + $most;
        $zeros
        for (int32_t i = from; i < end; i++) {
            const uint32_t *row = codes + (event[i] + first) * words;
$added
        }
$apart
    }
    for (int32_t i = 0; i < $sums; i++) {
$driven
    }
}
""")

SPIKES = Template("""\
/* Adds the current of the window at column x to the drive; event and column: as make_list left them. */
static void $name(const struct window *k, const uint32_t *codes,$gains
                         const $event *event, const $event *column, int32_t x)
{
    const int32_t left = x * k->stride - k->padding, first = -left * k->kernel_height * k->channels;
    const int32_t begin = column[left + first_inside(left)];
    const int32_t count = column[left + end_inside(left, k->kernel_width, k->width)] - begin;
    uint32_t *driven = drive;
    int32_t word = 0;
    event += begin;
$blocks
}
""")


def make_list(event: str) -> str:
    """The function that lists spikes; event: the type of a list's elements."""
    return LIST.substitute(event=event)


def spikes(codes: StoredCodes, own: bool, event: str, sizes: set[int]) -> list[str]:
    """The functions that add up rows for spikes; own: whether channels have gains of their own; sizes: of blocks."""
    name = function(codes, "", own)
    words = {"name": name, "event": event, "gains": gains(own)}
    ordered = [size for size in SPIKE_BLOCKS if size in sizes]
    texts = [_spikes_block(codes, own, size, words) for size in ordered]
    span = WORD // codes.bits
    calls = "(k, codes + word,$gain event, count, first, driven);"
    return [*texts, SPIKES.substitute(words, blocks=every_block(name, ordered, span, calls, own))]


def _spikes_block(codes: StoredCodes, own: bool, size: int, words: dict[str, str]) -> str:
    bits, wide = codes.bits, lane(codes.bits)
    groups, parts = wide // bits, codes.lane // wide
    lowest = mask(bits, wide)
    names = [[f"{'abcd'[group]}{word}" for word in range(size)] for group in range(groups)]
    added = [
        f"{names[group][word]} += {down(f'row[{word}]', group * bits)} & {lowest};"
        for group in range(groups)
        for word in range(size)
    ]
    apart = []
    for part in range(parts):
        for group in range(groups):
            for word in range(size):
                taken = _part(names[group][word], part * wide, wide, codes.lane)
                apart.append(f"sums[{((part * groups) + group) * size + word}] += {taken};")
    sums = groups * parts * size
    return SPIKES_BLOCK.substitute(
        words,
        size=size,
        bits=bits,
        channels=size * WORD // bits,
        most=chunk(bits),
        wide=wide,
        sums=sums,
        scale=scale(own),
        zeros="\n        ".join(zeros(group, 8) for group in names),
        added=indented(added, 12),
        apart=indented(apart, 8),
        driven=indented(to_drive(sums, codes.lane, own), 8),
    )


def _part(word: str, first: int, bits: int, every: int) -> str:
    """`bits` bits from bit `first` on, of each `every` bits of a word."""
    if bits == every:
        return word
    last = first + bits == WORD == every
    return f"{word} >> {first}" if last else f"{down(word, first)} & {mask(bits, every)}"
