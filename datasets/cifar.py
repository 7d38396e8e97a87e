"""Readers of CIFAR-10 and CIFAR-100: the original binary and Python layouts, and JPEG files joined in one HDF5 file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import read_bytes
from qpsnn_core.common.types import Images, Labels

from .checks import existing
from .jpeg_h5 import load_jpeg_h5
from .label_checks import check_labels
from .pickles import read_pickle
from .schema import PARTS, Dataset, Split

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
PIXELS = SIDE * SIDE * 3
TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))
TEST = ("test_batch",)


def load_cifar10(path: str | Path, *, limit: int | None = None) -> Split:
    """Training and test images, uint8 `[N, 32, 32, 3]`; the layout is seen from the path.

    path: an HDF5 file; or the folder of `data_batch_1.bin` (binary layout) or `data_batch_1` (Python layout), or the
    folder that holds such a folder under its original name or one `cifar10*.h5`.
    limit: at most so many images of each part, each class in its proportion, always the same ones.
    Raises FileError (missing file), FormatError (damaged, or a pickle of anything but data), LabelError.
    """
    found = existing(path, "CIFAR-10: a folder or an HDF5 file")
    if found.is_file():
        return load_jpeg_h5(found, "cifar10", limit=limit)
    for folder in (found, found / "cifar-10-batches-bin", found / "cifar-10-batches-py"):
        for end, read in ((".bin", _read_binary), ("", _read_python)):
            if any((folder / f"{stem}{end}").is_file() for stem in TRAIN + TEST):
                train, test = ([read(folder / f"{stem}{end}") for stem in stems] for stems in (TRAIN, TEST))
                return Split(_joined(train, "train").limited(limit), _joined(test, "test").limited(limit))
    files = sorted(path for path in found.glob("cifar10*.h5") if not path.name.startswith("cifar100"))
    if len(files) != 1:
        want = "data_batch_1.bin, data_batch_1 or one cifar10*.h5 in this folder"
        raise FileError(
            expected(str(found), want, Unquoted(f"{len(files)} such HDF5 files" if files else "none of them"))
        )
    return load_jpeg_h5(files[0], "cifar10", limit=limit)


def load_cifar100(path: str | Path, *, limit: int | None = None) -> Split:
    """CIFAR-100 with its 100 fine classes, uint8 `[N, 32, 32, 3]`; the layout is seen from the path.

    path: an HDF5 file of JPEGs; or the folder of `train.bin`, `test.bin` and `fine_label_names.txt` (binary layout) or
    `train`, `test` and `meta` (Python layout), or the folder that holds such a folder under its original name.
    limit, and what is raised: as for `load_cifar10`.
    """
    found = existing(path, "CIFAR-100: a folder or an HDF5 file")
    if found.is_file():
        return load_jpeg_h5(found, "cifar100", limit=limit)
    for folder in (found, found / "cifar-100-binary", found / "cifar-100-python"):
        if (folder / "train.bin").is_file() or (folder / "test.bin").is_file():
            names = _names(read_bytes(folder / "fine_label_names.txt", "the names of the classes").split(), folder)
            parts = [_read_binary(folder / f"{part}.bin", 2, 100) for part in PARTS]
        elif (folder / "train").is_file() or (folder / "test").is_file():
            meta = read_pickle(read_bytes(folder / "meta", "the names of the classes"), folder / "meta")
            given = meta.get(b"fine_label_names", meta.get("fine_label_names")) if isinstance(meta, dict) else None
            names = _names(given, folder)
            parts = [_read_python(folder / part, "fine_labels", 100) for part in PARTS]
        else:
            continue
        each = zip(parts, PARTS, strict=True)
        return Split(*(Dataset(*part, names, f"cifar100.{name}").limited(limit) for part, name in each))
    raise FileError(expected(str(found), "train.bin and test.bin, or train and test", Unquoted("none of them")))


def _names(given: object, folder: Path) -> tuple[str, ...]:
    names = [name.decode("ascii", "replace") if isinstance(name, bytes) else name for name in given or ()]  # type: ignore[attr-defined]  # anything that is iterable
    if len(set(names)) != 100 or not all(isinstance(name, str) for name in names):
        raise FormatError(expected(f"{folder}: names of the fine classes", "100 of them", len(names)))
    return tuple(names)


def _joined(parts: list[tuple[Images, Labels]], name: str) -> Dataset:
    images, labels = zip(*parts, strict=True)
    return Dataset(np.concatenate(images), np.concatenate(labels), CLASSES, f"cifar10.{name}")


def _read_binary(path: Path, labels: int = 1, classes: int = len(CLASSES)) -> tuple[Images, Labels]:
    """Records of some labels, of which the last counts, and the pixels."""
    data, record = read_bytes(path, "a file of CIFAR's binary layout"), labels + PIXELS
    if not data or len(data) % record:
        raise FormatError(expected(str(path), f"whole records of {record} bytes", Unquoted(f"{len(data)} bytes")))
    records = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
    return _channels_last(records[:, labels:]), check_labels(records[:, labels - 1], classes, f"{path}: labels")


def _read_python(path: Path, key: str = "labels", classes: int = len(CLASSES)) -> tuple[Images, Labels]:
    content = read_pickle(read_bytes(path, "a file of CIFAR's Python layout"), path)
    if not isinstance(content, dict):
        raise FormatError(expected(str(path), "a dict", Unquoted(type(content).__name__)))
    pixels, given = (content.get(name.encode(), content.get(name)) for name in ("data", key))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        got = f"{pixels.dtype} {list(pixels.shape)}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise FormatError(expected(f"{path}: data", f"uint8 [N, {PIXELS}]", Unquoted(got)))
    if isinstance(given, list) and all(type(label) is int for label in given):
        given = np.array(given)
    if not isinstance(given, np.ndarray) or given.ndim != 1:
        raise FormatError(expected(f"{path}: labels", "a list of integers", Unquoted(type(given).__name__)))
    if len(given) != len(pixels) or len(pixels) == 0:
        raise FormatError(expected(f"{path}: labels", f"{len(pixels)} of them, at least one", len(given)))
    return _channels_last(pixels), check_labels(given, classes, f"{path}: labels")


def _channels_last(planes: NDArray[np.uint8]) -> Images:
    """`[N, 3072]`, planes of red, green, blue, as `[N, 32, 32, 3]`."""
    return np.ascontiguousarray(planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
