"""One run of the child: a private folder, a session of its own, a time limit; whatever happens, nothing is left."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_backends.lava.wiring import Wiring
from qpsnn_core.common.errors import BackendError, BackendTimeout, expected
from qpsnn_core.common.types import NamedArrays

CHILD = "qpsnn_backends.lava.child"

Progress = Callable[[int, int], None]
"""Called with how many samples are done, and how many there are."""

POLL = 0.02
"""Seconds between two looks at the child."""

GRACE = 3.0
"""Seconds that the child's processes have to end when told to, before they are killed."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Lava has a process for each layer: more threads in each only get in each other's way."""


class Job:
    """A context: the folder exists inside it, and neither folder nor process outside it."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Job:
        self._holder = tempfile.TemporaryDirectory(prefix="qpsnn-lava-", ignore_cleanup_errors=True)
        self.folder = Path(self._holder.name)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.child is not None:
                end(self.child)
        finally:
            self._holder.cleanup()

    def run(
        self, wiring: Wiring, arrays: NamedArrays, images: npt.NDArray[Any], progress: Progress | None = None
    ) -> None:
        """Start the child and wait for its end. images: [B, W, H, C] or [T, B, W, H, C].

        Raises BackendTimeout, or BackendError with the child's traceback.
        """
        (self.folder / "wiring.json").write_text(wiring.json(), encoding="utf-8")
        np.savez(self.folder / "arrays.npz", **arrays)
        np.save(self.folder / "images.npy", images, allow_pickle=False)
        deadline = time.monotonic() + self.timeout
        failure, log = self.folder / "failure.txt", self.folder / "log.txt"
        self.child = launch(self.folder, log)
        done = 0
        while self.child.poll() is None and not failure.exists():
            if time.monotonic() > deadline:
                limit = f"lava: expected an answer within {self.timeout:g} seconds"
                raise BackendTimeout(f"{limit}, got {self.done(wiring)} of {wiring.samples} samples")
            time.sleep(POLL)
            if progress is not None and done < (done := self.done(wiring)):
                progress(done, wiring.samples)
        if failure.exists():
            raise BackendError(f"lava: failed in its own process\n{failure.read_text(encoding='utf-8').rstrip()}")
        if self.child.returncode:
            tail = log.read_text(encoding="utf-8", errors="replace")[-4000:].rstrip()
            raise BackendError(f"lava: its process ended with status {self.child.returncode}\n{tail}")

    def done(self, wiring: Wiring) -> int:
        """How many samples have left all readouts."""
        paths = {self.folder / f"{one.name}.readout": 8 * math.prod(one.outputs) for one in wiring.readouts}
        return min(path.stat().st_size // size if path.exists() else 0 for path, size in paths.items())

    def result(self, name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """The array that a process wrote. Raises BackendError where some of it is missing."""
        path = self.folder / name
        found = np.fromfile(path, dtype) if path.exists() else np.zeros(0, dtype)
        if found.size != np.prod(shape):
            raise BackendError(expected(f"lava: {name}", f"{np.prod(shape)} values", found.size))
        return found.reshape(shape)


def launch(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the child in a folder and a session of its own; what it prints goes to the log."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", CHILD],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        )


def environment() -> dict[str, str]:
    """The child's: single threads, and a PYTHONPATH that means the same in another folder."""
    given = os.environ.get("PYTHONPATH", "")
    paths = os.pathsep.join(os.path.abspath(path) for path in given.split(os.pathsep) if path)
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": paths}


def end(child: subprocess.Popen[bytes]) -> None:
    """End the child and all it started: first kindly, so that the keeper of the shared memory can free it."""
    if child.stdin is not None:
        child.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            child.poll()
            if not alive(child.pid):
                return
            time.sleep(POLL)


def alive(group: int) -> bool:
    """Whether a process of this group still runs; one that only waits to be reaped does not."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    states = [state for state, its_group in processes() if its_group == group]
    return not states or any(state not in "ZX" for state in states)


def processes() -> list[tuple[str, int]]:
    """(state, group) of every process that /proc shows; none where there is no /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            found.append((fields[0], int(fields[2])))
    return found
