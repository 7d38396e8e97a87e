"""Networks that learn locally as HDF5 files: whole or not there, of one version, with a checksum over all of it.

A file holds `about` (JSON: the kind of network, its description, formats and past) and the arrays `arrays/name`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, QpsnnError, expected
from qpsnn_core.common.file_kinds import LOCAL as KIND
from qpsnn_core.common.hdf5 import read_array, read_text, reading, text_attribute, writing
from qpsnn_core.common.types import NamedArrays
from qpsnn_core.common.validation import check_kind, check_path
from qpsnn_core.common.versions import library_versions
from qpsnn_core.local_learning.formats import NumberFormats
from qpsnn_core.local_learning.labels import LabelledNeurons
from qpsnn_core.local_learning.model import LocalModel
from qpsnn_core.local_learning.network import DiehlCook
from qpsnn_core.local_learning.plain_form import from_plain, to_plain

T = TypeVar("T")

VERSION = 1

UNSUPERVISED = "DiehlCook"

LABELS = ("assignments", "proportions", "rates")


@dataclass(frozen=True)
class LocalCheckpoint:
    """A model, what its neurons stand for (None: not known yet), and its past.

    recipe: what made it; notes: anything else; both JSON data. versions: of the libraries that wrote it.
    """

    model: LocalModel
    named: LabelledNeurons | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=library_versions)

    def __post_init__(self) -> None:
        check_kind("LocalCheckpoint.model", self.model, LocalModel)
        if self.named is not None:
            check_kind("LocalCheckpoint.named", self.named, LabelledNeurons)


def save_local(path: str | os.PathLike[str], checkpoint: LocalCheckpoint) -> None:
    """Write it, whole or not at all. Raises FileError, ConfigError (recipe or notes that are no JSON data)."""
    check_path("save_local.path", path)
    check_kind("save_local.checkpoint", checkpoint, LocalCheckpoint)
    model = checkpoint.model
    about = {
        "kind": UNSUPERVISED,
        "network": to_plain(model.network),
        "formats": to_plain(model.formats),
        "seed": model.seed,
        "seen": model.seen,
        "named": checkpoint.named is not None,
        **{name: dict(getattr(checkpoint, name)) for name in ("recipe", "notes", "versions")},
    }
    arrays = {"weights": model.weights, "adaptation": model.adaptation}
    if checkpoint.named is not None:
        arrays |= {name: getattr(checkpoint.named, name) for name in LABELS}
    write_network(path, about, arrays)


def load_local(path: str | os.PathLike[str]) -> LocalCheckpoint:
    """Exactly what was saved.

    Raises FileError (not there), VersionError, FormatError: not such a file, truncated, altered, or an array that is
    missing, or not of the shape and type that the network says.
    """
    check_path("load_local.path", path)
    return read_network(path, UNSUPERVISED, _read)


def _read(about: Any, arrays: NamedArrays) -> LocalCheckpoint:
    network = from_plain(about["network"], DiehlCook, "network")
    formats = from_plain(about["formats"], NumberFormats, "formats")
    model = LocalModel(network, formats, arrays["weights"], arrays["adaptation"], about["seed"], about["seen"])
    named = LabelledNeurons(*(arrays[name] for name in LABELS)) if about["named"] else None
    return LocalCheckpoint(model, named, about["recipe"], about["notes"], about["versions"])


def write_network(path: str | os.PathLike[str], about: Mapping[str, Any], arrays: NamedArrays) -> None:
    """A file of this kind. about: JSON data. Raises FileError, ConfigError (what is no JSON data)."""
    try:
        text = json.dumps(about, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(expected("checkpoint", "a recipe and notes of JSON data", str(error))) from error
    with writing(path, KIND, VERSION) as file:
        file["about"] = np.bytes_(text.encode())  # of fixed length: HDF5 can loop for ever on damaged others
        group = file.create_group("arrays")
        for name, array in arrays.items():
            group[name] = array
        file.attrs["checksum"] = np.bytes_(_checksum(text, arrays))


def read_network(path: str | os.PathLike[str], kind: str, made: Callable[[Any, NamedArrays], T]) -> T:
    """What `made` makes of a file's description and arrays, if it is of this kind of network; as `load_local`."""
    with reading(path, KIND, VERSION) as file:
        try:
            text = read_text(file, "about")
            group = file["arrays"]
            arrays = {name: read_array(group[name]) for name in group}
            if text_attribute(file, "checksum") != _checksum(text, arrays):
                raise FormatError("altered: its contents do not have its checksum")
            about = json.loads(text)
            if about["kind"] != kind:
                raise FormatError(expected("kind", kind, about["kind"]))
            return made(about, arrays)
        except FileError as error:
            where = "" if str(error).startswith(os.fspath(path)) else f"{os.fspath(path)}: "
            raise type(error)(f"{where}{error}") from error
        except (QpsnnError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise FormatError(f"{os.fspath(path)}: {error}") from error


def kind_of_network(path: str | os.PathLike[str]) -> str:
    """The kind of network that a file of this kind holds. Raises as `load_local`."""
    with reading(path, KIND, VERSION) as file:
        try:
            return str(json.loads(read_text(file, "about"))["kind"])
        except (LookupError, TypeError, ValueError) as error:
            raise FormatError(f"{os.fspath(path)}: {error}") from error


def _checksum(text: str, arrays: NamedArrays) -> str:
    """SHA-256 of all names and contents, whatever their order."""
    total = hashlib.sha256(f"about {text}\n".encode())
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
