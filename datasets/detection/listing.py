"""What a format lists of a set: its classes, its parts, the images of each part and their boxes; no pixel is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, expected

from ..events.tree import Tree
from .boxes import Box
from .letterbox import Size

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
"""What files call the parts of a set, and what they are called here."""


class Entry(NamedTuple):
    """One image. file: its name in the tree; size: (height, width) that its annotation says, None if it says nothing;
    relative: boxes are in shares of the image's width and height."""

    file: str
    size: Size | None
    boxes: Sequence[Box]
    relative: bool = False


class Listing(NamedTuple):
    """tree: where the files are. parts: the images of each part; a set that is not divided has one part, "whole"."""

    tree: Tree
    classes: tuple[str, ...]
    parts: Mapping[str, list[Entry]]


WHOLE = "whole"


def is_image(name: str) -> bool:
    """Whether a file's name ends as those of images do."""
    return PurePosixPath(name).suffix.lower() in ENDINGS


def images_of(tree: Tree, folder: str = "") -> dict[str, str]:
    """The images below a folder of a tree, by their names without ending; FormatError for two of one name."""
    found: dict[str, str] = {}
    for name in tree.names:
        path = PurePosixPath(name)
        if not is_image(name) or (folder and folder not in path.parts[:-1]):
            continue
        if path.stem in found:
            want = "one image of each name"
            raise FormatError(expected(f"{tree.root}: {path.stem}", want, Unquoted(f"{found[path.stem]} and {name}")))
        found[path.stem] = name
    return found


def image_of(images: Mapping[str, str], stem: str, place: str) -> str:
    """The image that an annotation names, else FileError."""
    if stem not in images:
        raise FileError(expected(place, f"an image {stem} ({', '.join(ENDINGS)})", Unquoted("no such file")))
    return images[stem]


def text_of(tree: Tree, name: str) -> str:
    """A text file in UTF-8; FormatError."""
    try:
        return tree.bytes_of(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(expected(f"{tree.root}: {name}", "a text in UTF-8", Unquoted(str(error)))) from error


def real(place: str, value: Any) -> float:
    """A number of a file, or of its text, NaN and infinity included (such a box is dropped); FormatError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or "_" in str(value):
        raise FormatError(expected(place, "a number", Unquoted(f"{value!r:.80}")))
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise FormatError(expected(place, "a number", Unquoted(f"{value!r:.80}"))) from None


def whole_number(place: str, value: Any, least: int = 0) -> int:
    """An integer of a file, or of its text; FormatError."""
    number = real(place, value)
    if not math.isfinite(number) or number != int(number) or number < least:
        raise FormatError(expected(place, f"a whole number of at least {least}", Unquoted(f"{value!r:.80}")))
    return int(number)


def classes_of(given: Sequence[str] | None, parts: Mapping[str, list[Entry]], place: str) -> tuple[str, ...]:
    """The classes that were given, else all labels in the order of the alphabet; FormatError if there are none."""
    if given:
        return tuple(given)
    labels = sorted({box.label for entries in parts.values() for entry in entries for box in entry.boxes})
    if not labels:
        raise FormatError(expected(place, "at least one box", Unquoted("none")))
    return tuple(labels)
