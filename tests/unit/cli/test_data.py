"""Each command on a checkpoint that names no data: refused, not run on digits; with --data it runs and names the set.

Every command of the app is in one of the lists below, so that a new one cannot forget what its data are.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

import qpsnn_core as qp
from qpsnn_core.cli.app import app
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe, load_recipe
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_datasets import Dataset, Split
from qpsnn_datasets.events import Recording, event_writer

pytestmark = pytest.mark.cli

ON_CHECKPOINT = {
    "evaluate": ("evaluate", "own.h5"),
    "score": ("score", "own.h5"),
    "prune": ("prune", "own.h5", "--out", "new.h5"),
    "finetune": ("finetune", "own.h5", "--epochs", 1, "--out", "new.h5", "-q"),
    "report": ("report", "own.h5"),
    "compress": ("compress", "own.h5", "--bits", 4, "--images", 32, "--out", "new.h5", "-q"),
    "audit": ("audit", "own.h5", "--images", 2, "--samples", 1, "--lava-images", 0),
    "table efficiency": ("table", "efficiency", "own.h5"),
    "plot scores": ("plot", "scores", "own.h5", "--batches", 2, "--batch", 16, "--out", "figures"),
}
"""They need data, and the checkpoint may name none. All take --data."""

ON_INTEGERS = {
    "evaluate": ("evaluate", "network.h5"),
    "simulate": ("simulate", "network.h5"),
    "stream": ("stream", "network.h5"),
}
"""They need data, and an integer network names none."""

OPTIONAL = {
    "loihi": ("loihi", "network.h5"),
    "export": ("export", "network.h5", "--c", "c"),
}
"""Without --data they measure nothing, or say that they took noise."""

ON_RECIPE = {
    "train": ("train", "recipe.toml", "--out", "new.h5", "-q"),
    "lr": ("lr", "recipe.toml", "--updates", 20, "-q"),
    "run": ("run", "recipe.toml", "--out", "new", "-q"),
    "ablate": ("ablate", "recipe.toml", "--seeds", 1, "--models", "B", "--out", "new", "-q"),
    "front": ("front", "recipe.toml", "--bits", 4, "--rates", 0, "--out", "new", "-q"),
    "crossvalidate": ("crossvalidate", "recipe.toml", "--folds", 2, "--out", "new", "-q"),
    "compress-sweep": (
        *("compress-sweep", "recipe.toml", "--methods", "rtn", "--sparsities", 0, "--bits", 4),
        *("--images", 16, "--out", "new", "-q"),
    ),
    "import": ("import", "network.h5", "--recipe", "recipe.toml", "--out", "new.h5"),
}
"""Their data are those of a recipe."""

NO_DATA = {
    "lower": "a checkpoint alone",
    "plot weights": "a checkpoint alone",
    "plot utilization": "a checkpoint alone",
    "plot front": "results, which name their data",
    "plot compression": "results, which name their data",
    "learn": "those of a recipe of its own, as below, without --data",
    "qspinn": "as learn",
    "plot fields": "a network alone",
    "plot learning": "a network alone",
    "plot precision": "results, which name their data",
    "table sizes": "the paper's networks",
    "table detection": "the paper's network",
    "table membranes": "SpQuant-SNN's networks",
    "table transformer": "the paper's networks; measured on noise where --data names no set",
    "table 4": "table transformer by its number",
    "demo": "names its set itself",
    "download": "named in its argument",
    "predict": "recordings in its arguments",
    "events import": "recordings in its arguments",
    "events info": "a store in its argument",
    "events show": "a store in its argument",
}


def made(count, seed):
    rng = np.random.default_rng(seed)
    labels, images = np.arange(count) % 4, rng.integers(0, 60, (count, 8, 8, 1))
    images[np.arange(count), labels] += 150
    return Dataset(images.astype(np.uint8), labels, tuple("abcd"), "mine")


DATA = Split(made(128, 1), made(48, 2))
SMALL = NetworkConfig("mlp", widths=(12,), steps=2)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with own.h5 (trained from Python), its integers, a recipe without data, and the data as mine.npz."""
    folder = tmp_path_factory.mktemp("own")
    settings = TrainConfig(epochs=6, batch=16, optimizer="adam", lr=0.05)
    trained = qp.train(SMALL.build((8, 8, 1), 4), DATA, settings, checkpoint=folder / "own.h5")
    qp.save_integer(folder / "network.h5", qp.lower(trained.model).network)
    arrays = {f"{part}_{name}": getattr(data, name) for part, data in DATA.parts.items() for name in FIELDS}
    np.savez(folder / "mine.npz", **arrays, classes=np.array(DATA.train.classes))
    recipe = Recipe(SMALL, train=settings, finetune=FinetuneConfig(epochs=1, batch=32))
    (folder / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    named = replace(recipe, data=DataConfig("arrays", "mine.npz"))
    (folder / "named.toml").write_text(named.to_toml(), encoding="utf-8")
    return folder


FIELDS = ("images", "labels")


@pytest.fixture
def here(written, tmp_path, monkeypatch):
    """The files, as links, in the current folder."""
    for path in written.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(typer_app, prefix=""):
    for command in typer_app.registered_commands:
        yield prefix + (command.name or command.callback.__name__).replace("_", "-")
    for group in typer_app.registered_groups:
        yield from commands(group.typer_instance, f"{group.name} ")


def test_every_command_is_in_a_list():
    listed = {*ON_CHECKPOINT, *ON_INTEGERS, *OPTIONAL, *ON_RECIPE, *NO_DATA}
    assert set(commands(app)) == listed


def needs(name):
    if name.startswith("plot"):
        pytest.importorskip("matplotlib")


def refused(qpsnn, here, words, said):
    before = sorted(here.rglob("*"))
    code, out, err = qpsnn(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "digits.images" not in err
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", ON_CHECKPOINT)
def test_a_checkpoint_that_names_no_data_is_refused(qpsnn, here, name):
    needs(name)
    refused(qpsnn, here, ON_CHECKPOINT[name], "own.h5: this checkpoint names no data; give --data")
    refused(qpsnn, here, ON_CHECKPOINT[name], "arrays called 'mine': 128 samples [8, 8, 1], 4 classes")
    refused(qpsnn, here, (*ON_CHECKPOINT[name], "--path", "folder"), "names no data; give --data")


@pytest.mark.parametrize("name", ON_INTEGERS)
def test_an_integer_network_is_refused_without_data(qpsnn, here, name):
    refused(qpsnn, here, ON_INTEGERS[name], "network.h5: an integer network names no data; give --data")


@pytest.mark.parametrize("name", ON_RECIPE)
def test_a_recipe_that_names_no_data_is_refused(qpsnn, here, name):
    want = 'recipe.toml: data.name: expected the name of a set, such as name = "digits", in the table [data]'
    refused(qpsnn, here, ON_RECIPE[name], want)


def used(out):
    found = json.loads(out)
    return (found[0] if isinstance(found, list) else found)["data"]


@pytest.mark.parametrize("name", ON_CHECKPOINT)
def test_with_data_each_command_runs_and_its_json_and_table_name_them(qpsnn, here, name):
    needs(name)
    words = (*ON_CHECKPOINT[name], "--data", "mine.npz")
    code, out, err = qpsnn(*words, "--json")
    assert code == 0, err
    data = used(out)
    assert (data["name"], data["path"]) == ("arrays", "mine.npz")
    test = {"report": 48, "evaluate": 48, "audit": 2, "table efficiency": 16}.get(name)
    train = {"plot scores": 32}.get(name, 128)
    both = {"train": 128, "test": 48}
    assert data["images"] == (both if name == "finetune" else {"test": test} if test else {"train": train})
    code, out, _ = qpsnn(*words)
    assert code == 0
    assert "arrays (mine.npz)" in out
    if name in ("prune", "finetune", "compress"):
        recipe = qp.load_checkpoint("new.h5").recipe
        assert (recipe["data"]["name"], recipe["data"]["path"]) == ("arrays", "mine.npz")
        assert "network" not in recipe
        code, out, _ = qpsnn("evaluate", "new.h5", "--json")
        assert (code, used(out)) == (0, {"name": "arrays", "path": "mine.npz", "images": {"test": 48}})


@pytest.mark.parametrize("name", ["evaluate", "simulate"])
def test_with_data_integers_run(qpsnn, here, name):
    code, out, err = qpsnn(*ON_INTEGERS[name], "--data", "mine.npz", "--limit", 8, "--json")
    assert code == 0, err
    assert used(out) == {"name": "arrays", "path": "mine.npz", "images": {"test": 8}}
    assert json.loads(out)["images"] == 8


@pytest.mark.parametrize("name", OPTIONAL)
def test_without_data_nothing_is_measured_or_noise_is_named(qpsnn, here, name):
    noise = {"name": "noise", "path": "", "images": {"drawn": 100}}
    code, out, _ = qpsnn(*OPTIONAL[name], "--json")
    assert code in (0, 1)
    assert used(out) == (noise if name == "export" else None)
    code, out, _ = qpsnn(*OPTIONAL[name], "--data", "mine.npz", "--json")
    assert used(out)["path"] == "mine.npz"


@pytest.mark.parametrize("name", ON_RECIPE)
def test_a_recipe_of_own_data_runs_and_its_json_names_them(qpsnn, here, name):
    words = ["named.toml" if word == "recipe.toml" else word for word in ON_RECIPE[name]]
    code, out, err = qpsnn(*words, "--json")
    assert code == 0, err
    assert used(out) == {"name": "arrays", "path": "mine.npz", "images": {"train": 128, "test": 48}}
    results = here / "new" / "results.json"
    if results.exists():
        images = {"pooled": 176} if name == "crossvalidate" else {"train": 128, "test": 48}
        assert json.loads(results.read_text())["data"] == {"name": "arrays", "path": "mine.npz", "images": images}
    if name == "front":
        assert [row["data"]["images"]["test"] for row in json.loads((here / "new" / "front.json").read_text())] == [48]


def test_accuracy_is_that_of_the_own_data(qpsnn, here):
    _, out, _ = qpsnn("evaluate", "own.h5", "--data", "mine.npz", "--json")
    assert json.loads(out)["accuracy"] == qp.evaluate(qp.load_model("own.h5"), DATA.test).accuracy > 0.9


@pytest.mark.parametrize("name", ON_CHECKPOINT)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("shape", "other.{part}.images: expected [8, 8, 1] or [2, 8, 8, 1] (from input), got [9, 8, 1]"),
        ("steps", "other.{part}.images: expected [8, 8, 1] or [2, 8, 8, 1] (from input), got [3, 8, 8, 1]"),
        ("classes", "other.{part}.labels[0]: expected 0 to 3 (from readout), got 4"),
    ],
)
def test_data_that_do_not_fit_are_a_typed_error(qpsnn, here, name, change, said):
    needs(name)
    arrays = {f"{part}_{field}": getattr(data, field) for part, data in DATA.parts.items() for field in FIELDS}
    for part in DATA.parts:
        images = arrays[f"{part}_images"]
        if change == "shape":
            arrays[f"{part}_images"] = np.concatenate([images, images[:, :1]], 1)
        if change == "steps":
            arrays[f"{part}_images"] = np.repeat(images[:, None], 3, 1)
        if change == "classes":
            arrays[f"{part}_labels"] = np.full(len(images), 4)
    np.savez(here / "other.npz", **arrays)
    code, _, err = qpsnn(*ON_CHECKPOINT[name], "--data", "other.npz")
    part = "test" if name in ("evaluate", "report", "audit", "table efficiency") else "train"
    assert code == 2, (code, err)
    assert said.format(part=part) in err
    assert not (here / "new.h5").exists()


