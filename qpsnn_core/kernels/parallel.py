"""Fixed chunks of independent work on a few threads: the same bits on any number of them.

A kernel takes `(low, high, ...)` and releases the GIL. Chunks depend on the work alone, never on the number of
threads, and no two write the same place; a sum over chunks is taken in their order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import threadpoolctl

CHUNKS = 16

kernel = numba.njit(nogil=True, cache=True, error_model="numpy")
"""The one way in which kernels are compiled: cached on disk, no GIL, no fast-math (it would hide NaN)."""

_pool: ThreadPoolExecutor | None = None
_threads = 0
_controller = threadpoolctl.ThreadpoolController()


def _available() -> int:
    chosen = os.environ.get("QPSNN_THREADS")
    if chosen:
        return max(1, int(chosen))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """The number of threads in use: `set_threads`, else QPSNN_THREADS, else the processors of this process."""
    global _threads
    if _threads == 0:
        _threads = _available()
    return _threads


def set_threads(count: int) -> None:
    """Use `count` threads from now on; results do not depend on it. ValueError unless it is at least 1."""
    global _threads
    if count < 1:
        raise ValueError(f"threads: expected at least 1, got {count}")
    _stop()
    _threads = count


def _stop() -> None:
    global _pool
    if _pool is not None:
        _pool.shutdown(wait=True)
        _pool = None


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def chunks(total: int, least: int = 1, count: int = CHUNKS) -> list[tuple[int, int]]:
    """`total` items in at most `count` ranges of at least `least`: a function of the work alone."""
    size = max(least, -(-total // count))
    return [(low, min(low + size, total)) for low in range(0, total, size)]


def each(work: Callable[..., Any], ranges: list[tuple[int, int]], *arguments: Any) -> list[Any]:
    """`work(low, high, *arguments)` for every range, in any order; the results in the order of the ranges."""
    global _pool
    if threads() == 1 or len(ranges) == 1:
        return [work(low, high, *arguments) for low, high in ranges]
    if _pool is None:
        _pool = ThreadPoolExecutor(threads(), thread_name_prefix="qpsnn")
    return list(_pool.map(lambda span: work(span[0], span[1], *arguments), ranges))


def single_blas() -> Any:
    """A context in which BLAS keeps to one thread: ours are outside it, and its sums then have one order."""
    return _controller.limit(limits=1, user_api="blas")
