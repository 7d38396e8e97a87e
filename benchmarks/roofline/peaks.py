"""What this processor can do at most: additions in registers, loads and stores by the size of what they touch, BLAS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter, thread_time
from typing import Any

import numpy as np

from qpsnn_core.common.types import Array
from qpsnn_core.kernels.conv.packing import aligned
from qpsnn_core.kernels.simd.llvm_lookup import LANES, OUTPUTS, VECTORS
from qpsnn_core.kernels.simd.llvm_tile import PIXELS, WIDE
from qpsnn_core.kernels.simd.lookup import add_look_up, look_up, no_sums, starts_of, store_sums, widen_part
from qpsnn_core.kernels.simd.tile import add_products, places_of, store_tile, zeros
from qpsnn_core.kernels.simd.vector import load16, load64, multiply_add, store
from qpsnn_core.kernels.threads import kernel

SIZES = (16, 64, 256, 512, 768, 1536, 3072, 6144, 12288, 24576, 49152, 131072)
"""KiB of the arrays that are summed and filled."""

ADDITIONS = ("float32", "int32", "int16", "uint8")


def fastest(calls: Mapping[Any, Callable[[], Any]], seconds: float, least: int = 3) -> dict[Any, float]:
    """The least seconds of each call, in turns: of this thread's own time, so that other work does not count.

    seconds: for each call, about; at least `least` turns after one that does not count.
    """
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    began, turns = perf_counter(), 0
    while turns < least or perf_counter() - began < seconds * len(calls):
        for key, call in calls.items():
            start = thread_time()
            call()
            best[key] = min(best[key], thread_time() - start)
        turns += 1
    return best


@kernel
def multiply_adds(rounds, values, out):
    """`rounds` times eight vectors of 16 numbers, each `v*x + x`, in registers throughout."""
    a, b, c, d = load16(values, 0), load16(values, 16), load16(values, 32), load16(values, 48)
    e, f, g, h = load16(values, 64), load16(values, 80), load16(values, 96), load16(values, 112)
    x = load16(values, 128)
    for _ in range(rounds):
        a, b, c, d = multiply_add(a, x, x), multiply_add(b, x, x), multiply_add(c, x, x), multiply_add(d, x, x)
        e, f, g, h = multiply_add(e, x, x), multiply_add(f, x, x), multiply_add(g, x, x), multiply_add(h, x, x)
    store(out, 0, a + b + c + d + e + f + g + h)


@kernel
def wide_additions(rounds, values, out):
    """`rounds` times eight sums of 16 numbers of four bytes; of neighbours, since equal sums would be one product."""
    a, b, c, d = load16(values, 0), load16(values, 16), load16(values, 32), load16(values, 48)
    e, f, g, h = load16(values, 64), load16(values, 80), load16(values, 96), load16(values, 112)
    for _ in range(rounds):
        a, b, c, d, e, f, g, h = a + b, b + c, c + d, d + e, e + f, f + g, g + h, h + a
    store(out, 0, a + b + c + d + e + f + g + h)


@kernel
def narrow_additions(rounds, values, out):
    """The same of 64 numbers of one or two bytes."""
    a, b, c, d = load64(values, 0), load64(values, 64), load64(values, 128), load64(values, 192)
    for _ in range(rounds):
        a, b, c, d = a + b, b + c, c + d, d + a
        a, b, c, d = a + b, b + c, c + d, d + a
    store(out, 0, a + b + c + d)


@kernel
def byte_products(rounds, counts, places, weights, out):
    """`rounds` times a word of each pixel of two tiles, times weights that stay where they are."""
    these, a, b = places_of(places, 0), zeros(True if WIDE else None), zeros(True if WIDE else None)
    for i in range(rounds):
        at = (4 * i) & 255
        a, b = add_products(a, counts, these, at, weights, 0), add_products(b, counts, these, at + 4, weights, 0)
    store_tile(out, 0, 32, a, PIXELS, 32)
    store_tile(out, 0, 32, b, PIXELS, 32)


@kernel
def look_ups(rounds, planes, starts, tables, out):
    """`rounds` times the bytes that a tile's indices find in its tables, added."""
    these, sums = starts_of(starts, 0), no_sums(out)
    part = look_up(planes, these, 0, tables, 0)
    for i in range(rounds):
        part = add_look_up(part, planes, these, (i * LANES) & 255, tables, 0)
    store_sums(out, 0, 64 * OUTPUTS, widen_part(sums, part), out, 0, 0, 0)