def test_a_count_above_the_peak_is_a_typed_error(qpsnn, here):
    network = SMALL.build((8, 8, 2), 4, events=True)
    nodes = (replace(network.nodes[0], peak=15), *network.nodes[1:])
    qp.save_checkpoint("own.h5.peak", qp.Checkpoint(qp.initialise(qp.Network(nodes, 2), 0)))
    np.savez("events.npz", images=np.full((4, 2, 8, 8, 2), 16, np.uint8), labels=np.arange(4))
    code, _, err = qpsnn("evaluate", "own.h5.peak", "--data", "events.npz")
    assert code == 2
    assert "events.test.images: expected integers 0..15 (from input), got 16" in err


def test_frames_of_a_set_of_events_are_the_networks_steps(qpsnn, here):
    pytest.importorskip("sklearn")
    network = replace(SMALL, steps=3).build((10, 10, 2), 10, events=True)
    model = qp.initialise(network, 0)
    qp.save_checkpoint("events.h5", qp.Checkpoint(model))
    code, out, err = qpsnn("evaluate", "events.h5", "--data", "digits-events", "--limit", 10, "--json")
    assert code == 0, err
    qp.save_integer("events-network.h5", qp.lower(model).network)
    for words in (("loihi", "events-network.h5"), ("export", "events-network.h5", "--c", "c", "--vectors", 5)):
        code, out, err = qpsnn(*words, "--data", "digits-events", "--json")
        assert code in (0, 1), err
        assert used(out)["name"] == "digits-events"


