"""Lava imported once for many short runs: `launch`, in place of the backend's own, forks each child from a server.

The server is multiprocessing's. A child has what the backend's own has: a folder, a session and a log to itself, a
standard input that its parent holds open, one thread, and processes that are forked.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from threading import Lock
from unittest import mock

from qpsnn_backends.lava import job
from qpsnn_backends.lava.job import CHILD, ONE_THREAD

SERVER = multiprocessing.get_context("forkserver")

STARTING = Lock()
"""One at a time: what starts a process asks for the way of starting, which `leave_open` takes back."""


def start():
    """Start the server, with Lava in it; and with pytest, as each child imports its parent's main module again."""
    SERVER.set_forkserver_preload([CHILD, "lava.magma.compiler.compiler", "pytest"])
    with STARTING, mock.patch.dict(os.environ, ONE_THREAD):
        forkserver.ensure_running()
        leave_open()


def leave_open():
    """Starting the server or a child fixes how this process starts others; Lava, imported here later, fixes its own."""
    multiprocessing.set_start_method(None, force=True)


@contextmanager
def launched():
    """Runs on Lava are children of the server."""
    start()
    with mock.patch.object(job, "launch", launch):
        yield


@contextmanager
def ahead(begin, count):
    """`of(index)` gives `begin(index)`, a run on Lava; that of the next one has then begun, too. Each runs once."""
    begun = {}
    with launched(), ThreadPoolExecutor(2) as workers:

        def of(index):
            for one in (index, (index + 1) % count):
                if one not in begun:
                    begun[one] = workers.submit(begin, one)
            return begun[index].result()

        yield of


class launch:  # noqa: N801 - stands for a function, and gives a Popen
    """A child: of Popen, what a Job uses."""

    def __init__(self, folder, log):
        standard_input, self.stdin = SERVER.Pipe(duplex=False)
        self._process = SERVER.Process(target=run, args=(folder, log, standard_input))
        with STARTING:
            self._process.start()
            leave_open()
        standard_input.close()
        self.pid = self._process.pid

    def poll(self):
        return self._process.exitcode

    returncode = property(poll)


def run(folder, log, standard_input):
    """All of a child's life."""
    os.setsid()
    os.dup2(standard_input.fileno(), 0)
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(folder)
    multiprocessing.set_start_method("fork", force=True)
    from qpsnn_backends.lava.child import main

    sys.exit(main())
