"""The readers of MNIST's IDX files, on files written byte by byte, damaged ones, and the real ones."""

from __future__ import annotations

import gzip
import struct

import pytest

from qpsnn_core.common.errors import FileError, FormatError, LabelError
from qpsnn_datasets import load_data, read_idx


def idx_images(count, height=3, width=2, first=0):
    return struct.pack(">IIII", 2051, count, height, width) + bytes((first + k) % 256 for k in range(count * 6))


def idx_labels(*labels):
    return struct.pack(">II", 2049, len(labels)) + bytes(labels)


def mnist_folder(folder, gz=False, mark="-"):
    contents = {
        f"train-images{mark}idx3-ubyte": idx_images(4),
        f"train-labels{mark}idx1-ubyte": idx_labels(0, 9, 5, 5),
        f"t10k-images{mark}idx3-ubyte": idx_images(2, first=100),
        f"t10k-labels{mark}idx1-ubyte": idx_labels(1, 2),
    }
    for name, content in contents.items():
        (folder / (name + ".gz" * gz)).write_bytes(gzip.compress(content) if gz else content)
    return folder


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("gz", [False, True])
def test_mnist_is_read_row_by_row(tmp_path, gz, mark):
    train, test = load_data("mnist", mnist_folder(tmp_path, gz, mark))
    assert train.images.shape == (4, 3, 2, 1)
    assert train.images[1, :, :, 0].tolist() == [[6, 7], [8, 9], [10, 11]]
    assert train.labels.tolist() == [0, 9, 5, 5]
    assert test.images.ravel().tolist() == list(range(100, 112))
    assert (train.name, test.name) == ("mnist.train", "mnist.test")
    assert len(load_data("mnist", tmp_path, limit=3).train) == 3


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_idx_file_is_named(tmp_path, name):
    (mnist_folder(tmp_path) / name).unlink()
    with pytest.raises(FileError, match=name):
        load_data("mnist", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic: expected 0x00000803, got 0x$"),
        (idx_labels(1, 2), "magic: expected 0x00000803, got 0x00000801"),
        (b"\x00\x00\x0d\x03" + idx_images(1)[4:], "got 0x00000d03"),
        (idx_images(2)[:11], "header: expected 16 bytes, got 11"),
        (struct.pack(">IIII", 2051, 0, 28, 28), r"dimensions: expected none of them 0, got \[0, 28, 28\]"),
        (idx_images(2)[:-1], r"data: expected 12 bytes .*, got 11 \(truncated\)"),
        (idx_images(2) + b"\0", "data: expected 12 bytes .*, got more"),
        (struct.pack(">IIII", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1), r"got 0 \(truncated\)"),
    ],
)
@pytest.mark.parametrize("gz", [False, True])
def test_a_damaged_idx_file_says_what_is_wrong(tmp_path, content, message, gz):
    path = tmp_path / ("images.gz" if gz else "images")
    path.write_bytes(gzip.compress(content) if gz else content)
    with pytest.raises(FormatError, match=message) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[: len(b) // 2], lambda b: b"no" + b[2:], flipped])
def test_a_damaged_gzip_file_is_refused(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(idx_images(50))))
    with pytest.raises(FormatError, match=r"images\.gz"):
        read_idx(path, 3)


def test_mnist_parts_that_do_not_fit_are_refused(tmp_path):
    mnist_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_labels(1, 2, 3))
    with pytest.raises(FormatError, match=r"train-labels.*expected 4 labels"):
        load_data("mnist", tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_labels(1, 2, 10, 3))
    with pytest.raises(LabelError, match=r"train-labels.*labels\[2\]: expected 0 to 9, got 10"):
        load_data("mnist", tmp_path)
    mnist_folder(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_images(2, 2, 3))
    with pytest.raises(FormatError, match="shape"):
        load_data("mnist", tmp_path)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_folder_that_is_not_there_or_is_empty_is_named(tmp_path, name):
    with pytest.raises(FileError, match=r"nowhere.*no such file or folder"):
        load_data(name, tmp_path / "nowhere")
    with pytest.raises(FileError):
        load_data(name, tmp_path)


def test_a_folder_in_a_file_s_place_is_a_file_error(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(FileError, match="images"):
        read_idx(tmp_path / "images", 3)


def test_the_real_mnist(shared_data):
    train, test = load_data("mnist", shared_data)
    assert train.images.shape == (60000, 28, 28, 1)
    assert test.images.shape == (10000, 28, 28, 1)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert round(float(train.images.mean()) / 255, 4) == 0.1307
