"""Convolutions of counts with integer codes, by the fastest of three kernels, which give the same integers.

`forward.conv_forward` adds a row of weights for each spike; `byte_products.dense_forward` multiplies every count;
`table_products.table_forward` looks up the sums of a few spikes at once. What each costs for a shape is measured when
the shape is first met (some milliseconds, once for a processor: `measured`), and how many neurons spike is looked up in
a sample of the input.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from math import inf
from time import thread_time
from typing import Any, NamedTuple

import numba
import numpy as np

from qpsnn_core.kernels.buffers import Array
from qpsnn_core.kernels.conv import measured
from qpsnn_core.kernels.conv.byte_products import DenseWeights, dense_forward, images_at_once, pack_bytes
from qpsnn_core.kernels.conv.forward import conv_forward
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.measured import Cost
from qpsnn_core.kernels.conv.packing import PackedWeights, pack
from qpsnn_core.kernels.conv.table_products import table_forward
from qpsnn_core.kernels.conv.tables import TableWeights, images_together, pack_tables, table_bytes
from qpsnn_core.kernels.conv.tiles import TileWeights, pack_tiles, tile_forward
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.kernels.simd.llvm_amx import granted
from qpsnn_core.kernels.simd.llvm_tile import VNNI
from qpsnn_core.kernels.threads import parallel_for

PRODUCT = "QPSNN_PRODUCT"
"""The variable that says how spikes meet integer codes: gather, dense, table, or auto, the default: the fastest of
these; or tiles, Intel's tile unit, which auto never takes."""

GATHER, DENSE, TABLE, TILES, AUTO = "gather", "dense", "table", "tiles", "auto"

MAX_EVENT_COUNT = 16
"""Larger counts, those of images, are never listed one by one: they take the dense product."""

IMAGES_WIN = VNNI
"""Whether images take the dense product where float32 would be exact, too (`image.image_forward`): 1.6 to 2.8 times as
fast on an AMD Zen 4; without VNNI, three products of digits take longer."""

SAMPLES, PIECE = 4, 1024
"""The rate of an input is that of so many pieces of it, of so many numbers each: some microseconds."""

WORK, MOST_IMAGES, RATES = 1.0e8, 64, (0.05, 0.3)
"""A shape is measured on so many products, about, in at most so many images, which fire at these rates."""

REPEATS, BUDGET = 5, 0.02
"""The best of so many turns is taken; none begins after so many seconds."""

LARGEST_TABLES = 2**23
"""Bytes of tables, at most: larger ones come from memory, and take long to make."""

INTERPRETED = bool(getattr(numba.config, "DISABLE_JIT"))  # noqa: B009 - numba fills its config at run time
"""Whether kernels run as Python: then nothing is fast, and nothing is measured."""


class Product(NamedTuple):
    """One convolution of counts with codes, but for its input.

    codes: int8 or int16 [k, k, C_in, C_out]. max_count: the largest count, or magnitude of a signed integer. levels:
    as for `pack`. geometry: ConvGeometry.
    """

    codes: Array
    max_count: int
    geometry: ConvGeometry
    levels: int | None = None

    @property
    def looked_up(self) -> bool:
        """Whether tables may serve it: counts are 0 or 1, and the tables not too large."""
        return self.max_count == 1 and table_bytes(self.geometry) <= LARGEST_TABLES

    def rows(self) -> PackedWeights:
        """The codes as `conv_forward` reads them."""
        return pack(self.codes, self.geometry.stride, self.geometry.out_width, self.levels)

    def bytes(self) -> DenseWeights:
        """The codes as `dense_forward` reads them."""
        return pack_bytes(self.codes, self.max_count)

    def tables(self) -> TableWeights:
        """The codes as `table_forward` reads them."""
        return pack_tables(self.codes, self.geometry)

    def tiles(self) -> TileWeights:
        """The codes as `tile_forward` reads them."""
        return pack_tiles(self.codes)

    def key(self, dtype: Any) -> str:
        """What its cost depends on, as text. dtype: of the sums."""
        codes = self.codes
        largest = self.levels or max(int(codes.max(initial=0)), -int(codes.min(initial=0)))
        return _text((*self.geometry, codes.dtype, largest.bit_length(), np.dtype(dtype), self.max_count))


