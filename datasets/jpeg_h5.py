"""Reader of labelled JPEG images joined in one HDF5 file: groups `train` and `test`, each `jpeg`, `offset`, `label`."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes
from qpsnn_core.common.foreign_hdf5 import ForeignFile, foreign_hdf5
from qpsnn_core.common.install import install_command
from qpsnn_core.common.types import Images, Labels

from .label_checks import check_labels
from .schema import PARTS, Dataset, Split, limited_indices

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG's markers of a frame header (ITU-T T.81, table B.1)."""

NONE = b"\0"

CHANNELS = 3

JPEG_RATIO = 100
"""So many times its length may an image be: photographs are 10 to 40 times, drawings more."""


def load_jpeg_h5(path: str | Path, name: str, *, limit: int | None = None) -> Split:
    """Training and test images, uint8 `[N, H, W, 3]`, all of one size, decoded from JPEG.

    The file: in each group `jpeg` uint8 (all files joined), `offset` `[n + 1]`, `label` `[n]`; attribute `classes`.
    limit: at most so many images of each part are decoded, each class in its proportion, always the same ones.
    Raises DataError (h5py or Pillow missing), FileError, FormatError (names what is damaged), LabelError.
    """
    return Split(*_read(Path(path), name, PARTS, limit))


def load_jpeg_part(path: str | Path, name: str, part: str, *, limit: int | None = None) -> Dataset:
    """One part alone, "train" or "test", as `load_jpeg_h5` reads it; the other one need not be in the file."""
    return _read(Path(path), name, (part,), limit)[0]


def _read(path: Path, name: str, parts: tuple[str, ...], limit: int | None) -> list[Dataset]:
    decoder = pillow()
    with foreign_hdf5(path) as file:
        classes = _classes(file)
        read = {part: _read_part(file, part) for part in parts}
    return [
        _decoded(decoder, *arrays, classes, f"{name}.{part}", f"{path}: {part}", limit) for part, arrays in read.items()
    ]


def pillow() -> ModuleType:
    """Pillow's Image module; DataError where it is missing."""
    try:
        from PIL import Image
    except ImportError as error:
        want = f"Pillow, which decodes JPEG ({install_command('data')})"
        raise DataError(expected("jpeg", want, Unquoted(f"no such package ({error})"))) from error
    return Image


def _classes(file: ForeignFile) -> tuple[str, ...]:
    place = f"{file.path}: attribute classes"
    given = file.attributes().get("classes", [])
    try:
        many = given if isinstance(given, list) else [given]
        names = tuple(item.decode() if isinstance(item, bytes) else item for item in many)
    except UnicodeDecodeError as error:
        raise FormatError(expected(place, "UTF-8 names", Unquoted(str(error)))) from error
    if not names or not all(isinstance(name, str) for name in names):
        raise FormatError(expected(place, "a name for each class", names))
    return names


def _read_part(file: ForeignFile, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[Any]]:
    place = f"{file.path}: {part}"
    arrays = []
    for key, kinds in (("jpeg", "u"), ("offset", "iu"), ("label", "iu")):
        there = file.kind(f"{part}/{key}") == "dataset"
        values = np.asarray(file.read(f"{part}/{key}")) if there else None
        if values is None or values.dtype.kind not in kinds or values.ndim != 1:
            got = "nothing" if values is None else f"{values.dtype} {values.shape}"
            raise FormatError(expected(f"{place}/{key}", "a dataset of integers with one dimension", Unquoted(got)))
        arrays.append(values)
    joined, offset, label = arrays
    if joined.dtype != np.uint8:
        raise FormatError(expected(f"{place}/jpeg", "uint8", joined.dtype))
    if len(label) == 0 or len(offset) != len(label) + 1:
        want = f"{len(label) + 1} entries for {len(label)} labels, of which there is at least one"
        raise FormatError(expected(f"{place}/offset", want, len(offset)))
    offset = offset.astype(np.int64)
    if offset[0] < 0 or offset[-1] > len(joined) or (np.diff(offset) <= 0).any():
        want = f"rising numbers from 0 to {len(joined)}, the length of jpeg"
        raise FormatError(expected(f"{place}/offset", want, Unquoted(f"{offset[0]} to {offset[-1]}, or a step back")))
    return joined, offset, label


def _decoded(
    decoder: ModuleType,
    joined: NDArray[np.uint8],
    offset: NDArray[np.int64],
    label: NDArray[Any],
    classes: tuple[str, ...],
    name: str,
    place: str,
    limit: int | None,
) -> Dataset:
    labels: Labels = check_labels(label, len(classes), f"{place}/label")
    chosen = limited_indices(labels, limit)

    def file(k: int) -> bytes:
        return joined[offset[k] : offset[k + 1]].tobytes()

    first = decode_jpeg(decoder, file(chosen[0]), f"{place}/jpeg[{chosen[0]}]")
    head, shape = _head(file(chosen[0])), first.shape
    images = np.empty((len(chosen), *shape), dtype=np.uint8)
    for row, k in enumerate(chosen):
        data = file(k)
        pixels = _decode_alike(decoder, data, shape) if data.startswith(head) else None
        if pixels is None:
            pixels = decode_jpeg(decoder, data, f"{place}/jpeg[{k}]")
        if pixels.shape != shape:
            raise FormatError(expected(f"{place}/jpeg[{k}]", list(shape), list(pixels.shape)))
        images[row] = pixels
    return Dataset(images, labels[chosen], classes, name)


def fault_of(decoder: ModuleType, error: Exception) -> str:
    """What Pillow found wrong with a file. Where it knows no header, its own words name an object in memory."""
    return "no header of such a file" if isinstance(error, decoder.UnidentifiedImageError) else str(error)


def decode_jpeg(decoder: ModuleType, data: bytes, place: str) -> Images:
    """The pixels of a JPEG file as RGB; FormatError names its place."""
    try:
        with decoder.open(io.BytesIO(data), formats=["JPEG"]) as file:
            check_bytes(place, file.width * file.height * CHANNELS, len(data), JPEG_RATIO)
            return np.asarray(file.convert("RGB"), dtype=np.uint8)
    except FormatError:
        raise
    except (MemoryError, OSError, SyntaxError, ValueError, decoder.DecompressionBombError) as error:
        raise FormatError(expected(place, "a whole JPEG image", Unquoted(fault_of(decoder, error)))) from error


def _decode_alike(decoder: ModuleType, data: bytes, shape: tuple[int, ...]) -> Images | None:
    """The pixels of a file that begins as one in colour, of this shape, did; None where Pillow has to look closer.

    Pillow's reading of the header, in Python, takes four times as long as the decoding of a small image; and as it
    holds the GIL, decoding in two threads was found to be no faster than in one.
    """
    height, width, _ = shape
    try:
        image = decoder.frombytes("RGB", (width, height), data, "jpeg", "RGB", "")
    except (OSError, ValueError):
        return None
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)


def _head(data: bytes) -> bytes:
    """A JPEG file up to the end of its frame header, which holds the size, if that is of three colours.

    Otherwise one that no file begins with.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if kind in FRAMES:
            return data[:end] if data[at + 9 : at + 10] == b"\x03" else NONE
        at = end
    return NONE
