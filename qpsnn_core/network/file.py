"""A network as a JSON file, without its arrays: what a recipe may name, and what a checkpoint holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

from qpsnn_core.common.atomic import save_json
from qpsnn_core.common.errors import FormatError, QpsnnError
from qpsnn_core.common.file_kinds import JSON
from qpsnn_core.common.foreign import read_bytes
from qpsnn_core.common.hdf5 import check_file_kind
from qpsnn_core.common.validation import check_kind, check_path
from qpsnn_core.network.graph import Network

PathLike = str | os.PathLike[str]


def save_network(path: PathLike, network: Network) -> None:
    """Write the text of `Network.to_json`, indented; whole or not at all. Raises FileError, NodeKindError."""
    check_path("save_network.path", path)
    check_kind("save_network.network", network, Network)
    save_json(path, json.loads(network.to_json()))


def load_network(path: PathLike) -> Network:
    """Read what `save_network` wrote. FileError (cannot be read), or what is wrong in it, with the file in front."""
    check_path("load_network.path", path)
    check_file_kind(path, JSON)
    data = read_bytes(Path(path), "a network in JSON")
    try:
        return Network.from_json(data.decode())
    except UnicodeDecodeError as error:
        raise FormatError(f"{os.fspath(path)}: not JSON in UTF-8: {error}") from error
    except RecursionError as error:
        raise FormatError(f"{os.fspath(path)}: nested too deep") from error
    except QpsnnError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error
