"""Events that others keep in HDF5: DSEC, Prophesee, and the spikes of SHD and SSC."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, FileError, FormatError, Unquoted, expected
from qpsnn_core.common.install import install_command

from ..raw import Raw
from .percent import named_sensor

ECF = 0x8ECF
DSEC_SENSOR = (480, 640)
UNITS = 700
"""Channels of the artificial cochlea behind SHD and SSC (Cramer et al. 2020)."""


def read_dsec(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """`events/x`, `y`, `p` and `t`, which counts from `t_offset`. Raises FormatError, DataError (filter missing)."""
    with opened(path) as file:
        x, y, t, p = (_values(file, f"events/{key}", path) for key in "xytp")
        offset = int(file["t_offset"][()]) if "t_offset" in file else 0
    return Raw(x, y, t.astype(np.int64) + offset, p, sensor or DSEC_SENSOR, name)


def read_prophesee(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Raw:
    """`CD/events`, a table of x, y, p, t; sensor: else the attribute `geometry`. Raises as `read_dsec`."""
    with opened(path) as file:
        events = _values(file, "CD/events", path)
        fields = {key.lower(): _text(value) for key, value in file.attrs.items()}
    missing = [key for key in "xytp" if key not in (events.dtype.names or ())]
    if missing:
        raise FormatError(expected(f"{path}: CD/events", "fields x, y, t and p", Unquoted(str(events.dtype))))
    size = sensor or named_sensor(fields, name)
    return Raw(events["x"], events["y"], events["t"], events["p"], size, name)


def spike_labels(path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The label of every recording of an SHD or SSC file, and the classes' names (`extra/keys`); FormatError."""
    with opened(path) as file:
        labels = np.asarray(_values(file, "labels", path))
        keys = tuple(_text(key) for key in _values(file, "extra/keys", path)) if "extra/keys" in file else ()
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise FormatError(expected(f"{path}: labels", "integers [N]", Unquoted(f"{labels.dtype} {list(labels.shape)}")))
    names = keys or tuple(str(k) for k in range(int(labels.max(initial=-1)) + 1))
    return labels.astype(np.int64), names


def read_spikes(path: Path, index: int, name: str) -> Raw:
    """Recording `index` of an SHD or SSC file: a row of 700 units, seconds rounded to microseconds, all ON."""
    with opened(path) as file:
        units = np.asarray(_row(file, "spikes/units", index, path))
        times = np.asarray(_row(file, "spikes/times", index, path)).astype(np.float64)
    if len(units) != len(times) or not np.isfinite(times).all():
        want = f"a finite time of each of {len(units)} spikes"
        raise FormatError(expected(f"{path}: spikes/times[{index}]", want, Unquoted(f"{len(times)} times")))
    t = np.rint(times * 1e6).astype(np.int64)
    return Raw(units, np.zeros(len(t), np.uint16), t, np.ones(len(t), np.bool_), (1, UNITS), name)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Somebody's HDF5 file; FileError (not there), FormatError (damaged, something missing), DataError (a filter)."""
    if not path.is_file():
        raise FileError(expected(str(path), "an HDF5 file", Unquoted("no such file")))
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileError:
        raise
    except (OSError, RuntimeError, TypeError) as error:
        raise FormatError(f"{path}: not a whole HDF5 file: {error}") from error


def _values(file: h5py.File, key: str, path: Path) -> NDArray[Any]:
    values: NDArray[Any] = _dataset(file, key, path)[()]
    return values


def _row(file: h5py.File, key: str, index: int, path: Path) -> NDArray[Any]:
    data = _dataset(file, key, path)
    if not 0 <= index < len(data):
        raise FormatError(expected(f"{path}: {key}", f"more than {index} rows", len(data)))
    row: NDArray[Any] = data[index]
    return row


def _dataset(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    """A dataset whose filters are all there, or can be had from hdf5plugin."""
    part = file.get(key)
    if not isinstance(part, h5py.Dataset):
        raise FormatError(expected(f"{path}: {key}", "a dataset", Unquoted("nothing" if part is None else "a group")))
    plan = part.id.get_create_plist()
    filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    if not all(map(h5py.h5z.filter_avail, filters)):
        with contextlib.suppress(ImportError):
            importlib.import_module("hdf5plugin")
    for code in filters:
        if not h5py.h5z.filter_avail(code):
            want = f"hdf5plugin ({install_command('events')})"
            if code == ECF:
                want = "Prophesee's own filter ECF (its folder in HDF5_PLUGIN_PATH), or a file without it"
            raise DataError(expected(f"{path}: {key}: filter {code:#x}", want, Unquoted("no such filter")))
    return part


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
