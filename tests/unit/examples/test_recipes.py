"""Every recipe in examples/ can be read, builds its network, and prunes layers that this has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qpsnn_core.compression.channels.rates import prunable, resolve
from qpsnn_core.network.synapses import Conv
from qpsnn_core.recipes.recipe import Recipe, load_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLES = Path(__file__).parents[3] / "examples"
RECIPES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.toml"))
SHAPES = {
    "digits": (8, 8, 1),
    "digits-events": (8, 8, 2),
    "mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "events": (34, 34, 2),
    "folder": (20, 20, 3),
}


def test_there_are_some():
    assert {"digits.toml", "mnist.toml", "efficiency/vgg16.toml"} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_the_network_that_it_builds(name):
    recipe = load_recipe(EXAMPLES / name)
    shape = SHAPES[recipe.data.name]
    network = recipe.network.build(shape, 10, events="events" in recipe.data.name)
    assert network.steps == recipe.network.steps
    rates = resolve(network, recipe.prune.rates, prunable(network, prune_last=recipe.prune.prune_last))
    assert (max(rates.values()) > 0) == bool(network.of(Conv))


def test_the_demos_recipe_lists_every_key_that_there_is():
    listed = tomllib.loads((EXAMPLES / "digits.toml").read_text(encoding="utf-8"))
    known = Recipe().to_dict()
    assert {table: sorted(keys) for table, keys in listed.items()} == {
        table: sorted(keys) for table, keys in known.items()
    }
