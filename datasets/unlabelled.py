"""Pictures and arrays without labels, file by file: what a trained network is asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.errors import DataError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import foreign
from qpsnn_core.common.input_range import UNSIGNED, InputRange
from qpsnn_core.common.types import Shape

from . import npy
from .checks import existing
from .given import in_range, input_range
from .given_shapes import shaped
from .image_folder import LIST, left_out
from .jpeg_h5 import pillow
from .pictures import ENDINGS, Look, look_of, picture_of
from .schema import Dataset

COLOURS = {1: "gray", 3: "rgb"}
"""How a picture is read for a network, by its channels."""

WHAT = "a PNG or JPEG picture, a .npy array, or a folder of them"
ENDS = (*ENDINGS, npy.SUFFIX)
UNKNOWN = ("unlabelled",)


class Wanted(NamedTuple):
    """What samples are made for. shape: (H, W, C); unit: of the input, None for counts of events.

    resize: as of `from_folder`, "" for none; channels, series: as of `from_arrays`.
    """

    shape: Shape
    unit: InputRange | None
    resize: str = ""
    channels: str = ""
    series: str = ""


class Samples(NamedTuple):
    """Some samples: the name of each, its file or `file[index]`; data: a Dataset whose labels say nothing."""

    names: tuple[str, ...]
    data: Dataset


def are_samples(path: Path) -> bool:
    """Whether it is, by its name, a picture or an array, or a folder that has one somewhere."""
    if path.is_dir():
        return any(one.suffix.lower() in ENDS for one in _below(path))
    return path.suffix.lower() in ENDS


def samples_of(paths: Sequence[Path], wanted: Wanted, most: int) -> Iterator[Samples]:
    """The pictures and arrays of files and folders, at most so many at a time, in order.

    A picture is read as `from_folder` reads it: turned as its EXIF says, in the colours that the network's channels
    ask for, brought to its size as `resize` says. An array is `[N, ...]` as `from_arrays` takes images; real numbers
    get the network's unit. Raises FileError, FormatError, DataError, ConfigError (resize), each naming the file.
    """
    height, width, channels = wanted.shape
    look = look_of((height, width), wanted.resize, COLOURS.get(channels, ""))
    waiting: list[Path] = []
    for file in [file for path in paths for file in _files(path)]:
        if file.suffix.lower() == npy.SUFFIX:
            yield from _pictures(waiting, wanted, look)
            waiting = []
            yield from _array(file, wanted, most)
            continue
        waiting.append(file)
        if len(waiting) == most:
            yield from _pictures(waiting, wanted, look)
            waiting = []
    yield from _pictures(waiting, wanted, look)


def _files(path: Path) -> list[Path]:
    """The file itself, or all below a folder, in the order of their names."""
    if existing(path, WHAT).is_dir():
        found = [one for one in _below(path) if one.name != LIST]
        if not found:
            raise FileError(expected(str(path), "PNG or JPEG pictures, or .npy arrays", Unquoted("none")))
    else:
        found = [path]
    for one in found:
        if one.suffix.lower() not in ENDS:
            raise FormatError(
                expected(str(one), "a PNG or JPEG picture, or a .npy array", Unquoted(one.suffix or "another"))
            )
    return found


def _below(folder: Path) -> list[Path]:
    """All files in a folder and in its folders, but what is hidden, in the order of their names."""
    files = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    return [one for one in files if not any(left_out(Path(part)) for part in one.relative_to(folder).parts)]


def _pictures(files: list[Path], wanted: Wanted, look: Look) -> Iterator[Samples]:
    if not files:
        return
    unit, channels = wanted.unit, wanted.shape[2]
    if channels not in COLOURS:
        want = f"a .npy array [N, ..., {channels}], as the network reads {channels} channels (pictures have 1 or 3)"
        raise DataError(expected(str(files[0]), want, Unquoted("a picture")))
    if unit is None or (unit.low, unit.peak) != UNSIGNED or unit.scale != 1 / UNSIGNED[1]:
        reads = "counts of events" if unit is None else f"integers {unit.low}..{unit.peak} of {unit.scale:g}"
        want = f"a .npy array, as the network reads {reads}, not intensities"
        raise DataError(expected(str(files[0]), want, Unquoted("a picture")))
    decoder = pillow()
    images = np.stack([picture_of(decoder, file, look) for file in files])
    yield _samples(tuple(map(str, files)), str(files[0]), images, None)


def _array(file: Path, wanted: Wanted, most: int) -> Iterator[Samples]:
    place = str(file)
    with foreign(file, "array of numbers"):
        given = npy.read_array(lambda: file.open("rb"), place, file.stat().st_size)
    images = shaped(place, given, wanted.channels, wanted.series)
    unit = wanted.unit
    whole: dict[str, Any] = {"scale": None, "signed": None}
    if unit is not None and images.dtype != np.uint8:
        whole = {"scale": unit.scale, "signed": unit.low < 0}
    made, scale = in_range(place, images, input_range(place, images, **whole))
    for start in range(0, len(made), most):
        part = made[start : start + most]
        yield _samples(tuple(f"{file}[{start + k}]" for k in range(len(part))), place, part, scale)


def _samples(names: tuple[str, ...], place: str, images: Any, scale: float | None) -> Samples:
    return Samples(names, Dataset(images, np.zeros(len(images), np.int64), UNKNOWN, place, scale))
