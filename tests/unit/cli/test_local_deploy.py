"""`qpsnn export --c` and `qpsnn simulate` of networks that learnt locally; from MNIST's files to C and Lava."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from compiled import needs_cc

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from qpsnn_core.experiments.decolle_runs import new_decolle
from qpsnn_core.experiments.local_runs import learn_recipe
from qpsnn_core.local_learning.decolle_file import DecolleCheckpoint, save_decolle
from qpsnn_core.local_learning.decolle_recipe import decolle_recipe_from_dict
from qpsnn_core.local_learning.recipe import local_recipe_from_dict
from qpsnn_datasets import load_data

pytestmark = pytest.mark.cli

NEURONS = {"membrane": "Q11.6", "threshold": "Q8.6", "reset": "Q7.0", "increment": "Q1.6"}
STDP = {
    "diehl_cook": {
        "neurons": 12,
        "form": "single",
        "inhibition": 120.0,
        "neuron": {"theta_tau": "none"},
        "trains": {"steps": 60, "intensity": 200.0},
        "rule": {"total": 10.0},
    },
    "data": {"name": "digits", "limit": 60},
    "formats": {"weights": "Q1.6", "neurons": NEURONS, "rounding": "nearest"},
}
SHARE = dict.fromkeys(("alpha", "beta", "gamma"), "Q0.12")
DECOLLE = {
    "decolle": {
        "layers": [{"channels": 4, "kernel": 3, "pool": 2}],
        "neuron": {"dynamics": "normalised", "threshold": 0.0},
    },
    "frames": {"steps": 10, "lsuv_samples": 16},
    "train": {"steps": 10, "test_steps": 10, "burnin": 2, "epochs": 1, "batch": 16},
    "data": {"name": "digits-events", "limit": 40},
    "formats": {
        "weights": "Q7.8",
        "neurons": {"membrane": "Q7.8", "p": "Q2.10", "q": "Q2.10", "r": "Q1.10", "inhibition": "Q1.8", **SHARE},
        "rounding": "nearest",
    },
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network of each kind, and one in float32."""
    folder = tmp_path_factory.mktemp("local")
    digits = load_data("digits", limit=60).train
    learn_recipe(local_recipe_from_dict(STDP), digits, folder / "stdp.h5")
    real = {name: table for name, table in STDP.items() if name != "formats"}
    learn_recipe(local_recipe_from_dict(real), digits, folder / "float.h5")
    recipe = decolle_recipe_from_dict(DECOLLE)
    model = new_decolle(recipe, load_data("digits-events", steps=10, limit=40).train)
    save_decolle(folder / "decolle.h5", DecolleCheckpoint(model, recipe=recipe.to_dict()))
    return folder


@needs_cc
@pytest.mark.parametrize("name", ["stdp", "decolle"])
def test_export_its_check_and_simulate(qpsnn, files, tmp_path, name):
    code, out, _ = qpsnn("export", files / f"{name}.h5", "--c", tmp_path / "c", "--json")
    assert code == 0
    done = json.loads(out)
    assert done["vectors"] == 4
    assert 0.1 < done["memory"] < 0.6
    source = "digits" if name == "stdp" else "digits-events"
    words = ("--name", "net", "--data", source, "--vectors", 3)
    code, out, _ = qpsnn("export", files / f"{name}.h5", "--c", tmp_path / "c", *words)
    assert code == 0
    assert f"{done['constants']:,}" in out
    made = subprocess.run(["make", "-C", tmp_path / "c", "check"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert "net: 3 samples" in made.stdout
    code, out, _ = qpsnn("simulate", files / f"{name}.h5", "--backend", "c", "--limit", 20, "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures["backend"] == "c"
    assert set(figures["mismatches"].values()) == {0}
    assert len(figures["mismatches"]) >= 6
    assert figures["images"] == 20
    assert figures["changed"] <= (0 if name == "stdp" else 2)
    assert figures["memory"] == done["memory"]


def test_a_difference_is_found(qpsnn, files, monkeypatch):
    """A negative control: one membrane that is another."""
    from qpsnn_backends.exact_local import ExactLocalBackend
    from qpsnn_core.integer.local import backends

    class Wrong(ExactLocalBackend):
        name = "wrong"

        def run(self, network, samples, record="none", first=0):
            run = super().run(network, samples, record, first)
            run.variables["membranes"][0, 3, 5] += 1
            return run

    monkeypatch.setitem(backends.LOCAL_BACKENDS, "wrong", (__name__, "Wrong"))
    monkeypatch.setattr(f"{__name__}.Wrong", Wrong, raising=False)
    code, out, _ = qpsnn("simulate", files / "stdp.h5", "--backend", "wrong", "--limit", 4, "--json")
    assert code == 1
    assert json.loads(out)["mismatches"]["membranes"] == 1


def test_what_cannot_be_deployed_is_said(qpsnn, files, tmp_path):
    code, _, said = qpsnn("simulate", files / "float.h5")
    assert code != 0
    assert "formats.weights: expected weights in fixed point" in said
    code, _, said = qpsnn("export", files / "float.h5", "--c", tmp_path / "c")
    assert code != 0
    assert not (tmp_path / "c").exists()
    code, _, said = qpsnn("simulate", files / "stdp.h5", "--backend", "lava", "--stock")
    assert code != 0
    assert "--stock" in said
    code, _, said = qpsnn("simulate", files / "stdp.h5", "--backend", "cc")
    assert code != 0
    assert "one of exact, lava, c" in said


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.once
@needs_cc
def test_from_mnists_files_to_c_and_lava(qpsnn, root, shared_data, tmp_path, monkeypatch):
    """The commands of docs/q-spinn.md, with fewer neurons and images, and a part of them on Lava."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(shared_data)
    (tmp_path / "examples").mkdir()
    text = (root / "examples" / "mnist-100-stdp.toml").read_text(encoding="utf-8")
    changes = {"neurons = 100": "neurons = 40", 'name = "mnist"': 'name = "mnist"\nlimit = 1000'}
    changes |= {"fractions = [8, 7, 6]": "fractions = [8, 6]", '["nearest", "stochastic"]': '["nearest"]'}
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "examples" / "mnist-100-stdp.toml").write_text(text, encoding="utf-8")
    page = (root / "docs" / "q-spinn.md").read_text(encoding="utf-8")
    commands = page.split("```text\nqpsnn qspinn examples/mnist-100")[1].split("```")[0]
    search, export, check, lava = f"qpsnn qspinn examples/mnist-100{commands}".strip().split("\n")
    code, out, _ = qpsnn(*search.split()[1:], "--json")
    assert code == 0, out
    found = json.loads(out)
    assert found["chosen"]["memory"] < 0.26
    assert found["chosen"]["accuracy"] >= found["baseline"] - 0.01
    assert qpsnn(*export.split()[1:])[0] == 0
    made = subprocess.run(check.split(), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    code, out, _ = qpsnn(*lava.replace("--limit 1000", "--limit 12").split()[1:], "--json")
    assert code == 0
    assert set(json.loads(out)["mismatches"].values()) == {0}
    shutil.rmtree(tmp_path / "firmware")
