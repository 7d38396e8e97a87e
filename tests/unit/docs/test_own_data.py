"""docs/own_data.md: its examples and commands run, and give what the page says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from compiled import needs_cc
from pages import blocks, links, run

import qpsnn_core as qp
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets.registry import OF_NETWORK, OPTIONS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "own_data.md"


def commands(number):
    return [shlex.split(line) for line in blocks(PAGE, "sh")[number].strip().split("\n")]


def copied(folder, *names):
    (folder / "examples").mkdir(exist_ok=True)
    for name in names:
        shutil.copy(ROOT / "examples" / name, folder / "examples" / name)


@pytest.mark.slow
def test_the_arrays_become_a_network_that_answers(tmp_path):
    first, second = run([sys.executable, "-c", blocks(PAGE, "python")[0]], tmp_path).strip().split("\n")
    assert min(map(float, first.split())) > 0.95
    assert re.fullmatch(r"\[('(dark|light)'(, )?){3}\]", second)


@pytest.mark.cli
@pytest.mark.slow
@needs_cc
def test_the_pictures_become_c(tmp_path):
    pytest.importorskip("PIL")
    copied(tmp_path, "own_folder.toml")
    run([sys.executable, "-c", blocks(PAGE, "python")[1]], tmp_path)
    lines = commands(0)
    assert [words[1] for words in lines] == ["train", "evaluate", "lower", "simulate", "export", "-C"]
    said = {words[1]: run([*words, "--json"] if words[0] == "qpsnn" else words, tmp_path) for words in lines}
    assert json.loads(said["evaluate"])["accuracy"] >= 0.9
    found = json.loads(said["simulate"])
    assert (found["spike_mismatches"], found["readout_mismatches"], found["images"]) == (0, 0, 48)
    assert "spikes, membranes and readouts are the same" in said["-C"]
    trained, integers = commands(1)
    table = run(trained, tmp_path)
    assert re.search(r"pictures/disc/0\.jpg +│ +(disc|square|cross) │", table)
    assert table.count("pictures/cross/") == 80
    (row,) = json.loads(run(integers, tmp_path))["samples"]
    assert row["class"] == "disc"
    assert row["probability"] > 0.3


@pytest.mark.cli
@pytest.mark.lava
@pytest.mark.slow
def test_the_sensor_data_run_on_lava(tmp_path):
    copied(tmp_path, "own_series.py")
    python, evaluate, simulate = commands(2)
    table = run([sys.executable, *python[1:]], tmp_path)
    assert re.search(r"spikes that differ on Lava +0\n", table), table
    assert json.loads(run([*evaluate, "--json"], tmp_path))["accuracy"] >= 0.85
    found = json.loads(run([*simulate, "--json"], tmp_path))
    assert (found["backend"], found["spike_mismatches"], found["images"]) == ("lava", 0, 20)


def test_the_recipe_of_sensor_data_is_what_the_example_trains(tmp_path):
    (text,) = blocks(PAGE, "toml")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    recipe = qp.load_recipe(tmp_path / "mine.toml")
    assert (recipe.data.series, recipe.data.scale, recipe.network.widths) == ("frames", "measured", (48, 32))
    example = (ROOT / "examples" / "own_series.py").read_text(encoding="utf-8")
    assert f"LENGTH = {recipe.network.steps}\n" in example
    train = recipe.train
    assert f'epochs={train.epochs}, batch={train.batch}, optimizer="{train.optimizer}", lr={train.lr}' in example


def test_every_file_that_it_links_to_is_there():
    found = links(PAGE)
    assert {"../examples/own_data.py", "../examples/own_folder.toml", "../examples/own_series.py"} <= set(found)
    assert [link for link in found if not (PAGE.parent / link).exists()] == []


def test_it_names_every_option_of_your_own_data():
    text = PAGE.read_text(encoding="utf-8")
    keys = {"split_seed" if option == "seed" else option for name in ("arrays", "folder") for option in OPTIONS[name]}
    for key in keys - set(OF_NETWORK):
        assert f"`{key}`" in text, key
        assert hasattr(DataConfig(), key)