@cache
def _text(parts: tuple[Any, ...]) -> str:
    return " ".join(map(str, parts))


def integer_conv(product: Product, counts: Array, total: Array, kept: dict[str, Any] | None = None) -> None:
    """`total[(m*Ho*Wo + y*Wo + x)*C_out + co]` = the sum of codes times counts of each window.

    counts: unsigned, or signed images, flat `[M*H*W*C_in]`. total: int16 or int32, flat, written; the caller has shown
    that the sums fit, of signed images also those of magnitudes.
    kept: where packed weights stay for further calls of the same product; None: they are packed for this call alone.
    ValueError as in `chosen`.
    """
    if counts.dtype.kind == "i":
        _signed_conv(product, counts, total, kept)
        return
    geometry = product.geometry
    images = len(counts) // (geometry.height * geometry.width * geometry.channels)
    route = route_of(product, counts, images, total.dtype, kept)
    work, pack_codes = ROUTES[route]
    least = LEAST[route](geometry)
    packed = pack_codes(product) if kept is None else _once(kept, route, lambda: pack_codes(product))
    parallel_for(work, images, least, counts, product.max_count, packed, total, geometry)


def _signed_conv(product: Product, images: Array, total: Array, kept: dict[str, Any] | None) -> None:
    """`f(x) = f(max(x, 0)) - f(max(-x, 0))`: two products of counts; the padding's zeros are in both."""
    dtype, below = count_type(product.max_count), np.empty_like(total)
    integer_conv(product, np.maximum(images, 0).astype(dtype), total, kept)
    integer_conv(product, np.maximum(-images.astype(np.int64), 0).astype(dtype), below, kept)
    total -= below


def route_of(
    product: Product,
    counts: Array,
    images: int,
    dtype: Any,
    kept: dict[str, Any] | None = None,
    share: float = 1.0,
) -> str:
    """Which kernel is taken, a key of ROUTES: as QPSNN_PRODUCT says, else that which takes less time.

    counts: of so many images. dtype: of the sums. kept: as for `integer_conv`. share: of the additions that are left
    where gates close some, which only the gather kernel leaves out.
    """
    choice = chosen()
    if choice == TILES or product.max_count > MAX_EVENT_COUNT:
        return TILES if choice == TILES else DENSE
    if choice == TABLE and not product.looked_up:
        return DENSE
    if choice != AUTO or INTERPRETED:
        return GATHER if choice == AUTO else choice
    cost = cost_of(product, dtype) if kept is None else _once(kept, "cost", lambda: cost_of(product, dtype))
    crossing = cost.crossing(images, kept is None)
    if crossing > 0 and (crossing >= product.max_count or share * rate_of(counts, product.max_count) <= crossing):
        return GATHER
    dense, table = cost.steady(images, kept is None)
    return TABLE if table < dense else DENSE


ROUTES: dict[str, tuple[Any, Callable[[Product], Any]]] = {
    GATHER: (conv_forward, Product.rows),
    DENSE: (dense_forward, Product.bytes),
    TABLE: (table_forward, Product.tables),
    TILES: (tile_forward, Product.tiles),
}
"""The kernels, and how each wants its weights."""

LEAST: dict[str, Callable[[ConvGeometry], int]] = {
    GATHER: lambda geometry: 1,
    DENSE: images_at_once,
    TABLE: images_together,
    TILES: images_at_once,
}
"""The fewest images that are worth a thread's while."""


def chosen() -> str:
    """What QPSNN_PRODUCT says. ValueError if it is no word of these five, or tiles where there are none."""
    choice = os.environ.get(PRODUCT, AUTO)
    if choice not in (*ROUTES, AUTO):
        raise ValueError(f"{PRODUCT}: expected gather, dense, table, tiles or auto, got {choice!r}")
    if choice == TILES and not (INTERPRETED or granted()):
        raise ValueError(
            f"{PRODUCT}=tiles: expected a processor with amx_int8 on a Linux that grants it, got one without: take auto"
        )
    return choice


