"""Fixed chunks of independent work on a few threads: the same bits on any number of them.

A kernel takes `(start, stop, ...)` and releases the GIL. Chunks depend on the work alone, never on the number of
threads, and no two write the same place; a sum over chunks is taken in their order. The queues are CPython's own
SimpleQueue, whose locks a Ctrl-C cannot leave locked, as it can those of concurrent.futures.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import numba
import numpy as np

import qpsnn_core.kernels.compiling  # noqa: F401 - it says on a terminal that kernels are compiled
from qpsnn_core.kernels.machine_code import in_turn, stamp
from qpsnn_core.kernels.simd.vector import fresh

CHUNKS = 16


def kernel(function: Callable[..., Any]) -> Any:
    """The one way in which kernels are compiled: cached on disk, no GIL, no fast-math (it would hide NaN).

    Numba keeps what is cached as long as the function's own file is as it was; here, as long as those that it imports
    are, too, for what a kernel calls is inlined. Nothing calls a kernel from C: without a wrapper for that, compiling
    takes a twenty-fifth less.
    """
    options: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    made = numba.njit(**options)(function)
    index = getattr(getattr(made, "_cache", None), "_cache_file", None)
    if index is not None:
        index._source_stamp = stamp(Path(function.__code__.co_filename))
        index._load_index = readable(index._load_index)
        for name in ("load", "save"):
            setattr(index, name, in_turn(getattr(index, name), Path(index._cache_path)))
    return made


def readable(load: Callable[[], dict[Any, Any]]) -> Callable[[], dict[Any, Any]]:
    """What `load` reads of a cache; nothing of one that names modules or classes that have moved since."""

    def found() -> dict[Any, Any]:
        try:
            return load()
        except (ImportError, AttributeError):
            return {}

    return found


SPIN_ITERATIONS = 0 if getattr(numba.config, "DISABLE_JIT") else 16384  # noqa: B009 - numba fills its config at run time
"""How often a thread looks for work, or for the end of work, before it sleeps: to wake it takes as long."""

_inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
_calls = np.zeros(1, np.int64)
_helpers = 0
_threads = 0


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
    _threads = count


@kernel
def watch(counter, target, iterations):
    """Wait until `counter[0]` is at least `target`, but for so many iterations at most; without the GIL.

    counter: int64 [1], which other threads raise. iterations: how often it is read.
    """
    for _ in range(iterations):
        if fresh(counter, 0) >= target:
            break


def _help(inbox: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        inbox.get()()
        calls = _calls[0] + 1
        if inbox.empty():
            watch(_calls, calls, SPIN_ITERATIONS)


def _call_for_help(count: int, task: Callable[[], None]) -> None:
    """Hand `task` to `count` other threads, which are started when they are first needed and end with the process."""
    global _helpers
    while _helpers < count:
        _helpers += 1
        Thread(target=_help, args=(_inbox,), name=f"qpsnn-{_helpers}", daemon=True).start()
    for _ in range(count):
        _inbox.put(task)
    _calls[0] += 1


def _forget() -> None:
    global _helpers, _inbox
    _helpers, _inbox = 0, SimpleQueue()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def chunks(total: int, least: int = 1, count: int = CHUNKS) -> list[tuple[int, int]]:
    """`total` items in at most `count` ranges of at least `least`: a function of the work alone."""
    size = max(least, -(-total // count))
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def parallel_map(work: Callable[..., Any], ranges: list[tuple[int, int]], *arguments: Any) -> list[Any]:
    """`work(start, stop, *arguments)` for every range, in any order; the results in the order of the ranges."""
    others = min(threads(), len(ranges)) - 1
    if others < 1:
        return [work(start, stop, *arguments) for start, stop in ranges]
    results: list[Any] = [None] * len(ranges)
    waiting: SimpleQueue[int] = SimpleQueue()
    finished: SimpleQueue[BaseException | None] = SimpleQueue()
    done = np.zeros(1, np.int64)
    for index in range(len(ranges)):
        waiting.put(index)

    def one() -> bool:
        try:
            index = waiting.get_nowait()
        except Empty:
            return False
        results[index] = work(*ranges[index], *arguments)
        finished.put(None)
        done[0] += 1
        return True

    def help_out() -> None:
        try:
            while one():
                pass
        except BaseException as error:
            finished.put(error)

    _call_for_help(others, help_out)
    while one():
        pass
    watch(done, len(ranges), SPIN_ITERATIONS)
    for _ in ranges:
        error = finished.get()
        if error is not None:
            raise error
    return results


def per_thread_ranges(total: int, least: int) -> list[tuple[int, int]]:
    """As `chunks`, for work of which nothing depends on how it is divided: two for each thread, one for a single one.

    Every chunk costs some microseconds, and hands the interpreter from thread to thread.
    """
    return chunks(total, least, 2 * threads() if threads() > 1 else 1)


def parallel_for(work: Callable[..., Any], total: int, least: int, *arguments: Any) -> None:
    """`work` over 0..total-1, in ranges of at least `least` (`per_thread_ranges`), independent of each other."""
    parallel_map(work, per_thread_ranges(total, least), *arguments)
