"""README, docs/cli.md and docs/data.md: every command and example runs, and every link leads somewhere."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pages import blocks, links, run

from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.recipes.recipe import load_recipe
from qpsnn_datasets import NAMES
from qpsnn_datasets.downloads import SOURCES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
README, CLI, DATA = ROOT / "README.md", ROOT / "docs" / "cli.md", ROOT / "docs" / "data.md"


def test_the_examples_recipe_is_the_demos():
    assert load_recipe(ROOT / "examples" / "digits.toml") == DIGITS


def test_make_knows_the_two_commands():
    assert "make demo\nmake test\n" in blocks(README, "")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


def test_the_extras_are_those_of_the_package():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    text = README.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `\[(\w+)\]` \|", text, re.MULTILINE)) == set(declared) - {"dev", "mutants"}
    (command,) = re.findall(r"^pip install '\.\[(.*)\]'$", text, re.MULTILINE)
    assert set(command.split(",")) <= set(declared)


@pytest.mark.parametrize("page", [README, CLI, DATA], ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_is_there(page):
    found = links(page)
    assert found
    assert [link for link in found if not (page.parent / link).exists()] == []


def test_readme_links_to_every_page_of_the_documentation():
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= set(links(README))


def test_the_page_of_data_names_every_set_and_every_download():
    sets, downloads = DATA.read_text(encoding="utf-8").split("`qpsnn download")
    rows = re.findall(r"^\| (`[^|]+) \|", sets, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == {"name", *NAMES}
    assert {f"`{name}`" for name in SOURCES} == set(re.findall(r"`\w+`", downloads.split("It knows")[1].split("\n")[0]))


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    pytest.importorskip("sklearn")
    """It ends at 97% at least, and prints what README shows, digit for digit, on every processor."""
    (example,) = blocks(README, "python")
    assert len([line for line in example.split("\n") if line]) <= 10
    said = run([sys.executable, "-c", example], tmp_path)
    assert (tmp_path / "digits.h5").stat().st_size > 1000
    shown = README.read_text(encoding="utf-8").split("It prints:\n\n```\n")[1].split("\n```")[0]
    assert said.strip() == shown
    assert min(map(float, shown.split("\n")[-1].split())) >= 0.97


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
    (listed,) = blocks(CLI, "sh")
    commands = [shlex.split(line) for line in listed.strip().split("\n")]
    trained = ["train", "score", "prune", "finetune", "evaluate", "report", "lower", "simulate"]
    studies = ["ablate", "front", "crossvalidate"]
    verbs = [
        *trained,
        "run",
        "lr",
        "table",
        "audit",
        "plot",
        *studies,
        "compress",
        "compress-sweep",
        "export",
        "import",
    ]
    assert {command[1] for command in commands} == set(verbs)
    for command in commands:
        assert run(command, tmp_path).strip(), command
