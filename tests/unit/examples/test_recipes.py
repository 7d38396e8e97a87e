"""Every recipe in examples/ can be read, builds its network, and prunes layers that this has."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest
from compiled import needs_cc

import qpsnn_core as qp
from qpsnn_core.common.errors import LoweringError
from qpsnn_core.compression.channels.rates import prunable, resolve
from qpsnn_core.experiments.own_network import own_network
from qpsnn_core.integer.nodes import IntGate, IntLIF
from qpsnn_core.local_learning.decolle_recipe import load_decolle_recipe
from qpsnn_core.local_learning.recipe import load_local_recipe
from qpsnn_core.network.synapses import Conv
from qpsnn_core.recipes.recipe import TABLES, Recipe, load_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLES = Path(__file__).parents[3] / "examples"
LOCAL = {"-stdp.toml": load_local_recipe, "-decolle.toml": load_decolle_recipe}
"""Recipes of `qpsnn learn`, by how their names end."""

EVERY = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.toml"))
RECIPES = [name for name in EVERY if not name.endswith(tuple(LOCAL))]
SHAPES = {
    "digits": (8, 8, 1),
    "digits-events": (8, 8, 2),
    "mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "events": (34, 34, 2),
    "folder": (20, 20, 3),
    "voc": (96, 128, 3),
}


def test_there_are_some():
    assert {"digits.toml", "mnist.toml", "efficiency/vgg16.toml"} <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_the_network_that_it_builds(name):
    recipe = load_recipe(EXAMPLES / name)
    shape = SHAPES[recipe.data.name]
    make = partial(own_network, recipe.network) if recipe.network.function else recipe.network.build
    network = make(shape, 10, events="events" in recipe.data.name)
    assert network.steps == recipe.network.steps
    rates = resolve(network, recipe.prune.rates, prunable(network, prune_last=recipe.prune.prune_last))
    assert (max(rates.values()) > 0) == bool(network.of(Conv))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in RECIPES])
def test_a_recipe_of_local_learning_is_read(name):
    (load,) = (one for end, one in LOCAL.items() if name.endswith(end))
    recipe = load(EXAMPLES / name)
    assert recipe.data.name in SHAPES


def test_two_recipes_list_every_key_that_there_is():
    """That of the demo, and of `qpsnn run` the tables that are no stage where they are not written."""
    demo, whole = (tomllib.loads((EXAMPLES / name).read_text(encoding="utf-8")) for name in ("digits.toml", "run.toml"))
    known = Recipe().to_dict()
    others = {name: {one.name for one in fields(kind)} for name, kind in TABLES.items() if name not in known}
    assert {table: sorted(keys) for table, keys in demo.items()} == {
        table: sorted(keys) for table, keys in known.items()
    }
    assert {name: set(whole[name]) for name in others} == others
    assert set(whole) == set(TABLES)


@needs_cc
@pytest.mark.slow
def test_a_whole_recipe_runs(tmp_path):
    pytest.importorskip("sklearn")
    done = qp.run(EXAMPLES / "run.toml", tmp_path / "run")
    assert done.agrees
    rows = {row.name: row for row in done.rows}
    assert list(rows) == ["trained", "pruned", "fine-tuned", "compressed", "requantized", "integer", "Exact", "C"]
    assert rows["integer"].accuracy >= 0.88
    assert rows["integer"].size_mb < rows["trained"].size_mb / 8
    assert (tmp_path / "run" / "firmware" / "digits.c").is_file()


def gated_recipe(**changes):
    """The recipe of SpQuant-SNN, made short, with gates of places, too."""
    recipe = load_recipe(EXAMPLES / "spquant.toml")
    gates = replace(recipe.network.gates, places=True)
    network = replace(recipe.network, gates=gates, width=0.25, steps=2)
    short = {name: replace(getattr(recipe, name), epochs=1) for name in ("train", "finetune")}
    return replace(recipe, network=network, data=replace(recipe.data, limit=200), **short, **changes)


@pytest.mark.lava
@pytest.mark.once
@pytest.mark.slow
def test_membranes_thresholds_and_gates_reach_lava_spike_for_spike(tmp_path):
    pytest.importorskip("sklearn")
    simulate = replace(load_recipe(EXAMPLES / "spquant.toml").simulate, backends=("exact", "lava"), images=2)
    found = qp.run(gated_recipe(simulate=simulate), tmp_path / "run").figures["simulate"]["backends"]["lava"]
    assert found["spikes"] > 0
    assert not any(count for name, count in found.items() if name.endswith("mismatches"))


@needs_cc
@pytest.mark.once
@pytest.mark.slow
def test_membranes_thresholds_and_gates_reach_c_spike_for_spike(tmp_path):
    pytest.importorskip("sklearn")
    recipe = gated_recipe()
    whole = replace(recipe.network, membrane=None)
    with pytest.raises(LoweringError, match=r"conv2\.prior \(from lif1\): expected membranes of few levels"):
        qp.run(replace(recipe, network=whole), tmp_path / "refused")
    assert not (tmp_path / "refused" / "trained.h5").exists()
    done = qp.run(recipe, tmp_path / "run")
    assert done.agrees
    assert {name: one["spike_mismatches"] for name, one in done.figures["simulate"]["backends"].items()} == {
        "exact": 0,
        "c": 0,
    }
    integers = qp.load_integer(tmp_path / "run" / "network.h5")
    assert len(integers.of(IntGate)) == 9  # nothing reads the channels of the last
    assert all(neuron.membrane is not None for neuron in integers.of(IntLIF))
    learned = qp.load_model(tmp_path / "run" / "tuned.h5").params
    assert all(learned[neuron.name]["log_threshold"].any() for neuron in integers.of(IntLIF))
