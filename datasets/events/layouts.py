"""Where recordings, their classes and their splits are found: class folders of one format, and sets of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, Unquoted, expected

from .formats import aedat2, aedat3, aedat4, arrays, atis_bin, dat, evt, hdf5
from .raw import Raw
from .recording import UNLABELLED
from .tree import Tree

Sensor = tuple[int, int]

DIGITS = tuple("0123456789")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}


class Item(NamedTuple):
    """A recording that can be read: its class (-1: none), its split, and how."""

    name: str
    label: int
    split: str
    load: Callable[[], Raw]


class Source(NamedTuple):
    """What an import reads: the names of the classes, and the recordings."""

    classes: tuple[str, ...]
    items: list[Item]


@dataclass(frozen=True)
class Format:
    """How files of one kind are read.

    read: takes (bytes, or the path where `by_path`; name; sensor). endings, begins: of the files' names. sensor: that
    all have; None: each file says its own, or, where `asks`, the user must. classes: that a set always has.
    """

    text: str
    endings: tuple[str, ...]
    read: Callable[..., Raw]
    by_path: bool = False
    sensor: Sensor | None = None
    asks: bool = False
    classes: tuple[str, ...] = ()
    begins: str = ""


def _aedat2(text: str, columns: Callable[..., aedat2.Columns], sensor: Sensor, classes: tuple[str, ...] = ()) -> Format:
    read = partial(aedat2.decode, columns=columns)
    return Format(f"AEDAT 2.0, {text}", (".aedat", ".aedat2"), read, sensor=sensor, classes=classes)


HDF5 = (".h5", ".hdf5")
FORMATS = {
    "n-mnist": Format("N-MNIST: Train/5/00001.bin", (".bin",), atis_bin.decode, sensor=(34, 34), classes=DIGITS),
    "n-caltech101": Format(
        "N-Caltech101: crab/image_0001.bin", (".bin",), atis_bin.decode, sensor=(180, 240), begins="image_"
    ),
    "cifar10-dvs": _aedat2(
        "CIFAR10-DVS: dog/cifar10_dog_0.aedat, x and y as SpikingJelly's", aedat2.cifar10dvs, (128, 128), CIFAR10
    ),
    "aedat2-dvs128": _aedat2("of a DVS128", aedat2.dvs128, (128, 128)),
    "aedat2-davis346": _aedat2("of a DAVIS346", aedat2.davis346, (260, 346)),
    "aedat3": Format("AEDAT 3.1", (".aedat", ".aedat3"), aedat3.decode),
    "aedat4": Format("AEDAT 4.0, through faery", (".aedat4", ".aedat"), aedat4.read, by_path=True),
    "dat": Format("Prophesee DAT", (".dat",), dat.decode),
    "evt": Format("Prophesee RAW, EVT 2.0, 2.1 and 3.0", (".raw",), evt.decode),
    "prophesee-h5": Format("Prophesee HDF5", HDF5, hdf5.read_prophesee, by_path=True),
    "dsec": Format("DSEC: events.h5", HDF5, hdf5.read_dsec, by_path=True, sensor=hdf5.DSEC_SENSOR),
    "numpy": Format("arrays x, y, t, p as tonic's and SpikingJelly's", (".npy", ".npz"), arrays.decode, asks=True),
}
"""What is one file for each recording: a file alone, or a folder of them, with class and split folders above or not."""


def class_folders(tree: Tree, name: str, sensor: Sensor | None) -> Source:
    """The recordings of a format: `[Train/][class/]file`, below any further folders.

    Raises ConfigError (a sensor that must be given), FileError (no such files), FormatError (a folder of no class).
    """
    kind = FORMATS[name]
    if kind.asks and sensor is None:
        want = "the sensor's size, which its format does not say: --sensor WIDTHxHEIGHT"
        raise ConfigError(expected(f"{tree.root}: sensor", want, Unquoted("none")))
    files = [each for each in tree.names if _fits(kind, each)]
    if not files:
        want = f"files {kind.begins}*{' or *'.join(kind.endings)}"
        raise FileError(expected(str(tree.root), want, Unquoted(f"none of {len(tree.names)} files")))
    folders = [_class_and_split(each) for each in files]
    found = {folder for folder, _ in folders if folder}
    classes = kind.classes or tuple(
        sorted(found, key=lambda each: (int(each), each) if each.isdecimal() else (-1, each))
    )
    unknown = sorted(found - set(classes))
    if unknown:
        raise FormatError(expected(f"{tree.root}: folder", f"one of the classes {', '.join(classes)}", unknown[0]))
    size = sensor or kind.sensor
    return Source(
        classes,
        [
            Item(each, classes.index(folder) if folder else UNLABELLED, split, partial(_load, tree, kind, each, size))
            for each, (folder, split) in zip(files, folders, strict=True)
        ],
    )


def _fits(kind: Format, name: str) -> bool:
    last = PurePosixPath(name).name.lower()
    return last.endswith(kind.endings) and last.startswith(kind.begins)


def _class_and_split(name: str) -> tuple[str, str]:
    """The class folder ("": none) and the split of a file, by the names of the folders above it."""
    above = PurePosixPath(name).parts[:-1]
    split = next((SPLIT_FOLDERS[part.lower()] for part in above if part.lower() in SPLIT_FOLDERS), "none")
    folder = above[-1] if above and above[-1].lower() not in SPLIT_FOLDERS else ""
    return folder, split


def _load(tree: Tree, kind: Format, name: str, sensor: Sensor | None) -> Raw:
    content = tree.path_of(name) if kind.by_path else tree.bytes_of(name)
    return kind.read(content, name, sensor)
