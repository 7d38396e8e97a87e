"""DECOLLE networks from a recipe to a file and an accuracy, stopped and resumed; the commands."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments import decolle_runs
from qpsnn_core.experiments.decolle_runs import measure_decolle, random_windows, train_decolle
from qpsnn_core.experiments.precision_search import run_precision_search
from qpsnn_core.local_learning.decolle_file import load_decolle
from qpsnn_core.local_learning.decolle_recipe import decolle_recipe_from_dict, load_decolle_recipe
from qpsnn_datasets import Dataset, Split

TABLES = {
    "decolle": {
        "layers": [{"channels": 6, "kernel": 3, "padding": 1, "pool": 2}, {"channels": 12, "kernel": 0}],
        "neuron": {"dynamics": "plain", "threshold": 1.0, "alpha": 0.8, "beta": 0.7},
    },
    "frames": {"steps": 12, "lsuv_samples": 8},
    "train": {"steps": 10, "test_steps": 12, "burnin": 2, "epochs": 2, "batch": 10, "lr": 0.004},
}


def recipe(**changes):
    return decolle_recipe_from_dict({**TABLES, **changes})


def part(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    frames = (rng.random((count, 12, 4, 4, 2)) < 0.05).astype(np.uint8)
    for one, label in zip(frames, labels, strict=True):
        one[:, :, 2 * label : 2 * label + 2] += (rng.random((12, 4, 2, 2)) < 0.4).astype(np.uint8)
    return Dataset(frames, labels, ("left", "right"), f"halves-{seed}")


TRAIN, TEST = part(25, 0), part(30, 1)


@pytest.mark.slow
def test_training_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    whole = train_decolle(recipe(), TRAIN, tmp_path / "whole.h5")
    assert (whole.moments, len(whole.losses), len(whole.losses[0])) == (None, 2, 2)
    assert measure_decolle(whole.model, TEST, recipe().train).accuracy > 0.8
    learn, left = decolle_runs.learn_windows, [4]

    def stopping(*given):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return learn(*given)

    monkeypatch.setattr(decolle_runs, "learn_windows", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_decolle(recipe(), TRAIN, tmp_path / "part.h5")
    monkeypatch.undo()
    assert load_decolle(tmp_path / "part.h5").model.seen == 25
    slower = recipe(train={**TABLES["train"], "lr": 0.001})
    with pytest.raises(ConfigError, match=r"part\.h5: train\.lr: expected 0\.004, as it began, got 0\.001"):
        train_decolle(slower, TRAIN, tmp_path / "part.h5", resume=True)
    with pytest.raises(ConfigError, match=r"part\.h5: data: expected the samples"):
        train_decolle(recipe(), TEST, tmp_path / "part.h5", resume=True)
    again = train_decolle(recipe(), TRAIN, tmp_path / "part.h5", resume=True)
    for one, other in zip(again.model.weights, whole.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(again.losses, whole.losses)


@pytest.mark.slow
def test_the_search_finds_a_smaller_network(tmp_path):
    settings = {"fractions": [10, 4], "roundings": ["nearest"], "lines": True, "integer": {"membrane": 7}}
    searched = recipe(qspinn=settings)
    found = run_precision_search(searched, Split(TRAIN, TEST), tmp_path, target=0.1, mu=0.3)
    assert found.baseline > 0.8
    assert {one.scheme for one in found.evaluations} == {"ptq", "itq"}
    assert "W(Q" in found.chosen.title
    assert found.chosen.formats["neurons"]["membrane"] in ("Q7.10", "Q7.4")
    assert found.chosen.memory < 0.7
    chosen = load_decolle(tmp_path / "chosen.h5")
    score = measure_decolle(chosen.model, TEST, searched.train)
    assert (score.accuracy, score.memory_bits) == (found.chosen.accuracy, found.chosen.memory_bits)
    assert run_precision_search(searched, Split(TRAIN, TEST), tmp_path, target=0.1, mu=0.3) == found
    longer = recipe(qspinn=settings, train={**TABLES["train"], "epochs": 3})
    with pytest.raises(ConfigError, match=r"search\.json: train\.epochs: expected 2, as it began, got 3"):
        run_precision_search(longer, Split(TRAIN, TEST), tmp_path, target=0.1, mu=0.3)
    with pytest.raises(ConfigError, match=r"qspinn\.integer: expected keys of weights, membrane, p, q, r, got 'v'"):
        recipe(qspinn={"integer": {"v": 3}})


def test_windows_begin_anywhere_and_are_the_samples():
    training = recipe().train
    chosen = np.arange(25)
    found = random_windows(TRAIN, chosen, training, 0, 0)
    starts = set()
    for window, frames in zip(found, TRAIN.images, strict=True):
        (at,) = [at for at in range(3) if (frames[at : at + 10] == window).all()]
        starts.add(at)
    assert starts == {0, 1, 2}
    assert (random_windows(TRAIN, chosen, training, 1, 0) != found).any()


def test_wrong_recipes_and_data_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"frames\.steps: expected at least 12, as windows have, got 11"):
        recipe(frames={"steps": 11})
    with pytest.raises(ConfigError, match=r"recipe: expected a table \[decolle\]"):
        decolle_recipe_from_dict({"network": {}})
    with pytest.raises(ConfigError, match=r"frames\.steps: expected 12, as halves-0 has, got 20"):
        train_decolle(replace(recipe(), frames=replace(recipe().frames, steps=20)), TRAIN, tmp_path / "a.h5")
    images = Dataset(np.zeros((4, 4, 4, 2), np.uint8), np.zeros(4, np.int64), ("a", "b"), "images")
    with pytest.raises(DataError, match=r"images\.images: expected frames of counted events"):
        train_decolle(recipe(), images, tmp_path / "a.h5")


def test_the_examples_are_recipes(root):
    for name in ("digits", "nmnist", "dvsgesture", "dvsgesture-narrow"):
        found = load_decolle_recipe(root / "examples" / f"{name}-decolle.toml")
        assert decolle_recipe_from_dict(found.to_dict()) == found


RECIPE = """
[decolle]
dropout = 0.25
[[decolle.layers]]
channels = 8
kernel = 3
[decolle.neuron]
dynamics = "normalised"
threshold = 0.0
[frames]
steps = 8
[data]
name = "digits-events"
limit = 40
[train]
steps = 8
test_steps = 8
burnin = 1
epochs = 1
batch = 20
"""


@pytest.mark.slow
@pytest.mark.cli
def test_the_commands_learn_and_evaluate(qpsnn, tmp_path):
    pytest.importorskip("typer")
    pytest.importorskip("sklearn")
    path, out = tmp_path / "a.toml", tmp_path / "a.h5"
    path.write_text(RECIPE, encoding="utf-8")
    code, said, _ = qpsnn("learn", path, "--out", out, "--json")
    assert code == 0
    first = json.loads(said)
    code, said, _ = qpsnn("evaluate", out, "--json")
    assert code == 0
    assert json.loads(said)["accuracies"] == first["accuracies"]
    assert first["data"]["images"] == {"train": 40, "test": 40}
    code, said, _ = qpsnn("evaluate", out, "--limit", 20)
    assert (code, "accuracy, layer 1" in said) == (0, True)
