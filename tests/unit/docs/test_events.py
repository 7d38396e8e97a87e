"""Every command and example of docs/events.md runs, and its links lead somewhere."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pages import blocks, links, run

from qpsnn_core.experiments.demo import DIGITS_EVENTS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "events.md"


def only(found):
    (one,) = found
    return one


def test_every_file_that_it_links_to_is_there():
    found = links(PAGE)
    assert found
    assert [link for link in found if not (PAGE.parent / link).exists()] == []


def test_the_python_example_runs(tmp_path):
    pytest.importorskip("sklearn")
    said = run([sys.executable, "-c", only(blocks(PAGE, "python"))], tmp_path)
    assert said.startswith("Dataset('events', images=(100, 4, 10, 10, 2), each 4 frames of 10 x 10 x 2, classes=10)")


@pytest.mark.slow
@pytest.mark.cli
@pytest.mark.lava
def test_the_commands_run_one_after_the_other(tmp_path):
    pytest.importorskip("sklearn")
    quick = replace(
        DIGITS_EVENTS,
        network=replace(DIGITS_EVENTS.network, width=0.25),
        data=replace(DIGITS_EVENTS.data, limit=200),
        train=replace(DIGITS_EVENTS.train, epochs=1),
        finetune=replace(DIGITS_EVENTS.finetune, epochs=1),
    )
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "digits-events.toml").write_text(quick.to_toml(), encoding="utf-8")
    commands = [shlex.split(line) for line in only(blocks(PAGE, "sh")).strip().split("\n")]
    assert [words[1] for words in commands].count("stream") == 2
    for command in commands:
        assert run(command, tmp_path).strip(), command
