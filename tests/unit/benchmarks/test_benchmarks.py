"""The benchmark's arithmetic, its files and its command, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benched import FOLDER, tiny
from benchmarks import contestants, measure, memory, networks, plot, race, results, scaling, table, training
from qpsnn_core.kernels import threads as parallel
from qpsnn_core.network.zoo.vgg import vgg_small

ROOT = Path(__file__).resolve().parents[3]


PUBLISHED = FOLDER / "results.json"


def record(network, steps, work, contestant, seconds, threads=1):
    names = ("network", "T", "work", "threads", "contestant", "min_s", "median_s")
    row = dict(zip(names, (network, steps, work, threads, contestant, seconds, seconds * 1.1), strict=True))
    return {**row, "repeats": 5, "form": "", "batch": 16, "rate": 0.15}


def found():
    """Results as a run would leave them, with figures that are easy to check."""
    records = []
    for steps in (2, 4):
        records += [
            record("a", steps, "train", who, s) for who, s in (("qpsnn", 1), ("spikingjelly", 4), ("snntorch", 6))
        ]
        records += [record("a", steps, "train", "qpsnn", 0.6, threads=2)]
        records += [record("a", steps, "infer_integer", "qpsnn", 0.5), record("a", steps, "infer_float", "qpsnn", 1)]
        records += [
            record("a", steps, "infer_float", "spikingjelly", 5),
            record("a", steps, "infer_float", "snntorch", 4),
        ]
    records += [record("b", 2, "train", "qpsnn", 2), record("b", 2, "train", "snntorch", 2)]
    held = {"qpsnn": 10, "spikingjelly": 50, "snntorch": 40}
    whole = {
        "command": "python -m benchmarks",
        "duration_s": 60.0,
        "machine": {"cpu": "a processor", "versions": {"torch": "2.13.0", "spikingjelly": "2.0.0"}},
        "networks": [],
        "agreement": [],
        "records": records,
        "scaling": [{"network": "a", "T": steps, "threads": 2, "one_thread_s": 1.0, "min_s": 0.5} for steps in (2, 4)],
        "memory": [
            {"network": "a", "T": 2, "contestant": who, "step_bytes": size * 2**20, "peak_bytes": 0}
            for who, size in held.items()
        ],
        "import_s": [{"contestant": "qpsnn", "min_s": 0.1, "median_s": 0.2, "repeats": 3}],
        "first_step_s": [
            {"contestant": "qpsnn", "cache": "cold", "wall_s": 30.0, "cpu_s": 50.0},
            {"contestant": "qpsnn", "cache": "warm", "wall_s": 2.0, "cpu_s": 1.5},
        ],
    }
    return {**whole, "geomean": results.geometric_means(whole)}


def test_a_ratio_is_of_minima_and_its_spread_of_paired_repeats():
    ratio = measure.ratio([4.0, 6.0, 8.0], [2.0, 1.0, 4.0, 9.0])
    assert ratio.minima == 4.0
    assert ratio.low == pytest.approx(2.0)
    assert ratio.high == pytest.approx(np.percentile([2, 6, 2], 90))


def test_geometric_mean():
    assert measure.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert measure.geometric_mean([]) is None


def test_contestants_take_turns():
    turns = []
    calls = {name: lambda name=name: turns.append(name) for name in "abc"}
    times = measure.alternate(calls, measure.Effort(0.0, 2, 5))
    assert turns == list("abc") * 3
    assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys("abc", 2)
    turns.clear()
    measure.alternate(calls, measure.Effort(60.0, 1, 4), warm=False)
    assert turns == list("abc") * 4


def test_the_faster_peer_counts():
    records = found()["records"]
    assert results.ratios(records, "train") == {("a", 2): 4.0, ("a", 4): 4.0, ("b", 2): 1.0}
    assert results.ratios(records, "infer_float") == {("a", 2): 4.0, ("a", 4): 4.0}
    assert results.ratios(records, "infer_integer") == {("a", 2): 8.0, ("a", 4): 8.0}
    assert results.ratios(records, "train", threads=2) == {}
    assert results.scaling(found()) == {("a", 2): 2.0, ("a", 4): 2.0}
    assert results.memory_ratios(found()["memory"]) == {("a", 2): 4.0}


def test_geometric_means_of_results():
    means = found()["geomean"]
    assert means["train"] == pytest.approx(16 ** (1 / 3))
    assert means["infer_integer"] == pytest.approx(8.0)
    assert means["threads2"] == pytest.approx(2.0)
    assert means["memory"] == pytest.approx(4.0)


def test_what_misses_its_target_is_said():
    missed = "\n".join(table.short_of(found()))
    assert "training step, against" in missed
    assert "cold cache" in missed
    assert "b, T=2, train: 1.00x" in missed
    assert "warm cache" not in missed
    assert "infer_integer" not in missed


def test_tables_hold_the_figures():
    text = table.summary(found())
    assert "| 2.52x | 1x (b, T=2) | 3x | 5x |" in text
    assert "| `import qpsnn_core` | 0.1 s |  | 0.5 s | 0.2 s |" in text
    text = table.details(found())
    assert "| a | 2 | 15% / 15% | 1000 / 4000 / 6000 | 4x | 500 / 1000 / 5000 / 4000 | 8x | 10 / 50 / 40 | 4x |" in text
    assert "| b | 2 | 15% | 2000 / – / 2000 | 1x |" in text


def test_readme_takes_the_block_and_nothing_else_changes(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n")
    table.write(found(), readme)
    table.write(found(), readme)
    assert readme.read_text() == f"before\n\n{table.block(found())}\n\nafter\n"
    readme.write_text("no markers\n")
    with pytest.raises(ValueError, match="expected the two comments"):
        table.write(found(), readme)


def test_results_survive_the_file(tmp_path):
    results.save(found(), tmp_path / "new" / "results.json")
    assert results.load(tmp_path / "new" / "results.json") == found()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.json"]


def test_the_published_results_are_whole():
    if not PUBLISHED.exists():
        pytest.skip("benchmarks/results.json has not been published yet: make bench")
    published = results.load(PUBLISHED)
    wanted = {"network", "T", "work", "threads", "contestant", "min_s", "median_s", "repeats", "form", "batch", "rate"}
    for row in published["records"]:
        assert wanted <= set(row)
        assert row["contestant"] in contestants.NAMES
        assert row["work"] in contestants.WORKS
        assert 0 < row["min_s"] <= row["median_s"]
        assert 0 < row["rate"] < 1
    assert {(row["network"], row["T"]) for row in published["records"]} == {
        (name, steps) for name in networks.NAMES for steps in networks.STEPS
    }
    assert {row["threads"] for row in published["records"]} == {1, 2}
    assert published["geomean"] == pytest.approx(results.geometric_means(published))
    assert {"train", "infer_integer", "infer_float", "memory", "threads2"} == set(published["geomean"])
    assert {row["contestant"] for row in published["import_s"]} == set(contestants.NAMES)
    assert {row["cache"] for row in published["first_step_s"] if row["contestant"] == "qpsnn"} == {"cold", "warm"}
    assert {row["contestant"] for row in published["agreement"]} == set(contestants.PEERS)
    assert published["duration_s"] > 0


def test_readme_says_what_was_measured():
    if not PUBLISHED.exists():
        pytest.skip("benchmarks/results.json has not been published yet: make bench")
    assert table.block(results.load(PUBLISHED)) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.plot
def test_the_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    results_ = found()
    results_["records"][0]["ratio"] = {"minima": 4.0, "low": 3.5, "high": 4.5}
    plot.draw(results_, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


@pytest.fixture
def threads():
    """Whatever a test sets, the number of threads is as before."""
    before = parallel.threads()
    yield
    parallel.set_threads(before)


def test_a_race_of_one(threads):
    case = tiny("vgg", 2)
    case = networks.measured(networks.calibrated(case, case.images))
    assert 0.02 < case.resting < 2 * case.rate < 1.2
    for part, works in race.GROUPS.items():
        chosen = {}
        for work in works:
            chosen |= race.best_forms(case, work, ("qpsnn",), {}, print)
        records = race.race(case, chosen, 1, measure.Effort(0.0, 2, 2))
        assert [(row["work"], row["contestant"], row["repeats"]) for row in records] == [
            (work, "qpsnn", 2) for work in works
        ], part
        assert all(0 < row["min_s"] <= row["median_s"] and "ratio" not in row for row in records)
    (row,) = race.race(case, dict([*chosen.items()][:1]), 2, measure.Effort(0.0, 2, 2))
    assert row["threads"] == 2


def test_scaling_is_in_turns(threads):
    seen = []
    found = scaling.in_turns(lambda: seen.append(parallel.threads()), 2, measure.Effort(0.0, 3, 3))
    assert seen == [1, 2] * 4
    assert (found["threads"], found["repeats"]) == (2, 3)
    assert min(found["one_thread_s"], found["min_s"]) > 0


def test_timed_training_leaves_the_case_alone():
    case = tiny("vgg", 2)
    before = {name: own["weight"].copy() for name, own in case.model.params.items() if "weight" in own}
    (run,) = contestants.runs("qpsnn", "train", case, ("",))
    losses = [run.call() for _ in range(3)]
    assert all(np.isfinite(losses))
    assert len(set(losses)) == 3
    for name, weight in before.items():
        np.testing.assert_array_equal(case.model.params[name]["weight"], weight)


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
    for option in ("--networks", "--works", "--steps", "--threads", "--repeats", "--seconds", "--quick", "--publish"):
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
