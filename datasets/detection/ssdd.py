"""SSDD, ships in radar images: its official division into images to train and to test on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from qpsnn_core.common.errors import FormatError, Unquoted, expected

from ..events.tree import Tree
from .coco import coco_listing
from .listing import Entry, Listing
from .voc import ANNOTATIONS, voc_listing

TEST_DIGITS = ("1", "9")
"""Images whose number ends in one of these are to test on (Zhang et al. 2021, doi:10.3390/rs13183690)."""


def ssdd_listing(tree: Tree, classes: Sequence[str] | None = None) -> Listing:
    """SSDD with annotations of either kind, COCO or Pascal VOC, in one file or folder; its own parts are not read.

    Raises FileError, FormatError (an image without a number, either part empty).
    """
    voc = any(PurePosixPath(name).parent.name == ANNOTATIONS and name.endswith(".xml") for name in tree.names)
    listing = (voc_listing if voc else coco_listing)(tree, classes)
    entries = {entry.file: entry for part in listing.parts.values() for entry in part}
    parts: dict[str, list[Entry]] = {"train": [], "test": []}
    for name in sorted(entries):
        parts[ssdd_part(name)].append(entries[name])
    for part, found in parts.items():
        if not found:
            raise FormatError(expected(f"{tree.root}: {part}", "at least one image", Unquoted("none")))
    return Listing(tree, listing.classes, parts)


def ssdd_part(file: str) -> str:
    """ "test" where the number that a file is called ends in 1 or 9, else "train"; FormatError if it has none."""
    stem = PurePosixPath(file).stem
    if not (stem.isascii() and stem[-1:].isdecimal()):
        raise FormatError(expected(file, "a name that ends in a number", stem))
    return "test" if stem.endswith(TEST_DIGITS) else "train"
