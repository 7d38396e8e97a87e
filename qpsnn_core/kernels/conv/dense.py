"""Products of two matrices of real numbers, in one order on every processor: what BLAS is not used for."""

from __future__ import annotations

import numpy as np

from qpsnn_core.kernels.buffers import Array, empty
from qpsnn_core.kernels.conv.gemm import ROWS, WIDTH, load, products
from qpsnn_core.kernels.conv.geometry import Matrices
from qpsnn_core.kernels.simd.vector import store
from qpsnn_core.kernels.threads import kernel, parallel_for

MIN_CHUNK_ROWS = 96
"""Least number of rows of the left matrix in a chunk."""


@kernel
def panel_products(start, stop, left, panels, inner, rows, wide, out):
    """Rows start..stop-1 of `left @ right`, float32, each element the sum over `inner` in order, rounded once a term.

    left: flat `[rows, inner]`. panels: right, `[panels, inner*WIDTH]`. out: flat `[rows, wide]`, written: `wide` is
    the width of all panels. Both have ROWS rows of memory at least. Fewer rows than that are computed with those
    before them.
    """
    first = max(0, min(start, rows - ROWS))
    for panel in range(len(panels)):
        there, product = Matrices(left[first * inner :], 0, inner), Matrices(out[first * wide :], 0, wide)
        products(1, there, Matrices(panels[panel], 0, WIDTH), product, stop - first, inner, panel * WIDTH)


@kernel
def part_products(start, stop, left, panels, parts, rows, wide, out):
    """As `panel_products`, but each element is the sum of sums: of each part of the inner indices, added in order.

    parts: int64 `[parts, 2]`, the inner indices from and to.
    """
    first, inner = max(0, min(start, rows - ROWS)), panels.shape[1] // WIDTH
    room = np.empty((stop - first + ROWS) * WIDTH, np.float32)
    for panel in range(len(panels)):
        for part in range(len(parts)):
            begin, end = parts[part, 0], parts[part, 1]
            there = Matrices(left[first * inner + begin :], 0, inner)
            right = Matrices(panels[panel][begin * WIDTH :], 0, WIDTH)
            products(1, there, right, Matrices(room, 0, WIDTH), stop - first, end - begin, 0)
            for row in range(start, stop):
                at, source = row * wide + panel * WIDTH, (row - first) * WIDTH
                one = load(room, source)
                store(out, at, one if part == 0 else load(out, at) + one)


def multiply(left: Array, right: Array) -> Array:
    """`left @ right` in float32: `[M, K]` and `[K, N]`, any numbers, each element summed over K in order."""
    return through_panels(left, panels_of_columns(right), right.shape[1])


def multiply_parts(left: Array, right: Array, parts: Array) -> Array:
    """`left @ right` in float32, summed over each part of K in order, and over parts in order.

    left: `[M, K]`, right: `[K, N]`, any numbers. parts: int64 `[parts, 2]`, indices of K from and to.
    """
    columns, (rows, _) = right.shape[1], left.shape
    there, panels = _at_least_rows(left), panels_of_columns(right)
    out = empty((len(there), len(panels) * WIDTH), np.float32)
    given = there.reshape(-1), panels, parts, len(there), out.shape[1], out.reshape(-1)
    parallel_for(part_products, rows, MIN_CHUNK_ROWS, *given)
    found: Array = out[:rows, :columns]
    return found


def panels_of_columns(right: Array) -> Array:
    """A matrix `[K, N]` as `through_panels` reads it: float32 `[panels, K*WIDTH]`, zeros beyond the last column."""
    inner, columns = right.shape
    panels = np.zeros((-(-columns // WIDTH), inner, WIDTH), np.float32)
    for panel in range(len(panels)):
        part = right[:, panel * WIDTH : (panel + 1) * WIDTH]
        panels[panel, :, : part.shape[1]] = part
    return panels.reshape(len(panels), -1)


def through_panels(left: Array, panels: Array, columns: int) -> Array:
    """The product of `left` `[M, K]` and a matrix of so many columns in panels, float32 `[M, columns]`."""
    (rows, inner), wide = left.shape, len(panels) * WIDTH
    there = _at_least_rows(left)
    out = empty((len(there), wide), np.float32)
    given = there.reshape(-1), panels, inner, len(there), wide, out.reshape(-1)
    parallel_for(panel_products, rows, MIN_CHUNK_ROWS, *given)
    found: Array = out[:rows, :columns]
    return found


def _at_least_rows(left: Array) -> Array:
    """A matrix in float32 with ROWS rows at least, the last ones zeros."""
    there = np.ascontiguousarray(left, np.float32)
    if len(left) < ROWS:
        there = np.concatenate((there, np.zeros((ROWS - len(left), left.shape[1]), np.float32)))
    return there