def test_a_recipes_limit_is_not_that_of_other_data(qpsnn, here):
    limited = replace(load_recipe("named.toml"), data=DataConfig("arrays", "mine.npz", limit=20))
    own = qp.load_checkpoint("own.h5")
    qp.save_checkpoint("limited.h5", replace(own, recipe=limited.to_dict()))
    for words, images in (((), 20), (("--limit", 30), 30), (("--data", "mine.npz"), 48)):
        _, out, _ = qpsnn("evaluate", "limited.h5", *words, "--json")
        assert used(out)["images"] == {"test": images}


def test_data_may_be_those_of_a_recipe(qpsnn, here):
    (here / "limited.toml").write_text('[data]\nname = "arrays"\npath = "mine.npz"\nlimit = 20\n')
    for file in ("own.h5", "network.h5"):
        _, out, _ = qpsnn("evaluate", file, "--data", "limited.toml", "--json")
        assert used(out) == {"name": "arrays", "path": "mine.npz", "images": {"test": 20}}
        code, _, err = qpsnn("evaluate", file, "--data", "recipe.toml")
        assert (code, "recipe.toml: data.name: expected the name of a set" in err) == (2, True)


def test_how_a_store_is_cut_into_frames_is_said(qpsnn, here):
    network = replace(SMALL, steps=2).build((8, 8, 2), 2, events=True)
    qp.save_checkpoint("events.h5", qp.Checkpoint(qp.initialise(network, 0)))
    with event_writer("store.h5", ("a", "b")) as writer:
        for index in range(4):
            x = np.arange(8)
            writer.add(Recording(x, x, 1000 * x, x % 2 == 0, (8, 8), index % 2), "test" if index < 2 else "train")
    (here / "count.toml").write_text('[data]\nname = "events"\npath = "store.h5"\nframes = "count"\n')
    for words, frames in (("store.h5", "time"), ("count.toml", "count")):
        code, out, err = qpsnn("evaluate", "events.h5", "--data", words, "--json")
        assert code == 0, err
        assert used(out) == {"name": "events", "path": "store.h5", "frames": frames, "size": 0, "images": {"test": 2}}
        assert f"frames of equal {frames}" in qpsnn("evaluate", "events.h5", "--data", words)[1]


