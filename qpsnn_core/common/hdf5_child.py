"""The process that reads other people's HDF5 files: HDF5 can loop for ever, or end its process, on damaged ones.

Started as `python -m qpsnn_core.common.hdf5_child`. Each line of its input is a request in JSON; each answer is a line
of JSON, and after it the bytes of an array in pieces, each with a line before it. It runs nothing that a file names.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import signal
import sys
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

PIECE = 1 << 22
"""Bytes of an array that are read and sent at once; a chunk of the file may be more."""

SECONDS = 2.0
"""Of the processor, for one piece and what it unpacks; whole files of a few megabytes take milliseconds."""

BYTES_PER_SECOND = 20e6
"""More time for larger pieces: slow filters unpack ten times faster."""

SPARE = 1 << 30
"""Bytes that the process may have beside what the file's contents may take."""


class Refused(Exception):  # noqa: N818 - it is an answer
    """What the parent is to say of the file."""


def restart_clock(size: int = 0) -> None:
    """End this process if the next `size` bytes take too long; a signal ends loops in C without any help of Python."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, SECONDS + size / BYTES_PER_SECOND)


def limit_memory(most: int) -> None:
    """Let a false length fail to get its memory."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = SPARE + 3 * most
        resource.setrlimit(resource.RLIMIT_AS, (soft if hard < 0 else min(soft, hard), hard))


def found(group: h5py.Group, key: str) -> Any:
    """What is called so, None where nothing is; what is damaged raises, and links to other files are refused."""
    part: Any = group
    for name in filter(None, key.split("/")):
        if not isinstance(part, h5py.Group) or not part.id.links.exists(name.encode("utf-8", "surrogateescape")):
            return None
        if isinstance(part.get(name, getlink=True), h5py.ExternalLink):
            raise Refused(f"{key}: expected a part of this file, got a link to another")
        part = part[name]
    return part


def dataset(file: h5py.File, key: str, most: int) -> h5py.Dataset:
    """A dataset whose size and chunks are within `most` bytes, or Refused."""
    part = found(file, key)
    if not isinstance(part, h5py.Dataset):
        raise Refused(f"{key}: expected a dataset, got {'nothing' if part is None else 'a group'}")
    if part.external:
        raise Refused(f"{key}: expected its values in this file, got them in {part.external[0][0]}")
    sizes = {"": part.shape or (), " (a chunk)": part.chunks or ()}
    for what, shape in sizes.items():
        size = math.prod(shape) * part.dtype.itemsize
        if size > most:
            raise Refused(f"{key}{what}: expected at most {most:,} bytes unpacked, got {size:,}")
    return part


def filters(file: h5py.File, key: str, plugins: list[str], most: int) -> list[int]:
    """The filters of a dataset that are not there, after importing the modules that may bring them."""
    plan = dataset(file, key, most).id.get_create_plist()
    codes = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    if not all(map(h5py.h5z.filter_avail, codes)):
        for name in plugins:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    return [code for code in codes if not h5py.h5z.filter_avail(code)]


def text(value: Any) -> str:
    """Bytes as the text of the same numbers: JSON holds no bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value).encode("utf-8").decode("latin-1")


def send(head: dict[str, Any], pieces: Iterator[Any] | tuple[Any, ...] = ()) -> None:
    """One answer. pieces: C-contiguous arrays; the time for a piece is that for the one before it."""
    out = sys.stdout.buffer
    out.write(json.dumps(head).encode() + b"\n")
    for piece in pieces:
        data = memoryview(piece).cast("B") if piece.size else b""
        out.write(json.dumps({"bytes": len(data)}).encode() + b"\n")
        out.write(data)
        restart_clock(len(data))
    out.flush()


def send_value(value: Any, most: int) -> None:
    """An array or a single value; texts, of any length each, as JSON."""
    array = value if isinstance(value, np.ndarray) else np.asarray(value, object if isinstance(value, str) else None)
    if array.dtype.kind in "OS" and array.dtype.names is None:
        flat = array.reshape(-1).tolist()
        if not all(isinstance(item, (bytes, str)) for item in flat):
            raise Refused("expected numbers or texts, got other objects")
        if sum(map(len, flat)) > most:
            raise Refused(f"expected texts of at most {most:,} bytes")
        send({"texts": [text(item) for item in flat], "shape": array.shape})
        return
    if array.dtype.hasobject:
        raise Refused(f"expected numbers or texts, got {array.dtype}")
    send_array(array.dtype, array.shape, iter((np.ascontiguousarray(array).reshape(-1).view(np.uint8),)))


def send_array(dtype: Any, shape: tuple[int, ...], pieces: Iterator[Any]) -> None:
    """An array of numbers, of any layout that NumPy's own files have."""
    plain = dtype if dtype.names else np.dtype(dtype.str)  # without what h5py notes of it
    described = np.lib.format.dtype_to_descr(plain)  # type: ignore[no-untyped-call]  # NumPy gives it no types
    send({"dtype": described, "shape": shape}, pieces)


