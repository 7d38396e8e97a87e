"""AEDAT 4, iniVation's flatbuffers, through the library faery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qpsnn_core.errors import DataError, FormatError, Words, expected

from ..raw import Raw


def read(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """The events of the file's only event stream; sensor: else the stream's.

    faery itself refuses what is truncated or off the sensor, and gives an event that is earlier than the one before
    it that one's time: neither comes here to be mended. Raises DataError (faery is missing), FormatError.
    """
    decoder = _decoder()
    columns: dict[str, list[Any]] = {"x": [], "y": [], "t": [], "on": []}
    try:
        with decoder(path) as file:
            streams = {track.id: track.dimensions for track in file.tracks() if track.data_type == "events"}
            if len(streams) != 1:
                raise FormatError(expected(name, "one stream of events", Words(f"{len(streams)}")))
            for track, packet in file:
                if track.id in streams:
                    for field, parts in columns.items():
                        parts.append(packet[field])
    except FormatError:
        raise
    except Exception as error:
        raise FormatError(f"{name}: not a whole AEDAT 4 file: {str(error).strip()}") from error
    width, height = streams.popitem()[1]
    x, y, t, on = (np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in columns.values())
    return Raw(x, y, t.astype(np.int64), on, sensor or (height, width), name)


def _decoder() -> Any:
    try:
        from faery.extension import aedat
    except ImportError as error:
        want = "faery, which reads AEDAT 4 (pip install 'qpsnn[events]')"
        raise DataError(expected("aedat4", want, Words(f"no such package ({error})"))) from error
    return aedat.Decoder
