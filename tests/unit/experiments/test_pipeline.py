"""`qp.run`: the figures of the single verbs, runs that were killed anywhere, recipes and files that changed."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
from compiled import needs_cc

import qpsnn_core as qp
from qpsnn_core.common.atomic import sole_writer
from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, UnsupportedError, VersionError
from qpsnn_core.experiments.pipeline import run as pipeline
from qpsnn_core.experiments.pipeline import stages
from qpsnn_core.experiments.pipeline.record import NAME
from qpsnn_core.experiments.stages import prune_as, score_as
from qpsnn_core.recipes.compression import CompressConfig, RequantizeConfig
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.deployment import ExportConfig, SimulateConfig
from qpsnn_core.recipes.lowering import LowerConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.pruning import PruneConfig
from qpsnn_core.recipes.recipe import Recipe, recipe_from_dict
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_datasets import load_part


class Killed(BaseException):
    """Ends a run as a power cut does: nothing is written any more."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Recipe:
    """A network of every kind of node on 40 images, pruned, tuned, compressed, requantized and lowered."""
    folder = tmp_path_factory.mktemp("recipe")
    small.split().save(folder / "stripes.h5")
    qp.save_network(folder / "small.json", small.network())
    return Recipe(
        NetworkConfig(file=str(folder / "small.json"), steps=3),
        DataConfig("saved", str(folder / "stripes.h5"), flip=True),
        TrainConfig(epochs=3, batch=8, optimizer="adam", lr=0.02),
        PruneConfig(rates={"lif3": 0.25}, batches=2, batch=8, prune_last=True),
        FinetuneConfig(epochs=2, batch=8),
        LowerConfig(fraction_bits=8),
        CompressConfig(sparsity=0.3, images=16),
        RequantizeConfig(bits=5),
        SimulateConfig(("exact",), images=6),
    )


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("whole")
    qp.run(recipe, folder)
    return folder


@pytest.fixture
def out(whole, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "out")
    return tmp_path / "out"


def equal_arrays(model, other):
    for node, inner in model.params.items():
        for name, array in inner.items():
            np.testing.assert_array_equal(array, other.params[node][name], err_msg=f"{node}.{name}")


def told(report):
    """All figures of a report, without the seconds."""
    return json.loads(json.dumps({**report.to_dict(), "seconds": None}))


def test_it_gives_what_the_single_verbs_give(recipe, tmp_path):
    done = qp.run(recipe, tmp_path / "out")
    data = qp.load_data("saved", recipe.data.path)
    augment = stages.augmentation(recipe.data)
    trained = qp.train(small.network(), data, recipe.train, augment=augment).model
    pruned = prune_as(recipe, trained, score_as(recipe, trained, data.train), data.train).model
    tuned = qp.finetune(pruned, data, recipe.finetune, augment=augment).model
    compressed = qp.compress(tuned, data.train.limited(16), sparsity=0.3, batches=1).model
    whole = qp.requantize(compressed, 5).model
    network = qp.lower(whole, fraction_bits=8).network
    models = {"trained": trained, "pruned": pruned, "tuned": tuned, "compressed": compressed, "requantized": whole}
    for name, model in models.items():
        equal_arrays(qp.load_model(tmp_path / "out" / f"{name}.h5"), model)
    accuracies = [qp.evaluate(one, data.test).accuracy for one in (*models.values(), network)]
    assert [row.accuracy for row in done.rows[:-1]] == accuracies
    some = load_part("saved", recipe.data.path, "test", limit=6)
    assert (done.rows[-1].images, done.rows[-1].accuracy) == (6, qp.evaluate(network, some).accuracy)
    loaded = qp.load_integer(tmp_path / "out" / "network.h5")
    for node, arrays in network.arrays.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded.arrays[node][name], array)
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == {
        **told(done),
        "seconds": dict(done.seconds),
    }
    assert list(done.figures) == list(stages.STAGES)[:-1]
    assert done.agrees


def written(folder):
    """The figures of report.json, without the seconds."""
    return {**json.loads((folder / "report.json").read_text(encoding="utf-8")), "seconds": None}