def rate_of(counts: Array, max_count: int) -> float:
    """Counts per number, in a sample of a flat array. max_count: the largest; spikes, 0 or 1, are quickly counted."""
    apart = max(PIECE, len(counts) // SAMPLES)
    pieces = [counts[begin : begin + PIECE] for begin in range(0, len(counts), apart)]
    size = sum(map(len, pieces))
    if max_count == 1 and counts.itemsize == 1:
        return sum(np.count_nonzero(piece.view(np.bool_)) for piece in pieces) / max(1, size)
    return sum(int(piece.sum()) for piece in pieces) / max(1, size)


def cost_of(product: Product, dtype: Any) -> Cost:
    """What a convolution of this shape costs: known, or measured now and kept. dtype: of the sums."""
    key = product.key(dtype)
    cost = measured.known(key)
    if cost is None:
        cost = measure(product, dtype)
        measured.remember(key, cost)
    return cost


def measure(product: Product, dtype: Any) -> Cost:
    """On a few images of random spikes, or on their upper rows; after a call of each kernel that compiles it."""
    codes, max_count, whole, _ = product
    geometry, images = _sample(whole, codes.size)
    windows, numbers = geometry.out_height * geometry.out_width, geometry.height * geometry.width * geometry.channels
    rng = np.random.default_rng(0)
    spikes = [(rng.random(images * numbers) < rate).astype(count_type(max_count)) for rate in RATES]
    total, rows, words = np.empty(images * windows * geometry.outputs, dtype), product.rows(), product.bytes()
    calls: list[Callable[[], object]] = [
        lambda: conv_forward(0, images, spikes[0], max_count, rows, total, geometry),
        lambda: conv_forward(0, images, spikes[1], max_count, rows, total, geometry),
        lambda: dense_forward(0, images, spikes[1], max_count, words, total, geometry),
        product.rows,
        product.bytes,
    ]
    if product.looked_up:
        tables = product.tables()
        calls += [product.tables, lambda: table_forward(0, images, spikes[1], 1, tables, total, geometry)]
    few, many, dense, gather_pack, dense_pack, *rest = _fastest(calls)
    table_pack, table = rest or (inf, inf)
    rise, each = max(0.0, (many - few) / (RATES[1] - RATES[0])), whole.out_height / geometry.out_height / images
    gather = max(0.0, few - rise * RATES[0]) * each
    return Cost(gather, rise * each, dense * each, table * each, gather_pack, dense_pack, table_pack)


def _sample(whole: ConvGeometry, weights: int) -> tuple[ConvGeometry, int]:
    """A geometry of as many rows, and as many images, as make about WORK products with so many weights.

    Images are as many as tables want together: rows are cut where these are too much work.
    """
    height, width, channels, outputs, kernel, stride, padding, out_height, out_width = whole
    rows = max(1, int(WORK // (out_width * weights)))
    together = min(rows, images_together(whole))
    each = rows // together
    if each < out_height:
        height = max(1, min(height, (each - 1) * stride + kernel - 2 * padding))
        return ConvGeometry.of((height, width, channels), outputs, kernel, stride, padding), together
    most = min(MOST_IMAGES, max(images_at_once(whole), rows // out_height))
    return whole, max(1, most // together) * together


def _fastest(calls: list[Callable[[], object]]) -> list[float]:
    """Seconds of this thread's processor: the least of REPEATS turns, or of as many as BUDGET allows, but of one."""
    for call in calls:
        call()
    best, spent = [float("inf")] * len(calls), 0.0
    for _ in range(REPEATS):
        for place, call in enumerate(calls):
            began = thread_time()
            call()
            took = thread_time() - began
            best[place], spent = min(best[place], took), spent + took
        if spent > BUDGET:
            break
    return best


def _once(store: dict[str, Any], name: str, make: Callable[[], Any]) -> Any:
    if name not in store:
        store[name] = make()
    return store[name]