def test_a_checkpoint_remembers_what_its_arrays_were_called(here):
    own = qp.load_checkpoint("own.h5")
    assert (own.data.name, own.data.shape, own.data.classes) == ("mine", (8, 8, 1), ("a", "b", "c", "d"))
    assert (own.data.train, own.data.validation) == (128, 48)
    assert set(own.recipe) == {"train"}


def test_settings_are_stated_with_where_they_come_from(qpsnn, here):
    for name in ("finetune", "prune", "score"):
        words = [word for word in ON_CHECKPOINT[name] if word != "-q"]
        _, out, err = qpsnn(*words, "--data", "mine.npz", "--json")
        settings = json.loads(out)["settings"]
        assert settings["batch"] == 64
        assert all(f"{key} {value}" in err for key, value in settings.items())
        table = "finetune" if name == "finetune" else "prune"
        assert f"options, else defaults, as the checkpoint's recipe has no table [{table}]" in err
    _, _, err = qpsnn("train", "named.toml", "--out", "new.h5")
    assert "network: name mlp, width 1.0, widths (12,), bits 4" in err
    assert "train: epochs 6, batch 16" in err
    _, _, err = qpsnn("finetune", "new.h5", "--out", "newer.h5")
    assert "(options, else the recipe's [finetune])" in err


