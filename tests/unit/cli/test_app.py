"""The command line: what it writes, what it prints, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import qpsnn_core as qp
from qpsnn_core.experiments import paper_table1
from qpsnn_core.experiments.demo import DIGITS

pytestmark = pytest.mark.cli
COMMANDS = ["demo", "train", "score", "prune", "finetune", "evaluate", "report", "lower", "simulate"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    tiny = replace(
        DIGITS,
        network=replace(DIGITS.network, width=0.125, steps=2),
        data=replace(DIGITS.data, limit=128),
        train=replace(DIGITS.train, epochs=2, batch=32),
        finetune=replace(DIGITS.finetune, epochs=1, batch=32),
    )
    path.write_text(tiny.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "trained.h5"
    loaded = qp.load_recipe(recipe)
    data = qp.load_data("digits", limit=128)
    network = loaded.network.build((8, 8, 1), 10)
    qp.train(network, data.train, loaded.train, checkpoint=path, recipe=loaded.to_dict())
    return path


def test_train_writes_a_checkpoint_and_its_history(qpsnn, recipe, tmp_path):
    code, out, _ = qpsnn("train", recipe, "--out", tmp_path / "a.h5", "--json")
    assert code == 0
    assert [epoch["epoch"] for epoch in json.loads(out)["history"]] == [1, 2]
    assert qp.load_checkpoint(tmp_path / "a.h5").recipe["network"]["width"] == 0.125


def test_the_whole_way_from_checkpoint_to_integers(qpsnn, trained, tmp_path):
    pruned, tuned, network = (tmp_path / name for name in ("pruned.h5", "tuned.h5", "network.h5"))
    code, out, _ = qpsnn("prune", trained, "--rates", "0.5", "--out", pruned, "--json")
    assert code == 0
    layers = json.loads(out)["layers"]
    assert all(new == max(1, old // 2) for old, new in layers.values())
    assert qpsnn("finetune", pruned, "--out", tuned, "--json")[0] == 0
    code, out, _ = qpsnn("lower", tuned, "--out", network, "--json")
    assert code == 0
    assert json.loads(out)["bytes"] == network.stat().st_size
    figures = {}
    for path in (tuned, network):
        code, out, _ = qpsnn("evaluate", path, "--data", "digits", "--json", "--limit", 60)
        assert code == 0
        figures[path] = json.loads(out)
        assert figures[path]["images"] == 60
    assert abs(figures[tuned]["accuracy"] - figures[network]["accuracy"]) <= 0.1
    code, out, _ = qpsnn("simulate", network, "--data", "digits", "--limit", 10, "--json")
    assert code == 0
    assert json.loads(out)["spike_mismatches"] == 0


def test_fine_tuning_at_more_steps(qpsnn, trained, tmp_path):
    out = tmp_path / "longer.h5"
    assert qpsnn("finetune", trained, "--steps", 3, "--lr", 1e-12, "--out", out, "-q")[0] == 0
    old, new = qp.load_checkpoint(trained), qp.load_checkpoint(out)
    assert (old.model.network.steps, new.model.network.steps) == (2, 3)
    assert new.recipe["finetune"]["steps"] == 3
    for node, arrays in old.model.params.items():
        np.testing.assert_allclose(new.model.params[node]["weight"], arrays["weight"], rtol=1e-5, atol=1e-8)
    assert qpsnn("lower", out, "--out", tmp_path / "longer-network.h5")[0] == 0
    assert qp.load_integer(tmp_path / "longer-network.h5").steps == 3


def test_rates_by_name(qpsnn, trained, tmp_path):
    code, out, _ = qpsnn("prune", trained, "--rates", "conv1=0.5,conv2=0.25", "--out", tmp_path / "p.h5", "--json")
    assert code == 0
    layers = json.loads(out)["layers"]
    assert layers["lif1"] == [4, 2]
    assert layers["lif2"] == [4, 3]


@pytest.mark.parametrize("name", ["score", "report"])
def test_tables_and_json_say_the_same_layers(qpsnn, trained, name):
    code, table, _ = qpsnn(name, trained)
    assert code == 0
    code, out, _ = qpsnn(name, trained, "--json")
    assert code == 0
    data = json.loads(out)
    layers = list(data["scores"]) if name == "score" else [layer["name"] for layer in data["layers"]]
    assert len(layers) >= 6
    assert all(layer in table for layer in layers)


@pytest.mark.parametrize(
    "name", ["demo", "train", "score", "prune", "finetune", "evaluate", "report", "lower", "simulate"]
)
def test_every_command_has_help(qpsnn, name):
    code, out, _ = qpsnn(name, "--help")
    assert code == 0
    assert "Usage" in out


def test_a_misspelt_key_is_one_line_that_names_the_nearest(qpsnn, recipe, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(recipe.read_text().replace("epochs =", "epoch ="))
    code, out, err = qpsnn("train", bad, "--out", tmp_path / "a.h5")
    assert code == 2
    assert not out
    assert err.startswith("error: ")
    assert "epochs" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prune", "{trained}", "--rates", "1.0"), "rate"),
        (("prune", "{trained}", "--rates", "half"), "--rates"),
        (("score", "{trained}", "--criterion", "svd"), "svs"),
        (("evaluate", "{trained}", "--data", "digit"), "digits"),
        (("evaluate", "nowhere.h5"), "nowhere.h5"),
        (("lower", "{recipe}"), "`qpsnn train"),
        (("simulate", "{trained}"), "`qpsnn lower"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(qpsnn, trained, recipe, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = qpsnn(*(word.format(trained=trained, recipe=recipe) for word in words))
    assert code == 2
    assert err.startswith("error: ")
    assert said in err
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import os, signal
from qpsnn_core.cli import main
replace = os.replace
def replace_and_interrupt(*paths):
    replace(*paths)
    os.replace = replace
    signal.raise_signal(signal.SIGINT)
os.replace = replace_and_interrupt
main()
"""
"""The command line, interrupted as soon as its first checkpoint is there."""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupted_run_resumes_to_the_same_bits(recipe, tmp_path):
    longer = tmp_path / "longer.toml"
    longer.write_text(recipe.read_text().replace("epochs = 2", "epochs = 4"))

    def command(code, name, *options):
        words = [sys.executable, "-c", code, "train", longer, "--json", "--out", tmp_path / name, *options]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)

    whole = "from qpsnn_core.cli import main; main()"
    assert command(whole, "whole.h5").returncode == 0
    stopped = command(INTERRUPTED, "parts.h5")
    assert stopped.returncode == 130, stopped.stderr
    assert "--resume" in stopped.stderr
    assert len(qp.load_checkpoint(tmp_path / "parts.h5").history) == 1
    assert command(whole, "parts.h5", "--resume").returncode == 0
    whole, parts = (qp.load_model(tmp_path / name) for name in ("whole.h5", "parts.h5"))
    for node, arrays in whole.params.items():
        for name, array in arrays.items():
            assert array.tobytes() == parts.params[node][name].tobytes(), (node, name)


