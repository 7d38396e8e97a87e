"""Shared parts of the C functions that add rows of codes: names, arguments, sums and blocks."""

from __future__ import annotations

from string import Template

from qpsnn_backends.c.codes import StoredCodes
from qpsnn_backends.c.counts import WORD

WINDOW = """\
/* A convolution, or a whole map. A code is low + step * (what is stored); where all gains are the same power of two,
 * `low` is times the gain already, and `shift` is what is stored times step and gain. */
struct window {
    int32_t height, width, channels;               /* of what it reads */
    int32_t kernel_height, kernel_width;
    int32_t stride, padding;
    int32_t words;                                 /* elements of a row of codes */
    int32_t low, step, shift;
};
"""


def function(codes: StoredCodes, kind: str, own: bool) -> str:
    """What the function for such codes is called. kind: of the counts, "" for spikes."""
    return f"{codes.name}{f'_{kind}' if kind else ''}{'_gains' if own else ''}"


def gains(own: bool) -> str:
    """The parameter for channels' own gains."""
    return " const int32_t *restrict gain," if own else ""


def every_block(name: str, sizes: list[int], span: int, call: str, own: bool) -> str:
    """A loop over each size of block. span: channels of a word."""
    lines = []
    for size in sizes:
        gain = f" gain + word * {span}," if own and span > 1 else " gain + word," if own else ""
        lines += [
            f"    for (; word + {size} <= k->words; word += {size}, driven += {size * span}) {{",
            f"        {name}_x{size}{Template(call).substitute(gain=gain)}",
            "    }",
        ]
    return "\n".join(lines)


def scale(own: bool) -> str:
    """What a sum of stored codes is scaled by: step, then the gains, or both of them as a shift."""
    return "step = (uint32_t)k->step" if own else "shift = (uint32_t)k->shift"


def zeros(names: list[str], by: int) -> str:
    """Declares sums, eight on a line."""
    lines = [names[start : start + 8] for start in range(0, len(names), 8)]
    return f"\n{' ' * by}".join(f"uint32_t {', '.join(f'{one} = 0' for one in line)};" for line in lines)


def to_drive(sums: int, wide: int, own: bool) -> list[str]:
    """What adds word i of the sums to the drive. sums: how many words there are; wide: bits of a sum."""
    places = ["i", f"{sums} + i"]
    values = ["sums[i]"] if wide == WORD else ["(sums[i] & 0xFFFFu)", "(sums[i] >> 16)"]
    if own:
        pairs = zip(places, values, strict=False)
        return [f"driven[{place}] += (uint32_t)gain[{place}] * (low + step * {value});" for place, value in pairs]
    return [f"driven[{place}] += ({value} << shift) + low;" for place, value in zip(places, values, strict=False)]


def mask(bits: int, wide: int) -> str:
    """The lowest `bits` of each `wide` bits."""
    return f"0x{sum((2**bits - 1) << place for place in range(0, WORD, wide)):08X}u"


def down(word: str, places: int) -> str:
    """A word shifted down."""
    return f"({word} >> {places})" if places else word


def indented(lines: list[str], by: int) -> str:
    """Lines of C, `by` spaces from the left."""
    return "\n".join(" " * by + line for line in lines)
