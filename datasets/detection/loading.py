"""From files to a set: every format is listed alike, then its images are decoded and brought to one size."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes, read_bytes
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.types import Doubles, Images
from qpsnn_core.common.validation import check_choice, number, whole

from ..events.tree import Tree
from ..jpeg_h5 import JPEG_RATIO, fault_of, pillow
from ..schema import Split, limited_indices
from ..seeding import SPLIT, permutation
from .anchors import fit_anchors
from .boxes import Box, BoxReport, gathered
from .coco import coco_listing
from .letterbox import Letterboxes, Size, inner_of, letterboxed, size_of
from .listing import WHOLE, Entry, Listing
from .schema import DetectionDataset, with_boxes
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
    size: int | tuple[int, int] = 0,
    *,
    classes: Sequence[str] | None = None,
    test: float = 0.0,
    seed: int = 0,
    limit: int | None = None,
    anchors: int = 0,
    decode: str = "v5",
) -> Split:
    """Images, RGB, in letterboxes of `size` (a side, or height and width), and boxes, of a folder or zip archive.

    format: of FORMATS. classes: their names in order, where the set has no order of its own. test: the share of images
    that are held out by `seed`, of a set without parts. A set with a validation part and no test part is tested on the
    former. limit: at most so many images of each part, always the same ones. Boxes without area are dropped and
    counted; the `report` of each part names them. anchors: so many are fit to all boxes of the training part
    (`fit_anchors`, by `seed`). decode: of `DetectionHead`.
    Raises ConfigError, FileError, FormatError, DataError (a size that is not the annotated one), LabelError.
    """
    check_choice("format", format, tuple(FORMATS))
    shape = size_of(size)
    if limit is not None:
        whole("limit", limit, 1)
    whole("anchors", anchors, 0)
    listing = FORMATS[format](Tree(path, "file of images with boxes"), classes)
    parts = _parts(listing, test, seed)
    decoder = pillow()
    fitted: Sequence[tuple[float, float]] = ()
    if anchors:
        sides = _sides(decoder, listing, parts["train"], shape)
        fitted = [(width, height) for width, height in fit_anchors(sides, anchors, seed).tolist()]
    sets = {}
    for part, entries in parts.items():
        chosen = [entries[index] for index in limited_indices(np.zeros(len(entries), np.int64), limit)]
        sets[part] = _dataset(decoder, listing, chosen, shape, f"{Path(path).stem}.{part}", fitted, decode)
    if "test" not in sets:
        return Split(sets["train"], sets["validation"])
    return Split(sets["train"], sets["test"], sets.get("validation"))


def read_picture(path: str | Path, size: Size) -> tuple[Images, Images, Letterboxes]:
    """A file as it is, uint8 `[H, W, 3]`; in a letterbox of `size`, `[h, w, 3]`; and that letterbox, of one image.

    Raises FileError, FormatError, DataError (Pillow missing).
    """
    decoder, found = pillow(), Path(path)
    image = _decoded(decoder, read_bytes(found, "a picture"), str(found))
    inside, inner = letterboxed(decoder, image, size)
    sizes = np.array([[image.height, image.width]], np.int64)
    return np.asarray(image, np.uint8), inside, Letterboxes(sizes, np.array([inner], np.int64))


def _parts(listing: Listing, test: float, seed: int) -> dict[str, list[Entry]]:
    """A part to train on, and one to test or validate on."""
    place = str(listing.tree.root)
    if WHOLE not in listing.parts:
        if test:
            got = Unquoted(f"{test}, and the parts {', '.join(listing.parts)}")
            raise ConfigError(expected("test", "no share, as the set has parts of its own", got))
        if "train" not in listing.parts or len(listing.parts) == 1:
            want = "a part to train on, and one to test or validate on"
            raise FormatError(expected(place, want, Unquoted(", ".join(listing.parts))))
        return dict(listing.parts)
    if len(listing.parts) > 1:
        got = Unquoted(", ".join(listing.parts))
        raise FormatError(expected(place, "images that all are in a part, or none", got))
    entries = listing.parts[WHOLE]
    count = round(number("test", test, 0, 1) * len(entries))
    if not 0 < count < len(entries):
        want = f"the share of {len(entries)} images to test on, as the set is not divided"
        raise ConfigError(expected("test", want, test))
    drawn = permutation(len(entries), seed, SPLIT)
    rest, held = np.sort(drawn[count:]).tolist(), np.sort(drawn[:count]).tolist()
    return {"train": [entries[index] for index in rest], "test": [entries[index] for index in held]}


def _sides(decoder: ModuleType, listing: Listing, entries: list[Entry], shape: Size) -> Doubles:
    """Width and height of every box in pixels of its letterbox, `[M, 2]`; of images only the head is read."""
    found = [np.zeros((0, 2))]
    for entry in entries:
        size = entry.size or _size(decoder, listing, entry)
        boxes = gathered([_row(entry, size)], listing.classes, BoxReport())
        _, _, width, height = inner_of(size, shape)
        sides = boxes.edges[:, 2:] - boxes.edges[:, :2]
        found.append(sides * np.array([width / size[1], height / size[0]]))
    return np.concatenate(found)


def _row(entry: Entry, size: Size) -> tuple[str, int, int, Sequence[Box]]:
    boxes = [_scaled(box, size) for box in entry.boxes] if entry.relative else entry.boxes
    return entry.file, *size, boxes


def _size(decoder: ModuleType, listing: Listing, entry: Entry) -> Size:
    place = f"{listing.tree.root}: {entry.file}"
    with _opened(decoder, listing.tree.bytes_of(entry.file), place) as file:
        return file.height, file.width


def _dataset(
    decoder: ModuleType,
    listing: Listing,
    entries: list[Entry],
    shape: Size,
    name: str,
    anchors: Sequence[tuple[float, float]],
    decode: str,
) -> DetectionDataset:
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
        rows.append(_row(entry, given))
    report = BoxReport()
    boxes = gathered(rows, listing.classes, report)
    return with_boxes(
        images,
        boxes,
        Letterboxes(sizes, inner),
        listing.classes,
        files=[entry.file for entry in entries],
        name=name,
        report=report,
        anchors=anchors,
        decode=decode,
    )


def _scaled(box: Box, size: Size) -> Box:
    left, top, right, bottom = box.edges
    return box._replace(edges=(left * size[1], top * size[0], right * size[1], bottom * size[0]))


def _decoded(decoder: ModuleType, data: bytes, place: str) -> Any:
    """A Pillow image in RGB; FormatError. How a camera was held (EXIF) is not looked at: boxes are in stored pixels."""
    with _opened(decoder, data, place) as file:
        if file.mode.startswith(("I", "F")):
            raise FormatError(expected(place, "8 bits for each channel", Unquoted(f"the mode {file.mode}")))
        return file.convert("RGB")


@contextmanager
def _opened(decoder: ModuleType, data: bytes, place: str) -> Iterator[Any]:
    """A Pillow image, of which the head is read; whatever is wrong, then or while it is used, is a FormatError."""
    try:
        with decoder.open(io.BytesIO(data), formats=["PNG", "JPEG", "BMP", "TIFF"]) as file:
            check_bytes(place, file.width * file.height * 4, len(data), JPEG_RATIO)
            yield file
    except FormatError:
        raise
    except (MemoryError, OSError, SyntaxError, ValueError, decoder.DecompressionBombError) as error:
        raise FormatError(expected(place, "a whole image", Unquoted(fault_of(decoder, error)))) from error
