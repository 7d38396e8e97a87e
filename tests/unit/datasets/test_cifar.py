"""The readers of CIFAR-10's three layouts, on files written byte by byte, damaged ones, and the real ones."""

from __future__ import annotations

import io
import pickle
import sys

import h5py
import numpy as np
import pytest

from qpsnn_core.common.errors import DataError, FileError, FormatError, LabelError
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import load_data, load_jpeg_h5, load_jpeg_part

CIFAR_FILES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]


def cifar_planes(k):
    """Sample k: red is k everywhere, green counts rows, blue counts columns."""
    green, blue = np.indices((32, 32))
    return np.stack([np.full((32, 32), k), green, blue]).astype(np.uint8).ravel()


def cifar_content(python, numbers):
    labels = [k % 10 for k in numbers]
    planes = np.stack([cifar_planes(k) for k in numbers])
    if not python:
        return b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, planes, strict=True))
    return pickle.dumps({b"batch_label": b"a batch", b"labels": labels, b"data": planes, b"filenames": [b"x.png"]}, 2)


def cifar_folder(folder, python):
    for start, name in enumerate(CIFAR_FILES):
        numbers = range(2 * start, 2 * start + 2)
        (folder / (name + ".bin" * (not python))).write_bytes(cifar_content(python, numbers))
    return folder


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-{}"])
@pytest.mark.parametrize("python", [False, True])
def test_both_original_layouts_of_cifar10_are_seen_and_read(tmp_path, python, inside):
    folder = tmp_path / inside.format("py" if python else "bin")
    folder.mkdir(exist_ok=True)
    cifar_folder(folder, python)
    train, test = load_data("cifar10", tmp_path)
    assert train.images.shape == (10, 32, 32, 3)
    assert train.labels.tolist() == list(range(10))
    assert test.labels.tolist() == [0, 1]
    assert train.classes[0] == "airplane"
    assert (train.classes[9], test.name) == ("truck", "cifar10.test")
    for k, image in enumerate(np.concatenate([train.images, test.images])):
        np.testing.assert_array_equal(image, cifar_planes(k).reshape(3, 32, 32).transpose(1, 2, 0))
    assert image[5, 7].tolist() == [11, 5, 7]
    assert len(load_data("cifar10", tmp_path, limit=4).train) == 4


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("missing", ["data_batch_1", "data_batch_4", "test_batch"])
def test_a_missing_cifar10_file_is_named(tmp_path, python, missing):
    name = missing + ".bin" * (not python)
    (cifar_folder(tmp_path, python) / name).unlink()
    with pytest.raises(FileError, match=rf"{name}: expected .*layout, got no such file"):
        load_data("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", FormatError, "whole records of 3073 bytes, got 0 bytes"),
        (cifar_content(False, range(2))[:-1], FormatError, "got 6145 bytes"),
        (b"\x0a" + bytes(3072), LabelError, r"labels\[0\]: expected 0 to 9, got 10"),
    ],
)
def test_a_damaged_binary_batch_is_named(tmp_path, content, error, message):
    (cifar_folder(tmp_path, False) / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(error, match=rf"data_batch_3\.bin: .*{message}"):
        load_data("cifar10", tmp_path)


PLANES = np.stack([cifar_planes(0), cifar_planes(1)])


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ([1, 2], FormatError, "expected a dict, got list"),
        ({b"labels": [0, 1]}, FormatError, "data: expected uint8 .*, got NoneType"),
        ({b"data": PLANES[:, 1:], b"labels": [0, 1]}, FormatError, r"data: .* got uint8 \[2, 3071\]"),
        ({b"data": PLANES.astype(np.int16), b"labels": [0, 1]}, FormatError, "data: .* got int16"),
        ({b"data": PLANES}, FormatError, "labels: expected a list of integers, got NoneType"),
        ({b"data": PLANES, b"labels": [0]}, FormatError, "labels: expected 2 of them, at least one, got 1"),
        ({b"data": PLANES[:0], b"labels": []}, FormatError, "labels: expected 0 of them, at least one"),
        ({b"data": PLANES, b"labels": [0, 0.5]}, FormatError, "labels: expected a list of integers"),
        ({b"data": PLANES, b"labels": [[0], [1]]}, FormatError, "labels: expected a list of integers"),
        ({b"data": PLANES, b"labels": [0, 10]}, LabelError, r"labels\[1\]: expected 0 to 9, got 10"),
        ({b"data": PLANES, b"labels": [0, -1]}, LabelError, r"labels\[1\]: expected 0 to 9, got -1"),
        ({b"data": PLANES, b"labels": [0, 2**80]}, DataError, "labels"),
    ],
)
def test_a_wrong_python_batch_is_named(tmp_path, content, error, message):
    (cifar_folder(tmp_path, True) / "data_batch_3").write_bytes(pickle.dumps(content))
    with pytest.raises(error, match=rf"data_batch_3: .*{message}"):
        load_data("cifar10", tmp_path)


