"""Downloads of known sets: each file is fetched once, checked against its published checksum, and unpacked."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from qpsnn_core.common.atomic import writable_folder
from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean


class Source(NamedTuple):
    """One file of a set. md5: as its publishers give it; holds: what is there once it has been unpacked.

    `holds` is "" for a file that is read as it is.
    """

    url: str
    file: str
    md5: str
    holds: str = ""


MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CIFAR = "https://www.cs.toronto.edu/~kriz/"
NMNIST = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
FIGSHARE = "https://ndownloader.figshare.com/files/"

CIFAR10_DVS = {
    "airplane": ("7712788", "0afd5c4bf9ae06af762a77b180354fdd"),
    "automobile": ("7712791", "8438dfeba3bc970c94962d995b1b9bdd"),
    "bird": ("7712794", "a9c207c91c55b9dc2002dc21c684d785"),
    "cat": ("7712812", "52c63c677c2b15fa5146a8daf4d56687"),
    "deer": ("7712815", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    "dog": ("7712818", "f379ebdf6703d16e0a690782e62639c3"),
    "frog": ("7712842", "cad6ed91214b1c7388a5f6ee56d08803"),
    "horse": ("7712851", "e7cbbf77bec584ffbf913f00e682782a"),
    "ship": ("7712836", "41c7bd7d6b251be82557c6cce9a7d5c9"),
    "truck": ("7712839", "89f3922fd147d9aeff89e76a2b0b70a7"),
}

SOURCES: MappingProxyType[str, tuple[Source, ...]] = MappingProxyType(
    {
        "mnist": tuple(
            Source(MNIST + file, file, md5)
            for file, md5 in (
                ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
                ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
                ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
            )
        ),
        "cifar10": (
            Source(
                CIFAR + "cifar-10-binary.tar.gz",
                "cifar-10-binary.tar.gz",
                "c32a1d4ab5d03f1284b67883e8d87530",
                "cifar-10-batches-bin",
            ),
        ),
        "cifar100": (
            Source(
                CIFAR + "cifar-100-binary.tar.gz",
                "cifar-100-binary.tar.gz",
                "03b5dce01913d631647c71ecec9e9cb8",
                "cifar-100-binary",
            ),
        ),
        "tinyimagenet": (
            Source(
                "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                "tiny-imagenet-200.zip",
                "90528d7ca1a48142e341f4ef8d21d0de",
                "tiny-imagenet-200",
            ),
        ),
        "nmnist": (
            Source(
                NMNIST + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
                "Train.zip",
                "20959b8e626244a1b502305a9e6e2031",
                "Train",
            ),
            Source(
                NMNIST + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
                "Test.zip",
                "69ca8762b2fe404d9b9bad1103e97832",
                "Test",
            ),
        ),
        "cifar10dvs": tuple(
            Source(FIGSHARE + number, f"{name}.zip", md5, name) for name, (number, md5) in CIFAR10_DVS.items()
        ),
    }
)
"""By name. ImageNet and DVS128 Gesture ask for a registration, so they must be fetched by hand."""


def download(name: str, folder: str | Path, *, progress: bool = False) -> Path:
    """Fetch a set of SOURCES into `folder`, which is made where it is missing, and unpack it there; returns `folder`.

    What is there already, and has its checksum, is not fetched again; archives stay. progress: a bar to standard error.
    Raises ConfigError (unknown name), DataError (pooch is missing), FileError (no connection, or the disk), FormatError
    (the checksum is another, or the archive lacks what it should hold). Nothing half-written stays.
    """
    if name not in SOURCES:
        raise ConfigError(
            expected("set to download", f"one of {', '.join(SOURCES)}", name) + did_you_mean(str(name).lower(), SOURCES)
        )
    pooch = _pooch()
    target = writable_folder(Path(folder).expanduser())
    for source in SOURCES[name]:
        archive = _fetch(pooch, source, target, progress)
        if source.holds and not (target / source.holds).exists():
            _unpack(archive, source.holds, target)
    return target


def _pooch() -> ModuleType:
    try:
        return importlib.import_module("pooch")
    except ImportError as error:
        raise DataError(expected("download", "the package pooch (the extra [data])", Unquoted(str(error)))) from error


def _fetch(pooch: ModuleType, source: Source, folder: Path, progress: bool) -> Path:
    pooch.get_logger().setLevel("WARNING")
    path = folder / source.file
    try:
        pooch.retrieve(source.url, f"md5:{source.md5}", fname=source.file, path=folder, progressbar=progress)
    except ValueError as error:  # of another checksum: pooch has taken its part file away
        raise FormatError(expected(f"{source.url}: checksum", f"md5 {source.md5}", Unquoted("another"))) from error
    except OSError as error:  # requests' errors are OSErrors, too
        reason = Unquoted(f"{type(error).__name__}; without a network, fetch it elsewhere and put it at {path}")
        raise FileError(expected(source.url, "to be reached", reason)) from error
    return path


def _unpack(archive: Path, holds: str, folder: Path) -> None:
    """Unpack beside, then rename, so that what is there is whole."""
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as beside:
        try:
            shutil.unpack_archive(archive, beside)
        except (shutil.ReadError, OSError, EOFError, ValueError) as error:
            raise FormatError(expected(str(archive), "a whole archive", Unquoted(str(error)))) from error
        if not (Path(beside) / holds).exists():
            raise FormatError(expected(str(archive), f"to hold {holds}", Unquoted("something else")))
        (Path(beside) / holds).rename(folder / holds)