@pytest.mark.slow
def test_the_table_of_sizes(qpsnn, monkeypatch):
    """Each network is lowered and written at the fewest bits that it has there: what is written takes seconds."""
    write = paper_table1.file_bytes

    def file_bytes(network):
        fewest = 4 if network.input.shape == (224, 224, 3) else 2
        return write(network) if min(node.quantizer.bits for node in network.synapses) == fewest else 10**9

    monkeypatch.setattr(paper_table1, "file_bytes", file_bytes)
    monkeypatch.setattr(
        paper_table1, "sizes", cache(lambda sizes=paper_table1.sizes: list(sizes()))
    )  # for both tables: it is slow
    code, out, _ = qpsnn("table", "sizes", "--json")
    assert code == 0
    rows = json.loads(out)
    assert len(rows) == 41
    assert {"dataset", "network", "rate", "bits", "size_mb", "file_mb"} <= set(rows[0])
    assert [row["name"] for row in rows if row["difference_mb"]] == ["imagenet-0"]
    assert all(row["file_mb"] > row["saved_mb"] > 0 for row in rows)
    assert sum(row["file_mb"] < 1000 for row in rows) == len(paper_table1.TABLE_1)
    code, out, _ = qpsnn("table", "sizes")
    assert code == 0
    assert "40 of 41 agree" in out


