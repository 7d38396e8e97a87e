"""The command line: `qpsnn --help` lists its commands."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130


def main() -> None:
    """Run the command; an error that qpsnn raises on purpose is one line and exit status 2, an interrupt is 130."""
    try:
        with quiet_interrupts():
            from qpsnn_core.cli.app import app
            from qpsnn_core.cli.warned import printed_warnings
            from qpsnn_core.common.errors import MissingError, QpsnnError
    except ModuleNotFoundError as error:
        from qpsnn_core.common.install import install_command

        sys.exit(f"error: the command line needs {error.name}: {install_command('cli')}")
    try:
        with printed_warnings():
            try:
                app(prog_name="qpsnn")
            except MissingError as error:
                from qpsnn_core.cli.lava_environment import run_there

                run_there(error)
    except QpsnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def quiet_interrupts() -> Iterator[None]:
    """Ctrl-C ends the process at once, with nothing said: while modules are imported there is nothing to clean up.

    An exception could be caught, or printed and forgotten, by what is being imported.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
