"""The example and the command of docs/lava.md run, and give what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from qpsnn_backends.lava import limits, stock
from qpsnn_core.integer.bounds import INT32_MAX
from qpsnn_core.integer.stock import BIAS_MAX, STATE_MAX, THRESHOLD_BITS, THRESHOLD_MAX


def page(root):
    return (root / "docs" / "lava.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(command, folder):
    search = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": search}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.cli
@pytest.mark.lava
@pytest.mark.slow
def test_the_pages_example_and_command_run(root, tmp_path):
    pytest.importorskip("sklearn")
    (example,), (command,) = blocks(page(root), "python"), blocks(page(root), "sh")
    trained, integer = map(float, run([sys.executable, "-c", example], tmp_path).split())
    assert trained > 0.7
    assert abs(trained - integer) < 0.03
    said = run(shlex.split(command), tmp_path)
    for figure in ("spike_mismatches", "readout_mismatches"):
        assert re.search(rf"{figure}\W+0\b", said), said


def test_the_limits_are_those_of_the_code(root):
    limited = page(root).split("Refused before")[1]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([\d,]+)", limited, re.MULTILINE))
    assert [int(rows[name].replace(",", "")) for name in rows] == [
        THRESHOLD_BITS + 1,
        THRESHOLD_MAX,
        STATE_MAX,
        BIAS_MAX,
        limits.STOCK_CURRENT,
        INT32_MAX,
        stock.STRIDE_MAX,
    ]


def test_the_command_without_lava_is_the_messages(root, monkeypatch):
    monkeypatch.setattr(limits, "PYTHON", (0, 0))
    monkeypatch.setattr(limits.shutil, "which", lambda name: name)
    command = limits.advice().split("`")[1]
    assert command.startswith("uv venv")
    assert f"\n```\n{command}\n```\n" in page(root)


def test_links_lead_somewhere(root):
    links = re.findall(r"\]\(([^)#:]+)\)", page(root))
    assert links
    assert [link for link in links if not (root / "docs" / link).exists()] == []
