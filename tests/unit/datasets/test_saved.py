"""Sets in our own HDF5 file: what was saved comes back, whole or split; damaged and wrong files are named."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from qpsnn_core.common.errors import DataError, FileError, FormatError, VersionError
from qpsnn_datasets import Dataset, Split, load_data, source_of
from qpsnn_datasets.registry import load_part

RNG = np.random.default_rng(0)


def split(validation=None, signed=True):
    images = RNG.normal(size=(40, 6, 5)) if signed else RNG.integers(0, 256, (40, 6, 5)).astype(np.uint8)
    labels = np.array(["up", "down"])[np.arange(40) % 2]
    scale = 0.1 if signed else None
    return Dataset.from_arrays(images, labels, test=0.25, validation=validation, scale=scale, name="mine")


def same(one, other):
    np.testing.assert_array_equal(one.images, other.images, strict=True)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert (one.classes, one.scale, one.name) == (other.classes, other.scale, other.name)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("validation", [None, 0.1])
def test_what_was_saved_comes_back(tmp_path, signed, validation):
    made, path = split(validation, signed), tmp_path / "mine.h5"
    made.save(path)
    assert source_of(str(path)).name == "saved"
    found = load_data("saved", path)
    assert list(found.parts) == list(made.parts)
    for part, data in made.parts.items():
        same(found.parts[part], data)
        same(load_part("saved", path, part), data)
        assert found.parts[part].origin["path"] == str(path)
    assert len(load_data("saved", path, limit=4).train) == 4


def test_a_set_that_is_not_split_is_any_part_or_is_split(tmp_path):
    data = split().train
    data.save(tmp_path / "all.h5")
    for part in ("train", "test"):
        np.testing.assert_array_equal(load_part("saved", tmp_path / "all.h5", part).images, data.images)
    with pytest.raises(FormatError, match=r"all.h5: expected a training and a test part, .*test = 0.2"):
        load_data("saved", tmp_path / "all.h5")
    made = load_data("saved", tmp_path / "all.h5", test=0.2, validation=0.1)
    assert {part: len(one) for part, one in made.parts.items()} == {"train": 21, "test": 6, "validation": 3}
    assert len(load_part("saved", tmp_path / "all.h5", "test", test=0.2)) == 6
    split().save(tmp_path / "both.h5")
    with pytest.raises(DataError, match="its parts are split already"):
        load_data("saved", tmp_path / "both.h5", test=0.2)


def test_the_layout_is_that_of_the_page(tmp_path):
    """Written by h5py alone, as docs/own_data.md says."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = np.bytes_("qpsnn-dataset"), 1
        file.attrs["classes"], file.attrs["name"] = np.bytes_('["a", "b"]'), np.bytes_('"other"')
        file.attrs["scale"] = 0.5
        for part in ("train", "test"):
            file[f"{part}/images"] = np.full((4, 2, 2, 1), -3, np.int8)
            file[f"{part}/labels"] = np.arange(4) % 2
    found = load_data("saved", tmp_path / "other.h5")
    assert (found.train.classes, found.test.input_range, found.test.name) == (
        ("a", "b"),
        (-128, 127, 0.5),
        "other.test",
    )


def test_parts_that_do_not_fit_are_not_saved(tmp_path):
    one, other = split(), split(signed=False)
    with pytest.raises(DataError, match=r"save: mine\.test: expected classes, scale, task and type of mine\.train"):
        Split(one.train, other.test).save(tmp_path / "x.h5")
    assert not list(tmp_path.iterdir())


def test_wrong_files_are_named(tmp_path):
    path = tmp_path / "mine.h5"
    with pytest.raises(FileError, match=r"mine.h5: expected a qpsnn-dataset file, got no such file"):
        load_data("saved", path)
    split().save(path)
    whole = path.read_bytes()
    for change, error, said in (
        (lambda file: file.attrs.__setitem__("version", 9), VersionError, "version: expected 1, got 9"),
        (lambda file: file.attrs.__setitem__("classes", np.bytes_("[")), FormatError, "mine.h5: not a whole"),
        (lambda file: file.__delitem__("train/labels"), FormatError, "mine.h5: a part is missing"),
        (lambda file: file.__delitem__("test"), FormatError, "mine.h5: expected a group test, got train"),
        (lambda file: file.attrs.__delitem__("scale"), FormatError, "mine.h5: .*the real number of one unit"),
        (lambda file: file["train/labels"].write_direct(np.full(30, 7)), FormatError, r"mine.train.labels\[0\]"),
    ):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(error, match=said):
            load_data("saved", path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"mine\.h5"):
        load_data("saved", path)