def test_labels_as_an_array_and_keys_as_text_are_read_too(tmp_path):
    content = pickle.dumps({"data": PLANES, "labels": np.array([3, 4])})
    (cifar_folder(tmp_path, True) / "data_batch_1").write_bytes(content)
    assert load_data("cifar10", tmp_path).train.labels[:2].tolist() == [3, 4]


def jpeg(value, size=(32, 32), mode="RGB", kind="JPEG"):
    image = pytest.importorskip("PIL.Image", reason="the [data] extra is not installed (Pillow)")
    file = io.BytesIO()
    image.new(mode, size, value).save(file, kind)
    return file.getvalue()


def write_h5(path, **changed):
    """Ten training and three test images, each of one grey; `changed` replaces datasets, or leaves them out (None)."""
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = changed.get("classes", [f"class {k}" for k in range(10)])
        for part, count in (("train", 10), ("test", 3)):
            files = changed.get(f"{part}_files") or [jpeg((20 * k,) * 3) for k in range(count)]
            arrays = {
                "jpeg": np.frombuffer(b"".join(files), dtype=np.uint8),
                "offset": np.cumsum([0, *map(len, files)]),
                "label": np.arange(count, dtype=np.uint8),
            }
            for key, array in arrays.items():
                given = changed.get(f"{part}_{key}", array)
                if given is not None:
                    file[f"{part}/{key}"] = given
    return path


def test_jpeg_files_in_hdf5_are_decoded(tmp_path):
    path = write_h5(tmp_path / "cifar10_small.h5")
    for place in (path, str(path), tmp_path):
        train, test = load_data("cifar10", place)
        assert train.images.shape == (10, 32, 32, 3)
        assert train.images[:, 0, 0, 0].tolist() == [20 * k for k in range(10)]
        assert train.labels.tolist() == list(range(10))
        assert test.labels.tolist() == [0, 1, 2]
        assert train.classes[3] == "class 3"


def test_one_part_is_read_without_the_other(tmp_path):
    """As it is in a file of both, whatever the limit; what the other one holds does not matter."""
    whole = load_jpeg_h5(write_h5(tmp_path / "both.h5"), "x", limit=2)
    alone = write_h5(tmp_path / "alone.h5")
    with h5py.File(alone, "r+") as file:
        del file["train"]
    damaged = write_h5(tmp_path / "damaged.h5", train_files=[b"no image"] * 10)
    for path in (alone, damaged):
        test = load_jpeg_part(path, "x", "test", limit=2)
        np.testing.assert_array_equal(test.images, whole.test.images)
        assert (test.labels.tolist(), test.classes, test.name) == (
            whole.test.labels.tolist(),
            whole.test.classes,
            "x.test",
        )
        with pytest.raises(FormatError, match="train"):
            load_jpeg_part(path, "x", "train")


def test_commands_read_test_images_alone_from_the_file_that_a_recipe_names(tmp_path):
    path = write_h5(tmp_path / "cifar10.h5")
    with h5py.File(path, "r+") as file:
        del file["train"]
    choice = DataChoice(DataConfig(name="cifar10", path=str(path), limit=2))
    want = load_jpeg_part(path, "cifar10", "test")
    for test, count in (
        (choice.part("test"), 2),
        (choice.part("test", 3), 3),
        (DataChoice(DataConfig("cifar100", str(path), 2)).part("test"), 2),
        (DataChoice(DataConfig("jpeg", str(path))).part("test"), 3),
    ):
        np.testing.assert_array_equal(test.images, want.images[:count])
    with pytest.raises(FormatError, match="train"):
        choice.split()


def test_grey_jpeg_files_become_three_channels(tmp_path):
    train, _ = load_jpeg_h5(write_h5(tmp_path / "x.h5", train_files=[jpeg(7, mode="L")] * 10), "x")
    assert train.images[0, 0, 0].tolist() == [7, 7, 7]
    assert train.name == "x.train"