def test_a_network_that_no_recipe_made_is_not_called_by_the_default_recipes_name(qpsnn, here):
    words = ("--data", "mine.npz", "--out", "tuned.h5", "--epochs", 1, "-q")
    assert qpsnn("finetune", "own.h5", *words)[0] == 0
    for name in ("own.h5", "tuned.h5"):
        _, out, _ = qpsnn("table", "efficiency", name, "--data", "mine.npz", "--json")
        (row,) = json.loads(out)
        assert (row["network"], row["connections"]) == ("", None)


@pytest.mark.exchange
def test_an_imported_network_is_not_called_by_its_recipes_name(qpsnn, here):
    assert qpsnn("export", "own.h5", "--nir", "own.nir")[0] == 0
    assert qpsnn("import", "own.nir", "--recipe", "named.toml", "--out", "new.h5", "--peak", 255)[0] == 0
    assert set(qp.load_checkpoint("new.h5").recipe) == {"data", "train", "prune", "finetune", "lower"}
    assert qpsnn("import", "own.nir", "--out", "bare.h5")[0] == 0
    refused(qpsnn, here, ("evaluate", "bare.h5"), "bare.h5: this checkpoint names no data; give --data")


def test_a_figure_names_its_data(qpsnn, here, monkeypatch):
    pytest.importorskip("matplotlib")
    from qpsnn_core.experiments.plots import analysis as drawing

    said = []
    write = drawing.write
    monkeypatch.setattr(drawing, "write", lambda figure, *a, **k: (said.append(texts(figure)), write(figure, *a, **k)))
    assert qpsnn(*ON_CHECKPOINT["plot scores"], "--data", "mine.npz")[0] == 0
    words = ["named.toml" if word == "recipe.toml" else word for word in ON_RECIPE["front"]]
    assert qpsnn(*words)[0] == 0
    assert qpsnn("plot", "front", "new/front.json", "--out", "figures")[0] == 0
    assert said[0] == said[1] == "data: arrays (mine.npz), 32 train images, each a grey image of 8 x 8"
    assert said[2] == said[3] == "data: arrays (mine.npz), 128 train and 48 test images"


def texts(figure):
    return figure.get_supxlabel()


@pytest.mark.parametrize("words", [("learn",), ("qspinn", "--target", 0.1, "--mu", 0.1)])
def test_a_recipe_of_local_learning_names_its_data(qpsnn, here, root, words):
    text = (root / "examples" / "digits-stdp.toml").read_text(encoding="utf-8")
    (here / "local.toml").write_text(text.replace('name = "digits"', 'name = ""'), encoding="utf-8")
    name, *options = words
    refused(qpsnn, here, (name, "local.toml", *options, "--out", "new"), "local.toml: data.name: expected")
