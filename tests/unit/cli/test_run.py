"""`qpsnn run`: the figures of the single commands, one table and report.json, Ctrl-C, and what is missing."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import replace

import pytest
from compiled import needs_cc

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from qpsnn_core.cli import show
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.experiments.pipeline import stages
from qpsnn_core.recipes.deployment import ExportConfig, SimulateConfig
from qpsnn_core.recipes.recipe import load_recipe

pytestmark = pytest.mark.cli


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A hidden layer on a few digits, with every table that needs nothing but a C compiler."""
    monkeypatch.chdir(tmp_path)
    tiny = replace(
        DIGITS,
        network=replace(DIGITS.network, name="mlp", widths=(8,), steps=2),
        data=replace(DIGITS.data, limit=96),
        train=replace(DIGITS.train, epochs=2, batch=32),
        prune=replace(DIGITS.prune, batches=2, batch=32),
        finetune=replace(DIGITS.finetune, epochs=1, batch=32),
        simulate=SimulateConfig(("exact", "c"), images=5),
        export=ExportConfig(("c",), vectors=3),
    )
    path = tmp_path / "tiny.toml"
    path.write_text(tiny.to_toml(), encoding="utf-8")
    return path


def figures(qpsnn, *words):
    code, out, err = qpsnn(*words, "--json")
    assert code == 0, err
    return json.loads(out)


@needs_cc
def test_it_gives_the_figures_of_the_commands(qpsnn, recipe, tmp_path):
    found = figures(qpsnn, "run", recipe, "--out", "run", "--quiet")
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8")) == found
    for words in (
        ("train", recipe, "--out", "trained.h5"),
        ("prune", "trained.h5", "--out", "pruned.h5"),
        ("finetune", "pruned.h5", "--out", "tuned.h5"),
        ("lower", "tuned.h5", "--out", "network.h5"),
    ):
        assert qpsnn(*words, "--quiet")[0] == 0
    rows = {row["name"]: row for row in found["rows"]}
    for name, file in (("trained", "trained.h5"), ("pruned", "pruned.h5"), ("fine-tuned", "tuned.h5")):
        single = figures(qpsnn, "evaluate", file, "--quiet")
        assert {key: single[key] for key in ("accuracy", "images", "firing_rate")} == {
            key: rows[name][key] for key in ("accuracy", "images", "firing_rate")
        }
        cost = figures(qpsnn, "report", file, "--limit", 0, "--quiet")
        assert {key: cost[key] for key in ("parameters", "size_mb", "sops", "energy_mj")} == {
            key: rows[name][key] for key in ("parameters", "size_mb", "sops", "energy_mj")
        }
    single = figures(qpsnn, "evaluate", "network.h5", "--data", recipe, "--quiet")
    assert single["accuracy"] == rows["integer"]["accuracy"]
    for backend in ("exact", "c"):
        words = ("simulate", "network.h5", "--data", recipe, "--limit", 5, "--backend", backend)
        single = figures(qpsnn, *words, "--quiet")
        assert single["accuracy"] == rows[backend.capitalize()]["accuracy"]
        own = found["stages"]["simulate"]["backends"][backend]
        assert {key: single[key] for key in own} == own
    words = ("export", "network.h5", "--c", "firmware", "--data", recipe, "--vectors", 3, "--name", "network")
    assert qpsnn(*words)[0] == 0
    for name in ("network.c", "network.h", "vectors.bin"):
        assert (tmp_path / "firmware" / name).read_bytes() == (tmp_path / "run" / "firmware" / name).read_bytes()


@needs_cc
def test_it_prints_one_table_and_goes_on_after_ctrl_c(qpsnn, recipe, monkeypatch):
    there, seen = show.Told.__call__, []

    def call(self, event):
        there(self, event)
        seen.append(event.stage)
        if seen.count("finetune") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(show.Told, "__call__", call)
    code, out, err = qpsnn("run", recipe, "--out", "run")
    assert (code, out) == (130, "")
    assert "stopped; the same command goes on in run" in err
    monkeypatch.setattr(show.Told, "__call__", there)
    code, out, err = qpsnn("run", recipe, "--out", "run")
    assert code == 0
    assert "train: done before" in err
    assert "train: epoch" not in err
    assert "finetune: epoch 1/1" in err
    for text in (
        "trained against integer: ",
        "integer against C: 0 of ",
        "written: run/firmware",
        "written: run/report",
    ):
        assert text in out
    code, _, err = qpsnn("run", recipe, "--out", "run", "--anew", "trian")
    assert code == 2
    assert err.startswith("error: run.anew: expected a stage of the recipe: train, score, ")
    assert "got 'trian' (did you mean 'train'?)" in err


def test_without_lava_it_says_so_before_it_trains(qpsnn, recipe, tmp_path, monkeypatch):
    real = importlib.metadata.version

    def without(name):
        if name == "lava-nc":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("QPSNN_SIDE_ENVIRONMENT", raising=False)
    monkeypatch.setattr(stages, "train", None)
    recipe.write_text(recipe.read_text(encoding="utf-8").replace('"exact", "c"', '"lava"'), encoding="utf-8")
    code, out, err = qpsnn("run", recipe, "--out", "run", "--quiet")
    assert (code, out) == (2, "")
    assert err.startswith("error: lava: expected the [lava] extra on Python 3.10 (run `")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_difference_has_status_1(qpsnn, recipe, monkeypatch):
    recipe.write_text(recipe.read_text(encoding="utf-8").replace('"exact", "c"', '"exact"'), encoding="utf-8")
    made = stages.STAGES["simulate"]

    def other(work, file):
        found = made.work(work, file)
        found["backends"]["exact"]["spike_mismatches"] = 1
        return found

    monkeypatch.setitem(stages.STAGES, "simulate", made._replace(work=other))
    code, out, _ = qpsnn("run", recipe, "--out", "run", "--quiet")
    assert code == 1
    assert "integer against Exact: 1 of " in out


@pytest.mark.exchange
@pytest.mark.parametrize("exact", [False, True])
def test_nir_is_written_as_the_command_does(qpsnn, recipe, tmp_path, exact):
    pytest.importorskip("nir")
    chosen = load_recipe(recipe)
    chosen = replace(chosen, simulate=None, export=ExportConfig(("nir",), exact=exact))
    recipe.write_text(chosen.to_toml(), encoding="utf-8")
    found = figures(qpsnn, "run", recipe, "--out", "run", "--quiet")["stages"]["export"]["exports"]["nir"]
    source = "run/network.h5" if exact else "run/tuned.h5"
    single = figures(qpsnn, "export", source, "--nir", "single.nir", *(["--exact"] if exact else []))
    assert {name: single[name] for name in found if name != "file"} == {
        name: value for name, value in found.items() if name != "file"
    }
    assert (tmp_path / "run" / "network.nir").is_file()
