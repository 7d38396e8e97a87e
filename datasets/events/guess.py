"""Which format files are in, where that is beyond doubt."""

from __future__ import annotations

from pathlib import PurePosixPath

import h5py

from qpsnn_core.common.errors import ConfigError, Unquoted, expected

from .formats import aedat2, aedat3
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
        said = f"files that could be {' or '.join(found)}" if found else "no file that says what it is"
        raise ConfigError(expected(f"{tree.root}: format", f"one given, of {', '.join(NAMES)}", Unquoted(said)))
    return found[0]


ENDINGS = {".aedat4": "aedat4", ".raw": "evt", ".dat": "dat", ".npy": "numpy", ".npz": "numpy"}


def _of_file(tree: Tree, name: str) -> str:
    """What a file is, by its name, its folder and, of HDF5 and AEDAT, its content; "" if nothing says so."""
    path = PurePosixPath(name)
    folder, ending = path.parent.name, path.suffix.lower()
    if ending == ".bin":
        return "n-mnist" if folder in DIGITS else "n-caltech101" if set(path.parts) & CALTECH else ""
    if ending == ".aedat":
        if folder in CIFAR10 and path.name.startswith("cifar10_"):
            return "cifar10-dvs"
        return _aedat(tree.head_of(name, 4096))
    if ending in (".h5", ".hdf5"):
        spikes = SPIKES.fullmatch(path.name)
        return spikes[1] if spikes else _hdf5(tree, name)
    return ENDINGS.get(ending, "")


def _aedat(data: bytes) -> str:
    if data.startswith(aedat3.MAGIC):
        return "aedat3"
    if data.startswith(aedat2.MAGIC):
        header = data.lower()
        return "aedat2-davis346" if b"davis346" in header else "aedat2-dvs128" if b"dvs128" in header else ""
    return ""


def _hdf5(tree: Tree, name: str) -> str:
    path = tree.path_of(name)
    if not h5py.is_hdf5(path):
        return ""
    with h5py.File(path, "r") as file:
        if "CD/events" in file:
            return "prophesee-h5"
        return "dsec" if "events/t" in file and "ms_to_idx" in file else ""
