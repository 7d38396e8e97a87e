"""Checkpoints: a model and all that a run needs to go on as if it had never stopped, in one HDF5 file.

A file holds `network` and `about` (JSON), and the arrays `params/node/name`, `state/node/name` and
`optimizer/slot/node/name`; the attribute `checksum` covers all of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import h5py
import numpy as np

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, QpsnnError, ShapeError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes
from qpsnn_core.common.hdf5 import read_array, read_text, reading, text_attribute, writing
from qpsnn_core.common.serialization import converter, structure
from qpsnn_core.common.types import Arrays
from qpsnn_core.common.validation import check_kind, check_path
from qpsnn_core.common.versions import library_versions
from qpsnn_core.engine.checks import check_arrays, check_finite, check_model, each_array
from qpsnn_core.engine.passes import initialise
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.optim.optimizers import State
from qpsnn_core.training.history import Cursor, Epoch, TrainedOn

KIND = "qpsnn-checkpoint"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A model; where its training stands (optimizer, position: None when there is nothing to go on with); its past.

    recipe: what made it; notes: anything else, such as stages with their accuracy; both are JSON data. versions: of
    the libraries that wrote it. data: what it was last trained on (None: nothing, or not known); only the recipe names
    a set that can be loaded.
    """

    model: Model
    optimizer: State | None = None
    position: Cursor | None = None
    history: tuple[Epoch, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=library_versions)
    data: TrainedOn | None = None

    def __post_init__(self) -> None:
        check_kind("Checkpoint.model", self.model, Model)

    def __repr__(self) -> str:
        """The model, and what else there is, not the arrays."""
        there = [repr(self.optimizer)] if self.optimizer else []
        there += [name for name in ("position", "recipe", "notes", "data") if getattr(self, name)]
        return f"Checkpoint({self.model!r}, {len(self.history)} epochs, with {', '.join(there) or 'nothing else'})"


@dataclass(frozen=True)
class _About:
    """The JSON part of a file. step: the optimizer's, None without one; slots: its names."""

    history: tuple[Epoch, ...]
    position: Cursor | None
    recipe: dict[str, Any]
    notes: dict[str, Any]
    versions: dict[str, str]
    step: int | None
    slots: tuple[str, ...]
    data: TrainedOn | None = None


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint | Model) -> None:
    """Write it, whole or not at all: until the last moment an older file of that name stays as it was.

    A Model is written as `Checkpoint(model)`.

    Raises FileError (disk full, no such folder), ShapeError or NumericsError (arrays that are not the network's, NaN),
    ConfigError (a recipe or notes that are not JSON data).
    """
    check_path("save_checkpoint.path", path)
    if isinstance(checkpoint, Model):
        checkpoint = Checkpoint(checkpoint)
    check_kind("save_checkpoint.checkpoint", checkpoint, Checkpoint, Model)
    check_model(checkpoint.model, "save_checkpoint.checkpoint.model")
    network, params, state = checkpoint.model
    groups = {"params": params, "state": state}
    optimizer = checkpoint.optimizer
    for slot, arrays in optimizer.slots.items() if optimizer else ():
        check_arrays(f"optimizer.{slot}", arrays, params)
        groups[f"optimizer/{slot}"] = arrays
    about = _About(
        checkpoint.history,
        checkpoint.position,
        dict(checkpoint.recipe),
        dict(checkpoint.notes),
        dict(checkpoint.versions),
        optimizer.step if optimizer else None,
        tuple(optimizer.slots) if optimizer else (),
        checkpoint.data,
    )
    texts = {"network": network.to_json(), "about": _json(about)}
    with writing(path, KIND, VERSION) as file:
        for name, text in texts.items():
            file[name] = np.bytes_(text.encode())  # of fixed length: HDF5 can loop for ever on damaged others
        for group, arrays in groups.items():
            file.create_group(group)
            for node, name, array in each_array(arrays):
                file[f"{group}/{node}/{name}"] = array
        file.attrs["checksum"] = np.bytes_(_checksum(texts, groups))


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Exactly what was saved.

    Raises FileError (not there), VersionError, FormatError: not such a file, truncated, altered, or an array that is
    missing, too many, or not of the shape and type that the network says (`params.conv1.weight: expected ...`).
    """
    check_path("load_checkpoint.path", path)
    with reading(path, KIND, VERSION) as file:
        try:
            return _read(file)
        except FileError as error:
            where = "" if str(error).startswith(os.fspath(path)) else f"{os.fspath(path)}: "
            raise type(error)(f"{where}{error}") from error
        except (QpsnnError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise FormatError(f"{os.fspath(path)}: {error}") from error


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model of a checkpoint; raises as `load_checkpoint`."""
    return load_checkpoint(path).model


