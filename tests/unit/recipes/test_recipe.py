"""Recipes: defaults, TOML round trip, and one message for each kind of mistake."""

from __future__ import annotations

import json
import math
import re

import pytest

from qpsnn_core.common.errors import ConfigError, FileError
from qpsnn_core.network import LIF, ChannelGate, Conv, Linear, MembraneQuantizer, Quantizer
from qpsnn_core.network.zoo.gated import GateOptions, with_gates
from qpsnn_core.network.zoo.vgg import ZOO, layers_of
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.lowering import LowerConfig
from qpsnn_core.recipes.network import NEURON_KEYS, NetworkConfig
from qpsnn_core.recipes.pruning import PruneConfig
from qpsnn_core.recipes.recipe import Recipe, load_recipe, recipe_from_dict
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig

OTHER = Recipe(
    NetworkConfig(
        name="resnet20",
        width=0.5,
        bits=2,
        steps=2,
        gamma="max",
        beta=0.25,
        detach_reset=True,
        reset="subtract",
        membrane=MembraneQuantizer(-1, 1, "straight", masked=True),
        gates=GateOptions(places=True, size=2, prior="spikes"),
    ),
    DataConfig(name="cifar10", path='a "quoted"\\path\x7f\n', limit=100, crop=4, flip=True, cutout=8),
    TrainConfig(
        epochs=3,
        lr=0.3,
        weight_decay=0.0,
        schedule="step",
        clip_norm=1.5,
        loss="tet",
        tet_lambda=0.05,
        seed=7,
        arithmetic="native",
        parts=5,
    ),
    PruneConfig(criterion="sca", rates={"conv0": 0.1, "layer1.0.conv1": 0.25}, residual="together", reinit="paper"),
    FinetuneConfig(epochs=1, optimizer="adamw", steps=4),
    LowerConfig(fraction_bits=4),
)


def test_an_empty_recipe_is_the_default():
    assert recipe_from_dict({}) == Recipe()
    assert recipe_from_dict({"train": {}}) == Recipe()


def test_fine_tuning_has_defaults_of_its_own():
    recipe = recipe_from_dict({"finetune": {"epochs": 2}})
    assert (recipe.finetune.epochs, recipe.finetune.optimizer, recipe.finetune.lr) == (2, "adam", 1e-3)
    assert (recipe.train.optimizer, recipe.train.lr) == ("sgd", 0.1)
    assert isinstance(recipe.finetune, TrainConfig)


