"""DECOLLE networks, and where their training stands, as files of the kind of `file.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qpsnn_core.common.errors import DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array, NamedArrays
from qpsnn_core.common.validation import check_at_least, check_kind, check_path, described
from qpsnn_core.common.versions import library_versions
from qpsnn_core.integer.local.decolle_maps import layout_of
from qpsnn_core.local_learning.decolle import Decolle
from qpsnn_core.local_learning.decolle_formats import DecolleFormats
from qpsnn_core.local_learning.decolle_model import DecolleModel
from qpsnn_core.local_learning.decolle_run import Moments
from qpsnn_core.local_learning.file import read_network, write_network
from qpsnn_core.local_learning.plain_form import from_plain, to_plain

SUPERVISED = "Decolle"

GROUPS = ("weights", "biases", "readouts", "readout_biases")


@dataclass(frozen=True)
class DecolleCheckpoint:
    """A model, where its training stands (moments: None where it is over), and its past.

    losses: the mean loss of each layer, epoch by epoch, of which the last may not be whole. recipe: what made it;
    notes: anything else; both JSON data. versions: of the libraries that wrote it.
    """

    model: DecolleModel
    moments: Moments | None = None
    losses: tuple[tuple[float, ...], ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=library_versions)

    def __post_init__(self) -> None:
        check_kind("DecolleCheckpoint.model", self.model, DecolleModel)


def save_decolle(path: str | os.PathLike[str], checkpoint: DecolleCheckpoint) -> None:
    """Write it, whole or not at all. Raises FileError, ConfigError (recipe or notes that are no JSON data)."""
    check_path("save_decolle.path", path)
    check_kind("save_decolle.checkpoint", checkpoint, DecolleCheckpoint)
    model, moments = checkpoint.model, checkpoint.moments
    about = {
        "kind": SUPERVISED,
        "network": to_plain(model.network),
        "formats": to_plain(model.formats),
        "seed": model.seed,
        "seen": model.seen,
        "updates": None if moments is None else moments.updates,
        "losses": [list(one) for one in checkpoint.losses],
        **{name: dict(getattr(checkpoint, name)) for name in ("recipe", "notes", "versions")},
    }
    arrays = {f"{name}.{k}": one for name in GROUPS for k, one in enumerate(getattr(model, name))}
    if moments is not None:
        arrays |= {"largest.weights": moments.weights, "largest.biases": moments.biases}
    write_network(path, about, arrays)


def load_decolle(path: str | os.PathLike[str]) -> DecolleCheckpoint:
    """Exactly what was saved; raises as `load_local`."""
    check_path("load_decolle.path", path)
    return read_network(path, SUPERVISED, _read)


def _read(about: Any, arrays: NamedArrays) -> DecolleCheckpoint:
    network = from_plain(about["network"], Decolle, "network")
    formats = from_plain(about["formats"], DecolleFormats, "formats")
    groups = {name: tuple(arrays[f"{name}.{k}"] for k in range(len(network.layers))) for name in GROUPS}
    model = DecolleModel(network, formats, seed=about["seed"], seen=about["seen"], **groups)
    moments = None
    if about["updates"] is not None:
        check_at_least("updates", about["updates"], 0)
        at = layout_of(network.maps)
        weights = _checked("largest.weights", arrays, at.weights)
        moments = Moments(weights, _checked("largest.biases", arrays, at.biases), about["updates"])
    losses = tuple(tuple(float(x) for x in one) for one in about["losses"])
    return DecolleCheckpoint(model, moments, losses, about["recipe"], about["notes"], about["versions"])


def _checked(name: str, arrays: NamedArrays, count: int) -> Array:
    array = arrays[name]
    if array.dtype != np.float32:
        raise DataError(expected(name, "float32", Unquoted(described(array))))
    if array.shape != (count,):
        raise ShapeError(expected(name, [count], list(array.shape)))
    return array
