"""What travels together between the kernels of a convolution: its sizes, its gradient, and matrices in flat memory."""

from __future__ import annotations

from typing import NamedTuple

from qpsnn_core.kernels.buffers import Array


class ConvGeometry(NamedTuple):
    """The sizes of a convolution, in pixels and channels.

    height, width, channels: of its input. outputs: C_out. kernel: rows and columns of a window. stride, padding: in
    pixels of the input. out_height, out_width: of its output.
    """

    height: int
    width: int
    channels: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    out_height: int
    out_width: int

    @classmethod
    def of(
        cls, shape: tuple[int, int, int], outputs: int, kernel: int, stride: int = 1, padding: int = 0
    ) -> ConvGeometry:
        """The geometry on an input (H, W, C_in): `Ho = (H + 2*padding - kernel) // stride + 1`, Wo likewise."""
        out_height, out_width = ((edge + 2 * padding - kernel) // stride + 1 for edge in shape[:2])
        return cls(*shape, outputs, kernel, stride, padding, out_height, out_width)


class AccGradient(NamedTuple):
    """dL/dacc, not yet computed: batch norm's backward, `factors[0]*gradient + factors[1]*total + factors[2]`.

    gradient: float32 `[M*Ho*Wo, C_out]`. total: the accumulators, integers or float32, of the same shape. factors:
    float32 `[3, C_out]`.
    """

    gradient: Array
    total: Array
    factors: Array


class Matrices(NamedTuple):
    """Many matrices in flat memory: each begins `apart` numbers after the one before, and each row `pitch` numbers."""

    numbers: Array
    apart: int
    pitch: int
