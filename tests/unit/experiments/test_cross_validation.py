"""Cross-validation: folds share nothing and lack nothing, and each is what its own commands make."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments import cross_validation
from qpsnn_core.experiments.cross_validation import Fold
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_datasets import Dataset, Split

TINY = replace(
    DIGITS,
    network=replace(DIGITS.network, width=0.125, steps=2),
    data=replace(DIGITS.data, limit=60),
    train=replace(DIGITS.train, epochs=1, batch=32, seed=3),
    finetune=replace(DIGITS.finetune, epochs=1, batch=32),
    prune=replace(DIGITS.prune, batches=2, batch=16),
)


def numbered(labels):
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Dataset(images, np.array(labels), ("a", "b", "c"), "some")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    data = qp.load_data("digits", limit=60).pooled()
    return folder, data, cross_validation.run_cross_validation(TINY, data, folder, folds=2)


def test_every_sample_is_held_out_once_each_class_in_its_proportion():
    data = numbered([0] * 11 + [1] * 5 + [2] * 7)
    splits = data.folds(4, seed=1)
    held = np.concatenate([split.test.images.ravel() for split in splits])
    assert sorted(held) == list(range(23))
    for split in splits:
        assert sorted([*split.train.images.ravel(), *split.test.images.ravel()]) == list(range(23))
    counts = np.array([np.bincount(split.test.labels, minlength=3) for split in splits])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(1)) <= 1
    assert any((a.test.images != b.test.images).any() for a, b in zip(splits, data.folds(4, seed=2), strict=True))


@pytest.mark.parametrize("count", [1, 24, True, 2.0])
def test_a_number_of_folds_that_cannot_be(count):
    with pytest.raises(ConfigError, match="folds"):
        numbered([0] * 23).folds(count, seed=0)


def test_pooling_keeps_all_and_refuses_what_does_not_fit():
    one, two = numbered([0, 1]), numbered([2])
    pooled = Split(one, two).pooled()
    assert (pooled.labels.tolist(), pooled.images.ravel().tolist(), pooled.name) == ([0, 1, 2], [0, 1, 0], "some")
    with pytest.raises(DataError, match=r"some\.classes: expected \('a', 'b', 'c'\) of some, got"):
        Split(one, replace(two, classes=("a", "b", "d"))).pooled()


def test_a_fold_is_what_its_own_commands_make(whole):
    folder, data, found = whole
    split = data.folds(2, seed=3)[1]
    train, tune = replace(TINY.train, seed=4), replace(TINY.finetune, seed=TINY.finetune.seed + 1)
    trained = qp.train(TINY.network.build((8, 8, 1), 10), split.train, train).model
    scores = qp.score(trained, split.train, criterion="svs", batches=2, batch=16)
    pruned = qp.recalibrate(qp.prune(trained, scores, 0.5, prune_last=True, ties="sca").model, split.train)
    network = qp.lower(qp.finetune(pruned, split.train, tune).model).network
    assert found[1].accuracy == qp.evaluate(network, split.test).accuracy
    assert found[1].start == qp.evaluate(trained, split.test).accuracy
    assert sum(fold.samples for fold in found) == len(data)
    assert sorted(path.name for path in folder.iterdir()) == ["fold-0.h5", "fold-1.h5", "results.json"]


def test_what_is_there_is_not_run_again(whole, monkeypatch):
    folder, data, found = whole
    monkeypatch.setattr(cross_validation, "_one", lambda *_: pytest.fail("ran again"))
    assert cross_validation.run_cross_validation(TINY, data, folder, folds=2) == found


def test_the_summary():
    found = [Fold(0, 0.5, 0.5, 10, 100, 1.0), Fold(1, 0.75, 0.5, 30, 104, 1.0)]
    total = cross_validation.summary(found)
    assert (total.folds, total.mean, total.pooled, total.file_bytes) == (2, 0.625, 0.6875, 104)
    assert total.spread == pytest.approx(0.1767766953)


@pytest.mark.cli
def test_the_command(qpsnn, whole, tmp_path):
    folder, _, found = whole
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.to_toml(), encoding="utf-8")
    shown = json.loads(qpsnn("crossvalidate", recipe, "--folds", "2", "--out", folder, "--json")[1])
    assert [fold["accuracy"] for fold in shown["folds"]] == [fold.accuracy for fold in found]
