"""Reader of MNIST's four IDX files, and of any set in the same layout."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import read_maybe_gzip

from .checks import existing
from .label_checks import check_labels
from .schema import Dataset, Split

CLASSES = tuple("0123456789")
UBYTE = 0x08


def load_mnist(folder: str | Path, *, limit: int | None = None) -> Split:
    """Training and test images, uint8 `[N, H, W, 1]`, from the four IDX files of a folder, gzipped or not.

    limit: at most so many images of each part, each class in its proportion, always the same ones.
    Raises FileError (names the missing file), FormatError (magic, dimensions, length), LabelError.
    """
    root = existing(folder, "the folder of the four IDX files")
    train, test = _part(root, "train", "train"), _part(root, "t10k", "test")
    if train.sample_shape != test.sample_shape:
        want = f"test images of the training images' shape {list(train.sample_shape)}"
        raise FormatError(expected(str(root), want, list(test.sample_shape)))
    return Split(train.limited(limit), test.limited(limit))


def read_idx(path: str | Path, ndim: int) -> NDArray[np.uint8]:
    """One IDX file of unsigned bytes with `ndim` dimensions, gzipped or not, as uint8 of the dimensions it names.

    Raises FileError when it cannot be opened, FormatError when it is not such a file or is damaged.
    """
    path = Path(path)
    return _parse(read_maybe_gzip(path, "a readable IDX file"), path, ndim)


def _parse(content: bytes, path: Path, ndim: int) -> NDArray[np.uint8]:
    magic, begin = struct.pack(">HBB", 0, UBYTE, ndim), 4 + 4 * ndim
    if content[:4] != magic:
        raise FormatError(expected(f"{path}: magic", f"0x{magic.hex()}", Unquoted(f"0x{content[:4].hex()}")))
    if len(content) < begin:
        raise FormatError(expected(f"{path}: header", f"{begin} bytes", len(content)))
    shape = struct.unpack(f">{ndim}I", content[4:begin])
    if 0 in shape:
        raise FormatError(expected(f"{path}: dimensions", "none of them 0", list(shape)))
    size, there = math.prod(shape), len(content) - begin
    if there != size:
        got = "more" if there > size else f"{there} (truncated)"
        raise FormatError(expected(f"{path}: data", f"{size} bytes for dimensions {list(shape)}", Unquoted(got)))
    return np.frombuffer(content, np.uint8, size, begin).reshape(shape)


def _part(root: Path, prefix: str, name: str) -> Dataset:
    image_path, label_path = _find(root, f"{prefix}-images", 3), _find(root, f"{prefix}-labels", 1)
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if len(images) != len(labels):
        want = f"{len(images)} labels, as many as images in {image_path.name}"
        raise FormatError(expected(str(label_path), want, len(labels)))
    checked = check_labels(labels, len(CLASSES), f"{label_path}: labels")
    return Dataset(images[..., np.newaxis], checked, CLASSES, f"mnist.{name}")


def _find(root: Path, stem: str, ndim: int) -> Path:
    names = [f"{stem}{mark}idx{ndim}-ubyte{end}" for end in ("", ".gz") for mark in "-."]
    for name in names:
        if (root / name).is_file():
            return root / name
    raise FileError(expected(str(root / names[0]), "this file, gzipped (.gz) or not", Unquoted("no such file")))
