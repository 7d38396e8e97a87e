"""Makes the next items in a background thread while the last one is in use.

The queues are CPython's own SimpleQueue, whose locks a Ctrl-C cannot leave locked. The thread is a daemon: it does not
keep the process from ending, and it does not outlive the iterator that started it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import NamedTuple, TypeVar

from qpsnn_core.common.validation import whole

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
