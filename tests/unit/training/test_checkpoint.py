"""Checkpoints: what was saved comes back exactly; a file from elsewhere gets an error that says what is wrong."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
import small

from qpsnn_core.common import hdf5
from qpsnn_core.common.errors import (
    ConfigError,
    FileError,
    FormatError,
    NumericsError,
    QpsnnError,
    ShapeError,
    VersionError,
)
from qpsnn_core.network.model import Model
from qpsnn_core.optim.optimizers import State, adam
from qpsnn_core.training.checkpoint import Checkpoint, load_checkpoint, load_model, save_checkpoint
from qpsnn_core.training.history import Cursor, Epoch, TrainedOn


def made(seed=0):
    """A checkpoint in which no array is zero and every part is filled."""
    model = small.model(seed)
    slots = adam().init(model.params).slots
    for index, slot in enumerate(slots.values()):
        for node in slot:
            slot[node] = {name: small.uniform(a.shape, seed, 7, index) for name, a in slot[node].items()}
    return Checkpoint(
        model,
        State(17, slots),
        Cursor(3, 2, 5, 60, 0.1 + 0.2, 31, 12345, 1.5, {"config": {"lr": 0.1}, "augment": None}),
        (Epoch(1, 1 / 3, 0.5, None, 0.1, 0.2, 3.0), Epoch(2, 0.3, 0.6, 0.7, 1e-17, 0.2, 3.0)),
        {"train": {"epochs": 4, "loss": "mean"}},
        {"stages": [["trained", 0.9]], "text": "gr\u00fcn"},
        data=TrainedOn("mine", (8, 8, 1), ("a", "b", "c"), 60, None),
    )


def same(a, b):
    assert a.keys() == b.keys()
    for node in a:
        assert a[node].keys() == b[node].keys()
        for name in a[node]:
            assert a[node][name].dtype == b[node][name].dtype
            np.testing.assert_array_equal(a[node][name], b[node][name])


def same_checkpoints(a, b):
    assert a.model.network == b.model.network
    assert a.model.network.digest() == b.model.network.digest()
    same(a.model.params, b.model.params)
    same(a.model.state, b.model.state)
    assert (a.optimizer is None) == (b.optimizer is None)
    if a.optimizer:
        assert a.optimizer.step == b.optimizer.step
        assert a.optimizer.slots.keys() == b.optimizer.slots.keys()
        for slot in a.optimizer.slots:
            same(a.optimizer.slots[slot], b.optimizer.slots[slot])
    for part in ("position", "history", "recipe", "notes", "versions", "data"):
        assert getattr(a, part) == getattr(b, part)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def test_what_is_printed_says_how_large_it_is_and_shows_no_arrays():
    checkpoint = made()
    count = sum(array.size for own in checkpoint.model.params.values() for array in own.values())
    said = repr(checkpoint)
    assert f"{checkpoint.model.network!r}, {count:,} parameters)" in said
    assert f"State(step=17, slots={tuple(checkpoint.optimizer.slots)})" in said
    assert "array" not in said


def test_all_of_it_comes_back_exactly(path):
    save_checkpoint(path, made())
    loaded = load_checkpoint(path)
    same_checkpoints(made(), loaded)
    assert list(loaded.model.params) == list(small.model().params)
    assert set(loaded.versions) == {"python", "qpsnn", "numpy", "numba", "h5py"}
    assert os.listdir(path.parent) == [path.name]


def test_a_model_alone_is_a_checkpoint_too_and_any_checkpoint_gives_its_model(path):
    save_checkpoint(path, Checkpoint(small.model()))
    loaded = load_checkpoint(path)
    assert (loaded.optimizer, loaded.position, loaded.history) == (None, None, ())
    save_checkpoint(path, made(1))
    same(load_model(path).params, small.model(1).params)


def test_a_checkpoint_that_was_trained_on_nothing_is_written_as_before_there_was_a_record(path):
    save_checkpoint(path, Checkpoint(small.model()))
    with h5py.File(path) as file:
        assert "data" not in json.loads(file["about"][()])
    assert load_checkpoint(path).data is None
    save_checkpoint(path, made())
    with h5py.File(path) as file:
        assert json.loads(file["about"][()])["data"]["name"] == "mine"
    assert str(load_checkpoint(path).data) == "'mine': 60 samples [8, 8, 1], 3 classes"


def test_an_optimizer_without_slots(path):
    save_checkpoint(path, replace(made(), optimizer=State(4, {})))
    assert load_checkpoint(path).optimizer == State(4, {})


def changed(path, change):
    """The file of `made()` after `change(file)`."""
    save_checkpoint(path, made())
    with h5py.File(path, "r+") as file:
        change(file)


def put(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda f: f.pop("params/conv1/weight"),
            r"params\.conv1\.weight: expected float32 \[3, 3, 2, 6\], got nothing",
        ),
        (lambda f: f.pop("params/conv1"), r"params\.conv1\.weight: expected float32 \[3, 3, 2, 6\], got nothing"),
        (lambda f: f.pop("state/conv2/var"), r"state\.conv2\.var: expected float32 \[6\]"),
        (lambda f: f.pop("optimizer/first/linear/bias"), r"optimizer\.first\.linear\.bias: expected float32 \[3\]"),
        (
            put("params/conv2/extra", np.zeros(3, np.float32)),
            r"params\.conv2\.extra: expected nothing, got float32 \[3\]",
        ),
        (put("params/other/weight", np.zeros(3, np.float32)), r"params\.other\.weight: expected nothing"),
        (put("params/other", np.zeros(3, np.float32)), r"params\.other\.: expected nothing"),
        (
            put("state/conv3/mean", np.zeros(6, np.float32)),
            r"state\.conv3\.mean: expected float32 \[8\], got float32 \[6\]",
        ),
        (put("state/conv3/mean", np.zeros(8)), r"state\.conv3\.mean: expected float32 \[8\], got float64 \[8\]"),
        (put("params/linear/bias", np.array([0, np.nan, 0], np.float32)), r"params\.linear\.bias: expected finite"),
        (put("optimizer/second/linear/bias", np.full(3, np.inf, np.float32)), r"optimizer\.second\.linear\.bias: exp"),
        (put("params/linear/bias", np.ones(3, np.float32)), "altered"),
        (lambda f: f["params/conv2/weight"].write_direct(np.ones((3, 3, 6, 6), np.float32)), "altered"),
        (lambda f: f.pop("network"), "network"),
        (lambda f: f.pop("about"), "about"),
        (lambda f: f.pop("params"), "params"),
        (put("network", "{}"), r"network\.format"),
        (put("network", np.zeros(3)), "network: expected a text"),
        (put("about", "[]"), "about"),
        (put("about", "{"), "run.h5"),
        (put("about", b"\xff\xfe"), "run.h5"),
    ],
)
def test_a_damaged_part_is_named(path, change, said):
    def either(file):
        name = getattr(change, "__closure__", None) and change.__closure__[0].cell_contents
        if isinstance(name, str) and name not in file:
            file[name] = 0
        change(file)

    changed(path, either)
    with pytest.raises(FormatError, match=said):
        load_checkpoint(path)


def test_another_version_and_another_kind_are_told_apart(path):
    changed(path, lambda file: file.attrs.modify("version", 2))
    with pytest.raises(VersionError, match=r"version: expected 1, got 2"):
        load_checkpoint(path)
    changed(path, lambda file: file.attrs.modify("format", "qpsnn-integer"))
    with pytest.raises(FormatError, match="expected a checkpoint, got an integer network"):
        load_checkpoint(path)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(path, kept):
    save_checkpoint(path, made())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(FormatError, match=str(path)):
        load_checkpoint(path)


def test_what_is_no_hdf5_file_and_what_is_not_there(path, tmp_path):
    with pytest.raises(FileError, match="no such file"):
        load_checkpoint(path)
    path.write_text("a recipe, perhaps\n" * 1000)
    with pytest.raises(FormatError, match=str(path)):
        load_checkpoint(path)
    with pytest.raises(FileError):
        load_checkpoint(tmp_path)


def test_no_changed_byte_goes_unseen_or_raises_anything_untyped(path):
    save_checkpoint(path, made())
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        place, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        try:
            loaded = load_checkpoint(path)
        except FileError:
            refused += 1
        else:
            same_checkpoints(made(), loaded)
    assert refused > 10


@pytest.mark.parametrize("where", ["create_dataset", "create_group", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch, where):
    save_checkpoint(path, made())

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    target = h5py.Group if where.startswith("create") else hdf5.os
    with monkeypatch.context() as patch:
        patch.setattr(target, where, full)
        with pytest.raises(FileError, match="No space left"):
            save_checkpoint(path, made(1))
    assert os.listdir(path.parent) == [path.name]
    same_checkpoints(made(), load_checkpoint(path))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="none"):
        save_checkpoint(tmp_path / "none" / "run.h5", made())


@pytest.mark.parametrize("content", [{"a": object()}, {"a": float("nan")}, {"a": {1, 2}}])
def test_notes_must_be_json_data(path, content):
    with pytest.raises(ConfigError, match="JSON"):
        save_checkpoint(path, replace(made(), notes=content))
    assert not path.exists()


def test_a_model_that_is_not_its_networks_is_not_saved(path):
    network, params, state = small.model()
    wrong = {**params, "conv1": {**params["conv1"], "weight": params["conv1"]["weight"][..., :4]}}
    with pytest.raises(ShapeError, match=r"params\.conv1\.weight: expected float32 \[3, 3, 2, 6\], got"):
        save_checkpoint(path, Checkpoint(Model(network, wrong, state)))
    with pytest.raises(ShapeError, match=r"state\.conv1\.mean: expected float32 \[6\], got nothing"):
        save_checkpoint(path, Checkpoint(Model(network, params, {})))
    bad = {**params, "linear": {**params["linear"], "bias": np.full(3, np.nan, np.float32)}}
    with pytest.raises(NumericsError, match=r"params\.linear\.bias"):
        save_checkpoint(path, Checkpoint(Model(network, bad, state)))
    with pytest.raises(QpsnnError, match=r"optimizer\.momentum"):
        save_checkpoint(path, replace(made(), optimizer=State(1, {"momentum": {}})))
    assert not path.exists()
