"""The sets that can be loaded by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.validation import check_path, whole

from .arrays import load_arrays, load_arrays_part
from .cifar import load_cifar10, load_cifar100
from .digits import load_digits
from .events.loading import load_event_frames
from .events.sets import STEPS, load_digits_events, load_mnist_events
from .folders import load_imagenet
from .jpeg_h5 import load_jpeg_h5, load_jpeg_part
from .mnist import load_mnist
from .schema import Dataset, Split
from .tinyimagenet import load_tinyimagenet

JPEGS = (".h5", ".hdf5")
OF_JPEGS = ("jpeg", "cifar10", "cifar100")
"""Sets whose file, where they are one, is of JPEGs."""


def load_jpegs(path: str | Path, *, limit: int | None = None) -> Split:
    """`load_jpeg_h5` of a set that is called as its file."""
    return load_jpeg_h5(path, Path(path).stem, limit=limit)


FILE_READERS: MappingProxyType[str, Callable[..., Split]] = MappingProxyType(
    {
        "mnist": load_mnist,
        "mnist-events": load_mnist_events,
        "events": load_event_frames,
        "cifar10": load_cifar10,
        "cifar100": load_cifar100,
        "tinyimagenet": load_tinyimagenet,
        "imagenet": load_imagenet,
        "jpeg": load_jpegs,
        "arrays": load_arrays,
    }
)
BUILT_IN: MappingProxyType[str, Callable[..., Split]] = MappingProxyType(
    {"digits": load_digits, "digits-events": load_digits_events}
)
EVENTS = ("digits-events", "mnist-events", "events")
"""Sets of frames of events, which need to know how many."""

NAMES = (*BUILT_IN, *FILE_READERS)


def load_data(
    name: str,
    path: str | Path | None = None,
    *,
    limit: int | None = None,
    steps: int | None = None,
    frames: str = "time",
    size: int = 0,
) -> Split:
    """The training and test parts of a set: "digits" and "digits-events" (no path), "mnist", "mnist-events", "cifar10",
    "cifar100", "tinyimagenet" or "imagenet" (path of a folder or file), "events" (path of a store of recordings),
    "jpeg" (path of an HDF5 file of JPEGs), "arrays" (path of a .npz file or a folder of .npy files).

    limit: at most so many images of each part, each class in its proportion, always the same ones. steps: the frames T
    of a set of events, by default 4; other sets are the same for any. frames, size: of a store, as `load_event_frames`
    takes them.
    Raises ConfigError (unknown name, path missing or superfluous, limit, steps), and what the reader raises.
    """
    limit, steps, frames, size = plain((limit, steps, frames, size))
    if limit is not None:
        whole("limit", limit, 1)
    if not isinstance(name, str) or name not in NAMES:
        raise ConfigError(expected("dataset name", f"one of {', '.join(NAMES)}", name) + _instead_of(name))
    options: dict[str, Any] = {"limit": limit}
    if name in EVENTS:
        options["steps"] = STEPS if steps is None else whole("steps", steps, 1)
    if name == "events":
        options |= {"frames": frames, "size": size}
    if name in BUILT_IN:
        if path is not None:
            raise ConfigError(expected(f"{name}.path", "no path (it comes with scikit-learn)", str(path)))
        return BUILT_IN[name](**options)
    if path is None:
        raise ConfigError(expected(f"{name}.path", "the folder or file that holds the set", None))
    check_path(f"{name}.path", path)
    return FILE_READERS[name](path, **options)


def _instead_of(name: object) -> str:
    """What to write instead of a name that is none: the nearest one; of a path, what else it needs."""
    if isinstance(name, os.PathLike) or (isinstance(name, str) and any(mark in name for mark in "/\\.")):
        return f" (a path comes second, behind the kind of set that lies there: load_data('arrays', {str(name)!r}))"
    return did_you_mean(name.lower(), NAMES) if isinstance(name, str) else ""


def load_part(name: str, path: str | Path | None, part: str, *, limit: int | None = None, **options: Any) -> Dataset:
    """One part, "train" or "test", of the set that `load_data` loads with these options.

    Of JPEGs and arrays nothing else is read, and nothing else need be in the file. Raises what `load_data` raises.
    """
    if limit is not None:
        whole("limit", limit, 1)
    if path is not None and name in OF_JPEGS and str(path).endswith(JPEGS):
        return load_jpeg_part(path, Path(path).stem if name == "jpeg" else name, part, limit=limit)
    if path is not None and name == "arrays":
        return load_arrays_part(path, part, limit=limit)
    found: Dataset = getattr(load_data(name, path, limit=limit, **options), part)
    return found
