"""The benchmark's arithmetic, its files and its command, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarked import found

from benched import FOLDER
from benchmarks import contestants, measure, memory, networks, plot, report, results, training
from qpsnn_core.network.zoo.vgg import vgg_small

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = sorted((FOLDER / "published").glob("*.json"))
OLDER = ROOT / "tests" / "golden" / "benchmarks" / "results-1.json"


def test_a_ratio_is_of_minima_and_its_spread_of_paired_repeats():
    ratio = measure.ratio([4.0, 6.0, 8.0], [2.0, 1.0, 4.0, 9.0])
    assert ratio.minima == 4.0
    assert ratio.low == pytest.approx(2.0)
    assert ratio.high == pytest.approx(np.percentile([2, 6, 2], 90))


def test_geometric_mean():
    assert measure.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert measure.geometric_mean([]) is None


def test_the_faster_peer_counts_of_each_precision():
    records = found()["records"]
    assert results.ratios(records, "train", "float32") == {("a", 2): 4.0, ("a", 4): 4.0, ("b", 4): 1.0}
    assert results.ratios(records, "train", "autocast") == {("a", 2): 3.0, ("a", 4): 3.0, ("b", 4): 2.0}
    assert results.ratios(records, "train") == {("a", 2): 3.0, ("a", 4): 3.0, ("b", 4): 1.0}
    assert results.ratios(records, "train", form="fast") == {("a", 2): 6.0, ("a", 4): 6.0}
    assert results.ratios(records, "infer_float") == {("a", 2): 2.0, ("a", 4): 2.0}
    assert results.ratios(records, "infer_integer", "float32") == {("a", 2): 8.0, ("a", 4): 8.0}
    assert results.ratios(records, "infer_integer") == {("a", 2): 4.0, ("a", 4): 4.0}
    assert results.ratios(records, "train", threads=2) == {}
    assert results.scaling(found()) == {("a", 2): 2.0, ("a", 4): 2.0}
    assert results.memory_ratios(found()["memory"]) == {("a", 4): 4.0}
    assert results.memory_ratios(found()["memory"], "autocast") == {("a", 4): 2.0}


def test_geometric_means_of_results():
    means = found()["geomean"]
    assert means["train"]["float32"] == pytest.approx(16 ** (1 / 3))
    assert means["train"]["better"] == pytest.approx(9 ** (1 / 3))
    assert means["infer_integer"]["autocast"] == pytest.approx(4.0)
    assert means["threads2"] == {"one thread": pytest.approx(2.0)}
    assert means["memory"] == {"float32": pytest.approx(4.0), "autocast": pytest.approx(2.0)}


def test_results_survive_the_file(tmp_path):
    results.save(found(), tmp_path / "new" / "results.json")
    assert results.load_race(tmp_path / "new" / "results.json") == found()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.json"]


def test_results_of_the_first_format_still_load(tmp_path):
    old = results.load_race(OLDER)
    plain = results.load(OLDER)
    assert "format" not in plain
    assert old["format"] == results.FORMAT
    assert old["machine"]["features"] is None
    assert old["geomean"]["train"]["better"] == pytest.approx(plain["geomean"]["train"])
    assert old["geomean"]["memory"]["float32"] == pytest.approx(plain["geomean"]["memory"])
    assert old["geomean"]["train"]["autocast"] is None
    first, before = old["records"][0], plain["records"][0]
    assert first["ratios"]["better"] == first["ratios"]["float32"] == before["ratio"]
    assert "features not recorded" in report.section(old)
    assert "3.1x" in report.speed(old, ("train",))
    later = tmp_path / "later.json"
    later.write_text(json.dumps({**plain, "format": results.FORMAT + 1}))
    with pytest.raises(ValueError, match="format: expected at most 2, got 3"):
        results.load_race(later)


def test_the_processors_time_is_shared_out():
    before = {"all": 10.0, "stolen": 1.0, "busy": 4.0, "own": 1.0}
    after = {"all": 30.0, "stolen": 2.0, "busy": 19.0, "own": 6.0}
    assert results.load_of(before, after) == {"stolen": 0.05, "others": 0.5}
    now = results.ticks()
    assert now["own"] > 0
    assert now["busy"] <= now["all"]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_results_are_whole(path):
    published = results.load_race(path)
    wanted = {"network", "T", "work", "threads", "contestant", "min_s", "median_s", "repeats", "form", "batch", "rate"}
    for row in published["records"]:
        assert wanted <= set(row)
        assert row["contestant"] in contestants.NAMES
        assert row["work"] in contestants.WORKS
        assert 0 < row["min_s"] <= row["median_s"]
        assert 0 < row["rate"] < 1
    assert set() < {row["network"] for row in published["records"] if row["T"] == 4} <= set(networks.NAMES)
    for work in ("train", "infer_float"):
        peers = [row for row in published["records"] if row["work"] == work and row["contestant"] != contestants.OURS]
        assert {contestants.precision(row["form"]) for row in peers} == {"float32", "autocast"}
    means = results.geometric_means(published)
    assert set(published["geomean"]) == set(means)
    for name, each in means.items():
        assert published["geomean"][name] == pytest.approx(each)
    assert published["geomean"]["memory"]["float32"] is not None
    assert {(row["contestant"], contestants.precision(row["form"])) for row in published["agreement"]} >= {
        ("spikingjelly", "float32"),
        ("spikingjelly", "autocast"),
    }
    assert published["duration_s"] > 0


@pytest.mark.plot
def test_the_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    results_ = found()
    results_["records"][0]["ratios"] = {"better": {"minima": 4.0, "low": 3.5, "high": 4.5}}
    plot.draw(results_, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_weights_are_trained_once_and_kept(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(training, "_network", lambda name, classes: vgg_small((32, 32, 3), classes, steps=2, width=0.1))
    said = []
    source = training.images(None)
    assert source.train.images.shape[1:] == (32, 32, 3)
    first = training.trained("vgg_small", lambda: source, 0.0, tmp_path, said.append)
    assert first.note["updates"] == 1
    assert "digits" in first.note["data"]
    again = training.trained("vgg_small", lambda: pytest.fail("trained again"), 0.0, tmp_path, said.append)
    assert len(said) == 1
    for name, own in first.model.params.items():
        for array, values in own.items():
            np.testing.assert_array_equal(again.model.params[name][array], values)
    assert len(again.images) == len(again.labels) == training.KEPT


def test_what_the_first_update_compiles_is_not_counted_as_training(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(training, "_network", lambda name, classes: vgg_small((32, 32, 3), classes, steps=2, width=0.1))
    updates = []

    def clock():
        return 100.0 * bool(updates) + len(updates)

    def init(params):
        return None

    def update(gradients, state, params, rate):
        updates.append(rate)
        return params, state

    monkeypatch.setattr(training, "perf_counter", clock)
    monkeypatch.setitem(training.OPTIMIZERS, "adam", lambda *_: SimpleNamespace(init=init, update=update))
    found = training.trained("vgg_small", lambda: training.images(None), 3.0, tmp_path, lambda _: None)
    assert found.note["updates"] == 4


def test_memory_is_measured_in_bytes():
    if not memory.STATUS.exists():
        pytest.skip("the system has no /proc")
    memory.give_back()
    before = memory.resident()
    memory.forget_peak()
    held = np.ones(2**23)
    assert memory.peak() - before > 2**25
    del held


@pytest.mark.cli
def test_the_command_names_its_options():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for option in (
        "--networks",
        "--works",
        "--steps",
        "--threads",
        "--repeats",
        "--seconds",
        "--quick",
        "--busy",
        "--publish",
    ):
        assert option in done.stdout


def test_make_knows_the_command():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(if $(QUICK),--quick,--publish)" in text
    pins = (FOLDER / "constraints.txt").read_text(encoding="utf-8").split("\n")
    assert {"torch==2.13.0", "spikingjelly==2.0.0", "snntorch==1.0.0"} <= set(pins)


def test_the_command_is_said_without_the_machines_folders(tmp_path):
    given = ["--quick", "--steps", "2,4", "--data", str(tmp_path / "some.h5")]
    assert results.command(given) == "python -m benchmarks --quick --steps 2,4 --data some.h5"


def test_results_are_json():
    assert json.loads(json.dumps(found())) == found()
