"""Your own pictures: PNG and JPEG files of any size, in class folders or listed in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import DataError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import read_bytes
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.types import Images, Labels

from .checks import existing
from .given import from_arrays
from .given_labels import labels_of
from .jpeg_h5 import pillow
from .pictures import ENDINGS, Look, look_of, picture_of
from .schema import PARTS, Dataset, Split, limited_indices

IGNORED = ("thumbs.db", "desktop.ini")
"""What file managers leave behind; hidden files are left out, too."""

LIST = "labels.csv"
WHAT = "a folder of class folders or with labels.csv, or a .csv file"
VALIDATION = "validation"


class Listed(NamedTuple):
    """A picture: its file, its label, and the part to which it belongs ("" where none is named)."""

    file: Path
    label: str
    part: str


def from_folder(
    path: str | Path,
    *,
    size: int | tuple[int, int] = 0,
    resize: str = "",
    colour: str = "",
    test: float = 0.0,
    validation: float = 0.0,
    seed: int = 0,
    limit: int | None = None,
    classes: Sequence[str] = (),
) -> Split:
    """Pictures as uint8 `[N, H, W, C]`, C 1 for grey and 3 for colour.

    path: a folder of `<class>/*.png`, or of `train/<class>/`, `test/<class>/` and perhaps `validation/<class>/`; or
    one with `labels.csv`, or such a file: a header `file,label` or `file,label,part`, files beside it, part "train",
    "test" or "validation". PNG and JPEG files of 8 bits a channel; classes in the order of the alphabet.
    size: of the pictures, side or (H, W); 0: all files have one size. resize, where a file has another: "crop" scales
    it until it covers the size and cuts out the middle, "stretch" changes its proportions, "pad" scales it until it
    fits and puts black around it; bilinear, each pixel weighing all that it covers. A picture is turned first, as its
    EXIF says. colour: "gray" (ITU-R 601-2 luma) or "rgb", which also puts transparent pictures before black; "": as all
    files are.
    test, validation, seed: the shares that are held out, as of `from_arrays`, where parts are not named. limit: at
    most so many pictures of each part, each class in its proportion, always the same ones. classes: their names, in
    order, where they are known.
    Raises FileError, FormatError, DataError, each naming the file; ConfigError (an option).
    """
    look, decoder, root = look_of(size, resize, colour), pillow(), existing(path, WHAT)
    parts = _by_part(_listed(root))
    if "" in parts and not test:
        want = f"a share to test on (test = 0.2), or the folders {'/, '.join(PARTS)}/ or a column part"
        raise DataError(expected(str(path), want, Unquoted("pictures of no part")))
    names = _classes(root, parts, classes)
    given = {part: _part(decoder, files, look, limit if part else None, names) for part, files in parts.items()}
    first = given.get("train", given.get(""))
    assert first is not None  # noqa: S101 - _listed gives parts that are whole
    for part, (images, _) in given.items():
        if images.shape[1:] != first[0].shape[1:]:
            want = f"pictures {list(first[0].shape[1:])}, as in train (size and colour make all alike)"
            raise DataError(expected(f"{path}: {part}", want, list(images.shape[1:])))
    held: dict[str, Any] = {part: given[part] for part in ("test", VALIDATION) if part in given}
    for part, share in (("test", test), (VALIDATION, validation)):
        if share and part in held:
            want = f"no share, as the {part} part has pictures of its own"
            raise DataError(expected(f"data.{part}", want, share))
        if share:
            held[part] = share
    split = from_arrays(*first, **held, seed=seed, classes=names, name=root.stem, channels="last")
    made = {part: one.limited(limit) for part, one in split.parts.items()}
    return Split(made["train"], made["test"], made.get(VALIDATION))


def from_folder_part(path: str | Path, part: str, *, limit: int | None = None, **options: Any) -> Dataset:
    """One part; nothing else is decoded. Pictures of no part are whichever is asked for, unless a share is held out."""
    if options.get("test"):
        return from_folder(path, limit=limit, **options).parts[part]
    look = look_of(options.get("size") or 0, options.get("resize") or "", options.get("colour") or "")
    decoder, root = pillow(), existing(path, WHAT)
    parts = _by_part(_listed(root))
    if "" not in parts and part not in parts:
        raise DataError(expected(str(path), f"a {part} part", Unquoted(", ".join(parts))))
    names = _classes(root, parts, options.get("classes") or ())
    images, labels = _part(decoder, parts.get(part, parts.get("", [])), look, limit, names)
    return Dataset(images, labels, names, f"{root.stem}.{part}")


def _by_part(listed: list[Listed]) -> dict[str, list[Listed]]:
    return {part: [one for one in listed if one.part == part] for part in dict.fromkeys(one.part for one in listed)}


def _classes(root: Path, parts: dict[str, list[Listed]], known: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes: those that are known already, else all labels in the order of the alphabet."""
    places = [(f"{root}: {part or 'labels'}", [one.label for one in files]) for part, files in parts.items()]
    return labels_of(places, None, known)[1]


