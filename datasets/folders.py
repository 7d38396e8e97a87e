"""Reader of images in class folders, as ImageNet's: decoded by worker processes into a file that memory maps.

So a set may be larger than memory. Each worker is a Python of its own that runs this file, and writes the rows that it
was given: nothing is forked, and a script that reads a set needs no guard for its own second import.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import read_bytes
from qpsnn_core.common.types import Images, Labels
from qpsnn_core.common.validation import whole

from .checks import existing
from .jpeg_h5 import decode_jpeg, pillow
from .memmap import mapped
from .schema import Dataset, Split, limited_indices

SIDE = 224
SHORT = 256 / 224
"""The shorter side after scaling, as a part of what is then cut out of the middle."""

ENDINGS = {".jpeg", ".jpg"}


def load_imagenet(path: str | Path, *, limit: int | None = None, side: int = SIDE, workers: int | None = None) -> Split:
    """ImageNet, or any set of JPEG files in class folders, as uint8 `[N, side, side, 3]`.

    path: the folder of `train/<class>/*.JPEG` and `val/<class>/*.JPEG` (the validation images sorted into classes);
    classes are the names of the training folders, in order. Each image is scaled so that its shorter side is
    `256/224 * side`, and the middle is cut out. limit: at most so many images of each part, each class in its
    proportion, always the same ones. workers: processes that decode (1: this one alone); as many as processors, if
    nothing is said.
    Raises FileError (missing, no room on the disk), FormatError (names the image), ConfigError (a number).
    """
    whole("imagenet.side", side, 1)
    count = whole("imagenet.workers", workers, 1) if workers is not None else os.cpu_count() or 1
    pillow()
    root = existing(path, "ImageNet: a folder of train/ and val/")
    classes = sorted(folder.name for folder in _folders(root / "train"))
    parts = (_dataset(root / folder, classes, f"imagenet.{part}", limit, side, count) for part, folder in _PARTS)
    return Split(*parts)


_PARTS = (("train", "train"), ("test", "val"))


def _folders(folder: Path) -> list[Path]:
    found = [inner for inner in existing(folder, "a folder of class folders").iterdir() if inner.is_dir()]
    if not found:
        raise FileError(expected(str(folder), "a folder for each class", Unquoted("none")))
    return found


def _dataset(folder: Path, classes: list[str], name: str, limit: int | None, side: int, workers: int) -> Dataset:
    files: list[tuple[Path, int]] = []
    for inner in sorted(_folders(folder)):
        if inner.name not in classes:
            raise FormatError(expected(str(inner), "one of the classes of train/", inner.name))
        label = classes.index(inner.name)
        files += [(file, label) for file in sorted(inner.iterdir()) if file.suffix.lower() in ENDINGS]
    if not files:
        raise FileError(expected(str(folder), "JPEG files in its class folders", Unquoted("none")))
    labels: Labels = np.array([label for _, label in files], np.int64)
    chosen = limited_indices(labels, limit)
    images = _decoded([files[index][0] for index in chosen], side, workers)
    return Dataset(images, labels[chosen], tuple(classes), name)


def _decoded(files: list[Path], side: int, workers: int) -> Images:
    """All images, in a mapped file."""
    shape = (len(files), side, side, 3)
    with mapped(shape) as (name, images):
        step = -(-len(files) // min(workers, len(files)))
        spans = [(start, min(start + step, len(files))) for start in range(0, len(files), step)]
        _run(
            [
                {"map": name, "shape": shape, "start": start, "files": list(map(str, files[start:stop]))}
                for start, stop in spans
            ]
        )
    return images


def _run(tasks: list[dict[str, Any]]) -> None:
    """One process for each task, if there are several; the first that fails says why, and the others are ended."""
    if len(tasks) == 1:
        _work(tasks[0])
        return
    command = [sys.executable, "-m", __name__]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in tasks]
    try:
        for process, task in zip(running, tasks, strict=True):
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            process.stdin.write(json.dumps(task))
            process.stdin.close()
        for process in running:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            said = process.stdout.read()
            if process.wait():
                raise FormatError(said.strip() or f"a worker that decodes images ended with {process.returncode}")
    finally:
        for process in running:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def scaled(image: Any, side: int) -> Any:
    """A Pillow image whose shorter side is made `256/224 * side`, bilinear; the middle of it, side x side."""
    short = max(side, round(SHORT * side))
    ratio = short / min(image.size)
    width, height = (max(short, round(edge * ratio)) for edge in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    from PIL import Image

    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))


def _work(task: dict[str, Any]) -> None:
    images = np.memmap(task["map"], np.uint8, "r+", shape=tuple(task["shape"]))
    decoder, side = pillow(), task["shape"][1]
    for row, file in enumerate(task["files"], task["start"]):
        pixels = decode_jpeg(decoder, read_bytes(Path(file), "an image"), file)
        images[row] = np.asarray(scaled(decoder.fromarray(pixels), side))
    images.flush()


if __name__ == "__main__":
    try:
        _work(json.load(sys.stdin))
    except (ConfigError, FileError) as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(1)
