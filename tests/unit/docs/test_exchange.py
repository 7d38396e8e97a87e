"""The commands of docs/exchange.md and docs/loihi.md run, one after the other; so do the witnesses' networks."""

from __future__ import annotations

import shlex
import sys

import pytest
from pages import blocks, links, run

pytestmark = [pytest.mark.cli, pytest.mark.exchange, pytest.mark.slow]


def test_the_pages_commands_run(root, tmp_path):
    pytest.importorskip("sklearn")
    (example,) = blocks(root / "docs" / "exchange.md", "python")
    trained, integer = map(float, run([sys.executable, "-c", example], tmp_path).split())
    assert trained > 0.9
    assert abs(trained - integer) < 0.02
    commands = [
        line
        for page in ("exchange", "loihi")
        for block in blocks(root / "docs" / f"{page}.md", "sh")
        for line in block.strip().split("\n")
    ]
    assert len(commands) == 8
    said = {command: run(shlex.split(command), tmp_path) for command in commands}
    assert said["qpsnn loihi network.h5 --chip loihi1"].rstrip().endswith("it fits")


def test_the_witnesses_networks_are_written(root, tmp_path):
    run([sys.executable, str(root / "examples" / "exchange" / "make.py"), str(tmp_path)], root)
    assert len(list(tmp_path.glob("*.nir"))) == 15
    assert (tmp_path / "plain.net").stat().st_size > 1000


@pytest.mark.parametrize("page", ["exchange", "loihi"])
def test_links_lead_somewhere(root, page):
    assert [link for link in links(root / "docs" / f"{page}.md") if not (root / "docs" / link).exists()] == []
