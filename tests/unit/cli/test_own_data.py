"""Your own data on the command line: every form that --data and a recipe take, from a file to a deployed network."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from compiled import needs_cc

pytest.importorskip("typer")
pytest.importorskip("rich")

import qpsnn_core as qp
from qpsnn_core.common.errors import ChangedDataWarning
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.recipes.data import DataConfig

pytestmark = pytest.mark.cli

CLASSES = np.array(["down", "up"])
RECIPE = """\
[network]
name = "mlp"
widths = [8]
steps = 6

[train]
epochs = 12
batch = 16
optimizer = "adam"
lr = 0.05

[finetune]
epochs = 1
batch = 16

[data]
"""


def series(count, seed=0):
    """Real numbers [N, 6, 2], noise around a level above or below 0, and which it is."""
    rng = np.random.default_rng(seed)
    up = rng.integers(0, 2, count)
    return 9 * ((2 * up - 1)[:, None, None] + rng.normal(0, 0.5, (count, 6, 2))), up


@pytest.fixture
def here(tmp_path, monkeypatch):
    """mine.npz and its recipe, which trains on frames of a measured scale."""
    monkeypatch.chdir(tmp_path)
    images, up = series(120)
    np.savez("mine.npz", images=images, labels=CLASSES[up])
    chosen = (
        'name = "arrays"\npath = "mine.npz"\nseries = "frames"\nscale = "measured"\ntest = 0.25\nvalidation = 0.1\n'
    )
    (tmp_path / "recipe.toml").write_text(RECIPE + chosen)
    return tmp_path


def figures(qpsnn, *words):
    code, out, err = qpsnn(*words, "--json")
    assert code == 0, err
    return json.loads(out), err


def test_real_numbers_in_time_become_an_integer_network(qpsnn, here):
    made, _ = figures(qpsnn, "train", "recipe.toml", "--out", "trained.h5", "-q")
    assert made["data"]["images"] == {"train": 78, "test": 30, "validation": 12}
    node = qp.load_model("trained.h5").network.input
    images = np.load("mine.npz")["images"]
    assert (node.low, node.peak, node.spikes, node.shape) == (-128, 127, False, (1, 1, 2))
    assert 0 < node.scale <= np.abs(images).max() / 127
    assert qpsnn("lower", "trained.h5", "--out", "network.h5")[0] == 0
    assert qp.load_integer("network.h5").input.scale == node.scale
    found, said = figures(qpsnn, "evaluate", "trained.h5")
    assert (found["data"]["images"], found["accuracy"] > 0.9, said) == ({"test": 30}, True, "")
    whole, _ = figures(qpsnn, "evaluate", "network.h5", "--data", "recipe.toml")
    assert whole["accuracy"] == found["accuracy"]
    model = qp.load_model("trained.h5")
    price, _ = figures(qpsnn, "report", "trained.h5")
    assert price["image_macs"] == qp.cost(model.network, frames=True).image_macs == 6 * 2 * 8
    assert qpsnn("finetune", "trained.h5", "--out", "tuned.h5", "-q")[0] == 0
    assert qp.load_model("tuned.h5").network.input == node


def test_new_numbers_get_the_unit_of_the_network_and_words_its_classes(qpsnn, here):
    """A tenth of the size, measured anew, would look the same; and a single word would be class 0."""
    assert qpsnn("train", "recipe.toml", "--out", "trained.h5", "-q")[0] == 0
    images, up = series(40, 1)
    np.savez("new.npz", images=images[up == 1], labels=CLASSES[up[up == 1]])
    found, _ = figures(qpsnn, "evaluate", "trained.h5", "--data", "new.npz")
    assert (found["data"]["images"]["test"], found["accuracy"] > 0.9) == (int(up.sum()), True)
    model = qp.load_model("trained.h5")
    config = DataConfig("arrays", "new.npz", series="frames")
    part = DataChoice(config, 6, model.network, ("down", "up")).part("test")
    assert (part.scale, part.classes) == (model.network.input.scale, ("down", "up"))
    assert (images[up == 1].min() < 0, part.images.dtype) == (True, np.int8)
    np.savez("above.npz", images=np.abs(images), labels=CLASSES[up], classes=CLASSES)
    above = DataChoice(replace(config, path="above.npz"), 6, model.network).part("test")
    assert (above.images.dtype, above.scale) == (np.int8, part.scale)
    expected = part.input_range.quantize(images[up == 1])
    np.testing.assert_array_equal(part.images.reshape(expected.shape), expected)


@needs_cc
def test_a_signed_network_in_c_gives_the_same_spikes(qpsnn, here):
    assert qpsnn("train", "recipe.toml", "--out", "trained.h5", "-q")[0] == 0
    assert qpsnn("lower", "trained.h5", "--out", "network.h5")[0] == 0
    found, _ = figures(qpsnn, "simulate", "network.h5", "--data", "recipe.toml", "--limit", 10, "--backend", "c")
    assert (found["spike_mismatches"], found["readout_mismatches"], found["images"]) == (0, 0, 10)
    assert qpsnn("export", "network.h5", "--c", "firmware", "--data", "recipe.toml", "--vectors", 5)[0] == 0
    header = (here / "firmware" / "network.h").read_text()
    scale = qp.load_integer("network.h5").input.scale
    for line in ("#define NETWORK_LOW (-128)", f"#define NETWORK_SCALE {scale!r}", "typedef int8_t network_value;"):
        assert line in header


def test_a_moved_set_is_told_and_found_again(qpsnn, here):
    assert qpsnn("train", "recipe.toml", "--out", "trained.h5", "-q")[0] == 0
    shutil.move("mine.npz", "moved.npz")
    code, _, err = qpsnn("evaluate", "trained.h5")
    assert code == 2
    assert "mine.npz: expected the set on which the checkpoint was trained, 'mine.train': 78 samples" in err
    assert "(--path gives its new place), got no such file" in err
    (here / "sub").mkdir()
    shutil.move("moved.npz", "sub/mine.npz")
    found, said = figures(qpsnn, "evaluate", "trained.h5", "--path", "sub/mine.npz")
    assert (found["data"]["path"], said) == ("sub/mine.npz", "")


def test_a_changed_set_is_told(qpsnn, here):
    assert qpsnn("train", "recipe.toml", "--out", "trained.h5", "-q")[0] == 0
    images, up = series(120, 5)
    np.savez("mine.npz", images=images, labels=CLASSES[up])
    _, said = figures(qpsnn, "evaluate", "trained.h5")
    assert "warning: mine.test: its samples are not those that the checkpoint was trained with (sha256 " in said
    np.savez("other.npz", images=images, labels=CLASSES[up])
    for words in (("--data", "other.npz"), ("--limit", 5)):
        assert "not those" not in figures(qpsnn, "evaluate", "trained.h5", *words)[1]


def test_a_checkpoint_from_python_names_what_it_was_trained_on(qpsnn, here):
    data = qp.load_data("arrays", "mine.npz", series="frames", scale="measured", test=0.25)
    network = qp.build("mlp", data.train.image_shape, 2, steps=6, widths=(8,), input_range=data.train.input_range)
    settings = qp.TrainConfig(epochs=12, batch=16, optimizer="adam", lr=0.05)
    trained = qp.train(network, data, settings, checkpoint="trained.h5")
    assert trained.checkpoint.data.digests.keys() == {"train", "test"}
    found, said = figures(qpsnn, "evaluate", "trained.h5")
    assert (found["accuracy"], said) == (qp.evaluate(trained.model, data.test).accuracy, "")
    assert qp.recipe_from_dict(trained.checkpoint.recipe).data.scale == "measured"
    half = qp.train(network, data.train.take(range(40)), settings)
    assert "data" not in half.checkpoint.recipe


def written(here):
    """The test part of a set in each form that --data takes: bytes of both classes, 12 of them."""
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    images = (rng.integers(0, 90, (12, 6, 5, 1)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(here / "a.npz", images=images, labels=labels)
    (here / "folder").mkdir()
    np.save(here / "folder" / "images.npy", images)
    np.save(here / "folder" / "labels.npy", labels)
    np.save(here / "test_images.npy", images[..., 0])
    np.save(here / "test_labels.npy", np.eye(2, dtype=int)[labels])
    split = qp.Dataset.from_arrays(images, labels, test=(images, labels), name="saved")
    split.save(here / "split.h5")
    split.test.save(here / "whole.h5")
    return split


def test_every_form_of_data_gives_the_same_figures(qpsnn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    split = written(tmp_path)
    model = qp.initialise(qp.build("mlp", (6, 5, 1), 2, steps=2, widths=(8,)))
    qp.save_checkpoint("model.h5", model)
    want = qp.evaluate(model, split.test).loss
    for form in ("a.npz", "folder", "test_images.npy", "split.h5", "whole.h5", "saved:split.h5", "arrays:folder"):
        found, _ = figures(qpsnn, "evaluate", "model.h5", "--data", form)
        assert (found["loss"], found["images"]) == (want, 12), form
    (tmp_path / "test_labels.npy").unlink()
    code, _, err = qpsnn("evaluate", "model.h5", "--data", "test_images.npy")
    assert code == 2
    assert "test_labels.npy: expected the labels of test_images.npy, got no such file" in err


def test_pictures_get_the_size_and_colour_of_the_network(qpsnn, tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for name, value in (("dark", 30), ("light", 220)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(4):
            image.new("L", (12, 10 + index), value).save(tmp_path / "pictures" / name / f"{index}.png")
    recipe = (
        RECIPE.replace("steps = 6", "steps = 2")
        + 'name = "folder"\npath = "pictures"\nsize = 6\nresize = "pad"\ntest = 0.5\n'
    )
    (tmp_path / "r.toml").write_text(recipe.replace("batch = 16", "batch = 4"))
    assert qpsnn("train", "r.toml", "--out", "trained.h5", "-q")[0] == 0
    shutil.copytree("pictures/dark", "new/dark")
    found, _ = figures(qpsnn, "evaluate", "trained.h5", "--data", "new")
    assert found["data"] == {"name": "folder", "path": "new", "images": {"test": 4}}
    found, _ = figures(qpsnn, "evaluate", "trained.h5", "--data", "new", "--limit", 2)
    assert found["images"] == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("test = 1.0", "data.test: expected a share from 0 to less than 1, got 1.0"),
        ("validation = -0.1", "data.validation: expected a share"),
        ('scale = "fine"', "data.scale: expected a positive number"),
        ("scale = -1", "data.scale: expected a positive number"),
        ("scale = true", "data.scale: expected a number, or"),
        ('series = "time"', "data.series: expected one of"),
        ('channels = "middle"', "data.channels: expected one of"),
        ('resize = "cut"', "data.resize: expected one of"),
        ('colour = "blue"', "data.colour: expected one of"),
        ("split_seed = -1", "data.split_seed: expected an integer of at least 0"),
    ],
)
def test_a_recipes_wrong_words_are_named(tmp_path, line, said):
    (tmp_path / "r.toml").write_text(f'[data]\nname = "arrays"\npath = "x"\n{line}\n')
    with pytest.raises(qp.errors.ConfigError, match=said):
        qp.load_recipe(tmp_path / "r.toml")


def test_images_of_another_sign_or_unit_are_refused(tmp_path):
    signed = qp.build("mlp", (1, 1, 3), 2, steps=2, input_range=InputRange(-128, 127, 0.5))
    bytes_ = qp.build("mlp", (1, 1, 3), 2, steps=2)
    numbers = np.linspace(-4, 4, 24).reshape(8, 3)
    own = qp.Dataset.from_arrays(numbers, np.arange(8) % 2, test=0.5, scale=0.5)
    other = qp.Dataset.from_arrays(numbers, np.arange(8) % 2, test=0.5, scale=0.25)
    plain = qp.Dataset.from_arrays(np.zeros((8, 3), np.uint8), np.arange(8) % 2, test=0.5)
    assert qp.evaluate(qp.initialise(signed), own.test).images == 4
    for network, data, said in (
        (
            bytes_,
            own,
            r"integers 0\.\.255 .from input., got int8 .build or sequential\(..., input_range=data.train.input_range",
        ),
        (signed, plain, r"integers -128\.\.127 .from input., got uint8"),
        (signed, other, r"units of 0\.5 .from input., got units of 0\.25 .from_arrays\(..., scale=0\.5"),
    ):
        for model in (qp.initialise(network), qp.lower(qp.initialise(network)).network):
            with pytest.raises(qp.errors.DataError, match=said):
                qp.evaluate(model, data.test)
    with pytest.raises(qp.errors.ConfigError, match=r"build.input_range: expected none with events"):
        qp.build("mlp", (1, 1, 3), 2, events=True, input_range=own.train.input_range)


@pytest.mark.filterwarnings("error::qpsnn_core.errors.QpsnnWarning")
def test_the_same_set_is_not_told(qpsnn, here):
    assert qpsnn("train", "recipe.toml", "--out", "trained.h5", "-q")[0] == 0
    checkpoint = qp.load_checkpoint("trained.h5")
    choice = DataChoice(qp.recipe_from_dict(checkpoint.recipe).data, 6, trained_on=checkpoint.data)
    assert len(choice.split().train) == 78
    images, up = series(120, 5)
    np.savez("mine.npz", images=images, labels=CLASSES[up])
    with pytest.raises(ChangedDataWarning):
        choice.split()


def test_pictures_may_be_wider_than_high(qpsnn, tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for name, value in (("dark", 30), ("light", 220)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(6):
            image.new("L", (12, 10 + index), value).save(tmp_path / "pictures" / name / f"{index}.png")
    data = 'name = "folder"\npath = "pictures"\nsize = [4, 7]\nresize = "stretch"\ntest = 0.5\n'
    recipe = (
        RECIPE.replace("steps = 6", "steps = 2").replace("batch = 16", "batch = 4").replace("epochs = 12", "epochs = 2")
    )
    (tmp_path / "r.toml").write_text(recipe + data)
    assert qp.recipe_from_dict(qp.load_recipe("r.toml").to_dict()).data.size == (4, 7)
    assert qpsnn("train", "r.toml", "--out", "trained.h5", "-q")[0] == 0
    assert qp.load_model("trained.h5").network.input.shape == (4, 7, 1)
    assert figures(qpsnn, "evaluate", "trained.h5")[0]["images"] == 6
    split = qp.Dataset.from_folder("pictures", size=(4, 7), resize="stretch", test=0.5)
    made = qp.train(qp.load_model("trained.h5").network, split, qp.TrainConfig(epochs=1, batch=4))
    assert qp.recipe_from_dict(made.checkpoint.recipe).data.size == (4, 7)


def test_two_validations_are_refused(qpsnn, here):
    """A share of [train] beside a part of the set's own, from the command line as from Python."""
    text = (here / "recipe.toml").read_text()
    (here / "two.toml").write_text(text.replace("[finetune]", "validation = 0.1\n[finetune]"))
    code, _, err = qpsnn("train", "two.toml", "--out", "trained.h5", "-q")
    assert code == 2
    assert "error: train.validation: expected 0, as the data have a validation part, or one is given, got 0.1" in err
    assert not (here / "trained.h5").exists()
    data = qp.load_data("arrays", "mine.npz", series="frames", scale="measured", test=0.25, validation=0.1)
    network = qp.build("mlp", data.train.image_shape, 2, steps=6, widths=(8,), input_range=data.train.input_range)
    with pytest.raises(
        qp.errors.ConfigError, match=r"train\.validation: expected 0, as the data have a validation part"
    ):
        qp.train(network, data, qp.TrainConfig(epochs=1, batch=16, validation=0.1))


def test_what_is_held_out_is_still_of_its_set(here):
    """So that the checkpoint of such a run names the set, and commands load it."""
    data = qp.load_data("arrays", "mine.npz", series="frames", scale="measured", test=0.25)
    held = data.train.hold_out(20, 0)
    assert held.train.origin == held.test.origin == data.train.origin
    assert data.train.split(0.5, 1).test.origin == data.train.origin
    assert data.train.origin["path"] == "mine.npz"
    assert data.train.take(range(3)).origin == {}
    network = qp.build("mlp", data.train.image_shape, 2, steps=6, widths=(8,), input_range=data.train.input_range)
    made = qp.train(network, data, qp.TrainConfig(epochs=1, batch=16, validation=0.1)).checkpoint
    assert made.recipe["data"] == dict(data.train.origin)
    assert made.data.digests.keys() == {"train", "test"}
