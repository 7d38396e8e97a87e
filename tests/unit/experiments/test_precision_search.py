"""The search for formats on a small set: what it evaluates and chooses, that it goes on, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, FormatError
from qpsnn_core.experiments import local_runs, stdp_search
from qpsnn_core.experiments.local_runs import learn_recipe, measure
from qpsnn_core.experiments.precision_results import Evaluation, name_of, select
from qpsnn_core.experiments.precision_search import Search, run_precision_search
from qpsnn_core.experiments.stdp_search import StdpNetworks
from qpsnn_core.kernels.threads import set_threads, threads
from qpsnn_core.local_learning import load_local
from qpsnn_core.local_learning.recipe import local_recipe_from_dict
from qpsnn_datasets import Dataset, Split

TABLES = {
    "diehl_cook": {
        "neurons": 12,
        "form": "single",
        "inhibition": 17.5,
        "neuron": {"theta_tau": "none"},
        "trains": {"steps": 60, "intensity": 200.0},
        "rule": {"total": 10.0, "post": 0.05},
    },
    "learn": {"seed": 3},
    "qspinn": {"fractions": [6, 4], "roundings": ["nearest"], "schemes": ["ptq", "itq"]},
}


def recipe(**changes):
    return local_recipe_from_dict({**TABLES, **{key: {**TABLES.get(key, {}), **one} for key, one in changes.items()}})


def part(count, seed):
    """Four classes: a bright quarter of 8x8 pixels, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.integers(0, 30, (count, 8, 8, 1)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 200
    return Dataset(images, labels, ("a", "b", "c", "d"), f"quarters-{seed}")


DATA = Split(part(300, 0), part(100, 1))


@pytest.fixture
def counted(monkeypatch):
    """The networks that are measured, by their formats."""
    measured = []

    def counting(checkpoint, *rest):
        measured.append(str(checkpoint.model.formats))
        return measure(checkpoint, *rest)

    monkeypatch.setattr(stdp_search, "measure", counting)
    return measured


@pytest.mark.slow
@pytest.mark.once
def test_it_finds_goes_on_and_is_the_same_on_two_threads(tmp_path, counted):
    settings = {"target": 0.05, "mu": 0.3}
    found = run_precision_search(recipe(), DATA, tmp_path / "a", **settings)
    assert found.baseline > 0.8
    assert 3 <= len(found.evaluations) == len(counted) - 1 <= 16
    assert {one.scheme for one in found.evaluations} == {"ptq", "itq"}
    assert found.chosen in found.candidates
    chosen = load_local(tmp_path / "a" / "chosen.h5")
    score = measure(chosen, DATA.test)
    assert (score.accuracy, score.memory_bits) == (found.chosen.accuracy, found.chosen.memory_bits)
    assert found.chosen.memory < 0.5
    written = json.loads((tmp_path / "a" / "results.json").read_text())
    assert (written["count"], written["chosen"]["title"]) == (len(found.evaluations), found.chosen.title)
    del counted[:]
    again = run_precision_search(recipe(), DATA, tmp_path / "a", target=0.05, mu=0.3)
    assert (again, counted) == (found, [])
    files = sorted((tmp_path / "a" / "evaluations").iterdir())
    files[0].unlink()
    before = threads()
    try:
        set_threads(2)
        third = run_precision_search(recipe(), DATA, tmp_path / "a", target=0.05, mu=0.3)
    finally:
        set_threads(before)
    assert len(counted) == 1
    assert [one[:-1] for one in third.evaluations] == [one[:-1] for one in found.evaluations]
    with pytest.raises(ConfigError, match=r"search\.json: diehl_cook\.neurons: expected 12, as it began, got 13"):
        run_precision_search(recipe(diehl_cook={"neurons": 13}), DATA, tmp_path / "a", target=0.05, mu=0.3)
    with pytest.raises(ConfigError, match=r"search\.json: data\.test: expected .*, as it began"):
        run_precision_search(recipe(), replace(DATA, test=part(50, 2)), tmp_path / "a", target=0.05, mu=0.3)
    files[1].write_text("{")
    with pytest.raises(FormatError, match="not a file of a search"):
        run_precision_search(recipe(), DATA, tmp_path / "a", target=0.05, mu=0.3)


@pytest.mark.slow
@pytest.mark.once
def test_learning_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    """Stopped within the second epoch, by Ctrl-C."""
    two = recipe(learn={"epochs": 2, "seed": 3, "label_samples": 50})
    whole = learn_recipe(two, DATA.train, tmp_path / "whole.h5")
    calls = SimpleNamespace(left=3)

    def stopping(*given):
        calls.left -= 1
        if calls.left == 0:
            raise KeyboardInterrupt
        return local_runs_learn(*given)

    local_runs_learn = local_runs.learn
    monkeypatch.setattr(local_runs, "learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        learn_recipe(two, DATA.train, tmp_path / "part.h5")
    monkeypatch.undo()
    assert 0 < load_local(tmp_path / "part.h5").model.seen < 600
    with pytest.raises(ConfigError, match="checkpoint: expected one that has learnt to the end"):
        measure(load_local(tmp_path / "part.h5"), DATA.test)
    with pytest.raises(ConfigError, match=r"part\.h5: learn\.epochs: expected 2, as it began, got 3"):
        learn_recipe(recipe(learn={"epochs": 3}), DATA.train, tmp_path / "part.h5", resume=True)
    with pytest.raises(ConfigError, match=r"part\.h5: data: expected the images that the run began with"):
        learn_recipe(two, DATA.test, tmp_path / "part.h5", resume=True)
    again = learn_recipe(two, DATA.train, tmp_path / "part.h5", resume=True)
    np.testing.assert_array_equal(again.model.weights, whole.model.weights)
    np.testing.assert_array_equal(again.named.rates, whole.named.rates)
    votes = {"all_activity": two}
    votes |= {vote: recipe(learn={**two.to_dict()["learn"], "vote": vote}) for vote in ("proportion", "ngram")}
    accuracies = {
        vote: measure(replace(again, recipe=one.to_dict()), DATA.test, DATA.train).accuracy
        for vote, one in votes.items()
    }
    assert min(accuracies["all_activity"], accuracies["proportion"]) > 0.7
    assert accuracies["ngram"] > 0.3


def test_lines_are_weights_neurons_and_both(tmp_path):
    both = recipe(qspinn={"fractions": [8, 4], "roundings": ["nearest"], "learn_samples": 50})
    networks = StdpNetworks(both, DATA, tmp_path)
    networks.integer = {"weights": 1, "membrane": 11, "threshold": 9}
    lines = Search(networks, DATA, tmp_path, print).lines()
    found = [(scheme, name_of(formats), samples) for scheme, formats, samples in lines]
    titles = [
        f"W({w})-N({n})" for f in (8, 4) for w, n in ((f"Q1.{f}", "FP32"), ("FP32", f"Qi.{f}"), (f"Q1.{f}", f"Qi.{f}"))
    ]
    assert found == [("ptq", title, 0) for title in titles] + [("itq", title, 50) for title in titles]
    unequal = networks.formats("nearest", (6, 8, 4))
    assert name_of(unequal) == "W(Q1.6)-N(Q11.8, Q9.4)"


def made(scheme, samples, accuracy, memory):
    return Evaluation(scheme, "nearest", {}, samples, accuracy, 0.9 - accuracy, memory, 0, (0, 0, 0), 0.0)


def test_what_learnt_from_fewer_samples_is_chosen_only_alone():
    few, whole, large = made("itq", 10, 0.9, 0.2), made("ptq", 60, 0.895, 0.25), made("ptq", 60, 0.9, 0.5)
    found = select(0.9, 60, [few, whole, large, made("ptq", 60, 0.5, 0.1)], 0.01, 0.3, 1.0)
    assert found.candidates == (few, whole, large)
    assert (found.chosen, found.front) == (whole, (whole, large))
    assert select(0.9, 60, [few], 0.01, 0.3, 1.0).chosen == few
    assert select(0.9, 60, [whole, large], 0.01, 0.01, 1.0).chosen == large
    assert select(0.9, 60, [whole, large], 0.01, 0.01, 0.3).chosen == whole
    assert select(0.9, 60, [], 0.01, 0.01, 0.3).chosen is None


@pytest.mark.parametrize(("name", "value"), [("target", -0.1), ("mu", 1.5), ("memory", True)])
def test_wrong_wishes_are_named(tmp_path, name, value):
    with pytest.raises(ConfigError, match=f"{name}: expected a number from 0 to 1, got"):
        run_precision_search(recipe(), DATA, tmp_path, **{"target": 0.01, "mu": 0.3, name: value})
