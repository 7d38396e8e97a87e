"""Channels against single weights at equal size: sizes that are equal, figures that are the networks', resuming."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import benched  # noqa: F401 - makes the benchmarks importable
import qpsnn_core as qp
from benchmarks import equal_size
from benchmarks.equal_size import Result
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.compression.weights.osbc import prepare
from qpsnn_core.experiments.demo import DIGITS

pytestmark = pytest.mark.cli

TINY = replace(
    DIGITS,
    network=replace(DIGITS.network, width=0.125, steps=2),
    data=replace(DIGITS.data, limit=64),
    train=replace(DIGITS.train, epochs=1, batch=32),
    finetune=replace(DIGITS.finetune, epochs=1, batch=32),
    prune=replace(DIGITS.prune, batches=2, batch=16),
)


@pytest.fixture(scope="module")
def data():
    return qp.load_data("digits", limit=64)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal")
    return folder, equal_size.run_equal_size(TINY, data, folder, (0.5, 0.25), 1, None)


def test_every_way_to_every_size(whole):
    """OSBC reaches SVS's size from every network that is larger, and is hardly smaller than that."""
    found = {(one.target, one.way): one for one in whole[1]}
    assert list(found) == [
        (0.0, "dense"),
        (0.25, "SVS 0.25, fine-tuned"),
        (0.5, "SVS 0.5, fine-tuned"),
        (0.5, "OSBC"),
        (0.5, "OSBC, fine-tuned"),
        (0.25, "OSBC"),
        (0.25, "OSBC, fine-tuned"),
        (0.5, "SVS 0.25, fine-tuned, OSBC"),
        (0.5, "SVS 0.25, fine-tuned, OSBC, fine-tuned"),
    ]
    sizes = {one.target: one.size_mb for one in whole[1] if not one.sparsity}
    assert sizes[0.0] > sizes[0.25] > sizes[0.5]
    for one in whole[1]:
        if one.sparsity and not one.tuned:
            assert 0.97 * sizes[one.target] < one.size_mb <= sizes[one.target]
        assert one.size_mb <= sizes[one.target] * 1.01
        assert one.file_bytes > 1e6 * one.size_mb / 2
        assert one.minutes >= 0
    assert found[0.5, "OSBC"].sparsity > found[0.5, "SVS 0.25, fine-tuned, OSBC"].sparsity > 0
    assert found[0.5, "OSBC"].sops < found[0.0, "dense"].sops


def test_the_structured_network_is_what_its_own_commands_make(whole, data):
    network = TINY.network.build((8, 8, 1), 10)
    start = qp.train(network, data.train, TINY.train).model
    scores = qp.score(start, data.train, criterion="svs", batches=2, batch=16)
    pruned = qp.recalibrate(qp.prune(start, scores, 0.5, prune_last=True, ties="sca").model, data.train)
    tuned = qp.finetune(pruned, data.train, TINY.finetune).model
    (svs,) = [one for one in whole[1] if one.way == "SVS 0.5, fine-tuned"]
    assert svs.accuracy == qp.evaluate(qp.lower(tuned).network, data.test).accuracy
    assert svs.size_mb == qp.cost(tuned.network).size_mb


def test_what_is_there_is_not_run_again(whole, data, monkeypatch):
    folder, results = whole
    for name in ("structured", "unstructured"):
        monkeypatch.setattr(equal_size.Step, name, lambda *_: pytest.fail("ran again"))
    assert equal_size.run_equal_size(TINY, data, folder, (0.25, 0.5), 1, None) == results
    with pytest.raises(ConfigError, match="folds"):
        equal_size.run_equal_size(TINY, data, folder, (0.5,), 1, 3)


def test_a_size_that_no_sparsity_reaches(data):
    model = qp.initialise(TINY.network.build((8, 8, 1), 10))
    with pytest.raises(ConfigError, match=r"got 0\.0001 MB"):
        equal_size.fitting(prepare(model, data.train.limited(32)), 4, 0.0001)


def test_the_table_adds_the_minutes_of_what_osbc_began_from():
    rows = equal_size.table(
        [
            Result(seed, 0.5, rate, sparsity, True, accuracy, 100, 0.1, 10.0, minutes)
            for seed, rate, sparsity, accuracy, minutes in (
                (0, 0.5, 0.0, 0.5, 8.0),
                (1, 0.5, 0.0, 0.75, 10.0),
                (0, 0.25, 0.5, 0.5, 1.0),
            )
        ]
        + [Result(0, 0.25, 0.25, 0.0, True, 0.5, 200, 0.1, 10.0, 4.0)]
    )
    small, large, both = rows
    assert (small.target, small.way, small.minutes) == (0.25, "SVS 0.25, fine-tuned", 4.0)
    assert (large.seeds, large.accuracy, large.minutes) == (2, 62.5, 9.0)
    assert large.spread == pytest.approx(17.677669529)
    assert (both.way, both.minutes, both.spread) == ("SVS 0.25, fine-tuned, OSBC, fine-tuned", 5.0, None)


def test_it_runs_to_its_table(monkeypatch, capsys, tmp_path, whole):
    folder, results = whole
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY.to_toml(), encoding="utf-8")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text((folder / "results.json").read_text())
    monkeypatch.setattr(sys, "argv", ["equal_size", str(recipe), "--rates", "0.25,0.5", "--out", str(tmp_path / "out")])
    equal_size.main()
    out = capsys.readouterr().out
    assert all(one.way in out for one in results)
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["results"]) == 9