@pytest.mark.parametrize("kind", [Killed, KeyboardInterrupt])
def test_a_run_that_is_killed_anywhere_goes_on(recipe, whole, tmp_path, monkeypatch, kind):
    """In the middle of training, of fine-tuning, and in every stage after its file is written and before it is told."""
    events, done, kills = [0], [], []

    def progress(event):
        events[0] += 1
        if events[0] in (8, 25):  # each run starts to count anew: in epoch 2 of training, then later
            kills.append(event.stage)
            raise kind

    finish = pipeline.Record.finish

    def killed_once(self, name, *rest):
        if name not in done:
            done.append(name)
            raise kind
        return finish(self, name, *rest)

    monkeypatch.setattr(pipeline.Record, "finish", killed_once)
    for _ in range(40):
        try:
            report = qp.run(recipe, tmp_path / "out", progress=progress)
            break
        except (Killed, KeyboardInterrupt):
            continue
    assert done == list(stages.STAGES)[:-1]
    assert "train" in kills
    assert len(kills) > 1
    assert told(report) == written(whole)
    assert set(report.earlier) == set(done) - {"simulate"}
    assert {one.name for one in (tmp_path / "out").iterdir()} == {one.name for one in whole.iterdir()}
    for name in ("trained.h5", "tuned.h5", "requantized.h5"):
        equal_arrays(qp.load_model(tmp_path / "out" / name), qp.load_model(whole / name))


def test_what_is_finished_is_not_done_again(recipe, out, monkeypatch):
    first, said = written(out), []
    before = {one: one.stat().st_mtime_ns for one in out.glob("*.h5")}
    monkeypatch.setattr(stages, "train", None)
    again = qp.run(recipe, out, log=said.append)
    assert told(again) == first
    assert list(again.earlier) == list(stages.STAGES)[:-1]
    assert all(text.endswith(": done before") for text in said)
    assert before == {one: one.stat().st_mtime_ns for one in out.glob("*.h5")}
    qp.run(replace(recipe, export=ExportConfig(("c",), vectors=2)), out)
    assert (out / "firmware" / "network.c").is_file()


CHANGES = [
    ({"train": TrainConfig(epochs=3, batch=8, optimizer="adam", lr=0.03)}, "train.lr: expected 0.02, as", "train"),
    ({"finetune": FinetuneConfig(epochs=1, batch=8)}, "finetune.epochs: expected 2, as", "finetune"),
    ({"lower": LowerConfig(fraction_bits=4)}, "lower.fraction_bits: expected 8, as", "lower"),
    ({"compress": None}, "requantize begins from: expected compress, as", "requantize"),
    (
        {"prune": PruneConfig(rates={"lif3": 0.5}, batches=1, batch=8, prune_last=True)},
        "prune.batches: expected 2, as",
        "score",
    ),
    ({"simulate": SimulateConfig(("exact",), images=5)}, "simulate.images: expected 6, as", "simulate"),
]


@pytest.mark.parametrize(("change", "said", "stage"), CHANGES)
def test_a_changed_recipe_is_refused_by_name(recipe, out, tmp_path, change, said, stage):
    changed = replace(recipe, **change)
    kept = (out / NAME).read_bytes()
    with pytest.raises(ConfigError) as caught:
        qp.run(changed, out)
    assert f"run.json: {said}" in str(caught.value)
    assert f"--anew {stage} does this stage and those that begin from it anew" in str(caught.value)
    assert (out / NAME).read_bytes() == kept
    again = qp.run(changed, out, anew=stage)
    assert stage not in again.earlier
    if stage in ("finetune", "requantize"):
        assert told(again) == told(qp.run(changed, tmp_path / "fresh"))