def _json(about: _About) -> str:
    try:
        written = asdict(about)
        if about.data is None:  # as it was before checkpoints said it
            del written["data"]
        return json.dumps(written, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(expected("checkpoint", "a recipe, notes and history of JSON data", str(error))) from error


def _read(file: h5py.File) -> Checkpoint:
    texts = {name: read_text(file, name) for name in ("network", "about")}
    network = Network.from_json(texts["network"])
    about = structure(converter(), json.loads(texts["about"]), _About, "about")
    _check_weights(file, network)
    template = initialise(network)
    wanted = {"params": template.params, "state": template.state}
    wanted |= {f"optimizer/{slot}": template.params for slot in about.slots}
    groups = {name: _arrays(file, name, want) for name, want in wanted.items()}
    for name, arrays in groups.items():
        check_finite(name.replace("/", "."), arrays)
    if text_attribute(file, "checksum") != _checksum(texts, groups):
        raise FormatError("altered: its contents do not have its checksum")
    optimizer = None
    if about.step is not None:
        optimizer = State(about.step, {slot: groups[f"optimizer/{slot}"] for slot in about.slots})
    model = Model(network, groups["params"], groups["state"])
    past = (about.position, about.history, about.recipe, about.notes, about.versions)
    return Checkpoint(model, optimizer, *past, about.data)


def _arrays(file: h5py.File, group: str, want: Arrays) -> Arrays:
    """All arrays of a group, read only once their names, shapes and types are known to be right."""
    found: dict[str, Any] = {}
    for node, inner in file[group].items():
        found[node] = dict(inner.items()) if isinstance(inner, h5py.Group) else {"": inner}
    check_arrays(group.replace("/", "."), found, want)
    return {node: {name: read_array(found[node][name]) for name in inner} for node, inner in want.items()}


def _check_weights(file: h5py.File, network: Network) -> None:
    """The file holds the weights that the network needs: a description alone asks for no memory."""
    for node in network.synapses:
        shape = list(node.weight_shape(network.inputs_of(node)[0]))
        part = file.get(f"params/{node.name}/weight")
        if not isinstance(part, h5py.Dataset) or list(part.shape or ()) != shape:
            got = Unquoted("nothing" if part is None else f"{part.dtype} {list(part.shape or ())}")
            raise ShapeError(expected(f"params.{node.name}.weight", f"float32 {shape}", got))
        length = os.path.getsize(file.filename)
        check_bytes(f"params.{node.name}.weight", part.dtype.itemsize * math.prod(shape), length)


def _checksum(texts: Mapping[str, str], groups: Mapping[str, Arrays]) -> str:
    """SHA-256 of all names and contents, whatever their order."""
    total = hashlib.sha256()
    for name in sorted(texts):
        total.update(f"{name} {texts[name]}\n".encode())
    for group in sorted(groups):
        for node, name, array in sorted(each_array(groups[group]), key=lambda item: item[:2]):
            total.update(f"{group}/{node}/{name} {array.dtype} {array.shape}\n".encode())
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