def _listed(root: Path) -> list[Listed]:
    """Every picture, by part, class and name. Raises FileError, FormatError, DataError."""
    if root.is_file():
        return _from_csv(root)
    if (root / LIST).is_file():
        return _from_csv(root / LIST)
    inner = sorted(one for one in root.iterdir() if one.is_dir() and not left_out(one))
    if not {one.name for one in inner} & set(PARTS):
        return _from_folders(root, inner, "")
    for part in PARTS:
        existing(root / part, f"the folder of the {part} part")
    strange = [one.name for one in inner if one.name not in (*PARTS, VALIDATION)]
    if strange:
        raise FormatError(
            expected(str(root / strange[0]), f"train/, test/ or {VALIDATION}/ alone", Unquoted(strange[0]))
        )
    return [one for folder in inner for one in _from_folders(folder, sorted(folder.iterdir()), folder.name)]


def _from_folders(root: Path, inner: list[Path], part: str) -> list[Listed]:
    """Pictures in class folders."""
    found: list[Listed] = []
    empty = ""
    for folder in inner:
        if not folder.is_dir() or left_out(folder):
            continue
        files = [file for file in sorted(folder.iterdir()) if not left_out(file)]
        empty = empty or ("" if files else str(folder))
        for file in files:
            if file.suffix.lower() not in ENDINGS or not file.is_file():
                raise FormatError(expected(str(file), "a PNG or JPEG file", Unquoted(file.suffix or "another")))
            found.append(Listed(file, folder.name, part))
    if not found:
        raise FileError(expected(str(root), "PNG or JPEG files in class folders, or labels.csv", Unquoted("none")))
    if empty:
        raise FileError(expected(empty, "PNG or JPEG files of this class, or no such folder", Unquoted("none")))
    return found


def left_out(path: Path) -> bool:
    """Whether it is hidden, or one of IGNORED."""
    return path.name.startswith(".") or path.name.lower() in IGNORED


def _from_csv(path: Path) -> list[Listed]:
    """The rows of a CSV file with the columns file, label, and perhaps part."""
    try:
        text = read_bytes(path, "a CSV file").decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True))
        columns = csv.DictReader(io.StringIO(text)).fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(expected(str(path), "a CSV file in UTF-8", Unquoted(str(error)))) from error
    heads = [head.strip() for head in columns]
    if heads not in (["file", "label"], ["file", "label", "part"]):
        want = "a header file,label or file,label,part"
        raise FormatError(expected(str(path), want, Unquoted(",".join(heads) or "nothing")))
    found = []
    for number, row in enumerate(rows, 2):
        values = [row.get(head) for head in columns]
        if None in row or not all(isinstance(value, str) and value.strip() for value in values):
            want = f"{len(heads)} values: {', '.join(heads)}"
            raise FormatError(expected(f"{path}:{number}", want, Unquoted(f"{values}")))
        file, label, *part = (str(value).strip() for value in values)
        if part and part[0] not in (*PARTS, VALIDATION):
            raise FormatError(expected(f"{path}:{number}: part", f"train, test or {VALIDATION}", part[0]))
        found.append(
            Listed(existing(path.parent / file, f"the picture of {path}:{number}"), label, part[0] if part else "")
        )
    if not found:
        raise FormatError(expected(str(path), "a row for each picture", Unquoted("none")))
    missing = set(PARTS) - {one.part for one in found}
    if len(heads) == 3 and missing:
        raise DataError(
            expected(f"{path}: part", "pictures to train and to test on", Unquoted(f"none of {min(missing)}"))
        )
    return found


def _part(
    decoder: Any, files: list[Listed], look: Look, limit: int | None, classes: tuple[str, ...]
) -> tuple[Images, Labels]:
    """The pictures of a part, uint8 `[N, H, W, C]`, and their labels."""
    labels: Labels = np.array([classes.index(one.label) for one in files], np.int64)
    chosen = limited_indices(labels, limit)
    images: Images | None = None
    if look.size is not None:
        channels = 3 if look.colour == "rgb" else 1
        check_fits("size", {f"{len(chosen):,} pictures": len(chosen) * look.size[0] * look.size[1] * channels})
    first = files[chosen[0]].file
    for row, index in enumerate(chosen):
        file = files[index].file
        pixels = picture_of(decoder, file, look)
        if images is None:
            images = np.empty((len(chosen), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:]:
            want = f"{list(images.shape[1:])}, as {first} has (size, resize and colour make all alike)"
            raise DataError(expected(str(file), want, list(pixels.shape)))
        images[row] = pixels
    assert images is not None  # noqa: S101 - a part has at least one picture
    return images, labels[chosen]
