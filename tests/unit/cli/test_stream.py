"""`qpsnn stream`, and the other commands on events."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import qpsnn_core as qp
from qpsnn_core.experiments.demo import DIGITS_EVENTS
from qpsnn_core.recipes.recipe import load_recipe
from qpsnn_datasets.digits import load_digits
from qpsnn_datasets.events import event_writer
from qpsnn_datasets.events.sets import Seen

pytestmark = pytest.mark.cli

SEEN = ("--data", "digits-events")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a recipe of events, what it trained in 3 steps, and its integers."""
    path = tmp_path_factory.mktemp("events")
    tiny = replace(
        DIGITS_EVENTS,
        network=replace(DIGITS_EVENTS.network, width=0.125, steps=3),
        data=replace(DIGITS_EVENTS.data, limit=128),
        train=replace(DIGITS_EVENTS.train, epochs=1, batch=32),
        finetune=replace(DIGITS_EVENTS.finetune, epochs=1, batch=32),
    )
    (path / "tiny.toml").write_text(tiny.to_toml(), encoding="utf-8")
    chain = ("train", "tiny.toml", "--out", "trained.h5"), ("lower", "trained.h5", "--out", "network.h5")
    for words in chain:
        line = [sys.executable, "-c", "from qpsnn_core.cli import main; main()", *words, "--json"]
        subprocess.run(line, cwd=path, check=True, capture_output=True, timeout=300)
    assert load_recipe(path / "tiny.toml") == tiny
    return path


@pytest.mark.slow
def test_every_command_takes_events(qpsnn, folder, tmp_path):
    trained, network = folder / "trained.h5", folder / "network.h5"
    for words in (
        ("score", trained),
        ("prune", trained, "--out", tmp_path / "pruned.h5"),
        ("finetune", tmp_path / "pruned.h5", "--out", tmp_path / "tuned.h5"),
        ("evaluate", tmp_path / "tuned.h5", "--limit", 40),
        ("report", tmp_path / "tuned.h5", "--limit", 10),
        ("table", "efficiency", trained, "--limit", 10),
        ("audit", trained, "--images", 4, "--samples", 2, "--lava-images", 0),
        ("evaluate", network, "--data", "digits-events", "--limit", 40),
        ("simulate", network, "--data", "digits-events", "--limit", 10),
    ):
        code, out, err = qpsnn(*words, "--json")
        assert code == 0, (words, out, err)
        assert json.loads(out)


@pytest.mark.slow
def test_stream_answers_every_window_as_evaluate_does(qpsnn, folder):
    network = folder / "network.h5"
    code, out, err = qpsnn("stream", network, "--data", "digits-events", "--json")
    assert code == 0, err
    found = json.loads(out)
    _, out, _ = qpsnn("evaluate", network, "--data", "digits-events", "--json")
    assert found["figures"]["accuracy"] == json.loads(out)["accuracy"]
    assert found["figures"]["windows"] == len(found["windows"]) == 360
    data = qp.load_data("digits-events", steps=3).test
    assert [row["label"] for row in found["windows"]] == data.labels.tolist()
    assert [row["events"] for row in found["windows"]] == data.images.sum((1, 2, 3, 4)).tolist()
    latency = [row["latency_ms"] for row in found["windows"]]
    assert found["figures"]["latency_min_ms"] == min(latency)
    assert found["figures"]["latency_median_ms"] == np.median(latency)
    assert found["figures"]["latency_max_ms"] == max(latency)


def test_stream_keeps_membranes_and_prints_a_table(qpsnn, folder):
    words = ("--data", "digits-events", "--window-us", 100_000, "--keep", "--limit", 30)
    code, out, err = qpsnn("stream", folder / "network.h5", *words)
    assert code == 0, err
    assert "and 10 windows more" in out
    for word in ("latency_median_ms", "accuracy", "1,900,000"):
        assert word in out


