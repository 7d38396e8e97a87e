"""Every kind of file given to every command that takes one: what it is, and the command that makes the right one."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import small

pytest.importorskip("typer")

import qpsnn_core as qp
from qpsnn_core import local_learning
from qpsnn_core.common import file_kinds, hdf5
from qpsnn_core.common.file_kinds import (
    CHECKPOINT,
    DATASET,
    HDF5,
    INTEGERS,
    JSON,
    KINDS,
    LOCAL,
    NETX,
    NIR,
    RECIPE,
    STORE,
    TORCH,
    ZIP,
)
from qpsnn_core.integer import file as integers
from qpsnn_core.local_learning import STDP, DiehlCook
from qpsnn_core.local_learning import file as local_file
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.training import checkpoint
from qpsnn_datasets.events import Recording, writer
from qpsnn_datasets.events.recording import FIELDS

pytestmark = pytest.mark.cli

COMMANDS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "train": (("train", "FILE"), {RECIPE}),
    "ablate": (("ablate", "FILE"), {RECIPE}),
    "front": (("front", "FILE"), {RECIPE}),
    "crossvalidate": (("crossvalidate", "FILE"), {RECIPE}),
    "compress-sweep": (("compress-sweep", "FILE"), {RECIPE}),
    "import --recipe": (("import", "NETWORK", "--recipe", "FILE"), {RECIPE}),
    "finetune": (("finetune", "FILE"), {CHECKPOINT}),
    "score": (("score", "FILE"), {CHECKPOINT}),
    "prune": (("prune", "FILE"), {CHECKPOINT}),
    "compress": (("compress", "FILE", "--bits", "4"), {CHECKPOINT}),
    "report": (("report", "FILE"), {CHECKPOINT}),
    "lower": (("lower", "FILE"), {CHECKPOINT}),
    "audit": (("audit", "FILE"), {CHECKPOINT}),
    "table efficiency": (("table", "efficiency", "FILE"), {CHECKPOINT}),
    "plot codes": (("plot", "weights", "FILE"), {CHECKPOINT}),
    "evaluate": (("evaluate", "FILE"), {CHECKPOINT, INTEGERS, LOCAL}),
    "learn": (("learn", "FILE"), {RECIPE}),
    "qspinn": (("qspinn", "FILE", "--target", "0.01", "--mu", "0.3"), {RECIPE}),
    "plot fields": (("plot", "fields", "FILE"), {LOCAL}),
    "export --nir": (("export", "FILE", "--nir", "out.nir"), {CHECKPOINT, INTEGERS}),
    "export --c": (("export", "FILE", "--c", "out"), {INTEGERS, LOCAL}),
    "export --netx": (("export", "FILE", "--netx", "out.net"), {INTEGERS}),
    "simulate": (("simulate", "FILE"), {INTEGERS, LOCAL}),
    "loihi": (("loihi", "FILE"), {INTEGERS}),
    "stream": (("stream", "FILE", "--data", "STORE"), {INTEGERS}),
    "predict": (("predict", "FILE", "STORE"), {INTEGERS, CHECKPOINT}),  # of a checkpoint, pictures: test_predict.py
    "import": (("import", "FILE"), {NIR, INTEGERS}),
    "events show": (("events", "show", "FILE", "0"), {STORE}),
    "evaluate --data": (("evaluate", "CHECKPOINT", "--data", "FILE"), {STORE, RECIPE, ZIP, HDF5, DATASET}),
    "stream --data": (("stream", "NETWORK", "--data", "FILE"), {STORE, HDF5, ZIP}),
    "events import": (("events", "import", "FILE"), {STORE, HDF5, ZIP}),
    "predict of files": (("predict", "NETWORK", "FILE"), {STORE, HDF5, ZIP}),
}
"""Command lines, and the kinds that FILE may be."""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    model = small.model()
    network = qp.lower(qp.initialise(qp.build("mlp", (4, 4, 2), 3, widths=(4,), events=True))).network
    found = {
        RECIPE: folder / "recipe.toml",
        CHECKPOINT: folder / "checkpoint.h5",
        INTEGERS: folder / "network.h5",
        STORE: folder / "store.h5",
        DATASET: folder / "set.h5",
        LOCAL: folder / "learnt.h5",
        NIR: folder / "graph.nir",
        NETX: folder / "graph.net",
        HDF5: folder / "other.h5",
        ZIP: folder / "arrays.npz",
        JSON: folder / "results.json",
        TORCH: folder / "model.zip",
    }
    found[RECIPE].write_text("[train]\nepochs = 1\n", encoding="utf-8")
    qp.save_checkpoint(found[CHECKPOINT], model)
    qp.save_integer(found[INTEGERS], network)
    learnt = local_learning.initialise(DiehlCook(4, 2, "single", 17.5, rule=STDP(total=2.0)), FLOAT, 1)
    local_learning.save_local(found[LOCAL], local_learning.LocalCheckpoint(learnt))
    events = {name: np.zeros(3, dtype) for name, dtype in FIELDS.items()}
    with writer.event_writer(found[STORE], ("a", "b", "c")) as store:
        store.add(Recording(**events, sensor=(4, 4), label=0, name="one"), "train")
    with h5py.File(found[NIR], "w") as file:
        file.create_group("node")
    with h5py.File(found[NETX], "w") as file:
        file.create_group("layer/0")
    with h5py.File(found[HDF5], "w") as file:
        file["x"] = 3
    small.dataset(4).save(found[DATASET])
    np.savez(found[ZIP], x=np.zeros(3))
    with zipfile.ZipFile(found[TORCH], "w") as archive:  # as torch.save does
        archive.writestr("model/data.pkl", b"")
    found[JSON].write_text(json.dumps([]), encoding="utf-8")
    return found


def test_the_names_are_those_that_the_readers_use():
    assert (CHECKPOINT, INTEGERS, STORE, LOCAL) == (checkpoint.KIND, integers.KIND, writer.KIND, local_file.KIND)
    assert {kind for pair in file_kinds.REMEDIES for kind in pair} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_says_what_it_is(files, kind):
    assert hdf5.file_kind(files[kind]) == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_kind_names_the_command_that_makes_the_right_one(qpsnn, files, tmp_path, monkeypatch, command, kind):
    monkeypatch.chdir(tmp_path)
    words, legal = COMMANDS[command]
    if kind in legal:
        pytest.skip("the right kind")
    stand = {"FILE": files[kind], "NETWORK": files[INTEGERS], "CHECKPOINT": files[CHECKPOINT], "STORE": files[STORE]}
    code, out, err = qpsnn(*(stand.get(word, word) for word in words))
    assert (code, out) == (2, ""), err
    (error,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert str(files[kind]) in error
    assert KINDS[kind].words in error, error
    assert "`qpsnn " in error or "[data]" in error or "examples/digits.toml" in error, error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("came", "wanted", "command"),
    [
        (CHECKPOINT, INTEGERS, "`qpsnn lower {} --out NETWORK`"),
        (INTEGERS, CHECKPOINT, "`qpsnn import {} --recipe RECIPE --out CHECKPOINT`"),
        (RECIPE, CHECKPOINT, "`qpsnn train {} --out CHECKPOINT`"),
        (NIR, CHECKPOINT, "`qpsnn import {} --out CHECKPOINT`"),
        (STORE, CHECKPOINT, "--data events:{}"),
        (ZIP, CHECKPOINT, "--data {}"),
        (TORCH, CHECKPOINT, "networks come in NIR files: `qpsnn import FILE.nir --out CHECKPOINT`"),
        (NETX, INTEGERS, "`qpsnn lower CHECKPOINT --out NETWORK` makes one"),
    ],
)
def test_from_python_too(files, came, wanted, command):
    load = {INTEGERS: qp.load_integer, CHECKPOINT: qp.load_checkpoint}[wanted]
    with pytest.raises(qp.errors.FormatError) as error:
        load(files[came])
    assert command.format(files[came]) in str(error.value)


@pytest.mark.parametrize("came", KINDS)
@pytest.mark.parametrize("wanted", [(CHECKPOINT, INTEGERS), (CHECKPOINT,), (RECIPE,)])
def test_no_advice_is_given_twice(files, came, wanted):
    if came in wanted:
        return
    text = str(file_kinds.wrong_kind(files[came], came, *wanted))
    advice = text[text.index(" (") + 2 : -1].split("; ")
    assert len(advice) == len(set(advice)), text


@pytest.mark.parametrize(("name", "command"), [("digits-stdp", "train"), ("digits-decolle", "ablate")])
def test_a_recipe_of_local_learning_names_its_command(qpsnn, root, name, command):
    path = root / "examples" / f"{name}.toml"
    code, _, error = qpsnn(command, path)
    assert (code, f"(`qpsnn learn {path}`)" in error) == (2, True), error


def test_a_recipe_that_backpropagates_is_not_learnt(qpsnn, root):
    code, _, error = qpsnn("learn", root / "examples" / "digits.toml")
    assert (code, "expected a table [diehl_cook] or [decolle]" in error) == (2, True), error


@pytest.mark.parametrize("ending", ["pt", "pth"])
def test_a_pickle_of_pytorch_is_known_by_its_name(tmp_path, ending):
    path = tmp_path / f"model.{ending}"
    path.write_bytes(b"\x80\x02.")
    assert hdf5.file_kind(path) == TORCH