def test_the_table_of_detection(qpsnn):
    code, out, _ = qpsnn("table", "detection", "--json")
    assert code == 0
    assert [row["printed_mb"] for row in json.loads(out)] == [19.29, None, 2.15, None, None, None]
    code, out, _ = qpsnn("table", "detection")
    assert code == 0
    assert "2.1508" in out


def test_the_table_of_membranes(qpsnn):
    code, out, _ = qpsnn("table", "membranes", "--json")
    assert code == 0
    assert {row["levels"] for row in json.loads(out)} == {0, 3, 5}
    code, out, _ = qpsnn("table", "membranes")
    assert code == 0
    assert "3.75 (77.94%)" in out


def test_the_table_of_efficiency_of_a_checkpoint(qpsnn, trained):
    code, out, _ = qpsnn("table", "efficiency", trained, "--limit", 20, "--json")
    assert code == 0
    (row,) = json.loads(out)
    assert row["sops"] == pytest.approx(row["sops_per_step"] * row["steps"])
    code, out, _ = qpsnn("table", "efficiency", trained, "--limit", 20)
    assert code == 0
    assert "0.204" in out


def test_the_share_of_the_connections_that_pruning_left(qpsnn, trained, tmp_path):
    pruned, small = tmp_path / "pruned.h5", tmp_path / "small.h5"
    assert qpsnn("prune", trained, "--rates", "0.5", "--out", pruned)[0] == 0
    assert qpsnn("compress", trained, "--sparsity", "0.75", "--method", "magnitude", "--out", small, "-q")[0] == 0
    code, out, _ = qpsnn("table", "efficiency", trained, pruned, small, "--limit", 20, "--json")
    assert code == 0
    whole, half, quarter = (row["connections"] for row in json.loads(out))
    sizes = [sum(a["weight"].size for a in qp.load_model(path).params.values()) for path in (trained, pruned)]
    assert whole == 1
    assert half == pytest.approx(sizes[1] / sizes[0])
    zeros = [
        (qp.load_model(small).params[node.name]["weight"] == 0).sum() for node in qp.load_model(small).network.synapses
    ]
    assert quarter == pytest.approx(1 - sum(zeros) / sizes[0])
    assert 0.2 < quarter < 0.35


def test_rates_by_the_name_of_a_set_must_fit(qpsnn, trained, tmp_path):
    code, _, err = qpsnn("prune", trained, "--rates", "cifar10-0.51", "--out", tmp_path / "p.h5")
    assert code == 2
    assert "lif7" in err


def test_quiet_commands_print_results_alone(qpsnn, trained, tmp_path):
    """`-q` is an option of every stage."""
    network, pruned = tmp_path / "n.h5", tmp_path / "p.h5"
    for words in (
        ("score", trained, "-q"),
        ("prune", trained, "--out", pruned, "-q"),
        ("lower", trained, "--out", network, "-q"),
        ("simulate", network, "--data", "digits", "--limit", 8, "-q"),
        ("report", trained, "--limit", 8, "-q"),
    ):
        code, out, err = qpsnn(*words)
        assert code == 0, words
        assert all(line.startswith("warning: ") for line in err.splitlines()), words
        assert out


def test_an_integer_network_has_no_recipe_to_fall_back_on(qpsnn):
    said = " ".join(qpsnn("simulate", "--help")[1].split())
    assert "an integer network names none" in said
    assert "recipe says" not in said
    assert "else as the recipe" not in said
