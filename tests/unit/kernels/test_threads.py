"""Chunks on threads: every range once, errors raised, an interrupt at any moment leaves nothing locked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from qpsnn_core.kernels import threads as parallel
from qpsnn_core.kernels.threads import chunks, parallel_for, parallel_map, set_threads, threads


@pytest.fixture(autouse=True)
def _as_before():
    before = threads()
    yield
    set_threads(before)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_the_order_of_the_ranges(count):
    set_threads(count)
    ranges = chunks(100, 3)
    assert parallel_map(lambda start, stop, k: (start * k, stop), ranges, 2) == [
        (2 * start, stop) for start, stop in ranges
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_in_a_chunk_is_raised_and_the_next_call_works(count):
    set_threads(count)

    def work(start, stop):
        if start >= 8:
            raise KeyError(start)

    with pytest.raises(KeyError):
        parallel_map(work, chunks(16))
    assert parallel_map(lambda start, stop: stop - start, chunks(16)) == [1] * 16


def test_several_threads_take_part():
    set_threads(3)
    together = threading.Barrier(3)
    parallel_map(lambda start, stop: together.wait(timeout=30), chunks(3))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("total", [1, 5, 100])
def test_independent_work_is_all_done_once_and_not_divided_on_one_thread(total, count):
    set_threads(count)
    done = []
    parallel_for(lambda start, stop, k: done.append((start, stop, k)), total, 7, "k")
    assert sorted(i for start, stop, _ in done for i in range(start, stop)) == list(range(total))
    assert len(done) == (1 if count == 1 else len(chunks(total, 7, 4)))


def test_watching_ends_when_it_should():
    """At the number that is waited for, at the last turn, and when another thread gets there."""
    counter = np.zeros(1, np.int64)
    parallel.watch(counter, 0, 10**9)
    parallel.watch(counter, 1, 1000)
    other = threading.Timer(0.05, lambda: counter.__setitem__(0, 3))
    other.start()
    if parallel.SPIN_ITERATIONS:
        parallel.watch(counter, 3, 10**12)
        assert counter[0] == 3
    other.join()


def test_a_chunk_may_itself_have_chunks():
    set_threads(2)
    nested = parallel_map(lambda start, stop: sum(parallel_map(lambda a, b: b - a, chunks(10))), chunks(8))
    assert nested == [10] * 8


def test_chunks_do_not_depend_on_the_threads():
    set_threads(1)
    one = chunks(1000, 7)
    set_threads(4)
    assert chunks(1000, 7) == one
    assert [start for start, _ in one[1:]] == [stop for _, stop in one[:-1]]
    assert (one[0][0], one[-1][1]) == (0, 1000)


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        set_threads(0)


INTERRUPTED = """
import signal
from qpsnn_core.kernels.threads import chunks, parallel_map, set_threads
set_threads(2)
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
parallel_map(lambda start, stop: stop - start, chunks(16))  # compiles what it needs, in which LLVM bears no interrupt
stopped = 0
for attempt in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 2e-5 * (attempt % 50 + 1))
        while True:
            parallel_map(lambda start, stop: stop - start, chunks(16))
    except KeyboardInterrupt:
        stopped += 1
assert parallel_map(lambda start, stop: stop - start, chunks(16)) == [1] * 16
print(stopped)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_at_any_moment_leaves_nothing_locked():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "300"


HELPER = """
from qpsnn_core.kernels.threads import kernel
@kernel
def helper(x):
    return x + {}
"""
USER = """
from qpsnn_core.kernels.helper import helper
from qpsnn_core.kernels.threads import kernel
@kernel
def user(x):
    return helper(x)
"""


def test_a_kernel_is_compiled_anew_where_another_that_it_calls_has_changed(tmp_path):
    """Numba's cache on disk looks at a kernel's own file only, and would keep what was inlined from another.

    The same text written later, and another text of a kernel that is not called, change nothing.
    """
    kernels = tmp_path / "qpsnn_core" / "kernels"
    kernels.mkdir(parents=True)
    (tmp_path / "qpsnn_core" / "__init__.py").write_text("")
    (kernels / "__init__.py").write_text("")
    for name in (
        "threads.py",
        "machine_code.py",
        "compiling.py",
        "simd/__init__.py",
        "simd/vector.py",
        "simd/llvm.py",
        "simd/llvm_memory.py",
    ):
        (kernels / name).parent.mkdir(exist_ok=True)
        (kernels / name).write_text((Path(parallel.__file__).parent / name).read_text(encoding="utf-8"))
    (kernels / "user.py").write_text(USER)
    code = "from qpsnn_core.kernels.user import user; print(user(1), sum(user.stats.cache_hits.values()))"
    found = []
    for added, elsewhere in ((10, 1), (10, 1), (10, 2), (2000, 2)):
        (kernels / "helper.py").write_text(HELPER.format(added))
        (kernels / "stranger.py").write_text(HELPER.format(elsewhere))
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split())
    assert found == [["11", "0"], ["11", "1"], ["11", "1"], ["2001", "0"]]


class Gone:
    """A class that a cache names, and that is not there any more."""


@pytest.mark.parametrize("lost", ["module", "class"])
def test_a_cache_that_names_what_has_moved_is_made_anew(lost, monkeypatch):
    written = pickle.dumps({"key": Gone()})
    assert set(parallel.readable(lambda: pickle.loads(written))()) == {"key"}
    if lost == "module":
        written = written.replace(Gone.__module__.encode(), b"x" * len(Gone.__module__))
    else:
        monkeypatch.delattr(sys.modules[Gone.__module__], "Gone")
    with pytest.raises((ImportError, AttributeError)):
        pickle.loads(written)
    assert parallel.readable(lambda: pickle.loads(written))() == {}
