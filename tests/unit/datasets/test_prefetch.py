"""Items made ahead of their use: the same ones, no more than so many, and no thread that stays."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest
import small
from processes import until

from qpsnn_core.common.errors import ConfigError, NumericsError
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import train
from qpsnn_datasets import Augment, batches, prefetch


def ours():
    return [thread for thread in threading.enumerate() if thread.name == "qpsnn-prefetch"]


@pytest.fixture(autouse=True, scope="module")
def nothing_older_is_collected():
    """What earlier tests left stays: to look through all of it takes the collector half a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    gc.collect()
    assert ours() == []


def counted(limit, made):
    for k in range(limit):
        made.append(k)
        yield k


def settled(made, least):
    """How many items there are a while after there are at least so many."""
    until(lambda: len(made) >= least)
    time.sleep(0.05)
    return len(made)


@pytest.mark.parametrize("ahead", [1, 2, 7])
def test_the_same_items_in_order(ahead):
    assert list(prefetch(iter(range(50)), ahead)) == list(range(50))
    assert list(prefetch(iter(()), ahead)) == []


def test_the_same_batches_bit_for_bit():
    data = small.dataset(40)
    options = {"seed": 5, "epoch": 2, "augment": Augment(2, True, 3), "start": 1}
    for (ref, labels), (comp, names) in zip(
        batches(data, 6, **options), prefetch(batches(data, 6, **options)), strict=True
    ):
        np.testing.assert_array_equal(comp, ref)
        np.testing.assert_array_equal(names, labels)


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_than_so_many_wait(ahead):
    made = []
    items = prefetch(counted(100, made), ahead)
    assert made == []
    for k in range(5):
        assert next(items) == k
        assert settled(made, k + ahead) == k + ahead
    items.close()
    assert len(made) == 4 + ahead


def test_items_are_made_by_another_thread():
    names = list(prefetch(threading.current_thread().name for _ in range(3)))
    assert names == ["qpsnn-prefetch"] * 3


def failing():
    yield 1
    raise ZeroDivisionError("here it was")


def test_an_error_comes_in_its_turn_with_the_place_that_raised_it():
    items = prefetch(failing())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError, match="here it was") as caught:
        next(items)
    assert "failing" in {frame.name for frame in traceback.extract_tb(caught.value.__traceback__)}
    assert next(items, "over") == "over"


@pytest.mark.parametrize("taken", [0, 1, 4])
@pytest.mark.parametrize("how", ["close", "forget"])
def test_stopping_early_ends_the_thread(taken, how):
    items = prefetch(counted(1000, made := []))
    for _ in range(taken):
        next(items)
    assert len(ours()) == (taken > 0)
    if how == "close":
        items.close()
    else:
        del items
        gc.collect()
    assert ours() == []
    assert len(made) < 10


@pytest.mark.parametrize("ahead", [0, -1, 1.5, True])
def test_ahead_is_checked_at_the_call(ahead):
    with pytest.raises(ConfigError, match="ahead"):
        prefetch(iter(()), ahead)


def test_ctrl_c_while_waiting_for_an_item():
    """The thread that makes the item sends it: once the other one waits, and goes on when that one waits no more."""
    waiter, asked = threading.get_ident(), threading.Event()

    def waiting():
        return sys._current_frames()[waiter].f_code.co_name == "_prefetched"

    def interrupting():
        yield 0
        asked.wait(60)
        until(waiting)
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: not waiting())
        yield 1

    items = prefetch(interrupting())
    next(items)
    asked.set()
    with pytest.raises(KeyboardInterrupt):
        next(items)


def test_a_run_that_is_stopped_or_fails_leaves_no_thread():
    def stop(progress):
        assert len(ours()) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small.network(), small.dataset(40), TrainConfig(epochs=2, batch=8), progress=stop)
    assert ours() == []
    with pytest.raises(NumericsError, match="epoch 1, batch"):
        train(small.network(), small.dataset(40), TrainConfig(epochs=2, batch=8, lr=1e38))
    assert ours() == []


@pytest.mark.parametrize("end", ["", "raise ValueError", "import os; os.kill(os.getpid(), 2)", "del items"])
def test_a_process_ends_with_items_still_waiting(end):
    code = "from qpsnn_datasets import prefetch; import itertools\nitems = prefetch(itertools.count()); next(items)\n"
    done = subprocess.run([sys.executable, "-c", code + end], capture_output=True, timeout=60, check=False)
    assert (done.returncode == 0) == (end in ("", "del items"))
