"""NumPy's scalars become Python's own wherever a user gives a number; what is no such number stays what it is."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.common.plain import plain
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut
from qpsnn_core.recipes.recipe import Recipe


def numpys(value):
    """The same setting in NumPy's scalars, and in arrays without axes, in turns."""
    if isinstance(value, tuple):
        return tuple(numpys(one) for one in value)
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    if type(value) not in kinds:
        return value
    return np.array(value) if isinstance(value, int) else kinds[type(value)](value)


def types(value):
    if is_dataclass(value):
        return [types(getattr(value, field.name)) for field in fields(value)]
    return [types(one) for one in value] if isinstance(value, tuple) else type(value)


@pytest.mark.parametrize("value", [True, False, 3, -1, 2.5, "word", (1, (2.5, True)), [1, 2], {"a": 1, "b": [2.0]}])
def test_values_stay_and_types_are_pythons(value):
    def both(one):
        if isinstance(one, dict):
            return {np.str_(key): both(inner) for key, inner in one.items()}
        return [both(inner) for inner in one] if isinstance(one, list) else numpys(one)

    found = plain(both(value))
    assert found == value
    assert repr(found) == repr(value)


def test_what_is_no_scalar_is_itself():
    class Named(tuple):
        pass

    for thing in (np.zeros(3), np.zeros((1, 1)), np.array(None), np.datetime64("2020"), np.complex64(1j), None, object):
        assert plain(thing) is thing
    for thing in ((1, "x", (2.0,)), [1], Named([np.int64(1)]), np.random.default_rng(0)):
        assert plain(thing) is thing
    assert plain(np.float32(0.1)) == 0.10000000149011612


NODES = (
    Input("image", (8, 8, 1), 16, 0.0625),
    Conv("conv", "image", 4, 3, 1, 1, Quantizer(3, "percentile", "layer", "pass", 0.9, True), gain=0.5),
    Shortcut("skip", "pool", 6, 2, (0, 1, -1, -1, 2, 3)),
    LIF("lif", ("conv",), 0.5, 0.25, "arctan", 2.0, True, "subtract"),
    MaxPool("pool", "lif", 2, 2, 1),
    AvgPool("mean", "pool", 2),
    Linear("linear", "lif", 3, Quantizer(2), True, True, True, 0.25),
)
OWNERS = (*NODES, Quantizer(), qp.TrainConfig(), qp.FinetuneConfig(steps=3), *filter(None, Recipe().__dict__.values()))


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: type(owner).__name__)
def test_settings_hold_pythons_numbers(owner):
    given = {field.name: numpys(getattr(owner, field.name)) for field in fields(owner)}
    found = type(owner)(**given)
    assert found == owner
    assert types(found) == types(owner)


def test_networks_built_of_numpys_numbers_are_the_same_files():
    ours = Network((NODES[0], Linear("f", "image", 3), Readout("o", "f")), 2)
    theirs = Network(
        (replace(NODES[0], peak=np.uint8(16)), Linear("f", "image", np.int32(3)), ours.nodes[2]), np.int64(2)
    )
    assert theirs.to_json() == ours.to_json()
    options = {"steps": 2, "widths": (6, 5), "quantizer": Quantizer(3)}
    given = {name: numpys(value) for name, value in options.items()}
    assert qp.build("mlp", numpys((8, 8, 1)), np.int16(4), **given).digest() == (
        qp.build("mlp", (8, 8, 1), 4, **options).digest()
    )


def test_recipes_of_numpys_numbers_are_json_and_toml():
    tables = {
        "network": {"width": np.float32(0.5), "widths": []},
        "train": {"epochs": np.int64(3), "lr": np.array(0.5)},
    }
    recipe = qp.recipe_from_dict(tables)
    assert json.loads(json.dumps(recipe.to_dict())) == recipe.to_dict()
    assert (recipe.train.epochs, recipe.train.lr, recipe.network.width) == (3, 0.5, 0.5)
    assert "epochs = 3" in recipe.to_toml()


@pytest.mark.parametrize("value", [np.bool_(True), np.float64(3.0), np.float32(2.5), np.array(2.5), np.str_("3")])
@pytest.mark.parametrize(
    "made",
    [lambda x: qp.TrainConfig(epochs=x), Quantizer, lambda x: Linear("f", "x", x), lambda x: Input("x", (4, 4, x))],
)
def test_a_truth_value_a_fraction_and_a_word_are_still_no_integers(made, value):
    with pytest.raises(ConfigError, match=r"got (True|3\.0|2\.5|'3')"):
        made(value)


@pytest.mark.parametrize("value", [np.int64(1), np.float64(1.0), np.array(0)])
def test_a_number_is_still_no_truth_value(value):
    with pytest.raises(ConfigError, match="expected true or false, got"):
        Linear("f", "x", 3, sparse=value)
