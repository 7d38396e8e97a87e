"""A validation that is held out, the best epoch and its file, early stopping, and epochs that are added to a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small
from runs import Stop, same_runs

from qpsnn_core.common.errors import ConfigError, FileError
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.recipes.training import MONITORS, TrainConfig
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_core.training.history import Epoch, best_epoch, digest, out_of_patience
from qpsnn_core.training.train import train
from qpsnn_datasets import Split

CONFIG = TrainConfig(epochs=5, batch=8, optimizer="adam", lr=0.02, schedule="constant", validation=0.25)
DATA = small.dataset(48)


def epochs(*figures):
    """A history of these (accuracy, loss) of the validation."""
    return tuple(Epoch(n, 1.0, 0.5, a, 0.1, 0.2, 3.0, (), b) for n, (a, b) in enumerate(figures, 1))


@pytest.mark.parametrize(
    ("figures", "by_accuracy", "by_loss"),
    [
        ((), 0, 0),
        (((None, None),), 0, 0),
        (((0.5, 2.0), (0.7, 3.0), (0.7, 1.0), (0.6, 1.0)), 2, 3),
        (((0.5, None), (0.4, 3.0)), 1, 2),  # an older version wrote no loss
        (((0.0, 9.0),), 1, 1),
    ],
)
def test_the_best_epoch(figures, by_accuracy, by_loss):
    history = epochs(*figures)
    assert (best_epoch(history, "accuracy"), best_epoch(history, "loss")) == (by_accuracy, by_loss)


def test_patience_counts_epochs_since_the_best():
    history = epochs((0.5, 2.0), (0.7, 3.0), (0.7, 1.0), (0.6, 1.0))
    assert [out_of_patience(history, "accuracy", patience) for patience in (0, 1, 2, 3)] == [False, True, True, False]
    assert not out_of_patience((), "accuracy", 1)


def test_a_share_is_held_out_and_never_trained_on():
    done = train(small.network(), DATA, replace(CONFIG, epochs=1))
    kept, held = DATA.hold_out(12, 0)
    assert (done.checkpoint.data.train, done.checkpoint.data.validation) == (36, 12)
    same = train(small.network(), kept, replace(CONFIG, epochs=1, validation=0.0), validation=held)
    assert [replace(e, seconds=0.0) for e in done.history] == [replace(e, seconds=0.0) for e in same.history]
    found = evaluate(done.model, held)
    assert (done.history[0].validation, done.history[0].validation_loss) == (found.accuracy, found.loss)
    other = train(small.network(), DATA, replace(CONFIG, epochs=1, seed=9))
    for name in ("data", "validation"):  # whatever the seed of the run
        assert done.checkpoint.position.settings[name] == other.checkpoint.position.settings[name]


@pytest.mark.parametrize("monitor", MONITORS)
def test_the_best_epoch_is_kept(tmp_path, monitor):
    config = replace(CONFIG, epochs=6, lr=1.0, monitor=monitor)
    best = tmp_path / "best.h5"
    done = train(small.network(), DATA, config, best=best, checkpoint=tmp_path / "run.h5")
    number = best_epoch(done.history, monitor)
    assert number < 6, "the case proves nothing if the last is the best"
    kept = load_checkpoint(best)
    assert kept.history == done.history[:number]
    shorter = train(small.network(), DATA, replace(config, epochs=number))
    for node, inner in shorter.model.params.items():
        for name, array in inner.items():
            np.testing.assert_array_equal(kept.model.params[node][name], array)


def test_it_stops_early_and_can_be_told_to_go_on(tmp_path):
    path, config = tmp_path / "run.h5", replace(CONFIG, epochs=30, lr=1e-9, patience=2)
    done = train(small.network(), DATA, config, checkpoint=path)
    assert len(done.history) == best_epoch(done.history, "accuracy") + 2 < 30
    same_runs(done, train(small.network(), DATA, config, checkpoint=path, resume=True))
    more = train(small.network(), DATA, replace(config, patience=4), checkpoint=path, resume=True)
    assert len(more.history) == best_epoch(more.history, "accuracy") + 4 < 30
    assert more.history[: len(done.history)] == done.history
    assert load_checkpoint(path).position.settings["config"]["patience"] == 4


@pytest.mark.parametrize("events", [3, 10, 15])
def test_a_stopped_run_keeps_the_same_best(tmp_path, events):
    whole = train(small.network(), DATA, CONFIG, best=tmp_path / "whole.h5")
    files = {"checkpoint": tmp_path / "run.h5", "best": tmp_path / "best.h5"}
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), DATA, CONFIG, progress=Stop(events), **files)
    again = train(small.network(), DATA, CONFIG, resume=True, **files)
    same_runs(whole, again)
    one, other = (load_checkpoint(tmp_path / name) for name in ("whole.h5", "best.h5"))
    assert [replace(e, seconds=0.0) for e in one.history] == [replace(e, seconds=0.0) for e in other.history]


@pytest.mark.parametrize("change", [{"schedule": "constant"}, {"schedule": "step", "epochs": 6}])
def test_epochs_are_added_where_that_changes_nothing_that_was_done(tmp_path, change):
    path, config = tmp_path / "run.h5", replace(CONFIG, **{"epochs": 2, **change})
    stop = Stop(10) if config.epochs > 2 else None  # before the first milestone
    try:
        train(small.network(), DATA, config, checkpoint=path, progress=stop)
    except KeyboardInterrupt:
        assert stop
    longer = replace(config, epochs=8)
    again = train(small.network(), DATA, longer, checkpoint=path, resume=True)
    same_runs(train(small.network(), DATA, longer), again)


def test_epochs_are_not_added_where_that_would_change_what_was_done(tmp_path):
    path = tmp_path / "run.h5"
    config = replace(CONFIG, epochs=2, schedule="cosine")
    train(small.network(), DATA, config, checkpoint=path)
    before = path.read_bytes()
    said = r"config\.epochs: expected 2, as the run began \(over another number, the cosine schedule gives update 2"
    with pytest.raises(ConfigError, match=said):
        train(small.network(), DATA, replace(config, epochs=3), checkpoint=path, resume=True)
    assert path.read_bytes() == before


def test_no_fewer_epochs_than_are_done(tmp_path):
    path = tmp_path / "run.h5"
    train(small.network(), DATA, CONFIG, checkpoint=path)
    with pytest.raises(ConfigError, match=r"config\.epochs: expected at least the 5 that are done, got 4"):
        train(small.network(), DATA, replace(CONFIG, epochs=4), checkpoint=path, resume=True)


def test_what_a_validation_needs(tmp_path):
    bare = replace(CONFIG, validation=0.0)
    with pytest.raises(ConfigError, match=r"train\.patience: expected 0, as there is no validation"):
        train(small.network(), DATA, replace(bare, patience=1))
    with pytest.raises(ConfigError, match=r"train\.best: expected none, as there is no validation"):
        train(small.network(), DATA, bare, best=tmp_path / "best.h5")
    with pytest.raises(ConfigError, match=r"train\.validation: expected 0, as the data have a validation part"):
        train(small.network(), DATA, CONFIG, validation=small.dataset(9))
    with pytest.raises(ConfigError, match=r"TrainConfig\.validation: expected a share from 0 to below 1, got 1"):
        replace(CONFIG, validation=1.0)


def test_the_file_of_the_best(tmp_path):
    path, best = tmp_path / "run.h5", tmp_path / "best.h5"
    with pytest.raises(ConfigError, match="another file than the run's checkpoint"):
        train(small.network(), DATA, CONFIG, checkpoint=path, best=path)
    with pytest.raises(FileError, match="a folder that can be written"):
        train(small.network(), DATA, CONFIG, best=tmp_path / "none" / "best.h5")
    train(small.network(), DATA, CONFIG, checkpoint=path)
    with pytest.raises(FileError, match="the best so far of the run that is resumed, got no such file"):
        train(small.network(), DATA, CONFIG, checkpoint=path, best=best, resume=True)


def test_a_splits_own_validation_part_is_measured_and_is_refused_beside_a_share():
    split = Split(DATA, small.dataset(16, seed=2), small.dataset(24, seed=3))
    one = replace(CONFIG, epochs=1)
    data = train(small.model(), split, replace(one, validation=0.0)).checkpoint
    assert data.position.settings["validation"] == digest(split.validation)
    assert data.data.digests == {part: digest(held) for part, held in split.parts.items()}
    with pytest.raises(ConfigError, match=r"train\.validation"):
        train(small.model(), split, one)