def read(file: h5py.File, key: str, most: int) -> None:
    """Send a whole dataset; large ones in pieces."""
    part = dataset(file, key, most)
    size = math.prod(part.shape or ()) * part.dtype.itemsize
    if part.shape is None:
        raise Refused(f"{key}: expected a dataset with a value, got an empty one")
    restart_clock(max(PIECE, math.prod(part.chunks or ()) * part.dtype.itemsize))
    if size <= PIECE or part.dtype.hasobject or part.dtype.kind == "S" or not part.shape:
        send_value(part[()], most)
        return
    step = max(1, PIECE // (size // part.shape[0]), part.chunks[0] if part.chunks else 1)
    spans = range(0, part.shape[0], step)
    pieces = (np.ascontiguousarray(part[at : at + step]).reshape(-1).view(np.uint8) for at in spans)
    send_array(part.dtype, part.shape, pieces)


def row(file: h5py.File, key: str, index: int, most: int) -> None:
    """Send one row of a dataset; of rows of any length, too."""
    part = dataset(file, key, most)
    if not 0 <= index < (part.shape or (0,))[0]:
        raise Refused(f"{key}: expected more than {index} rows, got {(part.shape or (0,))[0]}")
    send_value(np.asarray(part[index]), most)


def tree(file: h5py.File, key: str, most: int) -> None:
    """Send all datasets below a group: their names, then the arrays in that order."""
    top = found(file, key)
    if not isinstance(top, h5py.Group):
        raise Refused(f"{key}: expected a group, got {'nothing' if top is None else 'a dataset'}")
    names: list[list[str]] = []
    groups: list[list[str]] = []
    waiting: list[tuple[list[str], h5py.Group]] = [([], top)]
    total = 0
    while waiting:
        way, group = waiting.pop(0)
        if len(way) > 32 or len(names) + len(groups) > 10**6:
            raise Refused(f"{key}: expected fewer groups within groups")
        groups.append(way)
        for name in group:
            item = found(group, name)
            if isinstance(item, h5py.Group):
                waiting.append(([*way, name], item))
            elif isinstance(item, h5py.Dataset):
                part = dataset(group, name, most)
                total += math.prod(part.shape or ()) * part.dtype.itemsize
                names.append([*way, name])
    if total > most:
        raise Refused(f"{key}: expected at most {most:,} bytes unpacked, got {total:,}")
    send({"groups": groups, "datasets": names})
    restart_clock()
    for way in names:
        read(top, "/".join(way), most)
        restart_clock()


def attributes(file: h5py.File) -> dict[str, Any]:
    """Those of the file that are texts, numbers, or lists of them."""
    listed: dict[str, Any] = {}
    for name in file.attrs:
        value = np.asarray(file.attrs[name], object).tolist()
        many = value if isinstance(value, list) else [value]
        many = [item.item() if isinstance(item, np.generic) and item.dtype.kind in "biuf" else item for item in many]
        plain = [item if isinstance(item, (int, float)) else text(item) for item in many]
        listed[name] = plain if isinstance(value, list) else plain[0]
    return listed


def answer(file: h5py.File, asked: dict[str, Any]) -> None:
    """What the parent asked for; `most` bytes at most."""
    operation, key, most = asked["do"], asked.get("key", ""), asked["most"]
    if operation == "kind":
        part = found(file, key)
        send({"kind": "group" if isinstance(part, h5py.Group) else "dataset" if part is not None else "nothing"})
    elif operation == "missing filters":
        send({"filters": filters(file, key, asked["plugins"], most)})
    elif operation == "attributes":
        send(attributes(file))
    elif operation == "read":
        read(file, key, most)
    elif operation == "row":
        row(file, key, asked["index"], most)
    else:
        tree(file, key, most)


def main() -> None:
    """Answer until the input ends. A request names its file; an empty name closes the one that is open."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    path, file = "", None
    for line in sys.stdin:
        asked = json.loads(line)
        restart_clock()
        try:
            if asked["path"] != path and file is not None:
                file.close()
                path, file = "", None
            if asked["path"]:
                limit_memory(asked["most"])
                file = file or h5py.File(asked["path"], "r")
                path = asked["path"]
                answer(file, asked)
            else:
                send({})
        except Refused as error:
            send({"refused": str(error)})
        except Exception as error:  # HDF5 and h5py say it in a dozen ways
            send({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
