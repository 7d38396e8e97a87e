"""No data set stands in for one that nobody named, and what was used is named again."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments.data_choice import DataChoice, described
from qpsnn_core.experiments.demo import run_demo
from qpsnn_core.experiments.stages import data_for
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.recipe import Recipe, recipe_from_dict


@pytest.fixture
def path(tmp_path):
    labels = np.arange(9) % 3
    images = np.zeros((9, 4, 4, 1), np.uint8)
    parts = {"train_images": images, "train_labels": labels, "test_images": images[:6], "test_labels": labels[:6]}
    np.savez(tmp_path / "mine.npz", **parts)
    return str(tmp_path / "mine.npz")


@pytest.mark.parametrize("written", [{}, {"train": {"epochs": 1}}, {"data": {}}, {"data": {"crop": 4, "limit": 10}}])
def test_a_recipe_that_names_no_data_has_none(written):
    recipe = recipe_from_dict(written)
    assert recipe.data.name == ""
    for use in (data_for, run_demo, lambda own: DataChoice(own.data)):
        with pytest.raises(ConfigError, match=r'data\.name: expected the name of a set, such as name = "digits", in'):
            use(recipe)
    assert recipe_from_dict(recipe.to_dict()) == recipe


def test_a_path_of_no_set_is_refused():
    with pytest.raises(ConfigError, match=r"data\.path: expected \"\", as no set is named"):
        recipe_from_dict({"data": {"path": "folder"}})


def test_a_recipe_names_arrays_of_ones_own(path):
    data = data_for(Recipe(data=DataConfig("arrays", path, limit=3)))
    assert (len(data.train), len(data.test), data.test.name) == (3, 3, "mine.test")


def test_what_was_used_is_named(path):
    choice = DataChoice(DataConfig("arrays", path))
    assert choice.figures == {"name": "arrays", "path": path, "images": {}}
    assert len(choice.part("test", 3)) == 3
    assert choice.figures["images"] == {"test": 3}
    assert str(choice) == f"arrays ({path}), 3 test images"
    choice.split()
    assert str(choice) == f"arrays ({path}), 6 test and 9 train images"
    assert described({"name": "digits", "path": "", "images": {"test": 1437}}) == "digits, 1,437 test images"
    assert described({"name": "noise"}) == "noise"


def test_classes_in_another_order_than_the_networks_are_refused(tmp_path):
    arrays = {"images": np.zeros((4, 4, 4, 1), np.uint8), "labels": np.arange(4) % 2}
    np.savez(tmp_path / "mine.npz", **arrays, classes=np.array(["b", "a"]))
    config = DataConfig("arrays", str(tmp_path / "mine.npz"))
    network = qp.build("mlp", (4, 4, 1), 2)
    for known in ((), ("b", "a"), ("c", "d")):
        assert len(DataChoice(config, None, network, known).part("test")) == 4
    with pytest.raises(DataError, match=r"classes: expected class 1 of the network to be called 'b', .* class 0 of"):
        DataChoice(config, None, network, ("a", "b")).part("test")
