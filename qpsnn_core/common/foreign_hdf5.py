"""Other people's HDF5 files, read in a process of its own: a damaged one can keep HDF5 busy for ever, or end it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from qpsnn_core.common.errors import FileError, FormatError, QpsnnError, Unquoted, expected
from qpsnn_core.common.foreign import VARIABLE, existing_file, foreign, most_bytes
from qpsnn_core.common.types import Array

SECONDS = 60.0
"""After which no answer is one, whatever the processor did; the process itself counts its own time."""

CHILD = "qpsnn_core.common.hdf5_child"


class ForeignFile:
    """An HDF5 file that somebody else made; made by `foreign_hdf5`. Values come in NumPy's types, texts as bytes.

    Every method raises FormatError: damaged, something missing, larger than `most_bytes` allows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._most = most_bytes(path.stat().st_size)

    def kind(self, key: str) -> str:
        """ "dataset", "group" or "nothing"."""
        return str(self._ask("kind", key)["kind"])

    def missing_filters(self, key: str, plugins: Collection[str] = ()) -> list[int]:
        """The codes of a dataset's filters that HDF5 has not, also after importing `plugins`."""
        return cast("list[int]", self._ask("missing filters", key, plugins=list(plugins))["filters"])

    def attributes(self) -> dict[str, Any]:
        """The file's attributes that are texts, numbers, or lists of them."""
        found = self._ask("attributes", "")
        return {
            name: [_bytes(item) for item in value] if isinstance(value, list) else _bytes(value)
            for name, value in found.items()
        }

    def read(self, key: str) -> Any:
        """All of a dataset: an array, or a single value."""
        return self._ask("read", key)

    def row(self, key: str, index: int) -> Array:
        """One row of a dataset, also of one whose rows differ in length."""
        return np.asarray(self._ask("row", key, index=index))

    def tree(self, key: str) -> dict[str, Any]:
        """A group with all that is in it, as dictionaries; a value as `read` gives it."""
        return cast("dict[str, Any]", self._ask("tree", key))

    def _ask(self, operation: str, key: str, **more: Any) -> Any:
        asked = {"path": str(self.path.absolute()), "do": operation, "key": key, "most": self._most, **more}
        return _READER.ask(str(self.path), asked)


@contextlib.contextmanager
def foreign_hdf5(path: str | os.PathLike[str]) -> Iterator[ForeignFile]:
    """Somebody's HDF5 file to read; FileError (not there), FormatError (not HDF5, damaged, too large)."""
    target = existing_file(path, "an HDF5 file")
    with foreign(target, "HDF5 file"):
        opened = ForeignFile(target)
        opened.kind("/")
    try:
        with foreign(target, "HDF5 file"):
            yield opened
    finally:
        _READER.close()


class _Reader:
    """The process that reads, started at the first request and anew after it had to be ended."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._of = 0

    def ask(self, place: str, asked: dict[str, Any]) -> Any:
        """The answer to one request; FormatError in the name of `place`."""
        with self._lock:
            process = self._running()
            try:
                self._send(process, asked)
                head = self._line(process)
                return self._answer(process, head, place)
            except _EndedError:
                self.end()
                how = "takes HDF5 for ever" if _was_stopped(process) else "ends HDF5"
                raise FormatError(f"{place}: not a whole HDF5 file: reading it {how}") from None
            except QpsnnError:
                raise
            except BaseException:  # interrupted within an answer: the rest of it must not be the next one's
                self.end()
                raise

    def close(self) -> None:
        """Close the open file."""
        with self._lock:
            if self._process is not None and self._of == os.getpid():
                with contextlib.suppress(FormatError):
                    self.ask("", {"path": "", "most": 0})

    def end(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None or self._of != os.getpid():
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._of == os.getpid() and self._process.poll() is None:
            return self._process
        if self._of != os.getpid():  # a fork has no share in its parent's
            self._process = None
        self.end()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
            "OPENBLAS_NUM_THREADS": "1",  # each thread takes address space, which is limited there
        }
        words = [sys.executable, "-m", CHILD]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        try:
            self._process = subprocess.Popen(words, env=environment, **streams)  # type: ignore[call-overload]  # streams
        except OSError as error:
            want = "to start a process that reads HDF5"
            raise FileError(expected(sys.executable, want, Unquoted(error.strerror or str(error)))) from error
        self._of = os.getpid()
        return cast("subprocess.Popen[bytes]", self._process)

    def _send(self, process: subprocess.Popen[bytes], asked: dict[str, Any]) -> None:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            raise _EndedError from error

    def _line(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with _watched(process):
            line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _EndedError
        return cast("dict[str, Any]", json.loads(line))

    def _answer(self, process: subprocess.Popen[bytes], head: dict[str, Any], place: str) -> Any:
        if "refused" in head:
            hint = f" ({VARIABLE} raises it)" if "bytes" in head["refused"] else ""
            raise FormatError(f"{place}: {head['refused']}{hint}")
        if "error" in head:
            raise FormatError(f"{place}: not a whole HDF5 file: {head['error']}")
        if "texts" in head:
            texts = np.empty(len(head["texts"]), object)
            texts[:] = [item.encode("latin-1") for item in head["texts"]]
            return texts.reshape(head["shape"])[()]
        if "dtype" in head:
            return self._array(process, head, place)
        if "datasets" not in head:
            return head
        found: dict[str, Any] = {}
        for way in sorted(head["groups"], key=len):
            _within(found, way)
        for *way, name in head["datasets"]:
            _within(found, way)[name] = self._answer(process, self._line(process), place)
        return found

    def _array(self, process: subprocess.Popen[bytes], head: dict[str, Any], place: str) -> Any:
        dtype = np.lib.format.descr_to_dtype(_tuples(head["dtype"]))  # type: ignore[no-untyped-call]  # NumPy gives it no types
        array = np.empty(head["shape"], dtype)
        left = array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(bytearray())
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while True:
            piece = self._line(process)
            if "bytes" not in piece:
                self._answer(process, piece, place)  # an error, which ends this array
                raise _EndedError
            with _watched(process):
                read = process.stdout.readinto(left[: piece["bytes"]])  # type: ignore[attr-defined]  # buffered
            if read != piece["bytes"]:
                raise _EndedError
            left = left[read:]
            if not len(left):
                return array[()]


class _EndedError(Exception):
    """The process ended before its answer did."""


@contextlib.contextmanager
def _watched(process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(SECONDS, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _was_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Whether its own clock, or ours, ended it."""
    return process.returncode in (-getattr(signal, "SIGPROF", 0), -getattr(signal, "SIGKILL", 0), 1)


def _bytes(value: Any) -> Any:
    return value.encode("latin-1") if isinstance(value, str) else value


def _within(found: dict[str, Any], way: list[str]) -> dict[str, Any]:
    for name in way:
        found = found.setdefault(name, {})
    return found


def _tuples(described: Any) -> Any:
    """NumPy's description of a type, out of JSON, which has lists only."""
    if not isinstance(described, list):
        return described
    return [
        tuple(tuple(part) if k == 2 else _tuples(part) for k, part in enumerate(field)) if len(field) > 1 else field
        for field in described
    ]


_READER = _Reader()
atexit.register(_READER.end)
