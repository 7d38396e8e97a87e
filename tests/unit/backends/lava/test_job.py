"""Lava's own process when things go wrong: the failure is told at once, the time is kept, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import running, until

from qpsnn_backends.lava.job import Job, environment
from qpsnn_backends.lava.plan import plan
from qpsnn_core.common.errors import BackendError, BackendTimeout
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc"),
]

LONG = 10**8
"""Time steps that no test waits for."""


def small():
    """A plan of three processes and the two ends: 2x2 ones through one convolution, T = 2."""
    nodes = (
        IntInput("in", (2, 2, 1), 1),
        IntConv("conv", "in", 2, 1, 1, 0),
        IntLIF("lif", ("conv",)),
        IntLinear("fc", "lif", 3),
        IntReadout("out", "fc"),
    )
    arrays = {
        "conv": {"codes": np.ones((1, 1, 1, 2), np.int8), "gain": np.ones(2, np.int32)},
        "lif": {"threshold": np.full(2, 1, np.int32), "bias": np.zeros(2, np.int32)},
        "fc": {"codes": np.ones((8, 3), np.int8), "gain": np.arange(3, dtype=np.int32)},
        "out": {"bias": np.ones(3, np.int32)},
    }
    return plan(IntegerNetwork(nodes, arrays, 2))


IMAGES = np.ones((1, 2, 2, 1), np.uint8)


def start(job, steps=2, samples=1, progress=None, **arrays):
    planned = small()
    wiring = replace(planned.wiring, steps=steps, samples=samples)
    job.run(wiring, {**planned.arrays, **arrays}, np.repeat(IMAGES, samples, axis=0), progress)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary folders come to lie; it must be empty, and no process in it, when the test ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert until(lambda: not running(tmp_path)), running(tmp_path)
    assert list(tmp_path.iterdir()) == []


def forked(folder: Path) -> list[int]:
    """All processes of a job, once the last of its five Lava processes and its runtime service are there."""
    found = sorted(running(folder))
    return found if len(found) >= 9 else []


def test_a_run_gives_its_results_and_prints_nothing(folder, capfd):
    with Job(120) as job:
        start(job)
        assert job.result("out.readout", "int64", (1, 3)).tolist() == [[2, 18, 34]]
        with pytest.raises(BackendError, match=r"out\.readout: expected 6 values, got 3"):
            job.result("out.readout", "int64", (2, 3))
    assert capfd.readouterr() == ("", "")


def test_progress_counts_the_samples_that_are_done(folder):
    calls = []
    with Job(120) as job:
        start(job, samples=300, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(set(calls))
    assert 0 < calls[0][0] <= calls[-1][0] <= 300
    assert {total for _, total in calls} == {300}


def test_a_relative_pythonpath_means_the_same_to_the_child(folder, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", f".{os.pathsep}{os.pathsep}..")
    unit = str(Path(__file__).parent)
    assert environment()["PYTHONPATH"] == os.pathsep.join([unit, os.path.dirname(unit)])


def test_an_exception_inside_a_process_model_comes_back_as_a_traceback(folder):
    begin = time.monotonic()
    with pytest.raises(BackendError, match="could not be broadcast") as caught, Job(300) as job:
        start(job, **{"lif.bias": np.zeros(5, np.int32)})
    assert "Traceback" in str(caught.value)
    assert "in step" in str(caught.value)
    assert not isinstance(caught.value, BackendTimeout)
    assert time.monotonic() - begin < 60


def test_a_network_that_lava_cannot_build_comes_back_as_a_traceback(folder):
    with pytest.raises(BackendError, match=r"Traceback(.|\n)*ReshapeError"), Job(300) as job:
        start(job, **{"conv.weight": np.ones((3, 1, 1, 1), np.int32)})


def test_a_run_that_does_not_end_is_stopped(folder):
    with pytest.raises(BackendTimeout, match="within 4 seconds, got 0 of 1 samples"), Job(4) as job:
        start(job, steps=LONG)


def test_a_process_that_is_killed_is_told(folder):
    def kill_one():
        os.kill(until(lambda: forked(folder))[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(BackendError, match=r"one of Lava's processes was ended by SIGKILL"), Job(120) as job:
        start(job, steps=LONG)
    killer.join()


def test_a_process_that_is_killed_before_all_are_built_is_told(folder):
    """The readout's model waits for a reader of its pipe for ever, and Lava waits for the readout."""

    def kill_one():
        os.kill(until(lambda: forked(folder))[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with Job(60) as job:
        os.mkfifo(job.folder / "out.readout")
        with pytest.raises(BackendError, match=r"one of Lava's processes was ended by SIGKILL"):
            start(job)
    killer.join()


@pytest.mark.parametrize(("number", "says"), [(signal.SIGINT, b"KeyboardInterrupt"), (signal.SIGKILL, b"")])
def test_an_interrupted_or_killed_caller_leaves_no_process(tmp_path, number, says):
    tests = Path(__file__).parents[3]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(tests)}
    with subprocess.Popen([sys.executable, __file__], env=environment, stderr=subprocess.PIPE) as caller:
        assert until(lambda: forked(tmp_path) or caller.poll() is not None)
        caller.send_signal(number)
        _, errors = caller.communicate(timeout=60)
    assert says in errors
    assert until(lambda: not running(tmp_path)), running(tmp_path)
    assert number == signal.SIGKILL or list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    with Job(120) as never_ending:
        start(never_ending, steps=LONG)
