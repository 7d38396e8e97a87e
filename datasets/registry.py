"""The sets that can be loaded by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from qpsnn_core.common.errors import ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.options import known_options
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.validation import check_path, number, whole

from .arrays import load_arrays, load_arrays_part
from .cifar import load_cifar10, load_cifar100
from .detection.gen1 import load_gen1
from .detection.loading import FORMATS as BOX_FORMATS
from .detection.loading import load_detection
from .digits import load_digits
from .events.loading import load_event_frames
from .events.sets import STEPS, load_digits_events, load_mnist_events
from .folders import load_imagenet
from .image_folder import from_folder, from_folder_part
from .jpeg_h5 import load_jpeg_h5, load_jpeg_part
from .mnist import load_mnist
from .saved import load_saved, load_saved_part
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
        "folder": from_folder,
        "saved": load_saved,
        **{name: partial(load_detection, name) for name in BOX_FORMATS},
        "gen1": load_gen1,
    }
)
PART_READERS: MappingProxyType[str, Callable[..., Dataset]] = MappingProxyType(
    {"arrays": load_arrays_part, "folder": from_folder_part, "saved": load_saved_part}
)
"""Those that read one part of a file alone."""

OF_NETWORK = ("classes", "unit")
"""Options that a network gives which is there already; no recipe has them."""

UNSET = {"frames": "time", "decode": "v5"}
"""Words that are as if an option were not given, besides none."""

SHARES = ("test", "validation", "seed")
OPTIONS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "events": ("frames", "size"),
        "arrays": (*SHARES, "channels", "series", "scale", "task", "classes", "unit"),
        "folder": (*SHARES, "size", "resize", "colour", "classes"),
        "saved": SHARES,
        **dict.fromkeys(BOX_FORMATS, ("size", "test", "seed", "classes", "anchors", "decode")),
        "gen1": ("size", "anchors", "decode"),
    }
)
"""The options that a set takes besides `limit` and `steps`."""

BUILT_IN: MappingProxyType[str, Callable[..., Split]] = MappingProxyType(
    {"digits": load_digits, "digits-events": load_digits_events}
)
EVENTS = ("digits-events", "mnist-events", "events", "gen1")
"""Sets of frames of events, which need to know how many."""

NAMES = (*BUILT_IN, *FILE_READERS)


@known_options()
def load_data(
    name: str,
    path: str | Path | None = None,
    *,
    limit: int | None = None,
    steps: int | None = None,
    frames: str | None = None,
    size: int | tuple[int, int] | None = None,
    test: float | None = None,
    validation: float | None = None,
    seed: int | None = None,
    channels: str | None = None,
    series: str | None = None,
    scale: float | str | None = None,
    resize: str | None = None,
    colour: str | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    unit: InputRange | None = None,
    anchors: int | None = None,
    decode: str | None = None,
) -> Split:
    """The training and test parts of a set: "digits" and "digits-events" (no path), "mnist", "mnist-events", "cifar10",
    "cifar100", "tinyimagenet" or "imagenet" (path of a folder or file), "events" (path of a store of recordings),
    "jpeg" (path of an HDF5 file of JPEGs), "arrays" (path of a .npz file, a folder of .npy files or a .npy file),
    "folder" (path of a folder of pictures, or of a CSV file that lists them), "saved" (path of a file of `Split.save`);
    with boxes "voc", "coco", "yolo", "vhr10", "ssdd" and "gen1" (path of a folder or zip archive, and `size`).

    limit: at most so many images of each part, each class in its proportion, always the same ones. steps: the frames T
    of a set of events, by default 4; other sets are the same for any. The others are for the sets that OPTIONS names,
    as the set's reader takes them (`load_event_frames`, `from_arrays`, `from_folder`); None: its own default. unit: the
    input's range of a network that is there, for "arrays" of real numbers.
    Raises ConfigError (unknown name, path missing or superfluous, limit, steps, an option that the set does not take),
    and what the reader raises.
    """
    chosen: dict[str, Any] = {
        "frames": frames,
        "size": size,
        "test": test,
        "validation": validation,
        "seed": seed,
        "channels": channels,
        "series": series,
        "scale": scale,
        "resize": resize,
        "colour": colour,
        "task": task,
        "classes": classes,
        "unit": unit,
        "anchors": anchors,
        "decode": decode,
    }
    limit, steps = plain((limit, steps))
    if limit is not None:
        whole("limit", limit, 1)
    if not isinstance(name, str) or name not in NAMES:
        raise ConfigError(expected("dataset name", f"one of {', '.join(NAMES)}", name) + _instead_of(name))
    given = _taken(name, {option: plain(value) for option, value in chosen.items() if value is not None})
    origin = {"name": name, "path": "" if path is None else str(path), "limit": limit or 0, **_recorded(given)}
    options: dict[str, Any] = {"limit": limit, **given}
    if name in EVENTS:
        options["steps"] = STEPS if steps is None else whole("steps", steps, 1)
    if name in BUILT_IN:
        if path is not None:
            raise ConfigError(expected(f"{name}.path", "no path (it comes with scikit-learn)", str(path)))
        return _from(BUILT_IN[name](**options), origin)
    if path is None:
        raise ConfigError(expected(f"{name}.path", "the folder or file that holds the set", None))
    check_path(f"{name}.path", path)
    return _from(FILE_READERS[name](path, **options), origin)


def _taken(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a set that were given; ConfigError: one that it does not take."""
    known = OPTIONS.get(name, ())
    every = sorted({option for of_set in OPTIONS.values() for option in of_set})
    for option, value in options.items():
        if option not in every:
            raise ConfigError(
                expected("load_data", f"options of {', '.join(every)}", option) + did_you_mean(option, every)
            )
        unset = value is None or (isinstance(value, (int, float, str)) and value in (0, "", UNSET.get(option)))
        if option not in known and not unset:
            takers = ", ".join(one for one, of_set in OPTIONS.items() if option in of_set)
            raise ConfigError(expected(f"{name}.{option}", f"nothing, as {takers} alone take it", value))
    for share in {"test", "validation"} & set(options):
        number(f"{name}.{share}", options[share], 0, 1)
    return {option: options[option] for option in known if option in options and (option != "task" or options[option])}


def _recorded(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the table [data] of a recipe has them."""
    named = {option: value for option, value in given.items() if value is not None and option not in OF_NETWORK}
    return {"split_seed" if option == "seed" else option: value for option, value in named.items()}


def _from(split: Split, origin: Mapping[str, Any]) -> Split:
    """The split, each part with the table [data] that loads it again."""
    made = {part: replace(one, origin=origin) for part, one in split.parts.items()}
    return Split(made["train"], made["test"], made.get("validation"))


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
    if path is not None and name in PART_READERS:
        given = {option: value for option, value in options.items() if option != "steps"}
        return PART_READERS[name](path, part, limit=limit, **_taken(name, given))
    found = load_data(name, path, limit=limit, **options).parts
    if part not in found:
        raise DataError(expected(f"{name}", f"a part {part}", Unquoted(", ".join(found))))
    return found[part]
