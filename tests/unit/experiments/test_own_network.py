"""A recipe's network from a JSON file or from a Python function, which only `train` imports, never a checkpoint."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import small

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, QpsnnError, ShapeError
from qpsnn_core.experiments import ablation, compression_sweep, pareto_front
from qpsnn_core.experiments.stages import network_for
from qpsnn_core.network.file import save_network
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe, recipe_from_dict
from qpsnn_datasets import Split

DATA = Split(small.dataset(12), small.dataset(9, seed=1))

MODULE = """
import qpsnn_core as qp
from qpsnn_core.layers import LIF, Conv, Linear, MaxPool

def make(shape, classes, *, steps):
    return qp.sequential(shape, [Conv(4), LIF(), Linear(classes)], steps=steps)

def deaf(shape, classes, *, steps):
    return qp.sequential(shape, [Conv(4), LIF(), Linear(classes)], steps=steps + 1)

def other(shape, classes, *, steps):
    return qp.sequential(shape, [Conv(4), LIF(), Linear(classes + 1)], steps=steps)

def wrong(shape, classes, *, steps):
    return qp.sequential(shape, [Conv(4), MaxPool(2), Linear(classes)], steps=steps)

def broken(shape, classes, *, steps):
    return 1 / 0

def nothing(shape, classes, *, steps):
    return None

def ranged(shape, classes, *, steps, input_range=None):
    return qp.sequential(shape, [Conv(4), LIF(), Linear(classes)], steps=steps, input_range=input_range)

