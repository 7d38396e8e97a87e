"""Events that others keep in HDF5: DSEC, Prophesee, and the spikes of SHD and SSC."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign_hdf5 import ForeignFile, foreign_hdf5
from qpsnn_core.common.install import install_command

from ..raw import Raw
from .percent import named_sensor

ECF = 0x8ECF
DSEC_SENSOR = (480, 640)
UNITS = 700
"""Channels of the artificial cochlea behind SHD and SSC (Cramer et al. 2020)."""


def read_dsec(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """`events/x`, `y`, `p` and `t`, which counts from `t_offset`. Raises FormatError, DataError (filter missing)."""
    with foreign_hdf5(path) as file:
        x, y, t, p = (_integers(file, f"events/{key}") for key in "xytp")
        offset = _whole(file, "t_offset") if file.kind("t_offset") != "nothing" else 0
    return Raw(x, y, t.astype(np.int64) + offset, p, sensor or DSEC_SENSOR, name)


def read_prophesee(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """`CD/events`, a table of x, y, p, t; sensor: else the attribute `geometry`. Raises as `read_dsec`."""
    with foreign_hdf5(path) as file:
        events = _values(file, "CD/events")
        fields = {key.lower(): _text(value) for key, value in file.attributes().items()}
    missing = [key for key in "xytp" if key not in (events.dtype.names or ())]
    if missing:
        raise FormatError(expected(f"{path}: CD/events", "fields x, y, t and p", Unquoted(str(events.dtype))))
    for key in "xytp":
        _check_integers(events[key], f"{path}: CD/events.{key}")
    size = sensor or named_sensor(fields, name)
    return Raw(events["x"], events["y"], events["t"], events["p"], size, name)


def spike_labels(path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The label of every recording of an SHD or SSC file, and the classes' names (`extra/keys`); FormatError."""
    with foreign_hdf5(path) as file:
        labels = _values(file, "labels")
        listed = file.kind("extra/keys") != "nothing"
        keys = tuple(_text(key) for key in _values(file, "extra/keys").reshape(-1)) if listed else ()
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise FormatError(expected(f"{path}: labels", "integers [N]", Unquoted(f"{labels.dtype} {list(labels.shape)}")))
    names = keys or tuple(str(k) for k in range(int(labels.max(initial=-1)) + 1))
    return labels.astype(np.int64), names


def read_spikes(path: Path, index: int, name: str) -> Raw:
    """Recording `index` of an SHD or SSC file: a row of 700 units, seconds rounded to microseconds, all ON."""
    with foreign_hdf5(path) as file:
        units, times = (_row(file, f"spikes/{key}", index) for key in ("units", "times"))
    _check_integers(units, f"{path}: spikes/units[{index}]")
    if times.ndim != 1 or times.dtype.kind not in "fiu":
        got = Unquoted(f"{times.dtype} {list(times.shape)}")
        raise FormatError(expected(f"{path}: spikes/times[{index}]", "numbers [N]", got))
    times = times.astype(np.float64)
    if len(units) != len(times) or not np.isfinite(times).all():
        want = f"a finite time of each of {len(units)} spikes"
        raise FormatError(expected(f"{path}: spikes/times[{index}]", want, Unquoted(f"{len(times)} times")))
    t = np.rint(times * 1e6).astype(np.int64)
    return Raw(units, np.zeros(len(t), np.uint16), t, np.ones(len(t), np.bool_), (1, UNITS), name)


def _values(file: ForeignFile, key: str) -> NDArray[Any]:
    _check_filters(file, key)
    return np.asarray(file.read(key))


def _integers(file: ForeignFile, key: str) -> NDArray[Any]:
    return _check_integers(_values(file, key), f"{file.path}: {key}")


def _check_integers(values: NDArray[Any], place: str) -> NDArray[Any]:
    """Integers or truth values, one after the other; FormatError otherwise."""
    if values.ndim != 1 or values.dtype.kind not in "iub":
        raise FormatError(expected(place, "integers [N]", Unquoted(f"{values.dtype} {list(values.shape)}")))
    return values


def _whole(file: ForeignFile, key: str) -> int:
    """One integer."""
    value = np.asarray(file.read(key))
    if value.size != 1 or value.dtype.kind not in "iu":
        raise FormatError(
            expected(f"{file.path}: {key}", "one integer", Unquoted(f"{value.dtype} {list(value.shape)}"))
        )
    return int(value.reshape(-1)[0])


def _row(file: ForeignFile, key: str, index: int) -> NDArray[Any]:
    _check_filters(file, key)
    return file.row(key, index)


def _check_filters(file: ForeignFile, key: str) -> None:
    """DataError unless the filters of a dataset are all there, or can be had from hdf5plugin."""
    for code in file.missing_filters(key, plugins=_plugins()):
        want = f"hdf5plugin ({install_command('events')})"
        if code == ECF:
            want = "Prophesee's own filter ECF (its folder in HDF5_PLUGIN_PATH), or a file without it"
        raise DataError(expected(f"{file.path}: {key}: filter {code:#x}", want, Unquoted("no such filter")))


def _plugins() -> list[str]:
    """The modules here that bring filters to the process that reads."""
    try:
        return ["hdf5plugin"] if importlib.util.find_spec("hdf5plugin") else []
    except ValueError:  # it was made unavailable
        return []


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
