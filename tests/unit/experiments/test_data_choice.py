"""No data set stands in for one that nobody named, and what was used is named again."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments.data_choice import DataChoice, described
from qpsnn_core.experiments.demo import run_demo
from qpsnn_core.experiments.stages import data_for, network_for
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
    assert str(choice) == f"arrays ({path}), 3 test images, each a grey image of 4 x 4"
    choice.split()
    assert str(choice) == f"arrays ({path}), 6 test and 9 train images, each a grey image of 4 x 4"
    assert described({"name": "digits", "path": "", "images": {"test": 1437}}) == "digits, 1,437 test images"
    assert described({"name": "noise"}) == "noise"


CODED = [("poisson", {"coding_seed": 2}, {"steps": 3, "seed": 2}), ("latency", {}, {"steps": 3})]


@pytest.mark.parametrize(("coding", "keys", "options"), CODED)
def test_a_recipe_codes_its_images_for_its_network(tmp_path, coding, keys, options):
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", images=images, labels=np.arange(12) % 3)
    table = {"name": "arrays", "path": str(tmp_path / "mine.npz"), "test": 0.5, "coding": coding, **keys}
    recipe = recipe_from_dict(
        {"data": table, "network": {"name": "mlp", "steps": 3}, "train": {"epochs": 1, "batch": 2}}
    )
    assert recipe_from_dict(recipe.to_dict()) == recipe
    choice = DataChoice(recipe.data, 3)
    data = choice.split()
    plain = qp.load_data("arrays", tmp_path / "mine.npz", test=0.5)
    want = qp.encode(plain, coding, **options)
    for part, one in data.parts.items():
        np.testing.assert_array_equal(one.images, want.parts[part].images)
        np.testing.assert_array_equal(choice.part(part).images, one.images)
    assert f"spikes by {coding} coding" in str(choice)
    digits = DataChoice(recipe_from_dict({"data": {"name": "digits", "limit": 9, "coding": coding, **keys}}).data, 3)
    np.testing.assert_array_equal(digits.part("test").images, digits.split().test.images)
    network = network_for(recipe, data)
    assert (network.input.peak, network.input.spikes, network.input.scale) == (1, True, 1.0)
    done = qp.train(network, data, recipe.train, recipe=recipe.to_dict())
    assert recipe_from_dict(done.checkpoint.recipe).data == recipe.data


def test_changes_of_a_series_are_coded_by_their_threshold(tmp_path):
    series = np.random.default_rng(0).integers(0, 256, (8, 5, 2)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", images=series, labels=np.arange(8) % 2)
    table = {"name": "arrays", "path": str(tmp_path / "mine.npz"), "test": 0.5, "series": "frames"}
    recipe = recipe_from_dict({"data": {**table, "coding": "delta", "coding_threshold": 40}, "network": {"steps": 5}})
    data = data_for(recipe)
    assert data.train.sample_shape == (5, 1, 1, 4)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"coding": "burst"}, r"data\.coding: expected one of .*poisson, latency, delta, got 'burst'"),
        ({"coding": "latency", "coding_seed": 1}, r'data\.coding_seed: expected 0, as coding is not "poisson", got 1'),
        ({"coding": "delta"}, r'data\.coding_threshold: expected at least 1, as coding is "delta", got 0'),
        ({"coding": "poisson", "coding_threshold": 2}, r'data\.coding_threshold: expected 0, as coding is not "delta"'),
    ],
)
def test_options_of_a_coding_that_do_not_fit_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        recipe_from_dict({"data": {"name": "digits", **table}})


def test_a_recipe_without_steps_has_no_coding(path):
    with pytest.raises(ConfigError, match=r"data\.coding: expected nothing, as the recipe's network says itself"):
        DataChoice(DataConfig("arrays", path, coding="latency")).part("test")


def test_classes_in_another_order_than_the_networks_are_refused(tmp_path):
    arrays = {"images": np.zeros((4, 4, 4, 1), np.uint8), "labels": np.arange(4) % 2}
    np.savez(tmp_path / "mine.npz", **arrays, classes=np.array(["b", "a"]))
    config = DataConfig("arrays", str(tmp_path / "mine.npz"))
    network = qp.build("mlp", (4, 4, 1), 2)
    for known in ((), ("b", "a"), ("c", "d")):
        assert len(DataChoice(config, None, network, known).part("test")) == 4
    with pytest.raises(DataError, match=r"classes: expected class 1 of the network to be called 'b', .* class 0 of"):
        DataChoice(config, None, network, ("a", "b")).part("test")
