"""What each kernel must move and do, by the sizes of its layer: the formulas of docs/performance.md, and only here.

Kernels are timed against them (kernels.py, gradients.py), halvings of the firing rate are predicted from them
(model.py), and so is the least time of a network's step (steps.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from qpsnn_core.engine.layers.conv_gradients import TILES
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.spike_lists import LANES
from qpsnn_core.kernels.conv.tables import ENTRIES
from qpsnn_core.kernels.conv.weight_gradient import SPAN, layout
from qpsnn_core.kernels.conv.winograd import POINTS, TILE
from qpsnn_core.kernels.simd.llvm_lookup import BITS, OUTPUTS, VECTORS
from qpsnn_core.kernels.simd.llvm_lookup import LANES as WIDE
from qpsnn_core.kernels.simd.llvm_tile import PIXELS


class Cost(NamedTuple):
    """reads, writes: bytes of arrays, each once. near: bytes loaded again and again from tables of `table` bytes.

    kind: of the operations, a name of the peaks (peaks.py).
    """

    reads: float
    writes: float
    near: float
    table: float
    operations: float
    kind: str


class ConvSize(NamedTuple):
    """A convolution on maps [T, B, H, W, C] of spikes, of which `rate` are not zero; on images, T is 1.

    levels: the largest code. For kernels of neurons and pools only the sizes of the map count.
    """

    steps: int
    batch: int
    height: int
    width: int
    channels: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    rate: float = 0.15
    levels: int = 15

    @property
    def geometry(self) -> ConvGeometry:
        """As the kernels take it."""
        shape = (self.height, self.width, self.channels)
        return ConvGeometry.of(shape, self.outputs, self.kernel, self.stride, self.padding)

    @property
    def inputs(self) -> int:
        """N: input neurons, times T, times B."""
        return self.steps * self.batch * self.height * self.width * self.channels

    @property
    def sums(self) -> int:
        """N': sums, of all outputs."""
        geometry = self.geometry
        return self.steps * self.batch * geometry.out_height * geometry.out_width * self.outputs

    @property
    def blocks(self) -> int:
        """K: blocks of 64 output channels."""
        return -(-self.outputs // LANES)

    @property
    def weights(self) -> int:
        """w."""
        return self.kernel**2 * self.channels * self.outputs

    @property
    def rows(self) -> float:
        """Weight rows that all windows add in a block: one for each spike and window that contains it.

        With less than 64 outputs, windows side by side share a row.
        """
        pairs = 1
        for size in (self.height, self.width):
            last = size + 2 * self.padding - self.kernel
            starts = range(-self.padding, last - self.padding + 1, self.stride)
            pairs *= sum(min(start + self.kernel, size) - max(start, 0) for start in starts)
        windows = max(n for n in range(1, max(1, LANES // self.outputs) + 1) if self.geometry.out_width % n == 0)
        shared = (self.kernel + (windows - 1) * self.stride) / (self.kernel * windows)
        return self.steps * self.batch * pairs * self.channels * self.rate * min(shared, 1.0)


def list_columns(size: ConvSize) -> Cost:
    """The spikes of each column of pixels, listed for the windows above it."""
    listed = size.inputs * size.rate
    return Cost(size.inputs, 0, 12 * listed, 12 * size.width * size.channels * size.rate, 3 * size.inputs, "uint8")


def conv_bytes(size: ConvSize) -> Cost:
    """`conv_forward` on codes: two 4-bit codes share a byte from 128 outputs on; 8-bit codes take two."""
    pairs = size.levels < 16 and size.outputs >= 2 * LANES
    wide = 1 if size.levels < 64 else 2
    row = -(-size.outputs // (LANES * (2 if pairs else 1))) * LANES * wide
    table = size.kernel**2 * size.channels * LANES * wide
    added = size.rows * size.blocks * LANES
    return Cost(size.inputs, 2 * size.sums, size.rows * row, table, added, "uint8" if wide == 1 else "int16")


def dense_forward(size: ConvSize) -> Cost:
    """All counts times all codes, of 8 bits as two digits: a tile of windows shares a word of the weights."""
    digits = 1 if size.levels < 128 else 2
    done = digits * size.kernel**2 * size.channels * size.sums
    table = digits * size.kernel**2 * size.channels * LANES // 2
    return Cost(size.inputs, 2 * size.sums, done / PIXELS, table, 2 * done, "byte_products")


def table_forward(size: ConvSize) -> Cost:
    """A byte is looked up for BITS channels, of codes of 7 and 8 bits twice.

    VECTORS * WIDE windows share a table, OUTPUTS output channels an index.
    """
    digits = 1 if size.levels < 64 else 2
    steps = digits * size.kernel**2 * -(-size.channels // BITS)
    near = steps * size.sums * (ENTRIES / (VECTORS * WIDE) + 1 / OUTPUTS)
    return Cost(size.inputs, 2 * size.sums, near, steps * size.outputs * ENTRIES, steps * size.sums, "look_ups")


def conv_floats(size: ConvSize) -> Cost:
    """`conv_forward` on float32 weights."""
    added = size.rows * size.blocks * LANES
    table = size.kernel**2 * size.channels * LANES * 4
    return Cost(size.inputs, 4 * size.sums, added * 4, table, added, "float32")


def image_forward(size: ConvSize) -> Cost:
    """Six windows share a row of weights."""
    taps = size.kernel**2 * size.inputs * size.blocks // size.stride**2
    table = size.kernel**2 * size.channels * LANES * 4
    return Cost(size.inputs, 4 * size.sums, taps * LANES * 4 // 6, table, taps * LANES * 2, "multiply_add")


def image_gradient(size: ConvSize) -> Cost:
    """A product of pixels and gradients for each weight."""
    done = 2 * size.kernel**2 * size.channels * size.sums
    return Cost(6 * size.sums + size.inputs, 4 * size.weights, 0, 0, done, "multiply_add")


def short_moments(size: ConvSize) -> Cost:
    """Sums and sums of squares of int16."""
    return Cost(2 * size.sums, 0, 0, 0, 7 * size.sums, "int32")


def lif_forward(size: ConvSize) -> Cost:
    """Sums to spikes."""
    return Cost(2 * size.sums, size.sums, 0, 0, 6 * size.sums, "float32")


def lif_backward(size: ConvSize) -> Cost:
    """The membrane once more, and the gradient back through time."""
    return Cost(6 * size.sums, 4 * size.sums, 0, 0, 27 * size.sums, "float32")


def int_lif(size: ConvSize) -> Cost:
    """Sums to spikes, in integers."""
    return Cost(2 * size.sums, size.sums, 0, 0, 6 * size.sums, "int32")


def max_forward(size: ConvSize) -> Cost:
    """Windows of 2 x 2 that do not overlap."""
    return Cost(size.inputs, size.inputs / 4, 0, 0, 2 * size.inputs, "uint8")


def apart_backward(size: ConvSize) -> Cost:
    """The gradient of such windows."""
    return Cost(6 * size.inputs, 4 * size.inputs, 0, 0, 4 * size.inputs, "float32")


def spans(size: ConvSize) -> tuple[int, float]:
    """T', the steps whose gradients are summed together, and L, the neurons that spike at all within them."""
    span = min(size.steps, SPAN)
    return span, size.inputs / span * (1 - (1 - size.rate) ** span)


def list_channels(size: ConvSize) -> Cost:
    """The spikes of each channel."""
    return Cost(size.inputs, 2 * spans(size)[1], 0, 0, size.inputs, "uint8")


def weight_gradient(size: ConvSize) -> Cost:
    """Under each listed neuron, the rows of the gradient that it touched."""
    span, listed = spans(size)
    adds = size.kernel**2 / size.stride**2 * listed * size.blocks * LANES
    laid = 4 * size.sums + (2**span - 1 - span) / span * size.sums
    shape = layout(size.steps, size.batch, size.geometry, 1)
    return Cost(6 * size.sums, 0, adds * 4, 4 * shape.rows * shape.lanes, adds + laid, "float32")


def encode(size: ConvSize) -> Cost:
    """Weights to codes."""
    return Cost(4 * size.weights, size.weights, 0, 0, 14 * size.weights, "float32")


def pack(size: ConvSize) -> Cost:
    """Codes to the rows that the gather reads."""
    return Cost(size.weights, size.weights, 0, 0, 2 * size.weights, "uint8")


def sgd_step(size: ConvSize) -> Cost:
    """Gradient, momentum and weight to both anew."""
    return Cost(12 * size.weights, 8 * size.weights, 0, 0, 6 * size.weights, "float32")


def matrices(size: ConvSize) -> tuple[float, float, float]:
    """Bytes of Winograd's 36 matrices: of the gradient, of the product, and of those in the cache at a time."""
    each = POINTS / TILE**2 * 4
    return each * size.sums, each * size.inputs, POINTS * TILES * size.outputs * 4


def tile_products(size: ConvSize) -> float:
    """Operations of the products of all tiles."""
    return 2 * POINTS / TILE**2 * size.inputs * size.outputs


def through_tiles(size: ConvSize) -> Cost:
    """The input gradient by Winograd's algorithm, tiles by tiles."""
    before, after, room = matrices(size)
    near = 2 * (before + after)
    return Cost(6 * size.sums, 4 * size.inputs, near, 2 * room, tile_products(size), "multiply_add")


def gradient_tiles(size: ConvSize) -> Cost:
    """Its transform of the gradient."""
    before, _, room = matrices(size)
    return Cost(6 * size.sums, 0, before, room, 23 * size.sums, "float32")


def products(size: ConvSize) -> Cost:
    """Its 36 products."""
    before, after, room = matrices(size)
    return Cost(0, 0, before + after, 2 * room, tile_products(size), "multiply_add")


def tiles_back(size: ConvSize) -> Cost:
    """Its transform back."""
    _, after, room = matrices(size)
    return Cost(0, 4 * size.inputs, after, room, 8 * size.inputs, "float32")


def through_windows(size: ConvSize) -> Cost:
    """The input gradient of other kernels: one product, and its windows added up."""
    done = 2 * size.kernel**2 * size.channels * size.sums
    return Cost(6 * size.sums, 4 * size.inputs, 0, 0, done, "multiply_add")


COSTS: dict[str, Callable[[ConvSize], Cost]] = {
    "list_columns": list_columns,
    "conv_forward, bytes": conv_bytes,
    "conv_forward, floats": conv_floats,
    "dense_forward": dense_forward,
    "table_forward": table_forward,
    "image_forward": image_forward,
    "image_gradient": image_gradient,
    "short_moments": short_moments,
    "lif_forward": lif_forward,
    "lif_backward": lif_backward,
    "int_lif": int_lif,
    "max_forward": max_forward,
    "apart_backward": apart_backward,
    "list_channels": list_channels,
    "weight_gradient": weight_gradient,
    "encode": encode,
    "pack": pack,
    "sgd_step": sgd_step,
    "through_tiles": through_tiles,
    "gradient_tiles": gradient_tiles,
    "products": products,
    "tiles_back": tiles_back,
    "through_windows": through_windows,
}
"""By the name of the kernel, as the tables say it."""
