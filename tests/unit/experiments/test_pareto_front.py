"""A front over bits and rates on a tiny recipe: each point is what its own commands make, and nothing runs twice."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, FormatError
from qpsnn_core.experiments import pareto_front
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.experiments.pareto_front import Point

TINY = replace(
    DIGITS,
    network=replace(DIGITS.network, width=0.125, steps=2),
    train=replace(DIGITS.train, epochs=1, batch=32),
    finetune=replace(DIGITS.finetune, epochs=1, batch=32),
    prune=replace(DIGITS.prune, batches=2, batch=16),
)


@pytest.fixture(scope="module")
def data():
    return qp.load_data("digits", limit=96)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    return folder, pareto_front.run_pareto_front(TINY, data, folder, bits=(4, 2), rates=(0.0, 0.5))


def test_every_point_once_and_its_network_is_there(whole, data):
    folder, points = whole
    assert [point[:3] for point in points] == [(2, 0.0, 0), (2, 0.5, 0), (4, 0.0, 0), (4, 0.5, 0)]
    for point in points:
        path = folder / f"{point.bits}-{point.rate:g}-0.h5"
        assert path.stat().st_size == point.file_bytes
        assert qp.evaluate(qp.load_integer(path), data.test).accuracy == point.accuracy
    assert not list(folder.glob("tuning-*"))
    sizes = {point[:2]: point.size_mb for point in points}
    assert sizes[2, 0.5] < sizes[4, 0.5] < sizes[4, 0.0]


def test_a_point_is_what_its_own_commands_make(whole, data):
    network = replace(TINY.network, bits=2).build((8, 8, 1), 10)
    trained = qp.train(network, data.train, TINY.train).model
    scores = qp.score(trained, data.train, criterion="svs", batches=2, batch=16)
    pruned = qp.recalibrate(qp.prune(trained, scores, 0.5, prune_last=True, ties="sca").model, data.train)
    tuned = qp.finetune(pruned, data.train, TINY.finetune).model
    (found,) = [point for point in whole[1] if point[:2] == (2, 0.5)]
    assert found.before == qp.evaluate(pruned, data.test).accuracy
    assert found.accuracy == qp.evaluate(qp.lower(tuned).network, data.test).accuracy
    assert found.size_mb == qp.cost(tuned.network).size_mb


def test_what_is_there_is_not_run_again(whole, data, monkeypatch):
    folder, points = whole
    monkeypatch.setattr(pareto_front, "_one", lambda *_: pytest.fail("ran again"))
    assert pareto_front.run_pareto_front(TINY, data, folder, bits=(2, 4), rates=(0.5,)) == [
        point for point in points if point.rate
    ]


def test_means_over_seeds():
    points = [
        Point(4, 0.5, 0, 0.5, 0.25, 1.5, 100, 1.0),
        Point(4, 0.5, 1, 0.75, 0.5, 1.5, 104, 1.0),
        Point(8, 0.5, 0, 0.875, 0.5, 3.0, 200, 1.0),
    ]
    eight, four = pareto_front.means(points)
    assert (eight["group"], eight["label"], eight["accuracy"], eight["spread"]) == ("8 bits", "0.5", 87.5, None)
    assert (four["accuracy"], four["before"], four["file_bytes"], four["seeds"]) == (62.5, 37.5, 104, 2)
    assert four["spread"] == pytest.approx(17.677669529)


def test_what_is_wrong_is_said_before_anything_runs(data, tmp_path, monkeypatch):
    monkeypatch.setattr(pareto_front, "_one", lambda *_: pytest.fail("ran"))
    with pytest.raises(ConfigError, match=r"PruneConfig\.rates: expected a number from 0 to below 1, got 1"):
        pareto_front.run_pareto_front(TINY, data, tmp_path, rates=(0.5, 1.0))
    with pytest.raises(ConfigError, match=r"NetworkConfig\.bits: expected an integer from 2 to 8, or 32, got 9"):
        pareto_front.run_pareto_front(TINY, data, tmp_path, bits=(9,))
    (tmp_path / "results.json").write_text(json.dumps({"recipe": TINY.to_dict(), "results": [{"model": "A"}]}))
    with pytest.raises(FormatError, match=r"results\.json: not the points of a front"):
        pareto_front.run_pareto_front(TINY, data, tmp_path)


@pytest.mark.cli
def test_the_command_writes_what_plot_front_draws(qpsnn, whole, tmp_path):
    folder, _ = whole
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(replace(TINY, data=replace(TINY.data, limit=96)).to_toml(), encoding="utf-8")
    stored = json.loads((folder / "results.json").read_text())
    stored["recipe"]["data"]["limit"] = 96
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text(json.dumps(stored))
    words = ("front", recipe, "--bits", "4,2", "--rates", "0,0.5", "--out", tmp_path / "out", "--json")
    shown = json.loads(qpsnn(*words)[1])
    assert shown["points"] == json.loads((tmp_path / "out" / "front.json").read_text())
    assert [point["group"] for point in shown["points"]] == ["4 bits", "4 bits", "2 bits", "2 bits"]