def test_changed_samples_and_a_changed_network_are_refused(recipe, out, tmp_path):
    qp.Split(small.dataset(seed=3), small.dataset(samples=15, seed=1)).save(tmp_path / "others.h5")
    with pytest.raises(ConfigError, match=r"json: samples of train: expected \w+, as .*, got \w+: as many samples"):
        qp.run(replace(recipe, data=replace(recipe.data, path=str(tmp_path / "others.h5"))), out)
    shutil.copy(recipe.data.path, tmp_path / "moved.h5")
    moved = replace(recipe, data=replace(recipe.data, path=str(tmp_path / "moved.h5")))
    assert list(qp.run(moved, out).earlier) == list(stages.STAGES)[:-1]  # the same samples in another place
    qp.save_network(tmp_path / "other.json", small.network().change("lif1", threshold=0.5))
    with pytest.raises(ConfigError, match=r"run\.json: network: lif1\.threshold: expected 1\.0, as .*, got 0\.5 \("):
        qp.run(replace(recipe, network=replace(recipe.network, file=str(tmp_path / "other.json"))), out)


def test_files_that_are_gone_or_others_are_named(recipe, out):
    contents = (out / "pruned.h5").read_bytes()
    (out / "pruned.h5").write_bytes(contents[:-1])
    with pytest.raises(FormatError, match=r"pruned\.h5: expected the file that the stage 'prune' of the run wrote"):
        qp.run(recipe, out)
    (out / "pruned.h5").unlink()
    with pytest.raises(FileError, match=r"pruned\.h5: .*--anew prune .*, got no such file"):
        qp.run(recipe, out)
    assert qp.run(recipe, out, anew="prune").earlier == ("train", "score")
    record = json.loads((out / NAME).read_text(encoding="utf-8"))
    for text, kind, said in (
        ("{", FormatError, "run.json: expected the record of a run, got line 1 is not JSON"),
        ("[1]", FormatError, "run.json: expected a table of names, as the record of a run has, got"),
        ("{}", FormatError, "format: expected 'qpsnn-run', got None"),
        (json.dumps({**record, "stages": 3}), FormatError, "stages: expected a table of names"),
        (json.dumps({**record, "stages": {"train": 3}}), FormatError, "train: expected a table of names"),
        (json.dumps({**record, "format": "x"}), FormatError, "format: expected 'qpsnn-run', got 'x'"),
        (json.dumps({**record, "version": 2}), VersionError, "version: expected 1, got 2"),
        (
            json.dumps({**record, "stages": {"train": {**record["stages"]["train"], "key": "0"}}}),
            FormatError,
            "train: k",
        ),
        (json.dumps({**record, "stages": {"train": {"key": "0"}}}), FormatError, "train.depends: expected a value"),
    ):
        (out / NAME).write_text(text, encoding="utf-8")
        with pytest.raises(kind, match=said):
            qp.run(recipe, out)


def test_a_record_of_an_older_version_lacks_what_came_later(out):
    now = {name: dict(entry.depends) for name, entry in pipeline.Record(out).entries.items()}
    record = pipeline.Record(out)
    for entry in record.entries.values():
        for name in ("train.ema", "finetune.ema", "data.colour", "prune.ties"):
            entry.depends.pop(name, None)
    record.check(now, pipeline.defaults(), stages.TRAININGS)
    with pytest.raises(ConfigError, match=r"train\.ema: expected 0\.0, as the run in it began, got 0\.5"):
        record.check({**now, "train": {**now["train"], "train.ema": 0.5}}, pipeline.defaults(), {})


def test_more_epochs_extend_a_training_where_nothing_is_done_after_it(recipe, tmp_path):
    """Bit for bit what one training of so many epochs gives."""
    short = Recipe(recipe.network, recipe.data, replace(recipe.train, schedule="constant"))
    qp.run(short, tmp_path / "out")
    longer = replace(short, train=replace(short.train, epochs=5))
    said = []
    done = qp.run(longer, tmp_path / "out", log=said.append)
    assert (done.figures["train"]["epochs"], done.earlier, said) == (5, (), ["train: to 5 epochs"])
    data, augment = qp.load_data("saved", recipe.data.path), stages.augmentation(recipe.data)
    whole = qp.train(small.network(), data, longer.train, augment=augment).model
    equal_arrays(qp.load_model(tmp_path / "out" / "trained.h5"), whole)
    assert qp.run(longer, tmp_path / "out").earlier == ("train",)
    with pytest.raises(ConfigError, match=r"train\.epochs: expected 5, as the run in it began, got 3 \(--anew train"):
        qp.run(short, tmp_path / "out")


