"""The C functions that add up rows of codes, each times a count: of images and of sums of spikes."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.codes import StoredCodes
from qpsnn_backends.c.counts import SIGNED, TYPES, WORD
from qpsnn_backends.c.helpers_sums import down, every_block, function, gains, indented, mask, scale, to_drive, zeros

LONGEST_LIST = 64
"""Products that are listed at a time."""

PLAIN_BLOCKS = (16, 4, 1)
"""Codes of a byte or two that are added up together."""

PRODUCTS_BLOCK = Template("""\
/* Adds listed rows of codes, each times its value, to the current of $channels channels. */
static void ${name}_x$size(const struct window *k, const $type *codes,$gains
                                int32_t count, uint32_t seen, uint32_t *restrict driven)
{
    const uint32_t low = (uint32_t)k->low * seen, $scale;
    $zeros
    for (int32_t i = 0; i < count; i++) {
        const $factor value = ($factor)lists.of_values.values[i];
        const $type *row = codes + lists.of_values.rows[i];
$added
    }
    const uint32_t sums[$sums] = {$names};
    for (int32_t i = 0; i < $sums; i++) {
$driven
    }
}
""")

PRODUCTS_ALL = Template("""\
/* Adds what is listed to the drive. */
static void ${name}_all(const struct window *k, const $type *codes,$gains
                                int32_t count, uint32_t seen)
{
    uint32_t *driven = drive;
    int32_t word = 0;
$blocks
}
""")

PRODUCTS = Template("""\
/* Adds the current of the window at (y, x) to the drive: lists what is not 0, and adds up the rows of those. */
static void $name(const struct window *k, const $type *codes,$gains
                            const $value *in, int32_t y, int32_t x)
{
    const int32_t top = y * k->stride - k->padding, left = x * k->stride - k->padding, words = k->words;
    const int32_t bottom = end_inside(top, k->kernel_height, k->height), begin = first_inside(left);
    const int32_t length = (end_inside(left, k->kernel_width, k->width) - begin) * k->channels;
    int32_t count = 0;
    uint32_t seen = 0;
    for (int32_t ky = first_inside(top); ky < bottom; ky++) {
        const $value *at = in + ((top + ky) * k->width + left + begin) * k->channels;
        int32_t row = (ky * k->kernel_width + begin) * k->channels * words;
        for (int32_t i = 0; i < length; i++, row += words) {
            if (at[i] != 0) {
                lists.of_values.values[count] = at[i];
                lists.of_values.rows[count++] = ($row)row;
                seen += $one;
                if (count == $most) {
                    ${name}_all(k, codes,$gain count, seen);
                    count = 0;
                    seen = 0;
                }
            }
        }
    }
    ${name}_all(k, codes,$gain count, seen);
}
""")


def products(codes: StoredCodes, kind: str, own: bool, row: str, sizes: set[int]) -> list[str]:
    """The functions that add up rows times values; kind: of the counts that they read; row: the type of rows[]."""
    name = function(codes, kind, own)
    element = "uint32_t" if codes.packed else f"uint{codes.bits}_t"
    signed, small = kind in SIGNED.values(), codes.bits == 8 and not codes.packed
    # As two's complement of 32 bits sums come out right, whatever their signs; products of bytes fit 16 bits.
    factor = TYPES[kind] if not signed else "int16_t" if kind == "s8" and small else "uint32_t"
    one = "(uint32_t)at[i]" if signed else "at[i]"
    words = {"name": name, "gains": gains(own), "type": element, "value": TYPES[kind], "row": row}
    words |= {"factor": factor, "one": one}
    ordered = [size for size in PLAIN_BLOCKS if size in sizes]
    texts = [_products_block(codes, kind, own, size, words) for size in ordered]
    span = WORD // codes.bits if codes.packed else 1
    text = PRODUCTS_ALL.substitute(
        words, blocks=every_block(name, ordered, span, "(k, codes + word,$gain count, seen, driven);", own)
    )
    gain = " gain," if own else ""
    return [*texts, text, PRODUCTS.substitute(words, most=LONGEST_LIST, gain=gain)]


def _products_block(codes: StoredCodes, kind: str, own: bool, size: int, words: dict[str, str]) -> str:
    bits, small = codes.bits, {"u8": "(uint16_t)", "s8": "(uint32_t)(int16_t)"} if codes.bits == 8 else {}
    count = codes.lane // bits if codes.packed else size
    if codes.packed:
        parts = [f"value * ({down('row[0]', i * bits)} & {mask(bits, codes.lane)})" for i in range(count)]
    else:
        product = f"{small[kind]}(value * row[{{}}])" if kind in small else "(uint32_t)value * row[{}]"
        parts = [product.format(i) for i in range(count)]
    names = [f"a{i}" for i in range(count)]
    return PRODUCTS_BLOCK.substitute(
        words,
        size=size,
        channels=size * WORD // bits if codes.packed else size,
        scale=scale(own),
        zeros=zeros(names, 4),
        added=indented([f"{one} += {part};" for one, part in zip(names, parts, strict=True)], 8),
        sums=count,
        names=", ".join(names),
        driven=indented(to_drive(count, codes.lane, own), 8),
    )
