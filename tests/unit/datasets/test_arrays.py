"""Sets of one's own as arrays: both layouts, one part or two, and what is wrong with a file."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from qpsnn_core.common import foreign
from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, LabelError
from qpsnn_datasets import load_arrays, load_arrays_part, load_data
from qpsnn_datasets.registry import load_part

RNG = np.random.default_rng(0)


def made(count, shape=(4, 5, 1)):
    return RNG.integers(0, 256, (count, *shape)).astype(np.uint8), np.arange(count) % 3


def both():
    (images, labels), (test, tested) = made(7), made(4)
    return {"train_images": images, "train_labels": labels, "test_images": test, "test_labels": tested}


def as_npz(folder, arrays):
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


def as_folder(folder, arrays):
    (folder / "mine").mkdir()
    for name, array in arrays.items():
        np.save(folder / "mine" / f"{name}.npy", array)
    return folder / "mine"


WRITERS = pytest.mark.parametrize("write", [as_npz, as_folder])


@WRITERS
def test_both_parts_are_the_arrays(tmp_path, write):
    arrays = both()
    split = load_data("arrays", write(tmp_path, arrays))
    for part, data in split.parts.items():
        np.testing.assert_array_equal(data.images, arrays[f"{part}_images"])
        np.testing.assert_array_equal(data.labels, arrays[f"{part}_labels"])
        assert (data.classes, data.name) == (("0", "1", "2"), f"mine.{part}")
    test = load_part("arrays", tmp_path / split.test.name.replace("test", "npz"), "test") if write is as_npz else None
    assert test is None or len(test) == 4


def test_classes_are_the_files_or_numbers_up_to_the_largest_label_of_either_part(tmp_path):
    arrays = both()
    arrays["train_labels"][:] = 0
    assert load_arrays(as_npz(tmp_path, arrays)).train.classes == ("0", "1", "2")
    assert load_arrays_part(as_npz(tmp_path, arrays), "train").classes == ("0", "1", "2")
    named = load_arrays(as_npz(tmp_path, {**arrays, "classes": np.array(["a", "b", "c", "d"])}))
    assert named.train.classes == named.test.classes == ("a", "b", "c", "d")


@WRITERS
def test_one_part_is_whichever_is_asked_for_but_not_both(tmp_path, write):
    images, labels = made(6)
    path = write(tmp_path, {"images": images, "labels": labels})
    for part in ("train", "test"):
        np.testing.assert_array_equal(load_arrays_part(path, part).images, images)
    with pytest.raises(DataError, match=r"mine.*: expected train_images, .*got images and labels of one part"):
        load_arrays(path)


def test_frames_of_events_and_a_limit(tmp_path):
    images, labels = made(9, (2, 4, 5, 2))
    part = load_arrays_part(as_npz(tmp_path, {"images": images, "labels": labels}), "test", limit=3)
    assert (part.sample_shape, part.labels.tolist()) == ((2, 4, 5, 2), [0, 1, 2])
    with pytest.raises(ConfigError, match="limit"):
        load_part("arrays", tmp_path / "mine.npz", "test", limit=0)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"train_labels": np.zeros(6, np.int64)}, DataError, r"mine\.train\.labels: expected one label for each of 7"),
        ({"train_images": np.zeros((7, 4, 5))}, DataError, r"mine\.train\.images: expected an array|uint8"),
        ({"train_images": np.zeros((7,), np.uint8)}, DataError, r"mine\.train\.images: expected \[N, H, W, C\]"),
        ({"test_labels": np.array([0, 1, -1, 0])}, LabelError, r"mine\.test\.labels\[2\]: expected 0 to 2"),
        ({"test_labels": np.array([0, 1, 2**40, 0])}, LabelError, r"mine\.test\.labels\[2\]: expected 0 to 65535"),
        ({"train_labels": np.zeros(7)}, DataError, r"mine\.train\.labels: expected integers.*got float64"),
        ({"classes": np.array(["a", "b"])}, LabelError, r"mine\.train\.labels\[2\]: expected 0 to 1 .*got 2"),
        ({"classes": np.array([1, 2])}, DataError, r"mine.npz: classes: expected a row of strings, got int64 \[2\]"),
        ({"test_images": None}, FormatError, r"mine.npz: expected an array test_images, got test_labels, train_"),
        (
            {"train_images": np.array([{}] * 7)},
            FormatError,
            r"mine.npz: train_images: not a whole array .*objects of",
        ),
    ],
)
def test_a_wrong_array_is_named(tmp_path, change, error, said):
    arrays = {name: array for name, array in {**both(), **change}.items() if array is not None}
    with pytest.raises(error, match=said):
        load_arrays(as_npz(tmp_path, arrays))


def test_a_damaged_or_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.npz: expected a \.npz file, .*got no such file"):
        load_arrays(tmp_path / "none.npz")
    path = as_npz(tmp_path, both())
    whole = path.read_bytes()
    for damaged in (b"", b"PK\3\4", whole[:200], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"mine\.npz: not a whole npz archive"):
            load_arrays(path)
    path.write_bytes(whole.replace(b"NUMPY", b"NUMPI"))
    with pytest.raises(FormatError, match=r"mine\.npz"):
        load_arrays(path)


def test_kilobytes_that_unpack_to_more_than_allowed_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "LEAST", 1 << 10)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("it was read"))
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, labels=np.zeros(1 << 20, np.uint8), images=np.zeros(1 << 20, np.uint8))
    with pytest.raises(FormatError, match=r"mine\.npz: labels: expected at most [\d,]+ bytes unpacked"):
        load_arrays_part(path, "test")


@pytest.mark.parametrize("packed", [True, False])
def test_a_header_that_claims_more_than_follows_is_refused_unread(tmp_path, monkeypatch, packed):
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 8, 8, 1)})
    array.write(bytes(64))
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("it was read"))
    if packed:
        path = tmp_path / "mine.npz"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("labels.npy", array.getvalue())
            file.writestr("images.npy", array.getvalue())
    else:
        path = tmp_path / "mine"
        path.mkdir()
        for name in ("labels", "images"):
            (path / f"{name}.npy").write_bytes(array.getvalue())
    with pytest.raises(FormatError, match=r"labels.*: expected 64 bytes, which follow its header, got shape \[10995"):
        load_arrays_part(path, "test")


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_part_of_two_is_read_though_the_other_is_not_there(tmp_path, part):
    arrays = {name: array for name, array in both().items() if name.startswith(part)}
    assert len(load_arrays_part(as_npz(tmp_path, arrays), part)) == len(arrays[f"{part}_labels"])
    other = {"train": "test", "test": "train"}[part]
    with pytest.raises(FormatError, match=f"expected an array {other}_labels"):
        load_arrays_part(tmp_path / "mine.npz", other)