def test_a_limit_decodes_only_what_it_keeps(tmp_path):
    broken = [b"no image"] * 10
    path = write_h5(tmp_path / "x.h5", train_files=broken)
    with pytest.raises(FormatError, match=r"train/jpeg\[0\]: expected a whole JPEG image"):
        load_data("cifar10", path)
    kept = load_data("cifar10", write_h5(path), limit=4).train
    files = [jpeg((20 * k,) * 3) if k in kept.labels else broken[k] for k in range(10)]
    again = load_data("cifar10", write_h5(path, train_files=files), limit=4).train
    np.testing.assert_array_equal(again.images, kept.images)
    assert len(again) == 4


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"train_jpeg": None}, FormatError, "train/jpeg: expected a dataset .*, got nothing"),
        ({"test_label": None}, FormatError, "test/label: .* got nothing"),
        ({"train_offset": None}, FormatError, "train/offset: .* got nothing"),
        ({"train_label": np.zeros((10, 1), int)}, FormatError, "train/label: .* one dimension"),
        ({"train_label": np.zeros(10)}, FormatError, "train/label: .* got float64"),
        ({"train_label": 3}, FormatError, "train/label: .* one dimension"),
        ({"train_jpeg": np.zeros(9000, np.uint16)}, FormatError, "train/jpeg: expected uint8, got uint16"),
        ({"train_offset": np.arange(10)}, FormatError, "train/offset: expected 11 entries for 10 labels"),
        ({"train_offset": np.arange(11)[::-1]}, FormatError, "train/offset: expected rising numbers"),
        ({"train_offset": np.arange(11) * 10**6}, FormatError, "train/offset: expected rising numbers"),
        ({"train_offset": np.arange(-1, 10)}, FormatError, "train/offset: expected rising numbers"),
        ({"train_label": np.zeros(0, int), "train_offset": np.zeros(1, int)}, FormatError, "at least one"),
        ({"train_label": np.arange(1, 11)}, LabelError, r"train/label\[9\]: expected 0 to 9, got 10"),
        ({"classes": []}, FormatError, "classes: expected a name for each class"),
        ({"classes": [1, 2]}, FormatError, "classes: expected a name for each class"),
        ({"classes": np.array([b"\xff"])}, FormatError, "classes: expected UTF-8 names"),
    ],
)
def test_a_wrong_hdf5_file_says_what_is_wrong(tmp_path, changed, error, message):
    path = write_h5(tmp_path / "x.h5", **changed)
    with pytest.raises(error, match=message) as caught:
        load_data("cifar10", path)
    assert str(path) in str(caught.value)


def test_jpeg_files_that_are_damaged_or_of_another_kind_or_size_are_named(tmp_path):
    good = [jpeg((k,) * 3) for k in range(10)]
    for bad, message in (
        (good[4][:300], "whole JPEG"),
        (jpeg((1, 1, 1), kind="PNG"), "whole JPEG"),
        (jpeg((1, 1, 1), size=(16, 32)), r"expected \[32, 32, 3\], got \[32, 16, 3\]"),
    ):
        path = write_h5(tmp_path / "x.h5", train_files=[*good[:4], bad, *good[5:]])
        with pytest.raises(FormatError, match=rf"train/jpeg\[4\]: .*{message}"):
            load_data("cifar10", path)


