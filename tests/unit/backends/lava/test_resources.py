"""A thousand samples on Lava hold no more memory, descriptors or shared segments than the first ones do."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from generators import random_integer_network
from processes import Use, running, use

from qpsnn_backends.lava import job
from qpsnn_backends.lava.backend import LavaBackend

pytestmark = [
    pytest.mark.lava,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc"),
]

SAMPLES = 1000
NETWORK, _ = random_integer_network(1020)
IMAGES = np.random.default_rng(0).integers(0, NETWORK.input.peak + 1, (SAMPLES, *NETWORK.input.shape)).astype(np.uint8)

ROOM = 1024
"""KiB by which all processes together may grow."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary folders come to lie."""
    (tmp_path / "jobs").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "jobs"))
    return tmp_path / "jobs"


def tell(processes, number):
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def early_and_late(folder):
    """What all processes of one run hold after 50 samples or some more, and at most in its last third.

    They stand still while they are looked at: a slow look would find those of a run that is over.
    """
    processes, uses = [], []

    def look(done, _):
        if not processes:
            processes.extend(running(folder))
        if uses and done < uses[-1][0] + SAMPLES / 50:
            return
        tell(processes, signal.SIGSTOP)
        uses.append((done, use(processes)))
        tell(processes, signal.SIGCONT)

    LavaBackend(progress=look).run(NETWORK, IMAGES)
    first, early = next(one for one in uses if one[0] >= 50)
    late = [held for done, held in uses if done > SAMPLES * 2 / 3]
    assert first < SAMPLES / 2
    assert len(late) > 1
    resident, descriptors, segments = zip(*late, strict=True)
    return early, Use(max(resident), max(descriptors), tuple(sorted(set().union(*segments))))


def test_one_run_of_a_thousand_samples(folder):
    early, late = early_and_late(folder)
    assert late.resident <= early.resident + ROOM
    assert late.descriptors <= early.descriptors
    assert set(late.segments) <= set(early.segments)  # semaphores of the start may be gone by then
    assert len(late.segments) > len(NETWORK)
    assert not any((Path("/dev/shm") / name).exists() for name in late.segments)


LEAKY = """
import sys
from qpsnn_backends.lava import child
from qpsnn_backends.lava.processes.guard import GuardedModel
kept, run_spk = [], GuardedModel.run_spk
def leak(model):
    kept.append((bytes(200), open("wiring.json") if model.time_step % 100 == 0 else None))
    run_spk(model)
GuardedModel.run_spk = leak
sys.exit(child.main())
"""


def test_a_leak_is_found(folder, monkeypatch, tmp_path):
    (tmp_path / "leaky.py").write_text(LEAKY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(job, "CHILD", "leaky")
    early, late = early_and_late(folder)
    assert late.resident > early.resident + ROOM
    assert late.descriptors > early.descriptors


def test_five_runs_of_forty_samples(folder):
    """What a run leaves behind is left once for a run, however long it is."""
    uses = []
    for part in np.split(IMAGES[:200], 5):
        LavaBackend().run(NETWORK, part)
        uses.append(use([os.getpid()]))
        assert running(folder) == {}
        assert list(folder.iterdir()) == []
    early, late = uses[1], uses[-1]
    assert late.resident <= early.resident + ROOM
    assert late.descriptors <= early.descriptors
    assert set(late.segments) <= set(early.segments)
