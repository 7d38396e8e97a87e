"""What the page states about each kernel: its bytes, its operations, and what limits it."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """Formulas of the bytes and operations, and a sentence."""

    moved: str
    done: str
    limit: str


UNTIMED = {
    "image_gradient": "the image's convolution has few weights",
    "through_windows": "the layers measured here go through tiles",
}
"""Kernels that count in the sums of steps.py and are not timed alone, with the reason."""

KERNELS = {
    "list_columns": Words(
        "N + 12rN, to L1",
        "3N compared",
        "stores of 64 bytes, most of them across two cache lines; a dozen instructions per 16 channels at any rate",
    ),
    "conv_forward, bytes": Words(
        "N + 2N', 9rNK x 64 of rows (half of them for 4 bits and 128 channels)",
        "9rNK x 64",
        "64 channels: lists (a third of the time) and the start and end of each window; more: loads of rows from L2",
    ),
    "conv_forward, floats": Words(
        "N + 4N', 9rNK x 256 of rows", "9rNK x 64", "loads of weight rows from L2: four lines per spike and window"
    ),
    "dense_forward": Words(
        "N + 2N', 1.5N'C of words",
        "18N'C",
        "one instruction of 64 bytes starts per cycle",
    ),
    "table_forward": Words(
        "N + 2N', 4.5N'C/6 of indices, 9N'C/6 of tables' entries, a quarter byte each",
        "9N'C/6 looked up",
        "one look-up of 64 bytes per cycle; sums are widened, and indices and tables loaded, meanwhile",
    ),
    "image_forward": Words(
        "3M + 4N'/T, 27MK x 256 of rows, each for six windows",
        "2 x 27MK x 64",
        "short sums of 27 products: six windows start and end at a time, and every pixel is broadcast",
    ),
    "short_moments": Words("2N'", "7N'", "rows of 16 channels, one after another: short rows and latencies"),
    "lif_forward": Words("2N' + N'", "6N'", "loads, stores and operations take almost equally long and hardly overlap"),
    "lif_backward": Words("6N' + 4N'", "27N'", "as `lif_forward`: its time is the sum of loads, stores and operations"),
    "int_lif": Words("2N' + N'", "6N'", "as `lif_forward`"),
    "max_forward": Words("N + N/4", "2N", "32 bytes at a time; the processor could load 64"),
    "apart_backward": Words("2N + 5N", "4N", "memory: gradients are four times as large as spikes"),
    "list_channels": Words(
        "N + 2L",
        "N compared",
        "memory if lists exceed the cache; else shuffles, and a counter per channel and 16 pixels",
    ),
    "weight_gradient": Words(
        "6N', 9LK x 256 of rows",
        "9LK x 64 + 4.5N'",
        "loads of gradient rows: two per cycle from L1, one per cycle from L2",
    ),
    "encode": Words("5w", "14w", "the division by gamma, and a sum per channel in memory"),
    "pack": Words("2w", "2w", "memory: rows of 64 or 128 codes are copied from rows of all channels"),
    "sgd_step": Words("20w", "6w", "memory"),
    "through_tiles": Words(
        "6N' + 4N, 36N of matrices in L2",
        "4.5NC",
        "its products; the transforms before and after them take the rest",
    ),
    "gradient_tiles": Words("6N', 9N' to the 36 matrices", "23N'", "stores to 36 matrices at once, far apart"),
    "products": Words("18N of matrices", "4.5NC", "multiply-adds: two per cycle"),
    "tiles_back": Words("4N, 9N from the 36 matrices", "8N", "loads from 36 matrices at once, far apart"),
}