def noise(seed, mode="RGB", size=(32, 32), **options):
    image = pytest.importorskip("PIL.Image", reason="the [data] extra is not installed (Pillow)")
    channels = {"RGB": 3, "L": 1, "CMYK": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels)).astype(np.uint8)
    file = io.BytesIO()
    image.fromarray(pixels.squeeze(), mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("first", range(6))
@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
def test_files_of_all_kinds_are_decoded_as_pillow_decodes_them(tmp_path, first):
    image = pytest.importorskip("PIL.Image", reason="the [data] extra is not installed (Pillow)")
    files = [
        noise(0),
        noise(1, quality=30),
        noise(2, progressive=True),
        noise(3, subsampling=0, optimize=True),
        noise(4, "L"),
        noise(5, "CMYK"),
    ]
    files = [*files[first:], *files[:first], *(noise(k) for k in range(6, 10))]
    train, _ = load_jpeg_h5(write_h5(tmp_path / "x.h5", train_files=files), "x")
    for comp, file in zip(train.images, files, strict=True):
        np.testing.assert_array_equal(comp, np.asarray(image.open(io.BytesIO(file)).convert("RGB")))


def test_a_file_cut_short_anywhere_is_named_as_pillow_names_it(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the [data] extra is not installed (Pillow)")
    whole = noise(1)
    for length in [*range(1, len(whole), 61), len(whole) - 3, len(whole) - 2, len(whole) - 1]:
        cut = whole[:length]
        path = write_h5(tmp_path / "x.h5", train_files=[noise(0), cut, *[noise(2)] * 8])
        try:
            want = np.asarray(image.open(io.BytesIO(cut), formats=["JPEG"]).convert("RGB"))
        except (OSError, SyntaxError, ValueError):
            with pytest.raises(FormatError, match=r"train/jpeg\[1\]: expected a whole JPEG"):
                load_jpeg_h5(path, "x")
        else:
            np.testing.assert_array_equal(load_jpeg_h5(path, "x").train.images[1], want)


def test_a_file_that_is_not_hdf5_or_is_cut_short_is_refused(tmp_path):
    path = write_h5(tmp_path / "x.h5")
    for content in (b"", b"something else", path.read_bytes()[:3000]):
        path.write_bytes(content)
        with pytest.raises(FormatError, match="whole HDF5 file"):
            load_data("cifar10", path)
    with pytest.raises(FileError, match="no such file"):
        load_jpeg_h5(tmp_path / "nowhere.h5", "x")


def test_two_hdf5_files_in_a_folder_are_not_guessed_between(tmp_path):
    for name in ("cifar10_a.h5", "cifar10_b.h5"):
        write_h5(tmp_path / name)
    with pytest.raises(FileError, match="got 2 such HDF5 files"):
        load_data("cifar10", tmp_path)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    path = write_h5(tmp_path / "x.h5")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"Pillow.*pip install .*\[data\]"):
        load_data("cifar10", path)


def test_a_file_of_cifar100_beside_it_is_no_second_cifar10(tmp_path):
    write_h5(tmp_path / "cifar10_jpeg.h5")
    (tmp_path / "cifar100_jpeg.h5").write_bytes(b"not read")
    assert len(load_data("cifar10", tmp_path).train.classes) == 10


def test_the_real_cifar10(shared_data):
    pytest.importorskip("PIL", reason="the [data] extra is not installed (Pillow)")
    train, test = load_data("cifar10", shared_data / "cifar10_jpeg.h5", limit=500)
    assert train.images.shape == test.images.shape == (500, 32, 32, 3)
    assert np.bincount(train.labels).tolist() == np.bincount(test.labels).tolist() == [50] * 10
    assert train.classes[0] == "airplane"
    assert 0.45 < train.images.mean() / 255 < 0.5
    np.testing.assert_array_equal(load_data("cifar10", shared_data, limit=500).test.images, test.images)


def cifar100_folder(folder, python):
    """Three training and two test samples; coarse labels that would be wrong, fine ones 97, 98, 99, 0, 1."""
    names = [f"class_{k}" for k in range(100)]
    if python:
        (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": [name.encode() for name in names]}, 2))
    else:
        (folder / "fine_label_names.txt").write_text("\n".join(names) + "\n")
    for part, numbers in (("train", (97, 98, 99)), ("test", (0, 1))):
        planes = np.stack([cifar_planes(k) for k in numbers])
        if python:
            content = pickle.dumps(
                {b"coarse_labels": [5] * len(numbers), b"fine_labels": [*numbers], b"data": planes}, 2
            )
        else:
            content = b"".join(bytes([5, k]) + row.tobytes() for k, row in zip(numbers, planes, strict=True))
        (folder / (part + ".bin" * (not python))).write_bytes(content)
    return folder


@pytest.mark.parametrize("inside", ["", "cifar-100-{}"])
@pytest.mark.parametrize("python", [False, True])
def test_both_original_layouts_of_cifar100(tmp_path, python, inside):
    folder = tmp_path / inside.format("python" if python else "binary")
    folder.mkdir(exist_ok=True)
    cifar100_folder(folder, python)
    train, test = load_data("cifar100", tmp_path)
    assert train.labels.tolist() == [97, 98, 99]
    assert test.labels.tolist() == [0, 1]
    assert (len(train.classes), train.classes[99], test.name) == (100, "class_99", "cifar100.test")
    for k, image in zip((97, 98, 99), train.images, strict=True):
        np.testing.assert_array_equal(image, cifar_planes(k).reshape(3, 32, 32).transpose(1, 2, 0))
    assert len(load_data("cifar100", tmp_path, limit=1).train) == 1


@pytest.mark.parametrize("python", [False, True])
def test_damaged_cifar100(tmp_path, python):
    folder = cifar100_folder(tmp_path, python)
    with pytest.raises(FileError, match=r"train\.bin and test\.bin"):
        load_data("cifar100", tmp_path.parent)
    names = folder / ("meta" if python else "fine_label_names.txt")
    names.write_bytes(pickle.dumps({b"fine_label_names": [b"a"]}, 2) if python else b"a b")
    with pytest.raises(FormatError, match="names of the fine classes"):
        load_data("cifar100", tmp_path)
    cifar100_folder(tmp_path, python)
    file = folder / ("train" if python else "train.bin")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FormatError, match="train"):
        load_data("cifar100", tmp_path)
    file.unlink()
    with pytest.raises(FileError, match="train"):
        load_data("cifar100", tmp_path)