def test_more_epochs_are_refused_by_name_and_nothing_is_lost(recipe, out):
    """Where a later stage is done, or where the schedule would have given what is done other rates."""
    more = replace(recipe, train=replace(recipe.train, epochs=5))
    with pytest.raises(ConfigError, match=r"train\.epochs: expected 3, as .*, got 5 \(--anew score lets the tr"):
        qp.run(more, out)
    before = {one.name: one.read_bytes() for one in out.iterdir() if one.is_file()}
    said = r"config\.epochs: expected 3, as .*the cosine schedule gives update 2 another rate\), got 5 \(--anew train"
    with pytest.raises(ConfigError, match=said):
        qp.run(more, out, anew="score")
    assert {one.name: one.read_bytes() for one in out.iterdir() if one.is_file()} == before


def test_a_stage_that_failed_keeps_nothing(recipe, out, monkeypatch):
    """So its settings may change; a training that was stopped keeps its checkpoint, and goes on or is done anew."""
    failing = stages.STAGES["lower"]._replace(work=lambda work, file: 1 / 0)
    monkeypatch.setitem(stages.STAGES, "lower", failing)
    with pytest.raises(ZeroDivisionError):
        qp.run(replace(recipe, lower=LowerConfig(fraction_bits=7)), out, anew="lower")
    monkeypatch.undo()
    assert qp.run(replace(recipe, lower=LowerConfig(fraction_bits=4)), out).earlier[-1] == "requantize"
    other = replace(recipe, lower=LowerConfig(fraction_bits=4), finetune=FinetuneConfig(epochs=4, batch=8))

    def stop(event):
        if (event.stage, event.epoch) == ("finetune", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qp.run(other, out, anew="finetune", progress=stop)
    changed = replace(other, finetune=FinetuneConfig(epochs=3, batch=8))
    with pytest.raises(
        ConfigError, match=r"finetune\.epochs: expected 4, as the run in it began, got 3 \(--anew finetune"
    ):
        qp.run(changed, out)
    said = []
    assert qp.run(other, out, progress=lambda event: said.append((event.stage, event.epoch))).earlier[-1] == "prune"
    assert min(epoch for stage, epoch in said if stage == "finetune") == 3


def test_another_folder_is_left_alone(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trained.h5").write_text("mine", encoding="utf-8")
    with pytest.raises(
        FileError, match=r"out: expected a new or empty folder, or one of an earlier run, got trained\.h5"
    ):
        qp.run(recipe, tmp_path / "out")
    assert (tmp_path / "out" / "trained.h5").read_text(encoding="utf-8") == "mine"


def test_two_runs_at_once_in_one_folder_are_refused(recipe, out):
    with sole_writer(out), pytest.raises(FileError, match="out: expected a folder in which no other process writes"):
        qp.run(recipe, out)
    assert list(qp.run(recipe, out).earlier) == list(stages.STAGES)[:-1]
    assert not (out / ".lock").exists()


MISSING = [
    ({"simulate": SimulateConfig(("c",))}, UnsupportedError, "c: compiler: expected a C compiler on PATH"),
    ({"simulate": SimulateConfig(("d",))}, ConfigError, "backend: expected one of exact, lava, c, got 'd'"),
    ({"export": ExportConfig(("nir",))}, DataError, r"export\.formats: nir: expected the package nir \(.*exchange"),
    ({"export": ExportConfig(("netx",))}, UnsupportedError, "netx: "),
    ({"compress": CompressConfig(sparsity=0.5, method="obs")}, ConfigError, r"compress\.method: expected one of osbc"),
    ({"requantize": RequantizeConfig(4, ("conv9",))}, ConfigError, r"requantize\.layers: expected names of layers"),
    ({"prune": PruneConfig(rates={"lif9": 0.5})}, ConfigError, "rates: expected the name of a LIF"),
]


@pytest.mark.parametrize(("change", "kind", "said"), MISSING)
def test_what_is_missing_is_said_before_anything_starts(recipe, tmp_path, monkeypatch, change, kind, said):
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setitem(sys.modules, "qpsnn_core.exchange.nir_export", None)
    monkeypatch.setattr(stages, "train", None)
    with pytest.raises(kind, match=said):
        qp.run(replace(recipe, **change), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@needs_cc
def test_backends_and_exports(recipe, tmp_path):
    whole = replace(
        recipe,
        train=replace(recipe.train, epochs=1),
        compress=None,
        requantize=None,
        simulate=SimulateConfig(("exact", "c"), images=4),
        export=ExportConfig(("c",), vectors=3),
    )
    done = qp.run(whole, tmp_path / "out")
    assert [row.name for row in done.rows] == ["trained", "pruned", "fine-tuned", "integer", "Exact", "C"]
    assert done.figures["simulate"]["backends"]["c"]["spike_mismatches"] == 0
    assert done.figures["export"]["exports"]["c"]["vectors"] == 3
    assert (tmp_path / "out" / "firmware" / "network.c").is_file()
    (tmp_path / "out" / "firmware" / "network.h").unlink()
    with pytest.raises(FileError, match=r"network\.h: expected the file that the stage 'export'"):
        qp.run(whole, tmp_path / "out")
    assert qp.run(whole, tmp_path / "out", anew="export").earlier == tuple(done.figures)[:-1]
    with pytest.raises(ConfigError, match=r"run\.anew: expected a stage of the recipe: .*, got 'exprt' \(did you mean"):
        qp.run(whole, tmp_path / "out", anew="exprt")


def test_the_tables_say_what_is_done():
    assert stages.planned(Recipe()) == stages.planned(recipe_from_dict({"train": {}})) == ["train"]
    assert stages.planned(recipe_from_dict({"prune": {}})) == ["train", "score", "prune"]
    assert stages.planned(Recipe(finetune=FinetuneConfig())) == ["train", "finetune"]
    assert stages.planned(replace(Recipe(), train=TrainConfig(epochs=1))) == ["train"]
    assert stages.planned(recipe_from_dict({"export": {"formats": ["nir"]}})) == ["train", "export"]
    exact = {"export": {"formats": ["nir"], "exact": True}, "requantize": {"bits": 4}}
    assert stages.planned(recipe_from_dict(exact)) == ["train", "requantize", "lower", "export"]
    assert stages.planned(recipe_from_dict({"simulate": {"backends": ["c"]}})) == ["train", "lower", "simulate"]
    assert stages.parent(["train", "lower", "simulate", "export"], "export") == "lower"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"compress": {}},
            "compress.sparsity: expected a number above 0, as bits = 32 leaves nothing else to do, got 0",
        ),
        ({"compress": {"bits": 1}}, "compress.bits: expected an integer from 2 to 8, or 32"),
        ({"requantize": {}}, "requantize.bits: expected a value, got nothing"),
        ({"requantize": {"bits": 9}}, "requantize.bits: expected an integer from 2 to 8, got 9"),
        ({"simulate": {}}, "simulate.backends: expected a value, got nothing"),
        ({"simulate": {"backends": []}}, "simulate.backends: expected names of backends"),
        ({"simulate": {"backends": ["c", "c"]}}, "simulate.backends: expected each backend once"),
        ({"export": {"formats": ["onnx"]}}, "export.formats[0]: expected one of c, nir, netx, got 'onnx'"),
        ({"export": {"formats": ["c"], "vectors": 0}}, "export.vectors: expected an integer of at least 1, got 0"),
        ({"simulate": {"backends": ["c"], "image": 3}}, "simulate: unknown key 'image' (did you mean 'images'?)"),
    ],
)
def test_wrong_settings_are_named(table, said):
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict(table)
    assert said in str(caught.value)


def test_a_recipe_keeps_its_tables(recipe, tmp_path):
    path = Path(tmp_path / "recipe.toml")
    path.write_text(replace(recipe, export=ExportConfig(("c",))).to_toml(), encoding="utf-8")
    again = qp.load_recipe(path)
    assert again == replace(recipe, export=ExportConfig(("c",)))
    assert again.stages == ("prune", "finetune", "lower", "compress", "requantize", "simulate", "export")
    assert not {"compress", "requantize", "simulate", "export"} & set(Recipe().to_dict())
