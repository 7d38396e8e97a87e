"""Work in other threads: the next items ahead of their use, and the parts of a whole side by side.

The queues are CPython's own SimpleQueue, whose locks a Ctrl-C cannot leave locked. Threads are daemons: none keeps the
process from ending, and none outlives the call or the iterator that started it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import NamedTuple, TypeVar

from qpsnn_core.errors import ConfigError, expected

from .checks import whole

Item = TypeVar("Item")

AHEAD = 2


class _End(NamedTuple):
    """There is no further item: the source is exhausted, or has failed."""

    error: BaseException | None


def prefetch(items: Iterator[Item], ahead: int = AHEAD) -> Generator[Item, None, None]:
    """The same items in the same order, made by one background thread while the last one is in use.

    At most `ahead` items are waiting or being made at any time, so that memory holds `ahead` of them beside the one in
    use. The thread starts with the first item and ends with the last, with an error (raised here, with its traceback),
    or when the iterator is closed, which waits for the item that is just being made.
    Raises ConfigError at the call: ahead is not a whole number of at least 1.
    """
    return _prefetched(items, whole("ahead", ahead, 1))


def _prefetched(items: Iterator[Item], ahead: int) -> Generator[Item, None, None]:
    made: SimpleQueue[Item | _End] = SimpleQueue()
    wanted: SimpleQueue[bool] = SimpleQueue()
    stopped: list[bool] = []

    def make() -> None:
        try:
            while wanted.get() and not stopped:
                made.put(next(items))
        except StopIteration:
            made.put(_End(None))
        except BaseException as error:
            made.put(_End(error))

    thread = Thread(target=make, name="qpsnn-prefetch", daemon=True)
    try:
        for _ in range(ahead):
            wanted.put(True)
        thread.start()
        while not isinstance(item := made.get(), _End):
            yield item
            wanted.put(True)
        if item.error is not None:
            raise item.error
    finally:
        stopped.append(True)
        wanted.put(True)
        if thread.is_alive() and thread is not current_thread() and not sys.is_finalizing():
            thread.join()


def in_parts(work: Callable[[int, int], None], total: int, size: int) -> None:
    """`work(low, high)` for every part of at most `size` of `total` items, on as many threads as there are processors.

    Raises what the first part that fails raises; the parts behind it may then not have been begun.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    starts = range(0, total, size)
    for low in starts:
        waiting.put(low)
    failed: list[tuple[int, BaseException]] = []

    def take() -> None:
        with suppress(Empty):
            while not failed:
                low = waiting.get_nowait()
                try:
                    work(low, min(low + size, total))
                except BaseException as error:
                    failed.append((low, error))

    helpers = [Thread(target=take, name="qpsnn-part", daemon=True) for _ in range(min(processors(), len(starts)) - 1)]
    try:
        for helper in helpers:
            helper.start()
        take()
    finally:
        with suppress(Empty):
            while True:
                waiting.get_nowait()
        for helper in helpers:
            if helper.is_alive():
                helper.join()
    if failed:
        raise min(failed, key=lambda each: (isinstance(each[1], Exception), each[0]))[1]


def processors() -> int:
    """QPSNN_THREADS, else the processors of this process. ConfigError unless that is a number of at least 1."""
    chosen = os.environ.get("QPSNN_THREADS")
    if not chosen:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not chosen.isdecimal() or int(chosen) < 1:
        raise ConfigError(expected("QPSNN_THREADS", "a whole number of at least 1", chosen))
    return int(chosen)