number = 3
"""


def with_network(**network):
    return Recipe(network=NetworkConfig(**network))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    (tmp_path / "theirs.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "lacking.py").write_text("import no_such_package\n", encoding="utf-8")
    (tmp_path / "unfinished.py").write_text("def make(:\n", encoding="utf-8")
    save_network("net.json", small.network(steps=4, peak=255))
    yield tmp_path
    for name in set(sys.modules) - before:
        if name in ("theirs", "lacking", "unfinished"):
            del sys.modules[name]


def test_a_recipe_names_a_file():
    recipe = with_network(file="net.json")
    assert recipe.network.name == ""
    assert network_for(recipe, DATA) == small.network(steps=4, peak=255)
    assert recipe_from_dict(recipe.to_dict()) == recipe
    assert "net.json" in repr(recipe)


def test_a_recipe_names_a_function():
    recipe = with_network(function="theirs:make", steps=3)
    found = network_for(recipe, DATA, imports=True)
    assert (found.steps, found.input.shape, found.classes) == (3, (6, 6, 2), 3)
    assert recipe_from_dict(recipe.to_dict()) == recipe
    assert sys.path[0] != str(recipe)


def test_a_function_gets_the_range_of_real_numbers():
    rng = np.random.default_rng(0)
    data = qp.Dataset.from_arrays(rng.normal(0, 1, (12, 6, 6, 2)), np.arange(12) % 3, test=0.5, scale=0.05)
    made = network_for(with_network(function="theirs:ranged", steps=3), data, imports=True)
    assert (made.input.low, made.input.peak, made.input.scale) == data.train.input_range
    said = (
        r"theirs:make: expected a function that is called as make\(shape, classes, steps=\.\.\., input_range=\.\.\.\), "
        r"as the data are real numbers, .*, got make\(shape, classes, \*, steps\)$"
    )
    with pytest.raises(ConfigError, match=said):
        network_for(with_network(function="theirs:make", steps=3), data, imports=True)


def test_without_a_file_or_a_function_it_is_of_the_zoo():
    assert NetworkConfig().name == "vgg_small"
    assert Recipe().to_dict()["network"]["name"] == "vgg_small"


def test_a_function_is_imported_for_a_recipe_that_the_caller_gave_and_never_else(tmp_path):
    recipe = with_network(function="theirs:make")
    with pytest.raises(
        ConfigError, match=r"network\.function: .*only `qpsnn train` and `run` import a function, got 'theirs"
    ):
        network_for(recipe, DATA)
    qp.save_checkpoint("a.h5", qp.Checkpoint(small.model(), recipe=recipe.to_dict()))
    loaded = qp.load_checkpoint("a.h5")
    assert recipe_from_dict(loaded.recipe) == recipe
    assert "theirs" not in sys.modules


WRONG = {
    "no module": ("nowhere:make", ConfigError, "network.function: expected a module of "),
    "no function": ("theirs:made", ConfigError, "theirs.py, got 'theirs:made'"),
    "no function but a number": ("theirs:number", ConfigError, "expected a function of "),
    "a module that lacks another": ("lacking:make", ConfigError, "lacking.py:1: ModuleNotFoundError: No module named"),
    "a module that is not Python": ("unfinished:make", ConfigError, "unfinished.py:1: SyntaxError"),
    "an error of theirs": ("theirs:broken", ConfigError, "theirs.py:18: ZeroDivisionError: division by zero"),
    "an error of ours": (
        "theirs:wrong",
        ShapeError,
        "theirs.py:15: layers[2] Linear(features=3): linear1 (from pool1):",
    ),
    "no network": ("theirs:nothing", ConfigError, "expected theirs:nothing to give a Network (sequential(...) makes"),
    "other steps": (
        "theirs:deaf",
        ConfigError,
        "network.steps: expected 5, as theirs:deaf says (write steps = 5), got",
    ),
    "other classes": (
        "theirs:other",
        ShapeError,
        "network.function: theirs:other: readout: expected 3 classes, as the",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_function_is_named(case):
    function, error, message = WRONG[case]
    path = list(sys.path)
    with pytest.raises(error) as caught:
        network_for(with_network(function=function), DATA, imports=True)
    assert message in str(caught.value)
    assert sys.path == path


@pytest.mark.parametrize(
    ("file", "settings", "error", "message"),
    [
        ("none.json", {}, QpsnnError, "none.json: expected a network in JSON, got no such file"),
        ("net.json", {"steps": 3}, ConfigError, "network.steps: expected 4, as net.json says (write steps = 4), got 3"),
        (
            "small.json",
            {},
            ShapeError,
            "network.file: small.json: input: expected [6, 6, 2], as the data, got [4, 4, 1]",
        ),
        (
            "events.json",
            {},
            ConfigError,
            "network.file: events.json: input: expected images (spikes = false), got frames",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(file, settings, error, message):
    save_network("small.json", qp.build("mlp", (4, 4, 1), 3, steps=4))
    save_network("events.json", qp.build("mlp", (6, 6, 2), 3, steps=4, events=True))
    with pytest.raises(error) as caught:
        network_for(with_network(file=file, **settings), DATA)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"file": "a.json", "bits": 2}, "NetworkConfig.bits: expected nothing beside file, whose network has its own"),
        ({"function": "a:b", "name": "vgg9"}, "NetworkConfig.name: expected nothing beside function"),
        ({"file": "a.json", "function": "a:b"}, "NetworkConfig.function: expected nothing beside file"),
        ({"function": "a.b"}, 'NetworkConfig.function: expected "module:function", got'),
        ({"file": "a.json", "steps": 0}, "NetworkConfig.steps: expected an integer of at least 1"),
    ],
)
def test_nothing_stands_beside_them(settings, message):
    with pytest.raises(ConfigError) as caught:
        NetworkConfig(**settings)
    assert message in str(caught.value)


def test_studies_that_vary_the_network_refuse_before_they_begin(tmp_path):
    recipe = replace(Recipe(), network=NetworkConfig(file="net.json"))
    runs = {
        "ablate": lambda out: ablation.run_ablation(recipe, DATA, out),
        "front": lambda out: pareto_front.run_pareto_front(recipe, DATA, out, bits=[4], rates=[0.5]),
        "compress-sweep": lambda out: compression_sweep.run_compression_sweep(
            recipe, DATA, out, compression_sweep.Settings(methods=("rtn",), sparsities=(), bits=(4,))
        ),
    }
    for verb, run in runs.items():
        with pytest.raises(ConfigError, match=rf"network: expected a network of the zoo .* as {verb} varies its"):
            run(tmp_path / verb)
        assert not (tmp_path / verb).exists()


@pytest.mark.cli
def test_the_command_trains_them(qpsnn, tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "digits_net.py").write_text(MODULE, encoding="utf-8")
    save_network("digits.json", qp.build("mlp", (8, 8, 1), 10, steps=2, widths=(8,)))
    for name, network in (("file", 'file = "digits.json"'), ("function", 'function = "digits_net:make"')):
        text = (
            f'[network]\nsteps = 2\n{network}\n[data]\nname = "digits"\nlimit = 60\n[train]\nepochs = 1\nbatch = 30\n'
        )
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        code, _, err = qpsnn("train", f"{name}.toml", "--out", f"{name}.h5", "--quiet")
        assert code == 0, err
        assert qp.load_model(f"{name}.h5").network.steps == 2
        code, out, err = qpsnn("table", "efficiency", f"{name}.h5", "--limit", "20", "--json")
        assert code == 0, err
        assert '"connections": null' in out  # of a network that is not of the zoo, the whole is not known
    code, _, err = qpsnn("crossvalidate", "function.toml", "--folds", "2", "--quiet")
    assert code == 2
    assert "only `qpsnn train` and `run` import a function" in err
