"""Real numbers and several labels as targets: from arrays through training, files and integers to predictions."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import small
from compiled import needs_cc
from runs import Stop, same_runs

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DataError, LabelError, ShapeError
from qpsnn_core.experiments.decolle_runs import new_decolle
from qpsnn_core.experiments.local_runs import new_model
from qpsnn_core.experiments.runs import check_classes
from qpsnn_core.inference.agreement import agreement, deviation
from qpsnn_core.layers import LIF, Linear

IMAGES = small.dataset(60).images * 16
BRIGHT = np.stack([IMAGES[:, 2 * k : 2 * k + 2].mean((1, 2, 3)) / 240 for k in range(3)], axis=1)
"""How bright two rows are on average: three numbers of each image."""


def numbers(**options):
    return qp.Dataset.from_arrays(IMAGES, BRIGHT[:, :2] - 0.5, test=0.25, task="regression", **options)


def marks(**options):
    return qp.Dataset.from_arrays(IMAGES, BRIGHT > 0.5, test=0.25, task="multilabel", classes=list("xyz"), **options)


def network(outputs):
    return qp.sequential((6, 6, 2), [Linear(24), LIF(), Linear(outputs)], steps=4)


CONFIG = qp.TrainConfig(epochs=12, batch=8, optimizer="adam", lr=0.02)
CASES = [(numbers, 2, "mse"), (numbers, 2, "l1"), (numbers, 2, "huber"), (marks, 3, "bce")]


@pytest.mark.parametrize(("made", "outputs", "loss"), CASES)
def test_they_are_learnt_and_deployed(made, outputs, loss):
    data = made()
    done = qp.train(network(outputs), data, replace(CONFIG, loss=loss))
    found = qp.evaluate(done.model, data.test)
    assert done.history[-1].validation_loss == found.loss
    if made is numbers:
        assert list(found.figures) == ["r2", "mse", "mae"]
        assert found.figures["r2"] > 0.5
        assert found.loss == pytest.approx(found.figures["mse"], rel=1e-14)
        assert (done.history[-1].accuracy, done.history[-1].validation) == (None, None)
        assert f"r2 {found.figures['r2']:.4g}" in repr(found)
    else:
        assert list(found.figures) == ["accuracy", "exact", "f1"]
        assert found.accuracy > 0.85
        assert done.history[-1].accuracy > 0.85
        assert found.correct == (found.predictions == data.test.labels).sum()
    assert done.history[-1].loss < 0.6 * done.history[0].loss
    lowered = qp.lower(done.model).network
    integers = qp.evaluate(lowered, data.test)
    for name, figure in found.figures.items():
        assert integers.figures[name] == pytest.approx(figure, abs=0.05)
    seen = qp.predict(done.model, data)
    np.testing.assert_array_equal(seen.labels, found.predictions)
    np.testing.assert_array_equal(qp.predict(done.model, data.test.images, task=data.test.task).labels, seen.labels)
    if made is numbers:
        np.testing.assert_array_equal(seen.labels, seen.logits)
        assert seen.probabilities is None
        with pytest.raises(DataError, match="names: expected classes or labels"):
            seen.names  # noqa: B018 - that it raises is what is tested
    else:
        np.testing.assert_array_equal(seen.labels, seen.probabilities > 0.5)
        assert seen.names[0] == tuple(name for name, mark in zip("xyz", seen.labels[0], strict=True) if mark)


def test_figures_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    data = numbers()
    model = qp.initialise(network(2))
    found, true = qp.evaluate(model, data.test), data.test.labels
    assert found.figures == pytest.approx(
        {
            "r2": metrics.r2_score(true, found.predictions),
            "mse": metrics.mean_squared_error(true, found.predictions),
            "mae": metrics.mean_absolute_error(true, found.predictions),
        },
        rel=1e-12,
    )
    data, model = marks(), qp.initialise(network(3))
    found, true = qp.evaluate(model, data.test), data.test.labels
    assert found.figures == pytest.approx(
        {
            "accuracy": (true == found.predictions).mean(),
            "exact": metrics.accuracy_score(true, found.predictions),
            "f1": metrics.f1_score(true, found.predictions, average="micro", zero_division=0),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize(("made", "outputs", "loss"), CASES[2:])
def test_a_stopped_run_goes_on_and_chooses_its_best_epoch_by_the_loss(tmp_path, made, outputs, loss):
    data, config = (
        made(),
        replace(CONFIG, epochs=3, loss=loss, monitor="loss", patience=2, delta=0.5 if made is numbers else 1.0),
    )
    with pytest.raises(KeyboardInterrupt):
        qp.train(network(outputs), data, config, checkpoint=tmp_path / "a.h5", progress=Stop(9))
    again = qp.train(network(outputs), data, config, checkpoint=tmp_path / "a.h5", resume=True)
    whole = qp.train(network(outputs), data, config, checkpoint=tmp_path / "b.h5", best=tmp_path / "best.h5")
    same_runs(whole, again)
    assert qp.load_checkpoint(tmp_path / "best.h5").history
    assert qp.load_checkpoint(tmp_path / "b.h5").data.task == data.train.task
    assert "outputs of" in str(whole.checkpoint.data)


def test_a_file_keeps_them(tmp_path):
    for data in (numbers(scale=None), marks()):
        data.save(tmp_path / "set.h5")
        again = qp.load_data("saved", tmp_path / "set.h5")
        assert (again.train.task, again.test.classes) == (data.train.task, data.test.classes)
        np.testing.assert_array_equal(again.test.labels, data.test.labels)
        assert again.test.labels.dtype == data.test.labels.dtype
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=BRIGHT[:, 0])
    loaded = qp.load_data("arrays", tmp_path / "a.npz", test=0.25, task="regression")
    assert (loaded.train.labels.shape, loaded.train.classes, loaded.train.origin["task"]) == (
        (45, 1),
        ("0",),
        "regression",
    )
    assert len(loaded.train.folds(3, 0)) == 3
    assert loaded.pooled().task == "regression"


def test_backends_agree_and_lowering_compares_no_answers():
    data = numbers()
    lowered = qp.lower(qp.initialise(network(2))).network
    found, measured = agreement(lowered, data.test, "exact")
    assert (found.readout_mismatches, found.answer_mismatches, list(measured.figures)) == (
        0,
        None,
        ["r2", "mse", "mae"],
    )
    assert measured.figures == qp.evaluate(lowered, data.test).figures
    changed = deviation(qp.initialise(network(2)), lowered, data.test.images, "regression")
    assert changed.answer_mismatches is None
    assert deviation(qp.initialise(network(2)), lowered, data.test.images, "multilabel").answer_mismatches == 0


REFUSED = [
    (
        numbers,
        {"loss": "mean"},
        ConfigError,
        r"train\.loss: expected one of mse, l1, huber, as arrays\.train is for regr",
    ),
    (marks, {"loss": "mse"}, ConfigError, r"train\.loss: expected one of bce, as arrays\.train is for multilabel"),
    (numbers, {"loss": "mse", "label_smoothing": 0.1}, ConfigError, r"train\.label_smoothing: expected 0\.0, as"),
    (marks, {"loss": "bce", "class_weights": "balanced"}, ConfigError, r"train\.class_weights: expected \{\}, as"),
    (numbers, {"loss": "mse", "tet_lambda": 0.05}, ConfigError, r"train\.tet_lambda: expected 0\.0, as mse has none"),
    (numbers, {"loss": "mse", "delta": 2.0}, ConfigError, r"train\.delta: expected 1\.0, as mse has none, got 2\.0"),
    (
        numbers,
        {"loss": "mse", "patience": 1},
        ConfigError,
        r"train\.monitor: expected \"loss\", as real numbers have no",
    ),
]


@pytest.mark.parametrize(("made", "options", "kind", "said"), REFUSED)
def test_what_has_no_meaning_is_refused_by_name(made, options, kind, said):
    with pytest.raises(kind, match=said):
        qp.train(network(2 if made is numbers else 3), made(), replace(CONFIG, **options))


def test_so_are_other_data_and_figures(tmp_path):
    data = numbers()
    with pytest.raises(ShapeError, match=r"arrays\.train\.classes: expected 3, an output for each .* got 2"):
        qp.train(network(3), data, replace(CONFIG, loss="mse"))
    classes = small.split()
    with pytest.raises(ConfigError, match=r"train\.loss: expected one of mean, tet, as stripes is for classification"):
        qp.train(network(3), classes, replace(CONFIG, loss="mse"))
    three = qp.Dataset.from_arrays(IMAGES, BRIGHT, test=0.25, task="regression")
    with pytest.raises(
        DataError, match=r"stripes\.task: expected regression, as arrays\.train has, got 'classification'"
    ):
        qp.train(network(3), three.train, replace(CONFIG, loss="mse"), validation=classes.test)
    with pytest.raises(ConfigError, match=r'train\.monitor: expected "loss" to choose the best epoch by'):
        qp.train(network(2), data, replace(CONFIG, loss="mse"), best=tmp_path / "best.h5")
    found = qp.evaluate(qp.initialise(network(2)), data.test)
    for name in ("accuracy", "correct", "confusion"):
        with pytest.raises(DataError, match=r"evaluation\.(accuracy|confusion): expected a set "):
            getattr(found, name)
    with pytest.raises(ConfigError, match=r"arrays\.train\.task: expected a set with classes, as front takes"):
        check_classes("front", data)
    for begin in (new_model, new_decolle):
        with pytest.raises(ConfigError, match=r"arrays\.train\.task: expected a set with classes, as learning takes"):
            begin(None, data.train)
    with pytest.raises(ConfigError, match=r"predict\.task: expected one of classification, multilabel, regression"):
        qp.predict(qp.initialise(network(2)), IMAGES, task="numbers")


@pytest.mark.parametrize(
    ("labels", "task", "kind", "said"),
    [
        (np.full(60, np.nan), "regression", LabelError, r"arrays\.train\.labels\[0\]: expected finite numbers"),
        (["a"] * 60, "regression", DataError, r"arrays\.train\.labels: expected real numbers \[N\] or \[N, K\]"),
        (
            np.zeros((60, 2, 2)),
            "regression",
            DataError,
            r"expected real numbers \[N\] or \[N, K\], got float64 \[60, 2, 2\]",
        ),
        (np.full((60, 2), 2), "multilabel", LabelError, r"arrays\.train\.labels\[0\]: expected 0 or 1 for each label"),
        (np.full((60, 2), 0.5), "multilabel", DataError, r"expected truth values or integers \[N, 2\]"),
        (
            np.zeros(60),
            "ranking",
            ConfigError,
            r"task: expected one of classification, multilabel, regression, got 'rank",
        ),
    ],
)
def test_labels_that_do_not_fit_the_task(labels, task, kind, said):
    with pytest.raises(kind, match=said):
        qp.Dataset.from_arrays(IMAGES, labels, test=0.25, task=task)


RECIPE = """\
[network]
name = "mlp"
widths = [16]
steps = 3
[data]
name = "arrays"
path = "a.npz"
test = 0.25
task = "regression"
[train]
epochs = 6
batch = 8
optimizer = "adam"
lr = 0.02
loss = "huber"
monitor = "loss"
[simulate]
backends = ["c"]
images = 6
"""


@needs_cc
@pytest.mark.cli
def test_a_recipe_and_commands_have_them(qpsnn, tmp_path, monkeypatch):
    pytest.importorskip("typer")
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", images=IMAGES, labels=BRIGHT[:, :2] - 0.5)
    (tmp_path / "r.toml").write_text(RECIPE, encoding="utf-8")
    code, out, err = qpsnn("run", "r.toml", "--out", "run")
    assert code == 0, err
    assert "validation loss" in err
    for text in (" r2 ", " mse ", " mae ", "trained against integer: ", "integer against C: 0 of "):
        assert text in out
    found = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert (found["rows"][0]["accuracy"], list(found["rows"][0]["figures"])) == (None, ["r2", "mse", "mae"])
    code, out, err = qpsnn("train", "r.toml", "--out", "a.h5", "--best", "best.h5", "--log", "log.csv")
    assert code == 0, err
    assert "validation loss" in out
    code, out, err = qpsnn("evaluate", "best.h5", "--json")
    assert {"r2", "mse", "mae"} < set(json.loads(out))
    assert qpsnn("lower", "a.h5", "--out", "n.h5")[0] == 0
    code, out, err = qpsnn("simulate", "n.h5", "--data", "r.toml", "--json")
    assert (code, json.loads(out)["answer_mismatches"]) == (0, None)
    made = qp.train(network(2), numbers(), replace(CONFIG, epochs=1, loss="mse"))  # its recipe names no data
    qp.save_checkpoint("own.h5", made.checkpoint)
    code, out, err = qpsnn("evaluate", "own.h5", "--data", "a.npz", "--json")
    assert (code, "mae" in json.loads(out)) == (0, True)
    code, _, err = qpsnn("crossvalidate", "r.toml", "--out", "folds")
    assert code == 2
    assert "expected a set with classes, as crossvalidate takes" in err
