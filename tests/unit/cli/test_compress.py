"""`qpsnn compress` and `qpsnn compress-sweep`: what they write, what they print, how they go on, what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, FormatError
from qpsnn_core.compression.weights import eliminate
from qpsnn_core.experiments import compression_sweep
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.recipes.training import TrainConfig

pytestmark = pytest.mark.cli

TINY = Recipe(
    network=NetworkConfig("mlp", width=0.0625, steps=2),
    data=DataConfig("digits", limit=128),
    train=TrainConfig(epochs=3, batch=32, optimizer="adam", lr=0.02),
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "trained.h5"
    network = replace(TINY.network, bits=32).build((8, 8, 1), 10)
    qp.train(network, qp.load_data("digits", limit=128), TINY.train, checkpoint=path, recipe=TINY.to_dict())
    return path


def test_the_whole_way_to_integers(qpsnn, trained, tmp_path):
    small, tuned, network = (tmp_path / name for name in ("small.h5", "tuned.h5", "network.h5"))
    options = ("--sparsity", 0.9, "--bits", 4, "--method", "osbc", "--out", small)
    code, out, _ = qpsnn("compress", trained, *options, "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures["sparsity"] == pytest.approx(0.9, abs=1e-3)
    assert figures["size_mb"] < 0.1 * figures["dense_mb"]
    assert [layer["name"] for layer in figures["layers"]] == ["hidden1", "linear"]
    assert all(layer["form"] in ("gaps", "bitmap") for layer in figures["layers"])
    assert qp.load_checkpoint(small).notes["compressed"] == figures
    assert qpsnn("finetune", small, "--epochs", 1, "--out", tuned, "-q")[0] == 0
    zero = qp.load_model(small).params["hidden1"]["weight"] == 0
    assert (qp.load_model(tuned).params["hidden1"]["weight"][zero] == 0).all()
    code, out, _ = qpsnn("report", tuned, "--json")
    assert code == 0
    layer = next(one for one in json.loads(out)["layers"] if one["name"] == "hidden1")
    assert layer["macs"] == figures["layers"][0]["kept"]
    assert qpsnn("lower", tuned, "--out", network)[0] == 0
    code, out, _ = qpsnn("simulate", network, "--data", "digits", "--limit", 10, "--json")
    assert code == 0
    assert json.loads(out)["spike_mismatches"] == 0


def test_the_table_says_what_was_kept(qpsnn, trained, tmp_path):
    code, out, _ = qpsnn("compress", trained, "--sparsity", 0.5, "--ratios", "uniform", "--out", tmp_path / "a.h5")
    assert code == 0
    assert "512" in out
    assert "sparsity" in out
    assert qp.load_model(tmp_path / "a.h5").network["hidden1"].quantizer is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sparsity", "1"), "compress.sparsity"),
        ((), "a sparsity above 0, or bits"),
        (("--bits", "9"), "compress.bits"),
        (("--bits", "4", "--method", "osb"), "osbc"),
        (("--bits", "4", "--scale", "mean"), "compress.scale"),
        (("--bits", "4", "--data", "digit"), "digits"),
        (("--bits", "4", "--out", "nowhere/small.h5"), "nowhere/small.h5: expected a file in a folder that is there"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(qpsnn, trained, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = qpsnn("compress", trained, *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_goes_on_where_it_was(qpsnn, recipe, tmp_path, monkeypatch):
    words = ("compress-sweep", recipe, "--out", tmp_path / "sweep", "-q", "--json", "--images", 64)
    code, out, _ = qpsnn(*words, "--methods", "osbc,rtn", "--sparsities", "0,0.9", "--bits", "32,4")
    assert code == 0
    first = json.loads(out)
    found = [(one["method"], one["sparsity"], one["bits"]) for one in first["results"]]
    assert found == [("osbc", 0, 4), ("osbc", 0.9, 32), ("osbc", 0.9, 4), ("rtn", 0, 4)]
    assert all((one["integer"] is None) == (one["bits"] == 32) for one in first["results"])
    assert len(first["table"]) == 4
    made = []
    whole = compression_sweep.finish
    monkeypatch.setattr(
        compression_sweep, "finish", lambda ready, *target: made.append(target[:2]) or whole(ready, *target)
    )
    code, out, _ = qpsnn(*words, "--methods", "osbc,rtn", "--sparsities", "0,0.9", "--bits", "32,4,2")
    assert code == 0
    assert made == [(0.0, 2), (0.9, 2), (0.0, 2)]
    again = json.loads(out)["results"]
    assert [one for one in again if one["bits"] != 2] == first["results"]


def test_a_first_pass_that_is_there_is_taken(recipe, tmp_path, monkeypatch):
    data, chosen = qp.load_data("digits", limit=128), qp.load_recipe(recipe)
    settings = compression_sweep.Settings(("osbc",), (0.5, 0.9), (32,), images=64)
    whole = compression_sweep.run_compression_sweep(chosen, data, tmp_path / "whole", settings)
    first = compression_sweep.run_compression_sweep(
        chosen, data, tmp_path / "parts", settings._replace(sparsities=(0.9,))
    )
    monkeypatch.setattr(eliminate, "record_rows", lambda *_: pytest.fail("the first pass ran again"))
    both = compression_sweep.run_compression_sweep(chosen, data, tmp_path / "parts", settings)
    assert first == [one for one in both if one.sparsity == 0.9]
    for one, other in zip(sorted(whole), sorted(both), strict=True):
        assert (one.key, one.accuracy, one.shares) == (other.key, other.accuracy, other.shares)
    path = tmp_path / "parts" / "first-pass-osbc-0.h5"
    assert both[-1].seconds > compression_sweep.read_traces(path)[1] > 0
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(FormatError, match="not a whole HDF5 file"):
        compression_sweep.run_compression_sweep(chosen, data, tmp_path / "parts", settings._replace(sparsities=(0.7,)))


def test_a_sweeps_folder_is_of_one_recipe(recipe, tmp_path):
    data, chosen = qp.load_data("digits", limit=64), qp.load_recipe(recipe)
    settings = compression_sweep.Settings(("rtn",), (0.0,), (4,), images=32)
    compression_sweep.run_compression_sweep(chosen, data, tmp_path, settings)
    with pytest.raises(ConfigError, match="this recipe"):
        compression_sweep.run_compression_sweep(
            replace(chosen, train=replace(chosen.train, lr=0.01)), data, tmp_path, settings
        )
    with pytest.raises(ConfigError, match="scale: expected max, got 'search'"):
        compression_sweep.run_compression_sweep(chosen, data, tmp_path, settings._replace(scale="search"))
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(FormatError, match="not the results of a sweep"):
        compression_sweep.run_compression_sweep(chosen, data, tmp_path, settings)


def test_with_folds_each_seed_is_tested_on_a_part_of_its_own(qpsnn, recipe, tmp_path):
    words = ("compress-sweep", recipe, "--out", tmp_path / "sweep", "-q", "--json", "--images", 32, "--seeds", 4)
    target = ("--methods", "magnitude", "--sparsities", 0.5, "--bits", 32)
    code, out, _ = qpsnn(*words, *target, "--folds", 3)
    assert code == 0
    results = json.loads(out)["results"]
    parts = qp.load_data("digits", limit=128).pooled().folds(3, 0)
    assert sum(len(part.test) for part in parts) == 256
    for one, part in zip(results, [*parts, parts[0]], strict=True):
        checkpoint = qp.load_checkpoint(tmp_path / "sweep" / f"dense-{one['seed']}.h5")
        assert one["dense"] == qp.evaluate(checkpoint.model, part.test).accuracy
        twin = qp.train(
            replace(TINY.network, bits=32).build((8, 8, 1), 10), part.train, replace(TINY.train, seed=one["seed"])
        )
        np.testing.assert_array_equal(
            twin.model.params["linear"]["weight"], checkpoint.model.params["linear"]["weight"]
        )
    assert results[0]["dense"] != results[3]["dense"] or results[0]["accuracy"] != results[3]["accuracy"]
    for folds, said in ((4, "folds: expected 3, got 4"), (0, "folds: expected 3, got None"), (1, "folds")):
        code, _, err = qpsnn(*words, *target, "--folds", folds)
        assert code == 2
        assert said in err


def test_the_table_is_the_mean_over_seeds():
    rows = [
        compression_sweep.Result(seed, method, 0.5, 4, dense, accuracy, None, 1.0, 1.0, {}, 2.0, 1.0)
        for seed, method, dense, accuracy in ((0, "obc", 0.9, 0.8), (1, "obc", 0.8, 0.76), (0, "osbc", 0.9, 0.9))
    ]
    osbc, obc = compression_sweep.table(rows)
    assert (osbc.method, osbc.seeds, osbc.spread) == ("osbc", 1, None)
    assert (obc.method, obc.seeds) == ("obc", 2)
    assert obc.accuracy == pytest.approx(78)
    assert obc.lost == pytest.approx(7)
    assert obc.spread == pytest.approx(np.std([10, 4], ddof=1))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sparsities", "0,half"), "--sparsities"),
        (("--bits", "4,x"), "--bits"),
        (("--bits", "1"), "compress.bits"),
        (("--methods", "osbc,obs"), "compress.method"),
    ],
)
def test_a_sweep_refuses_before_it_trains(qpsnn, recipe, tmp_path, words, said):
    code, _, err = qpsnn("compress-sweep", recipe, "--out", tmp_path / "sweep", *words)
    assert code == 2
    assert said in err
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("name", ["compress", "compress-sweep"])
def test_every_command_has_help(qpsnn, name):
    code, out, _ = qpsnn(name, "--help")
    assert code == 0
    assert "Usage" in out


def test_the_readmes_commands_run_one_after_the_other(qpsnn, tmp_path, monkeypatch):
    """On the README's recipe with fewer images and channels: a network of convolutions that is quantized already."""
    monkeypatch.chdir(tmp_path)
    quick = replace(
        DIGITS,
        network=replace(DIGITS.network, width=0.125, steps=2),
        data=replace(DIGITS.data, limit=128),
        train=replace(DIGITS.train, epochs=1, batch=32),
    )
    (tmp_path / "digits.toml").write_text(quick.to_toml(), encoding="utf-8")
    for line in (
        "train digits.toml --out trained.h5",
        "compress trained.h5 --sparsity 0.9 --bits 4 --out small.h5",
        "evaluate small.h5",
        "compress-sweep digits.toml --methods osbc,magnitude --sparsities 0.9 --bits 4 --out sweep",
    ):
        code, out, err = qpsnn(*line.split())
        assert code == 0, f"{line}: {err}"
        assert out.strip(), line
    assert {node.quantizer.bits for node in qp.load_model("small.h5").network.synapses} == {4}