@pytest.mark.parametrize("recipe", [Recipe(), OTHER, Recipe(prune=PruneConfig(rates=(0.1, 0.0, 0.9)))])
def test_a_recipe_survives_toml_and_json(recipe, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_an_integer_is_a_number_and_nothing_else_is_converted():
    assert recipe_from_dict({"train": {"lr": 1}}).train.lr == 1.0
    assert isinstance(recipe_from_dict({"train": {"lr": 1}}).train.lr, float)


def test_rates_by_dotted_names(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('[prune.rates]\nlayer1.0.conv1 = 0.5\nlayer1.0.conv2 = 0\n"layer2.0.conv1" = 0.25\nconv0 = 0.1\n')
    want = {"layer1.0.conv1": 0.5, "layer1.0.conv2": 0.0, "layer2.0.conv1": 0.25, "conv0": 0.1}
    assert load_recipe(path).prune.rates == want


def test_a_network_config_builds_its_network():
    config = NetworkConfig(bits=3, gamma="max", granularity="layer", ste="pass", width=0.5, steps=2, threshold=0.7)
    network = config.build((8, 8, 1), 5)
    assert (network.steps, network.classes) == (2, 5)
    convolutions = network.of(Conv)
    assert [conv.channels for conv in convolutions] == [16, 16, 32, 32, 64, 64]
    assert {conv.quantizer for conv in convolutions[1:]} == {Quantizer(3, "max", "layer", "pass")}
    assert convolutions[0].quantizer == Quantizer(8, gamma="max")
    assert {neuron.threshold for neuron in network.of(LIF)} == {0.7}
    assert config.build((8, 8, 2), 5, events=True).input.spikes


def test_every_option_of_a_neuron_has_a_key_and_its_default():
    plain, default = NetworkConfig(), LIF("neuron", ("current",))
    assert plain.neuron == default
    given = {"threshold": 0.5, "beta": 0.25, "surrogate": "arctan", "surrogate_width": 2.0, "detach_reset": True}
    given |= {"reset": "subtract", "membrane": MembraneQuantizer(-1, 2, parts=2), "learn": ("threshold",)}
    given |= {"learn_per": "channel", "threshold_gradient": "spquant"}
    assert {*given, "tau"} == set(NEURON_KEYS.values())
    neuron = recipe_from_dict({"network": {**given, "membrane": {"low": -1, "high": 2, "parts": 2}}}).network.neuron
    for option, key in NEURON_KEYS.items():
        if option == "tau":  # another way to say beta: test_leak.py
            continue
        assert getattr(neuron, option) == given[key] != getattr(default, option)
    built = NetworkConfig(**given).build((8, 8, 1), 5)
    assert {lif.like("neuron", "current") for lif in built.of(LIF)} == {neuron}


def test_gates_are_a_table_of_their_own():
    gates = {"channels": True, "places": True, "prior": "spikes", "size": 4}
    config = recipe_from_dict({"network": {"gates": gates}}).network
    assert config.build((8, 8, 1), 5) == with_gates(NetworkConfig().build((8, 8, 1), 5), GateOptions(**gates))
    assert not NetworkConfig().build((8, 8, 1), 5).of(ChannelGate)
    assert "gates" not in Recipe().to_dict()["network"]


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"channels": False}, "network.gates.channels, places: expected one of them true, or both, got neither"),
        ({"channels": 1}, "network.gates.channels: expected true or false, got 1"),
        ({"prior": "spike"}, "network.gates.prior: expected one of membrane, spikes, got 'spike'"),
        ({"target": 0}, "network.gates.target: expected a number above 0, at most 1, got 0"),
        ({"weight": -1}, "network.gates.weight: expected a number of at least 0, got -1"),
        ({"temperature": 0}, "network.gates.temperature: expected a positive number, got 0"),
        ({"size": 0}, "network.gates.size: expected an integer of at least 1, got 0"),
        ({"place": True}, "network.gates: unknown key 'place' (did you mean 'places'?)"),
        (True, "network.gates: expected a table of keys, got True"),
    ],
)
def test_gates_that_cannot_be_are_refused_by_name(gates, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        recipe_from_dict({"network": {"gates": gates}})


def test_channel_counts_can_be_given_one_by_one(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('[network]\nname = "vgg_small"\nwidths = [3, 5, 7, 9, 11, 13]\n')
    recipe = load_recipe(path)
    assert [conv.channels for conv in recipe.network.build((8, 8, 1), 5).of(Conv)] == [3, 5, 7, 9, 11, 13]
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    two_hidden = NetworkConfig(name="mlp", widths=(6, 4)).build((8, 8, 1), 5)
    assert [layer.features for layer in two_hidden.of(Linear)] == [6, 4, 5]


@pytest.mark.parametrize("name", sorted(name for name in ZOO if not ZOO[name].transformer))
def test_the_counts_of_a_network_of_the_zoo_are_as_many_as_its_recipe_takes(name):
    shape, layers = (32, 32, 3), layers_of(name)
    if layers is None:
        assert name == "mlp"
        return
    plain = ZOO[name].build(shape, 10, width=1 / 32)
    counts = tuple(conv.channels for conv in plain.of(Conv) if not conv.name.endswith(".down"))
    if name == "resnet19":
        counts += (plain.of(Linear)[0].features,)
    assert len(counts) == layers
    assert (
        NetworkConfig(name=name, widths=counts, steps=plain.steps).build(shape, 10, events=plain.input.spikes) == plain
    )


def test_a_recipe_of_before_channel_counts_is_the_same_recipe():
    old = Recipe().to_dict()
    del old["network"]["widths"], old["network"]["reset"]
    assert recipe_from_dict(old) == Recipe()


def test_32_bits_is_floating_point_throughout():
    network = NetworkConfig(bits=32).build((8, 8, 1), 10)
    assert all(conv.quantizer is None for conv in network.of(Conv))


MISTAKES = [
    ({"train": {"lr": -1}}, "train.lr: expected a positive number, got -1.0"),
    ({"train": {"lr": 0}}, "train.lr: expected a positive number, got 0.0"),
    ({"train": {"lr": math.nan}}, "train.lr: expected a positive number, got nan"),
    ({"finetune": {"lr": math.inf}}, "finetune.lr: expected a positive number, got inf"),
    ({"train": {"lr": "0.1"}}, "train.lr: expected a number, got '0.1'"),
    ({"train": {"lr": True}}, "train.lr: expected a number, got True"),
    ({"train": {"epochs": 1.0}}, "train.epochs: expected an integer, got 1.0"),
    ({"train": {"epochs": 0}}, "train.epochs: expected an integer of at least 1, got 0"),
    ({"train": {"momentum": 1.0}}, "train.momentum: expected a number from 0 to below 1, got 1.0"),
    ({"train": {"arithmetic": "exact"}}, "train.arithmetic: expected one of portable, native, got 'exact'"),
    ({"finetune": {"arithmetic": 1}}, "finetune.arithmetic: expected a string, got 1"),
    ({"train": {"parts": -1}}, "train.parts: expected an integer of at least 0, got -1"),
    ({"train": {"parts": 17, "batch": 16}}, "train.parts: expected at most the 16 images of a batch, got 17"),
    ({"train": {"clip_norm": -1}}, "train.clip_norm: expected a number of at least 0, got -1.0"),
    ({"train": {"warmup_epochs": 99}}, "train.warmup_epochs: expected at most the 30 epochs, got 99"),
    ({"train": {"optimizer": "addam"}}, "train.optimizer: expected one of sgd, adam, adamw, got 'addam' (did you"),
    ({"train": {"seed": -1}}, "train.seed: expected an integer of at least 0, got -1"),
    ({"finetune": {"steps": -1}}, "finetune.steps: expected an integer of at least 0, got -1"),
    ({"finetune": {"epochs": 0}}, "finetune.epochs: expected an integer of at least 1, got 0"),
    ({"train": {"steps": 2}}, "train: unknown key 'steps'"),
    ({"train": {"learnrate": 1}}, "train: unknown key 'learnrate'"),
    ({"train": {"epoch": 1}}, "train: unknown key 'epoch' (did you mean 'epochs'?); valid keys: epochs, batch"),
    ({"trian": {}}, "unknown key 'trian' (did you mean 'train'?); valid keys: network, data, train"),
    ({"train": 3}, "train: expected a table of keys, got 3"),
    ([], "expected a table of keys, got []"),
    ({"network": {"name": "vgg-small"}}, "network.name: expected one of vgg16, resnet20, vggsnn"),
    ({"network": {"bits": 0}}, "network.bits: expected an integer from 2 to 8, or 32, got 0"),
    ({"network": {"bits": 9}}, "network.bits: expected an integer from 2 to 8, or 32, got 9"),
    ({"network": {"threshold": 0}}, "network.threshold: expected a positive number, got 0.0"),
    ({"network": {"surrogate_width": 0}}, "network.surrogate_width: expected a positive number, got 0.0"),
    ({"network": {"reset": "soft"}}, "network.reset: expected one of zero, subtract, got 'soft'"),
    ({"network": {"beta": 1.1}}, "network.beta: expected a number from 0 to 1, got 1.1"),
    ({"network": {"width": 0}}, "network.width: expected a positive number, got 0.0"),
    ({"network": {"widths": 3}}, "network.widths: expected a list, got 3"),
    ({"network": {"widths": [8, "8"]}}, "network.widths[1]: expected an integer, got '8'"),
    ({"network": {"widths": [8, 0, 8]}}, "network.widths[1]: expected an integer of at least 1, got 0"),
    ({"network": {"widths": [8] * 5}}, "network.widths: expected 6 channel counts for vgg_small, got 5"),
    ({"network": {"widths": [8] * 6, "width": 2}}, "network.width: expected 1 where widths are given, got 2.0"),
    ({"network": {"percentile": 0.5}}, "network.percentile: expected a number in (0.5, 1], got 0.5"),
    ({"network": {"surrogate": "triangel"}}, "network.surrogate: expected one of triangle, sigmoid, arctan"),
    ({"data": {"flip": 1}}, "data.flip: expected true or false, got 1"),
    ({"data": {"path": "folder"}}, "data.path: expected \"\", as no set is named beside it (data.name), got 'folder'"),
    ({"data": {"crop": -4}}, "data.crop: expected an integer of at least 0, got -4"),
    ({"data": {"name": "folder", "size": [4, 0]}}, "data.size[1]: expected an integer of at least 1, got 0"),
    ({"data": {"name": "folder", "size": [4]}}, "data.size: expected an integer, or two in a list: height and width"),
    ({"data": {"name": "folder", "size": 4.0}}, "data.size: expected an integer, or two in a list: height and width"),
    ({"data": {"name": "folder", "size": -1}}, "data.size: expected an integer of at least 0, got -1"),
    ({"data": {"name": "events", "size": [4, 5]}}, "data.size: expected one side, as pictures of a folder, or with b"),
    ({"data": {"decode": "v4"}}, "data.decode: expected one of v3, v5, got 'v4'"),
    ({"data": {"mosaic": 1.5}}, "data.mosaic: expected a number from 0 to 1, got 1.5"),
    ({"data": {"zoom": 0.95}}, "data.zoom: expected a number from 0 to 0.9, got 0.95"),
    ({"data": {"resized_crop": 1.5}}, "data.resized_crop: expected a number from 0 to 1, got 1.5"),
    ({"data": {"resized_crop": math.nan}}, "data.resized_crop: expected a number from 0 to 1, got nan"),
    ({"prune": {"criterion": "svd"}}, "prune.criterion: expected one of svs, sca, got 'svd' (did you mean 'svs'?)"),
    ({"prune": {"rates": 1.0}}, "prune.rates: expected a number from 0 to below 1, got 1.0"),
    ({"prune": {"rates": math.nan}}, "prune.rates: expected a number from 0 to below 1, got nan"),
    ({"prune": {"rates": [0.5, -0.1]}}, "prune.rates[1]: expected a number from 0 to below 1, got -0.1"),
    ({"prune": {"rates": [0.5, "x"]}}, "prune.rates[1]: expected a number, got 'x'"),
    ({"prune": {"rates": {"conv1": 1.0}}}, "prune.rates.conv1: expected a number from 0 to below 1, got 1.0"),
    ({"prune": {"rates": {"a": {"b": "x"}}}}, "prune.rates.a.b: expected a number, a list of numbers, or a table"),
    ({"prune": {"rates": {"a": [0.1]}}}, "prune.rates.a: expected a number, got [0.1]"),
    ({"prune": {"rates": True}}, "prune.rates: expected a number, a list of numbers, or a table"),
    ({"prune": {"ties": "scs"}}, "prune.ties: expected one of index, sca, got 'scs' (did you mean 'sca'?)"),
    ({"prune": {"prune_last": 1}}, "prune.prune_last: expected true or false, got 1"),
    ({"prune": {"epsilon": 0.0}}, "prune.epsilon: expected a positive number, got 0.0"),
    ({"lower": {"fraction_bits": 17}}, "lower.fraction_bits: expected an integer from 0 to 16, got 17"),
]


@pytest.mark.parametrize(("data", "message"), MISTAKES, ids=[message.partition(":")[0] for _, message in MISTAKES])
def test_a_mistake_is_named_with_its_full_path(data, message):
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict(data)
    assert str(caught.value).startswith(message)


def test_a_mistake_made_in_python_names_the_class():
    with pytest.raises(ConfigError, match=r"^TrainConfig\.lr: expected a positive number, got -1$"):
        TrainConfig(lr=-1)
    with pytest.raises(ConfigError, match=r"^NetworkConfig\.widths: expected a tuple of channel counts, got \[8"):
        NetworkConfig(widths=[8] * 6)


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("[train]\nlr = -1\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert str(caught.value) == f"{path}: train.lr: expected a positive number, got -1.0"


@pytest.mark.parametrize("content", [b"[train\n", b"train = \xff\xfe", b"lr = 1\nlr = 2"])
def test_a_file_that_is_not_toml(content, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not TOML"):
        load_recipe(path)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(FileError, match=rf"{re.escape(str(path))}: .*(no such file|directory)"):
            load_recipe(path)


def test_a_config_prints_what_it_is_made_of():
    assert repr(TrainConfig()) == "TrainConfig(epochs=30, batch=64, optimizer='sgd', lr=0.1)"
    config = FinetuneConfig(steps=2, class_weights={"cat": 2.0})
    assert repr(config).endswith("lr=0.001, class_weights={'cat': 2.0}, steps=2)")
    assert eval(repr(config), {"FinetuneConfig": FinetuneConfig}) == config
