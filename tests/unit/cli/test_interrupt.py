"""Ctrl-C while the command's modules are imported: exit status 130, and nothing is printed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from qpsnn_core.cli import quiet_interrupts

SLOW = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            try:
                os.write(1, b"importing")
                import time
                time.sleep(60)
            except KeyboardInterrupt:
                os.write(1, b"swallowed")
                time.sleep(60)
sys.meta_path.insert(0, Finder())
from qpsnn_core.cli import main
main()
"""
"""The command, of which one module takes a minute to import, and swallows an interrupt."""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.cli
@pytest.mark.parametrize("name", ["numpy", "typer", "qpsnn_core.cli.app", "qpsnn_core.kernels.threads"])
def test_an_interrupted_import_ends_quietly(name):
    words = [sys.executable, "-c", SLOW.format(name=name), "--help"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.read(9) == b"importing"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, b"", b"")


def test_the_handler_of_before_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with quiet_interrupts():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.cli
def test_a_command_that_is_interrupted_has_status_130(tmp_path):
    code = "import time, qpsnn_core as qp; qp.load_recipe = lambda path: time.sleep(60)\n" + (
        "from qpsnn_core.cli import app; print('ready', flush=True); from qpsnn_core.cli import main; main()"
    )
    words = [sys.executable, "-c", code, "train", "x.toml"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "ready\n"
        time.sleep(1)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in err
