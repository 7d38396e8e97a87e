"""Which format files are in, where that is beyond doubt."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from qpsnn_core.common.errors import ConfigError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign_hdf5 import foreign_hdf5

from .formats import aedat2
from .formats.signature import signature
from .layouts import CIFAR10, DIGITS, FORMATS
from .own_layouts import SETS, SPIKES, TRIALS
from .tree import Tree

NAMES = (*FORMATS, *SETS)
CALTECH = {"BACKGROUND_Google", "Faces_easy", "Motorbikes", "airplanes"}
"""Some classes of N-Caltech101; one of them is enough."""


def guess(tree: Tree) -> str:
    """The name of the format. Raises ConfigError where it could be several, or none."""
    found = sorted({each for name in tree.names if (each := _of_file(tree, name))})
    if all(tree.named(listed) for listed in TRIALS.values()):
        found = ["dvs-gesture"]
    if len(found) != 1:
        said = f"files that could be {' or '.join(found)}" if found else f"no file that says what it is{_others(tree)}"
        raise ConfigError(expected(f"{tree.root}: format", f"one given, of {', '.join(NAMES)}", Unquoted(said)))
    return found[0]


HEAD = 1 << 16
"""Bytes that are read of a file to tell its format."""

ENDINGS = {".aedat4": "aedat4", ".raw": "evt", ".dat": "dat", ".npy": "numpy", ".npz": "numpy"}
AEDAT = (".aedat", ".aedat2", ".aedat3")
OF_CAMERA = {"DVS128": "aedat2-dvs128", "DAVIS346": "aedat2-davis346"}
CIFAR10_DVS = re.compile(r"cifar10_[a-z]+_\d+\.aedat")


def _of_file(tree: Tree, name: str) -> str:
    """What a file is, by its name, its folder and, of HDF5 and AEDAT, its content; "" if nothing says so."""
    path = PurePosixPath(name)
    folder, ending = path.parent.name, path.suffix.lower()
    if ending == ".bin":
        return "n-mnist" if folder in DIGITS else "n-caltech101" if set(path.parts) & CALTECH else ""
    if ending in AEDAT:
        if folder in CIFAR10 and CIFAR10_DVS.fullmatch(path.name):
            return "cifar10-dvs"
        return _aedat(tree.head_of(name, HEAD))
    if ending in (".h5", ".hdf5"):
        spikes = SPIKES.fullmatch(path.name)
        return spikes[1] if spikes else _hdf5(tree, name)
    return ENDINGS.get(ending, "")


def _aedat(data: bytes) -> str:
    """By the version, and of AEDAT 2.0, whose addresses each camera has in its own way, by the header's AEChip."""
    version = signature(data)
    if version == aedat2.SIGNATURE:
        return OF_CAMERA.get(aedat2.camera(aedat2.named_chip(data)), "")
    return {"AEDAT 3.1": "aedat3", "AEDAT 4.0": "aedat4"}.get(version, "")


def _others(tree: Tree) -> str:
    """What the files of AEDAT are that no format was found for."""
    found = {}
    for name in tree.names:
        data = tree.head_of(name, HEAD) if PurePosixPath(name).suffix.lower() in AEDAT else b""
        if version := signature(data):
            chip = aedat2.named_chip(data) if version == aedat2.SIGNATURE else ""
            found[f"{version} of {chip}" if chip else version] = name
    return f": {', '.join(f'{name} is {version}' for version, name in found.items())}" if found else ""


def _hdf5(tree: Tree, name: str) -> str:
    path = tree.path_of(name)
    try:
        with foreign_hdf5(path) as file:
            if file.kind("CD/events") != "nothing":
                return "prophesee-h5"
            return "dsec" if file.kind("events/t") == "dataset" and file.kind("ms_to_idx") != "nothing" else ""
    except FormatError:  # no HDF5, or damaged: who reads it as a format that was given will say so
        return ""
