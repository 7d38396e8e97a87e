"""Every command and every example of the README runs."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pages import blocks, links, run

from qpsnn_core.config import load_recipe
from qpsnn_core.demo import DIGITS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def test_the_examples_recipe_is_the_demos():
    assert load_recipe(ROOT / "examples" / "digits.toml") == DIGITS


def test_make_knows_the_two_commands():
    commands = blocks(README, "")[0].split("\n")[:2]
    assert commands == ["make demo", "make test"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_every_file_that_it_links_to_is_there():
    found = links(README)
    assert found
    assert [link for link in found if not (ROOT / link).exists()] == []


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    pytest.importorskip("sklearn")
    (example,) = blocks(README, "python")
    said = run([sys.executable, "-c", example], tmp_path)
    assert (tmp_path / "digits.h5").stat().st_size > 1000
    trained, integer = map(float, said.split("\n")[-2].split())
    assert trained > 0.5
    assert abs(trained - integer) < 0.02


@pytest.mark.slow
@pytest.mark.cli
@pytest.mark.lava
def test_the_commands_run_one_after_the_other(tmp_path):
    quick = replace(
        DIGITS,
        network=replace(DIGITS.network, width=0.25),
        data=replace(DIGITS.data, limit=200),
        train=replace(DIGITS.train, epochs=1),
        finetune=replace(DIGITS.finetune, epochs=1),
    )
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "digits.toml").write_text(quick.to_toml(), encoding="utf-8")
    (listed,) = blocks(README, "sh")
    commands = [shlex.split(line) for line in listed.strip().split("\n")]
    trained = ["train", "score", "prune", "finetune", "evaluate", "report", "lower", "simulate"]
    studies = ["ablate", "front", "crossvalidate"]
    verbs = [*trained, "table", "audit", "plot", *studies, "compress", "compress-sweep", "export", "import"]
    assert {command[1] for command in commands} == set(verbs)
    for command in commands:
        assert run(command, tmp_path).strip(), command
