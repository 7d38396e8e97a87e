"""AEDAT 4, iniVation's flatbuffers, through the library faery."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.common.errors import DataError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import read_up_to
from qpsnn_core.common.install import install_command

from ..raw import Raw
from .signature import shown, signature

MAGIC = b"#!AER-DAT4.0\r\n"
"""After it, the length of the header in four bytes, and the header."""

STANDARD_ERROR = 2
"""The descriptor of standard error, whatever `sys.stderr` is."""


def read(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """The events of the file's only event stream; sensor: else the stream's.

    faery itself refuses what is truncated or off the sensor, and gives an event that is earlier than the one before
    it that one's time: neither comes here to be mended. Raises DataError (faery is missing), FormatError.
    """
    decoder = _decoder()
    _check_description(path, name)
    columns: dict[str, list[Any]] = {"x": [], "y": [], "t": [], "on": []}
    try:
        with _quiet_panics(), decoder(path) as file:
            streams = {track.id: track.dimensions for track in file.tracks() if track.data_type == "events"}
            if len(streams) != 1:
                raise FormatError(expected(name, "one stream of events", Unquoted(f"{len(streams)}")))
            for track, packet in file:
                if track.id in streams:
                    for field, parts in columns.items():
                        parts.append(packet[field])
    except (FormatError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in faery's Rust is no Exception
        raise FormatError(f"{name}: not a whole AEDAT 4 file: {str(error).strip()}") from error
    width, height = streams.popitem()[1]
    x, y, t, on = (np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in columns.values())
    return Raw(x, y, t.astype(np.int64), on, sensor or (height, width), name)


@contextlib.contextmanager
def _quiet_panics() -> Iterator[None]:
    """Keep what is written to standard error by a library that then fails: a panic in Rust prints its own story.

    It goes by the descriptor, as no Python stands between. What is written where nothing fails is passed on.
    """
    try:
        before = os.dup(STANDARD_ERROR)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as kept:
        try:
            os.dup2(kept.fileno(), STANDARD_ERROR)
            yield
            passed_on = True
        except BaseException:
            passed_on = False
            raise
        finally:
            os.dup2(before, STANDARD_ERROR)
            if passed_on:
                kept.seek(0)
                os.write(before, kept.read())
            os.close(before)


def _check_description(path: Path, name: str) -> None:
    """FormatError unless it is AEDAT 4.0 with XML in UTF-8: faery 0.7.1 ends the process where it is not."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(MAGIC) + 4)
            size = int.from_bytes(begin[len(MAGIC) :], "little")
            header = read_up_to(file, size)
    except OSError as error:
        raise FileError(expected(name, "a readable file", Unquoted(error.strerror or str(error)))) from error
    if not begin.startswith(MAGIC):
        raise FormatError(expected(f"{name}: format", "AEDAT 4.0", Unquoted(signature(begin) or shown(begin))))
    try:
        header[header.find(b"<") : header.rfind(b">") + 1].decode()
    except UnicodeDecodeError as error:
        raise FormatError(expected(f"{name}: header", "a description in UTF-8", Unquoted(str(error)))) from error


def _decoder() -> Any:
    try:
        from faery.extension import aedat
    except ImportError as error:
        want = f"faery, which reads AEDAT 4 ({install_command('events')})"
        raise DataError(expected("aedat4", want, Unquoted(f"no such package ({error})"))) from error
    return aedat.Decoder
