"""Memory that is used again: never while anybody still sees it, whatever they hold; and each thread's own rooms."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from qpsnn_core.kernels import buffers

SHAPE = (3, buffers.MIN_REUSED_BYTES)


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    """Blocks of each test's own: what other tests left may still be seen, from a cycle that is not collected yet."""
    monkeypatch.setattr(buffers, "_kept", {})


def place(array):
    return array.ctypes.data


def kept():
    """Bytes of all blocks, in use or not."""
    return sum(len(block) for blocks in buffers._kept.values() for block in blocks)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(1,), (0, 5), (7, 3), (buffers.MIN_REUSED_BYTES,), (5, 1, buffers.MIN_REUSED_BYTES // 3)], ids=str
)
def test_an_array_is_as_numpy_makes_it(shape, dtype):
    array = buffers.empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    if array.nbytes >= buffers.MIN_REUSED_BYTES:
        assert place(array) % buffers.LINE == 0


def test_a_block_is_used_again_once_nobody_sees_it():
    array = buffers.empty(SHAPE, np.uint8)
    first, size = place(array), kept()
    del array
    again = buffers.empty((buffers.MIN_REUSED_BYTES // 2, 3), np.int16)
    assert (place(again), kept()) == (first, size)


HOLDERS = {
    "itself": lambda array: array,
    "a slice": lambda array: array[1:2, 5:9],
    "a slice of a slice": lambda array: array[1:][:1][..., ::2],
    "another type": lambda array: array.view(np.uint16)[0],
    "another shape": lambda array: array.reshape(-1)[-1:],
    "turned": lambda array: array.T,
    "a row of an iteration": lambda array: next(iter(array)),
    "a memoryview": memoryview,
    "a strided view": lambda array: np.lib.stride_tricks.as_strided(array, (2,), (5,)),
    "an array on its buffer": lambda array: np.ndarray((4,), np.uint8, array, strides=(2,)),
    "a closure": lambda array: lambda: array[0],
    "a broadcast": lambda array: np.broadcast_to(array[0], (4, SHAPE[1])),
    "a tuple in a dict": lambda array: {"x": (array[0], 1)},
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_block_is_not_used_again_while_somebody_sees_it(holder):
    array = buffers.empty(SHAPE, np.uint8)
    first = place(array)
    held = HOLDERS[holder](array)
    del array
    others = [buffers.empty(SHAPE, np.uint8) for _ in range(3)]
    places = [place(other) for other in others]
    assert first not in places
    assert len(set(places)) == 3
    del held, others
    gc.collect()
    assert place(buffers.empty(SHAPE, np.uint8)) in (first, *places)


def test_what_was_written_stays_while_it_is_seen():
    """Many arrays come and go; each keeps its own number to the end."""
    rng, alive = np.random.default_rng(0), {}
    for number in range(300):
        array = buffers.empty((buffers.MIN_REUSED_BYTES + int(rng.integers(3)) * 50000,), np.uint8)
        array[:] = number % 251
        alive[number] = array[:: int(rng.integers(1, 5))]
        if len(alive) > 6:
            gone = sorted(alive)[int(rng.integers(len(alive)))]
            assert (alive.pop(gone) == gone % 251).all()
    for number, array in alive.items():
        assert (array == number % 251).all()


def test_threads_never_share_a_block():
    faults = []

    def work(number):
        for _ in range(60):
            array = buffers.empty((buffers.MIN_REUSED_BYTES,), np.uint8)
            array[:] = number
            if not (array == number).all():
                faults.append(number)
            del array

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_release_gives_back_what_nobody_sees():
    array, other = buffers.empty(SHAPE, np.uint8), buffers.empty(SHAPE, np.uint8)
    both = kept()
    del other
    buffers.release()
    assert 0 < kept() < both
    array[:] = 1
    del array
    buffers.release()
    assert kept() == 0


def test_no_more_is_kept_than_little_more_than_was_ever_in_use(monkeypatch):
    """Sizes come and go, up and down; two arrays are in use at a time."""
    monkeypatch.setattr(buffers, "_most", 0)
    most, slack = 0, 2 * 2 * buffers.PAGE  # blocks in use begin on a large page
    for size in [*range(1, 60), *range(60, 1, -7)]:
        one = buffers.empty((size * buffers.MIN_REUSED_BYTES // 2 + buffers.MIN_REUSED_BYTES,), np.uint8)
        two = buffers.empty((size * buffers.MIN_REUSED_BYTES // 3 + buffers.MIN_REUSED_BYTES,), np.uint8)
        most = max(most, 2 * (len(one) + len(two)))  # a block may be twice as large as what it serves
        idle = sum(
            buffers._references(blocks, i) == buffers.NONE
            for blocks in buffers._kept.values()
            for i in range(len(blocks))
        )
        assert kept() <= buffers.SPARE * most + slack + idle * buffers.PAGE
        del one, two


def test_a_threads_room_is_its_own_and_stays():
    first = buffers.scratch("a test", (3, 5), np.float32)
    assert (first.shape, first.dtype, place(first) % buffers.LINE) == ((3, 5), np.float32, 0)
    first[:] = 7
    again = buffers.scratch("a test", (15,), np.float32)
    assert place(again) == place(first)
    assert (again == 7).all()
    assert place(buffers.scratch("a test", (2,), np.int16)) == place(first)
    assert not np.shares_memory(buffers.scratch("another test", (15,), np.float32), first)
    found = []
    thread = threading.Thread(target=lambda: found.append(buffers.scratch("a test", (3, 5), np.float32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(found[0], first)


def test_a_room_grows_and_what_was_handed_out_before_stays_whole():
    small = buffers.scratch("growing", (4,), np.int32)
    small[:] = 5
    large = buffers.scratch("growing", (4000,), np.int32)
    large[:] = 6
    assert (small == 5).all()
    assert place(large) % buffers.LINE == 0
    assert place(buffers.scratch("growing", (10,), np.int32)) == place(large)
