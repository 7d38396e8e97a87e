"""Pascal VOC: an XML file for each image, in Annotations, JPEGImages and ImageSets/Main."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, expected

from ..events.tree import Tree
from .boxes import Box
from .letterbox import Size
from .listing import PARTS, WHOLE, Entry, Listing, classes_of, image_of, images_of, real, text_of, whole_number
from .xml_tree import read_xml

ANNOTATIONS, IMAGES, SETS = "Annotations", "JPEGImages", ("ImageSets", "Main")
EDGES = ("xmin", "ymin", "xmax", "ymax")
DIFFICULT = {"0": False, "1": True, "": False}


def voc_listing(tree: Tree, classes: Sequence[str] | None = None) -> Listing:
    """Every annotated image; the parts are those of ImageSets/Main (train, val, test), if that is there.

    classes: in this order; else all names of objects in that of the alphabet. A part lists names, one a line.
    Raises FileError (a file that is named is not there), FormatError (two years in one folder, damaged XML).
    """
    written = [name for name in tree.names if PurePosixPath(name).parent.name == ANNOTATIONS and name.endswith(".xml")]
    folders = sorted({str(PurePosixPath(name).parent) for name in written})
    if len(folders) != 1:
        got = Unquoted(" and ".join(folders) or "none")
        raise FormatError(expected(str(tree.root), f"one folder {ANNOTATIONS} with XML files", got))
    images = images_of(tree, IMAGES)
    by_stem = {PurePosixPath(name).stem: name for name in written}

    def entry(stem: str, place: str) -> Entry:
        if stem not in by_stem:
            raise FileError(expected(place, f"{folders[0]}/{stem}.xml", Unquoted("no such file")))
        place = f"{tree.root}: {by_stem[stem]}"
        size, boxes = read_voc(tree.bytes_of(by_stem[stem]), place)
        return Entry(image_of(images, stem, place), size, boxes)

    parts: dict[str, list[Entry]] = {}
    for name in tree.names:
        path = PurePosixPath(name)
        if path.suffix == ".txt" and path.parts[-3:-1] == SETS and path.stem in PARTS:
            lines = [line.split()[0] for line in text_of(tree, name).splitlines() if line.strip()]
            parts[PARTS[path.stem]] = [entry(stem, f"{tree.root}: {name}") for stem in lines]
    if not parts:
        parts[WHOLE] = [entry(stem, str(tree.root)) for stem in sorted(by_stem)]
    return Listing(tree, classes_of(classes, parts, str(tree.root)), parts)


def read_voc(data: bytes, place: str) -> tuple[Size | None, list[Box]]:
    """(height, width), None where it says 0 or nothing, and the boxes of one XML file. Raises FormatError.

    VOC counts pixels from 1 and names the last pixel that is in the box: its edges are xmin - 1, ymin - 1, xmax, ymax.
    A box whose xmax or ymax is not above xmin or ymin has no area (labelling tools write a mere click so).
    """
    root = read_xml(data, place)
    if root.tag != "annotation":
        raise FormatError(expected(place, "the element annotation", root.tag))
    boxes = []
    for index, thing in enumerate(root.findall("object")):
        here = f"{place}: object {index}"
        found = thing.find("bndbox")
        if found is None:
            raise FormatError(expected(here, "the element bndbox", Unquoted("none")))
        left, top, right, bottom = (real(f"{here}: {edge}", _text(found, edge, here)) for edge in EDGES)
        difficult = (thing.findtext("difficult") or "").strip()
        if difficult not in DIFFICULT:
            raise FormatError(expected(f"{here}: difficult", "0 or 1", difficult))
        flat = "no area" if right <= left or bottom <= top else ""
        edges = (left - 1, top - 1, right, bottom)
        boxes.append(Box(edges, _text(thing, "name", here), DIFFICULT[difficult], degenerate=flat))
    return _size(root, place), boxes


def _size(root: Element, place: str) -> Size | None:
    size = root.find("size")
    if size is None:
        return None
    height, width = (
        whole_number(f"{place}: {side}", _text(size, side, f"{place}: size")) for side in ("height", "width")
    )
    return (height, width) if height and width else None


def _text(element: Element, tag: str, place: str) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise FormatError(expected(place, f"the element {tag} with a value", Unquoted("none")))
    return text
