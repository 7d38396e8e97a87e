"""`qpsnn predict` of pictures and arrays: what Python answers for them, by checkpoints and integers, in any order."""

from __future__ import annotations

import json

import numpy as np
import pytest
from compiled import needs_cc

pytest.importorskip("typer")
pytest.importorskip("PIL")

from PIL import Image

import qpsnn_core as qp
from qpsnn_core.layers import LIF, AvgPool, Conv, Linear

pytestmark = pytest.mark.cli
RNG = np.random.default_rng(0)
CLASSES = ("cat", "dog", "owl")


def picture(path, size=(6, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    Image.fromarray(RNG.integers(0, 256, (*size, *channels)).astype(np.uint8), mode).save(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with pictures of three classes and other sizes, a checkpoint that was trained on them, its integers."""
    folder = tmp_path_factory.mktemp("predict")
    for name in CLASSES:
        for index in range(4):
            picture(folder / "pets" / name / f"{index}.png", (6 + index % 2, 7), "RGB" if index else "L")
    data = qp.Dataset.from_folder(folder / "pets", size=6, resize="crop", colour="rgb", test=0.25)
    network = qp.sequential((6, 6, 3), [Conv(4), LIF(), AvgPool(None), Linear(3)], steps=2)
    config = qp.TrainConfig(epochs=1, batch=4, optimizer="adam", lr=0.01)
    model = qp.train(network, data, config, checkpoint=folder / "trained.h5").model
    qp.save_integer(folder / "network.h5", qp.lower(model).network)
    return folder, data


def samples(qpsnn, *words):
    code, out, err = qpsnn("predict", *words, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_folder_is_answered_as_python_answers(qpsnn, made):
    folder, _ = made
    found = samples(qpsnn, folder / "trained.h5", folder / "pets")
    files = sorted((folder / "pets").rglob("*.png"))
    assert [row["file"] for row in found["samples"]] == list(map(str, files))
    assert found["classes"] == list(CLASSES)
    both = qp.Dataset.from_folder(folder / "pets", size=6, resize="crop", colour="rgb", test=0.5)
    want = {image.tobytes(): None for part in both for image in part.images}
    model = qp.load_model(folder / "trained.h5")
    images = np.stack([np.frombuffer(raw, np.uint8).reshape(6, 6, 3) for raw in want])
    answers = qp.predict(model, images, classes=CLASSES)
    likely = sorted(map(tuple, answers.probabilities.round(12).tolist()))
    assert sorted(tuple(np.round(row["probabilities"], 12)) for row in found["samples"]) == likely
    row = found["samples"][0]
    assert row["class"] == CLASSES[row["answer"]]
    assert row["probability"] == max(row["probabilities"])
    code, out, _ = qpsnn("predict", folder / "trained.h5", files[5])
    assert code == 0
    assert [word in out for word in ("file", "class", "probability", files[5].name)] == [True] * 4


@pytest.mark.parametrize("backend", ["exact", pytest.param("c", marks=needs_cc)])
def test_integers_take_names_and_reading_from_their_checkpoint(qpsnn, made, backend):
    folder, _ = made
    words = (folder / "network.h5", folder / "pets" / "cat" / "1.png", folder / "pets" / "owl")
    found = samples(qpsnn, *words, "--trained", folder / "trained.h5", "--backend", backend)
    assert (found["backend"], found["spike_mismatches"], found["readout_mismatches"]) == (backend, 0, 0)
    assert [row["file"].split("/")[-2] for row in found["samples"]] == ["cat", "owl", "owl", "owl", "owl"]
    named = samples(qpsnn, *words, "--classes", "x, y, z", "--resize", "crop", "--backend", backend)
    assert [row["class"] for row in named["samples"]] == ["xyz"[row["answer"]] for row in found["samples"]]
    plain = samples(qpsnn, *words, "--resize", "crop")
    assert [row["class"] for row in plain["samples"]] == [str(row["answer"]) for row in found["samples"]]
    assert [row["probabilities"] for row in plain["samples"]] == [row["probabilities"] for row in found["samples"]]


def test_arrays_are_answered_row_by_row(qpsnn, made, tmp_path, monkeypatch):
    monkeypatch.setattr("qpsnn_core.cli.predict_samples.BATCH", 2)
    folder, data = made
    np.save(tmp_path / "some.npy", data.test.images)
    found = samples(qpsnn, folder / "trained.h5", tmp_path / "some.npy", folder / "pets" / "cat" / "1.png")
    names = [row["file"] for row in found["samples"]]
    assert names[:3] == [f"{tmp_path / 'some.npy'}[{k}]" for k in range(3)]
    assert names[3].endswith("1.png")
    want = qp.predict(qp.load_model(folder / "trained.h5"), data.test)
    np.testing.assert_allclose([row["probabilities"] for row in found["samples"][:3]], want.probabilities, rtol=1e-12)
    assert [row["class"] for row in found["samples"][:3]] == list(want.names)


def test_real_numbers_get_the_networks_unit_and_other_tasks_their_columns(qpsnn, tmp_path):
    """A regression on signed numbers: the values that `predict` gives, under the names of the targets."""
    values = RNG.normal(0, 1, (12, 4))
    data = qp.Dataset.from_arrays(
        values, values[:, :2], test=0.5, scale="measured", task="regression", classes=["left", "right"]
    )
    network = qp.sequential((1, 1, 4), [Linear(6), LIF(), Linear(2)], steps=2, input_range=data.train.input_range)
    config = qp.TrainConfig(epochs=1, batch=6, loss="mse", monitor="loss")
    model = qp.train(network, data, config, checkpoint=tmp_path / "trained.h5").model
    np.save(tmp_path / "new.npy", values[:3])
    found = samples(qpsnn, tmp_path / "trained.h5", tmp_path / "new.npy")
    images = data.train.input_range.quantize(values[:3])[:, None, None]
    want = qp.predict(model, images, task="regression").labels
    np.testing.assert_allclose([row["values"] for row in found["samples"]], want, rtol=1e-12)
    assert found["classes"] == ["left", "right"]
    code, out, _ = qpsnn("predict", tmp_path / "trained.h5", tmp_path / "new.npy")
    assert code == 0
    assert "left" in out
    Image.fromarray(np.zeros((1, 1), np.uint8), "L").save(tmp_path / "one.png")
    code, _, err = qpsnn("predict", tmp_path / "trained.h5", tmp_path / "one.png")
    assert code == 2
    assert "one.png: expected a .npy array [N, ..., 4], as the network reads 4 channels" in err


def test_what_the_recipe_codes_is_coded(qpsnn, tmp_path):
    """The answer of a picture is that of its own spikes, wherever it stands among others."""
    images = RNG.integers(0, 256, (12, 5, 5, 1)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", images=images, labels=np.arange(12) % 3)
    recipe = qp.recipe_from_dict(
        {
            "network": {"name": "mlp", "steps": 4},
            "data": {"name": "arrays", "path": str(tmp_path / "mine.npz"), "test": 0.5, "coding": "poisson"},
            "train": {"epochs": 1, "batch": 4},
        }
    )
    (tmp_path / "r.toml").write_text(recipe.to_toml(), encoding="utf-8")
    code, _, err = qpsnn("train", tmp_path / "r.toml", "--out", tmp_path / "trained.h5", "--quiet")
    assert code == 0, err
    for name, index in (("a", 3), ("b", 7)):
        Image.fromarray(images[index, :, :, 0], "L").save(tmp_path / f"{name}.png")
    found = samples(qpsnn, tmp_path / "trained.h5", tmp_path / "a.png", tmp_path / "b.png")
    model = qp.load_model(tmp_path / "trained.h5")
    for row, index in zip(found["samples"], (3, 7), strict=True):
        spikes = qp.encode(images[index : index + 1], "poisson", steps=4, seed=0)
        np.testing.assert_allclose([row["probabilities"]], qp.predict(model, spikes).probabilities, rtol=1e-12)


WRONG = [
    (("trained.h5", "pets/cat/0.png", "--backend", "c"), "--backend c: expected an integer network (`qpsnn lower`"),
    (("network.h5", "pets/cat/1.png"), "1.png: expected 6 x 6 pixels, or resize = crop, stretch, pad, got 7 x 7"),
    (("trained.h5", "clear.png"), None),
    (("trained.h5", "no.png"), "no.png: expected a PNG or JPEG picture, a .npy array, or a folder of them"),
    (("trained.h5", "broken.png"), "broken.png: expected a whole PNG or JPEG picture"),
    (("trained.h5", "five.npy"), "five.npy.images: expected [6, 6, 3] or [2, 6, 6, 3] (from input), got [5, 6, 3]"),
    (("trained.h5", "mixed"), "notes.txt: expected a PNG or JPEG picture, or a .npy array, got .txt"),
    (("network.h5", "clear.png", "--classes", "a,b"), "classes: expected 3, one for each output of "),
    (
        ("trained.h5", "clear.png", "--trained", "trained.h5"),
        "--trained: expected nothing, as the first file is a",
    ),
    (("trained.h5", "clear.png", "--task", "rank"), "--task: expected one of classification, multilabel, regression"),
    (("trained.h5", "clear.png", "--resize", "zoom"), "resize: expected one of"),
    (("network.h5", "one.bin"), "input: expected frames of events, [H, W, 2], counts from 0, got [6, 6, 3]"),
    (("trained.h5", "one.bin"), "recordings need integers (`qpsnn lower`), got .bin beside the checkpoint trained.h5"),
    (("trained.h5", "clear.png", "hollow"), "hollow: expected PNG or JPEG pictures, .npy arrays, or folders of them"),
    (("network.h5", "one.bin", "--classes", "a"), "--classes: expected nothing, as the files are recordings, got 'a'"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_what_is_wrong_is_named(qpsnn, made, monkeypatch, words, said):
    folder, _ = made
    monkeypatch.chdir(folder)
    picture(folder / "clear.png", mode="RGBA")
    picture(folder / "mixed" / "a.png")
    (folder / "mixed" / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "broken.png").write_bytes((folder / "clear.png").read_bytes()[:40])
    (folder / "one.bin").write_bytes(b"x")
    (folder / "hollow").mkdir(exist_ok=True)
    np.save(folder / "five.npy", np.zeros((2, 5, 6, 3), np.uint8))
    code, _, err = qpsnn("predict", *words)
    assert code == (0 if said is None else 2), err
    assert (said or "") in err
