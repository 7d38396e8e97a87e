"""The example and the command of docs/lava.md run, and give what the page says."""

from __future__ import annotations

import re
import shlex
import sys

import pytest
from pages import blocks, links, run

from qpsnn_backends.lava import limits, stock
from qpsnn_core.common import install
from qpsnn_core.integer.bounds import INT32_MAX
from qpsnn_core.integer.lava_lif import BIAS_MAX, STATE_MAX, THRESHOLD_BITS, THRESHOLD_MAX


def page(root):
    return root / "docs" / "lava.md"


@pytest.mark.cli
@pytest.mark.lava
@pytest.mark.slow
def test_the_pages_example_and_command_run(root, tmp_path):
    pytest.importorskip("sklearn")
    (example,), (command,) = blocks(page(root), "python"), blocks(page(root), "sh")
    printed = run([sys.executable, "-c", example], tmp_path).strip()
    assert f"It prints `{printed}`" in page(root).read_text(encoding="utf-8")
    trained, integer = map(float, printed.split())
    assert trained > 0.95
    assert abs(trained - integer) < 0.03
    said = run(shlex.split(command), tmp_path)
    for figure in ("spike_mismatches", "readout_mismatches"):
        assert re.search(rf"{figure}\W+0\b", said), said


def test_the_limits_are_those_of_the_code(root):
    limited = page(root).read_text(encoding="utf-8").split("Refused before")[1]
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
    monkeypatch.setattr(install, "checkout", lambda: None)
    monkeypatch.setattr(install, "installed_from", lambda: None)
    command = limits.advice().split("`")[1]
    assert command.startswith("uv venv")
    assert f"\n```\n{command}\n```\n" in page(root).read_text(encoding="utf-8")


def test_links_lead_somewhere(root):
    found = links(page(root))
    assert found
    assert [link for link in found if not (root / "docs" / link).exists()] == []
