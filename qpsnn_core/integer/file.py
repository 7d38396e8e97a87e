"""Integer networks as HDF5 files: every array packed to its bits, and a checksum over all of it.

A file holds `contents` (JSON: steps, nodes, how each array is packed) and one uint8 dataset `node.array` for each
array that is not constant. `packing.py` says how to read the bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from typing import Any

import h5py
import numpy as np

from qpsnn_core.common.errors import FileError, FormatError, QpsnnError, expected
from qpsnn_core.common.foreign import check_bytes, foreign
from qpsnn_core.common.hdf5 import read_array, reading, writing
from qpsnn_core.common.types import NamedArrays
from qpsnn_core.common.validation import check_at_most, check_kind, check_path
from qpsnn_core.integer.network import IntegerNetwork, nodes_from_json
from qpsnn_core.integer.packing import Packed, pack, unpack
from qpsnn_core.network.graph import MOST_STEPS

KIND = "qpsnn-integer"
VERSION = 1


def save_integer(path: str | os.PathLike[str], network: IntegerNetwork) -> None:
    """Write the network, whole or not at all. Raises FileError."""
    check_path("save_integer.path", path)
    check_kind("save_integer.network", network, IntegerNetwork)
    described: dict[str, dict[str, Any]] = {}
    parts: dict[str, bytes] = {}
    for node, arrays in network.arrays.items():
        described[node] = {}
        for name, array in arrays.items():
            packed = pack(array)
            described[node][name] = {**packed._asdict(), "shape": list(packed.shape)}
            del described[node][name]["data"]
            if not packed.sparse:  # as it was before there were sparse arrays
                del described[node][name]["sparse"]
            if packed.data.size:
                parts[f"{node}.{name}"] = packed.data.tobytes()
    text = json.dumps({"steps": network.steps, "nodes": json.loads(network.nodes_json()), "arrays": described})
    parts["contents"] = text.encode()
    with writing(path, KIND, VERSION) as file:
        for name, data in parts.items():
            file.create_dataset(name, data=np.frombuffer(data, np.uint8))
        file.attrs["checksum"] = np.bytes_(_checksum(parts))


def load_integer(path: str | os.PathLike[str]) -> IntegerNetwork:
    """Exactly the network that was saved.

    Raises FileError (not there), FormatError (not such a file, truncated or altered), VersionError.
    """
    check_path("load_integer.path", path)
    try:
        with reading(path, KIND, VERSION) as file:
            parts = {name: _bytes(file, name) for name in file}
            if file.attrs.get("checksum") != _checksum(parts):
                raise FormatError(f"{path}: altered: its contents do not have its checksum")
        with foreign(path, f"{KIND} file"):
            contents = json.loads(parts["contents"])
            check_at_most("steps", contents["steps"], MOST_STEPS)
            _check_sizes(contents, os.fspath(path), sum(map(len, parts.values())))
            return _network(contents, parts)
    except FileError:
        raise
    except QpsnnError as error:
        raise FormatError(f"{path}: not a whole {KIND} file: {error}") from error


def _check_sizes(contents: dict[str, Any], path: str, length: int) -> None:
    """A constant takes no bits in the file, however large: all arrays together are checked before one is made."""
    total = 0
    for named in contents["arrays"].values():
        for how in named.values():
            total += math.prod(how["shape"]) * np.dtype(how["dtype"]).itemsize
    check_bytes(path, total, length)


def _network(contents: dict[str, Any], parts: dict[str, bytes]) -> IntegerNetwork:
    arrays: dict[str, NamedArrays] = {}
    for node, named in contents["arrays"].items():
        arrays[node] = {}
        for name, how in named.items():
            some = how["bits"] or how.get("sparse")
            data = np.frombuffer(parts[f"{node}.{name}"] if some else b"", np.uint8)
            arrays[node][name] = unpack(Packed(data, **{**how, "shape": tuple(how["shape"])}))
    return IntegerNetwork(nodes_from_json(json.dumps(contents["nodes"])), arrays, contents["steps"])


def _bytes(file: h5py.File, name: str) -> bytes:
    part = file[name]
    if not isinstance(part, h5py.Dataset) or part.dtype != np.uint8 or part.ndim != 1:
        raise FormatError(expected(f"{file.filename}: {name}", "a row of bytes", str(part)))
    return read_array(part).tobytes()


def _checksum(parts: dict[str, bytes]) -> bytes:
    total = hashlib.sha256()
    for name in sorted(parts):
        total.update(f"{name} {len(parts[name])}\n".encode())
        total.update(parts[name])
    return total.hexdigest().encode()
