"""COCO: one JSON file for each part, with images, annotations and categories."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from qpsnn_core.common.errors import FileError, FormatError, Unquoted, expected

from ..events.tree import Tree
from .boxes import Box
from .listing import PARTS, WHOLE, Entry, Listing, is_image, real, whole_number


def coco_listing(tree: Tree, classes: Sequence[str] | None = None) -> Listing:
    """Every image of every JSON file that lists boxes; a file whose name holds train, val or test is that part.

    An image is the file whose path ends with its `file_name`; of several, the one in a folder that the JSON file's name
    ends with (`train2017` of `instances_train2017.json`). classes: in this order; else that of the categories' ids.
    Raises FileError (an image is not there), FormatError (two files of one part, damaged JSON).
    """
    by_name: dict[str, list[str]] = {}
    for name in filter(is_image, tree.names):
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    parts: dict[str, list[Entry]] = {}
    named: tuple[str, ...] = tuple(classes or ())
    sources: dict[str, str] = {}
    for name in tree.names:
        if not name.endswith(".json"):
            continue
        part = _part(PurePosixPath(name).stem)
        if part in sources:
            got = Unquoted(f"{sources[part]} and {name}")
            raise FormatError(expected(str(tree.root), f"one JSON file of the {part} part", got))
        place = f"{tree.root}: {name}"
        categories, images = read_coco(tree.bytes_of(name), place)
        if not named:
            named = tuple(categories)
        parts[part] = [
            Entry(_image(by_name, file, PurePosixPath(name).stem, place), (height, width), boxes)
            for file, height, width, boxes in images
        ]
        sources[part] = name
    if not parts:
        raise FormatError(expected(str(tree.root), "a JSON file of COCO", Unquoted("none")))
    return Listing(tree, named, parts)


def read_coco(data: bytes, place: str) -> tuple[list[str], list[tuple[str, int, int, list[Box]]]]:
    """The categories' names, by rising id; and file name, height, width and boxes of each image, by rising id.

    bbox is left, top, width, height. A missing `iscrowd` is 0, a missing `area` width times height. Ids mean nothing
    here (pycocotools takes an annotation of the id 0 for none: ids begin with 1 there). Raises FormatError.
    """
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(expected(place, "JSON", Unquoted(str(error)))) from error
    names: dict[int, str] = {}
    for index, one in enumerate(_list(whole, "categories", place)):
        here = f"{place}: categories[{index}]"
        names[_key(one, "id", here, names)] = _word(one, "name", here)
    images: dict[int, tuple[str, int, int, list[Box]]] = {}
    for index, one in enumerate(_list(whole, "images", place)):
        here = f"{place}: images[{index}]"
        height, width = (whole_number(f"{here}.{side}", _value(one, side, here), 1) for side in ("height", "width"))
        images[_key(one, "id", here, images)] = (_word(one, "file_name", here), height, width, [])
    for index, one in enumerate(_list(whole, "annotations", place)):
        here = f"{place}: annotations[{index}]"
        image, kind = _value(one, "image_id", here), _value(one, "category_id", here)
        if not isinstance(image, int) or image not in images:
            raise FormatError(expected(f"{here}.image_id", "the id of an image", Unquoted(f"{image!r:.80}")))
        if not isinstance(kind, int) or kind not in names:
            raise FormatError(expected(f"{here}.category_id", "the id of a category", Unquoted(f"{kind!r:.80}")))
        images[image][3].append(_box(one, names[kind], here))
    return [names[key] for key in sorted(names)], [images[key] for key in sorted(images)]


def _box(one: Any, label: str, here: str) -> Box:
    sides = _value(one, "bbox", here)
    if not isinstance(sides, list) or len(sides) != 4:
        raise FormatError(expected(f"{here}.bbox", "left, top, width, height", Unquoted(f"{sides!r:.80}")))
    left, top, width, height = (real(f"{here}.bbox", side) for side in sides)
    crowd = one.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise FormatError(expected(f"{here}.iscrowd", "0 or 1", Unquoted(f"{crowd!r:.80}")))
    area = real(f"{here}.area", one.get("area", 0.0))
    if not 0 <= area < math.inf:
        raise FormatError(expected(f"{here}.area", "a number of at least 0", area))
    return Box((left, top, left + width, top + height), label, crowd=bool(crowd), area=area)


def _part(stem: str) -> str:
    """The part that a file's name tells: of "instances_train2017" train."""
    found = {part for word, part in PARTS.items() if word in stem.lower()}
    return found.pop() if len(found) == 1 else WHOLE


def _image(by_name: dict[str, list[str]], file: str, stem: str, place: str) -> str:
    wanted = PurePosixPath(file.replace("\\", "/"))
    parts = wanted.parts
    found = [name for name in by_name.get(wanted.name, []) if PurePosixPath(name).parts[-len(parts) :] == parts]
    if len(found) > 1:
        beside = [name for name in found if any(stem.endswith(part) for part in PurePosixPath(name).parts[:-1])]
        found = beside or found
    if not found:
        raise FileError(expected(place, f"the image {file}", Unquoted("no such file")))
    if len(found) > 1:
        raise FormatError(expected(place, f"one image {file}", Unquoted(" and ".join(found[:2]))))
    return found[0]


def _list(whole: Any, key: str, place: str) -> list[Any]:
    found = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(found, list):
        raise FormatError(expected(place, f"a list {key!r}", Unquoted(type(found).__name__)))
    return found


def _value(one: Any, key: str, place: str) -> Any:
    if not isinstance(one, dict) or key not in one:
        raise FormatError(expected(place, f"the key {key!r}", Unquoted("none")))
    return one[key]


def _word(one: Any, key: str, place: str) -> str:
    found = _value(one, key, place)
    if not isinstance(found, str) or not found:
        raise FormatError(expected(f"{place}.{key}", "a name", Unquoted(f"{found!r:.80}")))
    return found


def _key(one: Any, key: str, place: str, there: Any) -> int:
    found = _value(one, key, place)
    if isinstance(found, bool) or not isinstance(found, int) or found in there:
        raise FormatError(expected(f"{place}.{key}", "a whole number that no other has", Unquoted(f"{found!r:.80}")))
    return found