@kernel
def loads(rounds, values, out):
    """The sum of an array of bytes, `rounds` times over."""
    a = b = c = d = load64(out, 0)
    for _ in range(rounds):
        for i in range(0, len(values), 512):
            a, b = a + load64(values, i), b + load64(values, i + 64)
            c, d = c + load64(values, i + 128), d + load64(values, i + 192)
            a, b = a + load64(values, i + 256), b + load64(values, i + 320)
            c, d = c + load64(values, i + 384), d + load64(values, i + 448)
    store(out, 0, a + b + c + d)


@kernel
def loads_of_rows(rounds, values, places, out):
    """The same of rows of 64 float32 at `places`, which are in no order."""
    a = b = c = d = load64(out, 0)
    four, end = np.uint64(4), np.uint64(len(places) // 4 * 4)
    for _ in range(rounds):
        i = np.uint64(0)
        while i < end:
            a, b = a + load64(values, places[i]), b + load64(values, places[i + np.uint64(1)])
            c = c + load64(values, places[i + np.uint64(2)])
            d = d + load64(values, places[i + np.uint64(3)])
            i += four
    store(out, 0, a + b + c + d)


@kernel
def stores(rounds, values, out):
    """An array of bytes filled, `rounds` times over."""
    a = load64(out, 0)
    for _ in range(rounds):
        for i in range(0, len(values), 256):
            store(values, i, a)
            store(values, i + 64, a)
            store(values, i + 128, a)
            store(values, i + 192, a)


def measure(seconds: float, sizes: tuple[int, ...] = SIZES, rounds: int = 100_000) -> dict[str, Any]:
    """The peaks: thousands of millions of operations a second, and of bytes loaded and stored by size in KiB.

    Bytes are loaded in order or in rows at random, whichever is faster.
    """
    calls: dict[Any, Callable[[], Any]] = {}
    work: dict[Any, float] = {}
    for name in ADDITIONS:
        kind = np.dtype(name)
        form, lanes = (wide_additions, 16) if kind.itemsize == 4 else (narrow_additions, 64)
        calls[name] = _bound(form, rounds, _ones(512, kind), _ones(64, kind))
        work[name] = rounds * 8 * lanes
    floats = np.dtype(np.float32)
    calls["multiply_add"] = _bound(multiply_adds, rounds, _ones(512, floats), _ones(64, floats))
    work["multiply_add"] = rounds * 8 * 16 * 2
    bytes_, spots = _ones(512, np.dtype(np.uint8)), np.zeros(16, np.int64)
    whole = np.zeros(4096, np.int32)
    calls["byte_products"] = _bound(byte_products, rounds, bytes_, spots, bytes_.view(np.int8), whole)
    work["byte_products"] = rounds * 2 * PIXELS * (32 if WIDE else 16) * 4 * 2
    calls["look_ups"] = _bound(look_ups, rounds, bytes_, spots, bytes_, whole)
    work["look_ups"] = rounds * VECTORS * LANES * OUTPUTS
    side = 512
    left, right, product = (np.ones((side, side), np.float32) for _ in range(3))
    calls["sgemm"] = lambda: np.dot(left, right, out=product)
    work["sgemm"] = 2 * side**3
    for size in sizes:
        array, again = _ones(size * 1024, np.dtype(np.uint8)), max(1, 8192 // size)
        places = np.random.default_rng(0).permutation(len(array) // 256).astype(np.int32) * 64
        calls["row", size] = _bound(loads_of_rows, again, array.view(np.float32), places, _ones(64, floats))
        work["row", size] = again * size * 1024
        for name, form in (("load", loads), ("store", stores)):
            calls[name, size] = _bound(form, again, array, _ones(64, np.dtype(np.uint8)))
            work[name, size] = again * size * 1024
    best = fastest(calls, seconds, least=5)
    rates = {key: work[key] / best[key] / 1e9 for key in calls}
    found: dict[str, Any] = {"operations": {key: rate for key, rate in rates.items() if isinstance(key, str)}}
    found["load"] = [[size, max(rates["load", size], rates["row", size])] for size in sizes]
    found["store"] = [[size, rates["store", size]] for size in sizes]
    return found


def bandwidth(curve: list[list[float]], size: float) -> float:
    """Bytes a second for arrays of `size` bytes together, between what was measured."""
    known = np.array(curve)
    return float(np.interp(np.log(max(size, 1)), np.log(known[:, 0] * 1024), known[:, 1])) * 1e9


def _ones(size: int, kind: Any) -> Array:
    array = aligned(size, kind)
    array[:] = 1
    return array


def _bound(form: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: form(*arguments)
