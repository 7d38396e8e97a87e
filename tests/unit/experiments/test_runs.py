"""Results of a study belong to a recipe, also to one written before a setting existed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from qpsnn_core.common.atomic import save_json
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.experiments.runs import load_results, save_results
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Dataset, Split


class Result(NamedTuple):
    seed: int


def data():
    part = Dataset(np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 1, 0]), ("a", "b"), "mine")
    return Split(part, part.take([0, 1]))


def test_results_name_their_data(tmp_path):
    recipe = Recipe(data=DataConfig("arrays", "mine.npz")).to_dict()
    for used, images in ((data(), {"train": 3, "test": 2}), (data().pooled(), {"pooled": 5})):
        save_results(tmp_path, {"recipe": recipe}, [Result(3)], used)
        written = json.loads((tmp_path / "results.json").read_text())
        assert written["data"] == {"name": "arrays", "path": "mine.npz", "images": images}
        assert load_results(tmp_path, {"recipe": recipe}, Result, "results") == [Result(3)]


def test_results_are_those_that_were_saved_with_the_recipe(tmp_path):
    recipe = Recipe(NetworkConfig(widths=(2,) * 6))
    save_results(tmp_path, {"recipe": recipe.to_dict()}, [Result(3)], data())
    assert load_results(tmp_path, {"recipe": recipe.to_dict()}, Result, "results") == [Result(3)]
    other = replace(recipe, network=NetworkConfig(widths=(3,) * 6))
    with pytest.raises(ConfigError, match=r"results\.json: recipe: expected this recipe, got another"):
        load_results(tmp_path, {"recipe": other.to_dict()}, Result, "results")


def test_a_study_goes_on_though_its_recipe_is_older_than_a_setting(tmp_path):
    old = Recipe().to_dict()
    del old["network"]["widths"]
    save_json(tmp_path / "results.json", {"recipe": old, "results": [{"seed": 1}]})
    assert load_results(tmp_path, {"recipe": Recipe().to_dict()}, Result, "results") == [Result(1)]
    changed = Recipe(NetworkConfig(widths=(8,) * 6)).to_dict()
    with pytest.raises(ConfigError, match="got another"):
        load_results(tmp_path, {"recipe": changed}, Result, "results")
