"""Boxes in text files, one file for each image: YOLO's, and those of NWPU VHR-10."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from qpsnn_core.common.errors import ConfigError, FormatError, LabelError, Unquoted, expected

from ..events.tree import Tree
from .boxes import Box
from .listing import PARTS, WHOLE, Entry, Listing, image_of, images_of, is_image, real, text_of, whole_number

YOLO_NAMES = ("classes.txt", "obj.names")
LABELS, IMAGES = "labels", "images"

VHR10 = (
    "airplane",
    "ship",
    "storage tank",
    "baseball diamond",
    "tennis court",
    "basketball court",
    "ground track field",
    "harbor",
    "bridge",
    "vehicle",
)
"""The classes 1 to 10 of NWPU VHR-10 (Cheng et al. 2014, doi:10.1016/j.isprsjprs.2014.10.002)."""
VHR10_TEXTS, VHR10_IMAGES = "ground truth", "positive image set"
VHR10_LINE = re.compile(r"\(\s*([\d.]+)\s*,\s*([\d.]+)\s*\)\s*,\s*\(\s*([\d.]+)\s*,\s*([\d.]+)\s*\)\s*,\s*(\d+)")


def yolo_listing(tree: Tree, classes: Sequence[str] | None = None) -> Listing:
    """Images in a folder `images`, and a text in a folder `labels` for each; folders train, val, test are parts.

    classes: their names, by number; else the lines of classes.txt or obj.names. An image has the name of its text; one
    without a text has no boxes. Raises ConfigError (no names of classes), FileError, FormatError, LabelError.
    """
    named = tuple(classes or ())
    if not named:
        files = tree.named(*YOLO_NAMES)
        if len(files) != 1:
            got = Unquoted(" and ".join(files) or "no such file")
            raise ConfigError(expected("classes", f"names, or one of {', '.join(YOLO_NAMES)} in {tree.root}", got))
        named = tuple(line.strip() for line in text_of(tree, files[0]).splitlines() if line.strip())
    parts: dict[str, list[Entry]] = {}
    texts = [one for one in tree.names if one.endswith(".txt") and LABELS in PurePosixPath(one).parts[:-1]]
    if not texts:
        raise FormatError(expected(str(tree.root), f"texts in a folder {LABELS}", Unquoted("none")))
    written = {_key(name, LABELS): name for name in texts}
    images = [name for name in tree.names if is_image(name) and IMAGES in PurePosixPath(name).parts[:-1]]
    missing = set(written) - {_key(name, IMAGES) for name in images}
    if missing:
        first = min(missing)
        raise FormatError(expected(f"{tree.root}: {written[first]}", "an image of that name", Unquoted("none")))
    for name in images:
        text = written.get(_key(name, IMAGES))
        boxes = read_yolo(text_of(tree, text), f"{tree.root}: {text}", named) if text else []
        folders = [PARTS[one] for one in PurePosixPath(name).parts[:-1] if one in PARTS]
        parts.setdefault(folders[0] if folders else WHOLE, []).append(Entry(name, None, boxes, relative=True))
    return Listing(tree, named, parts)


def read_yolo(text: str, place: str, classes: Sequence[str]) -> list[Box]:
    """A line for each box: number of the class from 0, centre x and y, width, height, in shares of the image.

    Raises FormatError (not five numbers), LabelError (a number that is no class).
    """
    boxes = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        here = f"{place}:{number}"
        if len(words) != 5:
            raise FormatError(expected(here, "class, x, y, width, height", Unquoted(f"{len(words)} values")))
        kind = whole_number(here, words[0])
        if kind >= len(classes):
            raise LabelError(expected(here, f"a class from 0 to {len(classes) - 1}", kind))
        x, y, width, height = (real(here, word) for word in words[1:])
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        boxes.append(Box(edges, classes[kind]))
    return boxes


def vhr10_listing(tree: Tree, classes: Sequence[str] | None = None) -> Listing:
    """The images with objects ("positive image set"), 650, and their texts ("ground truth"). It has no parts.

    classes: must not be given. Raises ConfigError, FileError, FormatError, LabelError.
    """
    if classes and tuple(classes) != VHR10:
        raise ConfigError(expected("classes", "none, as the set has its own", Unquoted(f"{tuple(classes)}")))
    images = images_of(tree, VHR10_IMAGES)
    entries = []
    for name in tree.names:
        path = PurePosixPath(name)
        if path.suffix == ".txt" and path.parent.name == VHR10_TEXTS:
            place = f"{tree.root}: {name}"
            entries.append(Entry(image_of(images, path.stem, place), None, read_vhr10(text_of(tree, name), place)))
    if not entries:
        raise FormatError(expected(str(tree.root), f"texts in the folder {VHR10_TEXTS}", Unquoted("none")))
    return Listing(tree, VHR10, {WHOLE: entries})


def read_vhr10(text: str, place: str) -> list[Box]:
    """A line `(left,top),(right,bottom),class` for each box, in pixels, classes from 1. FormatError, LabelError."""
    boxes = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        here = f"{place}:{number}"
        found = VHR10_LINE.fullmatch(line.strip())
        if not found:
            raise FormatError(expected(here, "(left,top),(right,bottom),class", line.strip()))
        left, top, right, bottom = (real(here, word) for word in found.groups()[:4])
        kind = int(found[5])
        if not 1 <= kind <= len(VHR10):
            raise LabelError(expected(here, f"a class from 1 to {len(VHR10)}", kind))
        boxes.append(Box((left, top, right, bottom), VHR10[kind - 1]))
    return boxes


def _key(name: str, folder: str) -> tuple[str, ...]:
    """A file's path without the folder of that name and without its ending."""
    path = PurePosixPath(name)
    parts = list(path.parts[:-1])
    parts.remove(folder)
    return (*parts, path.stem)
