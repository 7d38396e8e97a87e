"""From files to a set: every format is listed alike, then its images are decoded and brought to one size."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.validation import check_choice, whole

from ..events.tree import Tree
from ..jpeg_h5 import JPEG_RATIO, pillow
from .boxes import Box, BoxReport, gathered
from .coco import coco_listing
from .letterbox import Letterboxes, Size, letterboxed, size_of
from .listing import WHOLE, Entry, Listing
from .schema import DetectionDataset, DetectionSplit, limited
from .ssdd import ssdd_listing
from .texts import vhr10_listing, yolo_listing
from .voc import voc_listing

FORMATS: Mapping[str, Callable[[Tree, Sequence[str] | None], Listing]] = {
    "voc": voc_listing,
    "coco": coco_listing,
    "yolo": yolo_listing,
    "vhr10": vhr10_listing,
    "ssdd": ssdd_listing,
}
"""Formats of images with boxes; recordings of events are in `gen1`."""

CHANNELS = 3


def load_detection(
    format: str,
    path: str | Path,
    size: int | tuple[int, int],
    *,
    classes: Sequence[str] | None = None,
    test: float = 0.0,
    seed: int = 0,
    limit: int | None = None,
) -> DetectionSplit:
    """Images, RGB, in letterboxes of `size` (a side, or height and width), and boxes, of a folder or zip archive.

    format: of FORMATS. classes: their names in order, where the set has no order of its own. test: the share of images
    that are held out by `seed`, of a set without parts. A set with a validation part and no test part is tested on the
    former. limit: at most so many images of each part, always the same ones. Boxes without area are dropped and
    counted; the `report` of each part names them.
    Raises ConfigError, FileError, FormatError, DataError (a size that is not the annotated one), LabelError.
    """
    check_choice("format", format, tuple(FORMATS))
    shape = size_of(size)
    if limit is not None:
        whole("limit", limit, 1)
    listing = FORMATS[format](Tree(path, "file of images with boxes"), classes)
    decoder = pillow()

    def dataset(part: str) -> DetectionDataset:
        entries = listing.parts[part]
        chosen = [entries[index] for index in limited(len(entries), limit)]
        return _dataset(decoder, listing, chosen, shape, f"{Path(path).stem}.{part}")

    if WHOLE in listing.parts:
        if len(listing.parts) > 1:
            got = Unquoted(", ".join(listing.parts))
            raise FormatError(expected(str(path), "images that all are in a part, or none", got))
        if not test:
            want = "the share of images to test on, as the set is not divided"
            raise ConfigError(expected("test", want, test))
        return dataset(WHOLE).split(test, seed)
    if test:
        got = Unquoted(f"{test}, and the parts {', '.join(listing.parts)}")
        raise ConfigError(expected("test", "no share, as the set has parts of its own", got))
    if "train" not in listing.parts or len(listing.parts) == 1:
        want = "a part to train on, and one to test or validate on"
        raise FormatError(expected(str(path), want, Unquoted(", ".join(listing.parts))))
    sets = {part: dataset(part) for part in listing.parts}
    if "test" not in sets:
        return DetectionSplit(sets["train"], sets["validation"])
    return DetectionSplit(sets["train"], sets["test"], sets.get("validation"))


def _dataset(decoder: ModuleType, listing: Listing, entries: list[Entry], shape: Size, name: str) -> DetectionDataset:
    if not entries:
        raise DataError(expected(name, "at least one image", Unquoted("none")))
    check_fits(name, {"images": len(entries) * shape[0] * shape[1] * CHANNELS}, DataError)
    images = np.empty((len(entries), *shape, CHANNELS), np.uint8)
    sizes, inner = np.zeros((len(entries), 2), np.int64), np.zeros((len(entries), 4), np.int64)
    rows = []
    for index, entry in enumerate(entries):
        place = f"{listing.tree.root}: {entry.file}"
        image = _decoded(decoder, listing.tree.bytes_of(entry.file), place)
        given = image.height, image.width
        if entry.size is not None and entry.size != given:
            want = f"{entry.size[0]} x {entry.size[1]} pixels, as its annotation says"
            raise DataError(expected(place, want, Unquoted(f"{given[0]} x {given[1]}")))
        images[index], inner[index] = letterboxed(decoder, image, shape)
        sizes[index] = given
        boxes = [_scaled(box, given) for box in entry.boxes] if entry.relative else entry.boxes
        rows.append((entry.file, *given, boxes))
    report = BoxReport()
    found = gathered(rows, listing.classes, report)
    files = tuple(entry.file for entry in entries)
    return DetectionDataset(images, found, Letterboxes(sizes, inner), listing.classes, files, name, report)


def _scaled(box: Box, size: Size) -> Box:
    left, top, right, bottom = box.edges
    return box._replace(edges=(left * size[1], top * size[0], right * size[1], bottom * size[0]))


def _decoded(decoder: ModuleType, data: bytes, place: str):  # type: ignore[no-untyped-def]  # Pillow's Image
    """A Pillow image in RGB; FormatError. How a camera was held (EXIF) is not looked at: boxes are in stored pixels."""
    try:
        with decoder.open(io.BytesIO(data), formats=["PNG", "JPEG", "BMP", "TIFF"]) as file:
            check_bytes(place, file.width * file.height * 4, len(data), JPEG_RATIO)
            if file.mode.startswith(("I", "F")):
                raise FormatError(expected(place, "8 bits for each channel", Unquoted(f"the mode {file.mode}")))
            return file.convert("RGB")
    except FormatError:
        raise
    except (MemoryError, OSError, SyntaxError, ValueError, decoder.DecompressionBombError) as error:
        raise FormatError(expected(place, "a whole image", Unquoted(str(error)))) from error
