"""Reader of TinyImageNet in its original folders: 200 classes of 64 x 64 pixels, 500 training images of each."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import read_bytes
from qpsnn_core.common.types import Labels

from .checks import existing
from .jpeg_h5 import decode_jpeg, pillow
from .schema import PARTS, Dataset, Split, limited_indices

SIDE = 64
FOLDER = "tiny-imagenet-200"


def load_tinyimagenet(path: str | Path, *, limit: int | None = None) -> Split:
    """Training images, and the validation images as test (the test images have no labels), uint8 `[N, 64, 64, 3]`.

    path: the folder with `wnids.txt` (a class to each line), `words.txt` (their names, if it is there),
    `train/<wnid>/images/*.JPEG`, `val/images` and `val/val_annotations.txt`; or the folder that holds it.
    limit: at most so many images of each part are decoded, each class in its proportion, always the same ones.
    Raises FileError (missing), FormatError (names what is damaged), DataError (Pillow is missing).
    """
    found = existing(path, "TinyImageNet: a folder")
    folder = found / FOLDER if (found / FOLDER).is_dir() else found
    classes = _lines(folder / "wnids.txt")
    if not classes or len(set(classes)) < len(classes):
        raise FormatError(expected(str(folder / "wnids.txt"), "classes, each once", Unquoted(f"{len(classes)} lines")))
    names = _names(folder, classes)
    decoder = pillow()
    train = [(file, number) for number, wnid in enumerate(classes) for file in _images(folder / "train" / wnid)]
    parts = zip(PARTS, (train, _validation(folder / "val", classes)), strict=True)
    return Split(*(_dataset(decoder, files, names, f"tinyimagenet.{part}", limit) for part, files in parts))


def _lines(path: Path) -> list[str]:
    text = read_bytes(path, "a text file of TinyImageNet")
    try:
        return [line.strip() for line in text.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise FormatError(expected(str(path), "a text in UTF-8", Unquoted(str(error)))) from error


def _names(folder: Path, classes: list[str]) -> tuple[str, ...]:
    """The first word for each class, its number behind it where that is taken; the numbers where there are no words."""
    if not (folder / "words.txt").is_file():
        return tuple(classes)
    pairs = (line.partition("\t") for line in _lines(folder / "words.txt"))
    words = {wnid: text.split(",")[0].strip() for wnid, _, text in pairs}
    names: list[str] = []
    for wnid in classes:
        word = words.get(wnid) or wnid
        names.append(f"{word} ({wnid})" if word in names else word)
    return tuple(names)


def _images(folder: Path) -> list[Path]:
    files = sorted((folder / "images").glob("*.JPEG"))
    if not files:
        raise FileError(expected(str(folder / "images"), "*.JPEG", Unquoted("none of them")))
    return files


def _validation(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    place = folder / "val_annotations.txt"
    found = []
    for number, line in enumerate(_lines(place), 1):
        file, _, rest = line.partition("\t")
        wnid = rest.split("\t")[0]
        if wnid not in classes:
            raise FormatError(expected(f"{place}, line {number}", "a file and one of the classes", line))
        found.append((folder / "images" / file, classes.index(wnid)))
    if not found:
        raise FormatError(expected(str(place), "a line for each image", Unquoted("none")))
    return found


def _dataset(
    decoder: ModuleType, files: list[tuple[Path, int]], names: tuple[str, ...], name: str, limit: int | None
) -> Dataset:
    labels: Labels = np.array([label for _, label in files], np.int64)
    chosen = limited_indices(labels, limit)
    images = np.empty((len(chosen), SIDE, SIDE, 3), np.uint8)
    for row, index in enumerate(chosen):
        file = files[index][0]
        pixels = decode_jpeg(decoder, read_bytes(file, "an image"), str(file))
        if pixels.shape != images.shape[1:]:
            raise FormatError(expected(str(file), list(images.shape[1:]), list(pixels.shape)))
        images[row] = pixels
    return Dataset(images, labels[chosen], names, name)
