"""The command line: `qpsnn --help` lists its commands."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; an error that qpsnn raises on purpose is one line and exit status 2, an interrupt is 130."""
    try:
        from qpsnn_core.cli.app import app
    except ModuleNotFoundError as error:
        sys.exit(f"error: the command line needs {error.name}: pip install 'qpsnn[cli]'")
    from qpsnn_core.common.errors import MissingError, QpsnnError

    try:
        try:
            app()
        except MissingError as error:
            from qpsnn_core.cli.lava_environment import run_there

            run_there(error)
    except QpsnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
