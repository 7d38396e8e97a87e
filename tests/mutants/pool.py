"""Forked processes, so many at a time, each with its output in a file and a limit of seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Job(NamedTuple):
    """What a process is to run, to which status; a name for its files; what it is for; its limit in seconds."""

    name: str
    run: Callable[[Path], int]
    about: Any
    limit: float


class Ended(NamedTuple):
    """A job, its exit status (of a killed process minus the signal), and the file that it may have written."""

    job: Job
    status: int
    out: Path


def run(jobs: deque[Job], at_once: int, tree: Path, logs: Path) -> Iterator[Ended]:
    """Each job as it ends, in no order; who takes them may append further jobs to `jobs`."""
    running: dict[int, tuple[Job, float]] = {}
    try:
        while jobs or running:
            while jobs and len(running) < at_once:
                job = jobs.popleft()
                out = logs / f"{job.name}.json"
                out.unlink(missing_ok=True)
                running[_fork(job, tree, out)] = job, time.monotonic() + job.limit
            time.sleep(0.02)
            for pid, (job, deadline) in list(running.items()):
                done, status = os.waitpid(pid, os.WNOHANG)
                late = not done and time.monotonic() > deadline
                if late:
                    _end(pid)
                    done, status = os.waitpid(pid, 0)
                if done:
                    _end(pid)  # what it started and left running
                    del running[pid]
                    yield Ended(job, os.waitstatus_to_exitcode(status), logs / f"{job.name}.json")
    finally:
        for pid in running:
            _end(pid)


def _fork(job: Job, tree: Path, out: Path) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.setsid()
        os.chdir(tree)
        log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        status = job.run(out)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