def test_stream_reads_structured_arrays(qpsnn, folder, tmp_path):
    one = Seen(load_digits(limit=10).test)[0]
    array = np.zeros(len(one), [("x", "u2"), ("y", "u2"), ("p", "u1"), ("t", "i8")])
    for field in array.dtype.names:
        array[field] = getattr(one, field)
    np.save(tmp_path / "one.npy", array)
    words = ("stream", folder / "network.h5", "--data", tmp_path / "one.npy", "--window-us", 100_000, "--json")
    assert "one.npy: sensor: expected the sensor's size" in qpsnn(*words)[2]
    words += ("--sensor", "10x10")
    code, out, err = qpsnn(*words)
    assert code == 0, err
    found = json.loads(out)
    assert sum(row["events"] for row in found["windows"]) == len(one)
    assert [row["label"] for row in found["windows"]] == [None] * 3
    assert found["figures"]["accuracy"] is None


def test_stream_reads_a_store_each_recording_from_a_window_of_its_own(qpsnn, folder, tmp_path):
    seen = Seen(load_digits(limit=10).test)
    with event_writer(tmp_path / "store.h5", list("0123456789")) as writer:
        for index in range(3):
            writer.add(seen[index])
    words = ("stream", folder / "network.h5", "--data", tmp_path / "store.h5", "--window-us", 100_000, "--json")
    code, out, err = qpsnn(*words)
    assert code == 0, err
    rows = json.loads(out)["windows"]
    durations = [seen[index].duration // 100_000 + 1 for index in range(3)]
    assert [row["label"] for row in rows] == [seen[k].label for k in range(3) for _ in range(durations[k])]
    assert sum(row["events"] for row in rows) == sum(len(seen[index]) for index in range(3))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "nowhere.npy"), "--data: expected digits-events, or a file of events, got 'nowhere.npy'"),
        (("--data", "{folder}/network.h5"), "network.h5"),
        ((), "network.h5: an integer network names no data; give --data: expected digits-events, a store, or"),
        (
            ("--data", "digits-events", "--window-us", 2),
            "window: expected a whole number of microseconds, at least the 3 steps",
        ),
        (("--data", "{folder}/none.npy", "--sensor", "10"), "--sensor: expected WIDTHxHEIGHT, such as 640x480"),
        (("--data", "{folder}/none.npy", "--sensor", "10x10"), "none.npy: expected at least one event"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(qpsnn, folder, words, said):
    np.save(folder / "none.npy", np.zeros(0, [("x", "u2"), ("y", "u2"), ("p", "u1"), ("t", "i8")]))
    code, _, err = qpsnn("stream", folder / "network.h5", *(str(word).format(folder=folder) for word in words))
    assert code == 2
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1


def test_steps_that_are_not_the_networks_are_named(qpsnn, folder):
    code, _, err = qpsnn("stream", folder / "trained.h5", *SEEN)
    assert code == 2
    assert "expected an integer network, got a checkpoint (`qpsnn lower " in err


@pytest.mark.lava
def test_the_demo_runs_on_events(qpsnn, tmp_path, monkeypatch):
    quick = replace(
        DIGITS_EVENTS,
        network=replace(DIGITS_EVENTS.network, width=0.25),
        data=replace(DIGITS_EVENTS.data, limit=200),
        train=replace(DIGITS_EVENTS.train, epochs=1),
        finetune=replace(DIGITS_EVENTS.finetune, epochs=1),
    )
    monkeypatch.setattr("qpsnn_core.cli.demo.DIGITS_EVENTS", quick)
    code, out, err = qpsnn("demo", "--events", "--out", tmp_path, "--lava-images", 10, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["data"]["name"], report["data"]["images"]) == ("digits-events", {"train": 200, "test": 200})
    assert [stage["name"] for stage in report["stages"]] == ["trained", "pruned", "fine-tuned", "integer", "Lava"]
    assert report["lava"]["spike_mismatches"] == report["lava"]["readout_mismatches"] == 0
    assert qp.load_integer(tmp_path / "network.h5").input.shape == (10, 10, 2)
    assert (tmp_path / "report.json").exists()
