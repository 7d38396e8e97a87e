"""Callbacks that may stop a run, and its history as a file."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace

import pytest
import small
from runs import Stop, same_runs

from qpsnn_core.common.errors import ArgumentError, ConfigError, FileError
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_core.training.train import finetune, train

CONFIG = TrainConfig(epochs=4, batch=8, optimizer="adam", lr=0.02, schedule="constant")
DATA = small.split(samples=24)


def test_they_are_called_after_every_epoch_with_the_state(tmp_path):
    path, seen = tmp_path / "run.h5", []

    def look(state):
        seen.append((state, len(load_checkpoint(path).history)))

    done = train(small.network(), DATA, CONFIG, callbacks=[look], checkpoint=path)
    assert [written for _, written in seen] == [1, 2, 3, 3]  # the last is written at the end
    assert [len(state.history) for state, _ in seen] == [1, 2, 3, 4]
    last = seen[-1][0]
    assert (last.stage, last.epochs, last.history) == ("train", 4, done.history)
    assert last.model.params["conv2"]["weight"] is done.model.params["conv2"]["weight"]
    figures = [epoch.validation for epoch in done.history]
    assert last.best == 1 + figures.index(max(figures))
    same_runs(done, train(small.network(), DATA, CONFIG))


@pytest.mark.parametrize("verb", [train, finetune])
def test_one_that_gives_true_stops_the_run_which_can_go_on(tmp_path, verb):
    path, called = tmp_path / "run.h5", []
    stop = {"callbacks": (lambda state: len(state.history) == 2, called.append), "checkpoint": path}
    done = verb(small.model(), DATA, CONFIG, **stop)
    assert len(done.history) == len(called) == 2, "those behind it are called, too"
    assert load_checkpoint(path).history == done.history
    again = verb(small.model(), DATA, CONFIG, checkpoint=path, resume=True)
    same_runs(verb(small.model(), DATA, CONFIG), again)


@pytest.mark.parametrize("said", [1, "stop", 0.0])
def test_what_is_no_answer_is_refused(said):
    with pytest.raises(ArgumentError, match=r"train\.callbacks\[0\]: expected True to stop the run, None or False"):
        train(small.network(), DATA, CONFIG, callbacks=[lambda state: said])


@pytest.mark.parametrize("given", [len, "x", [1], [len, "x"], {"x": 1}])
def test_what_is_no_list_of_functions_is_refused(given):
    with pytest.raises(ArgumentError, match=r"train\.callbacks"):
        train(small.network(), DATA, CONFIG, callbacks=given)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize("validated", [False, True])
def test_a_log_has_every_field_of_every_epoch(tmp_path, ending, validated):
    path = tmp_path / f"log{ending}"
    done = train(small.network(), DATA if validated else DATA.train, CONFIG, log=path)
    text = path.read_text(encoding="utf-8")
    wanted = [asdict(epoch) for epoch in done.history]
    if ending == ".jsonl":
        assert [json.loads(line) for line in text.splitlines()] == [{**one, "silent": []} for one in wanted]
    else:
        rows = list(csv.DictReader(text.splitlines()))
        plain = [{name: "" if value is None else str(value) for name, value in one.items()} for one in wanted]
        assert rows == [{**one, "silent": ""} for one in plain]


def test_a_run_that_goes_on_has_no_line_twice(tmp_path):
    files = {"checkpoint": tmp_path / "run.h5", "log": tmp_path / "log.jsonl"}
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), DATA, CONFIG, progress=Stop(7), **files)
    train(small.network(), DATA, CONFIG, resume=True, **files)
    lines = files["log"].read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]


def test_a_log_of_no_format_or_place_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.log: expected a file that ends in \.csv or \.jsonl, got"):
        train(small.network(), DATA, CONFIG, log=tmp_path / "log.txt")
    with pytest.raises(FileError, match="a folder that can be written"):
        train(small.network(), DATA, replace(CONFIG, epochs=1), log=tmp_path / "none" / "log.csv")
