"""A set of one's own arrays: their shapes, labels and numbers made into a Split that can be trained on and deployed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from qpsnn_core.common.callers import users_level
from qpsnn_core.common.errors import ClippedImagesWarning, ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.input_range import SIGNED, UNSIGNED, InputRange, measured
from qpsnn_core.common.plain import plain
from qpsnn_core.common.tasks import CLASSIFICATION, TASKS
from qpsnn_core.common.types import Array, Longs
from qpsnn_core.common.validation import check_choice, is_positive, whole

from .given_labels import labels_of, rows_of
from .given_shapes import shaped
from .schema import Dataset, Split
from .seeding import SPLIT, VALIDATION, stratified

MEASURED = "measured"


class Part(NamedTuple):
    """One part before its numbers are integers of a byte."""

    name: str
    images: Array
    labels: Array


def from_arrays(
    images: Any,
    labels: Any,
    *,
    test: float | tuple[Any, Any],
    validation: float | tuple[Any, Any] | None = None,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
    channels: str = "",
    series: str = "",
    scale: float | str | None = None,
    signed: bool | None = None,
    known: Sequence[str] = (),
    task: str = CLASSIFICATION,
) -> Split:
    """The parts to train on and to test on, as a byte for each number.

    images, labels: arrays or lists; shapes as `given_shapes.shaped` takes them (images, frames, tables, series), labels
    as `given_labels.labels_of` does (integers, strings, truth values, one-hot). channels: "last" or "first", where an
    axis of channels could be either. series: "frames" or "map", for `[N, L]` and `[N, L, D]`.
    test, validation: the share of `images` that is held out, each class in its proportion, drawn by `seed`; or arrays
    of their own, `(images, labels)`. validation: None for none. classes: names, in order; of words and truth values
    they can be left out; known: as `labels_of` takes it.
    scale: uint8 images need none: they are intensities x/255, and uint8 frames are counts of events. With a number,
    uint8 and int8 arrays are taken as integers that it multiplies. All other numbers are real and need it: they are
    divided by it, rounded to nearest and cut to a byte; "measured" is the finest scale that holds the training part,
    `max |x| / 127`, or `/ 255` if `signed` is false. signed: None: whether the training part has a negative number.
    task: what labels are: "classification"; "regression", real numbers `[N]` or `[N, K]`; "multilabel", 0 and 1 or
    truth values `[N, K]`, each label for itself. Of these two, classes are the K names, and shares are drawn from all
    samples alike.
    Warns where numbers are cut (ClippedImagesWarning). Raises DataError, LabelError, ConfigError, naming the part.
    """
    test = test if isinstance(test, tuple) else plain(test)
    validation = validation if isinstance(validation, tuple) else plain(validation)
    seed, name, channels, series, scale, signed, task = plain((seed, name, channels, series, scale, signed, task))
    whole("seed", seed, 0)
    options = channels, series
    given = [("train", images, labels), *_own("test", test), *_own("validation", validation)]
    arrays = {part: shaped(f"{name}.{part}.images", one, *options) for part, one, _ in given}
    places = [(f"{name}.{part}.labels", one) for part, _, one in given]
    check_choice("task", task, TASKS)
    found: Sequence[Array]
    found, names = (
        labels_of(places, classes, known)
        if task == CLASSIFICATION
        else rows_of(task, places, classes or tuple(known) or None)
    )
    parts = {part: Part(part, arrays[part], one) for (part, _, _), one in zip(given, found, strict=True)}
    for one in parts.values():
        _check(name, one, parts["train"])
    for part, share, stream in (("test", test, SPLIT), ("validation", validation, VALIDATION)):
        if not isinstance(share, tuple) and (part == "test" or share is not None):
            count = _count(f"{name}.{part}", share, len(found[0]))
            parts["train"], parts[part] = _held_out(name, parts["train"], part, count, seed, stream)
            if task == CLASSIFICATION:
                _check_classes(name, parts, part, names)
    span = input_range(f"{name}.train.images", parts["train"].images, scale, signed)
    made = {part: _dataset(f"{name}.{part}", one, span, names, task) for part, one in parts.items()}
    return Split(made["train"], made["test"], made.get("validation"))


def input_range(place: str, images: Array, scale: float | str | None, signed: bool | None) -> InputRange | None:
    """What a byte of these training images stands for; None: intensities or counts, which are bytes already.

    Raises DataError (real numbers without a scale, nothing to measure), ConfigError (a scale that is none).
    """
    word = isinstance(scale, str) and scale == MEASURED
    if isinstance(scale, bool) or not (scale is None or word or isinstance(scale, (int, float))):
        raise ConfigError(expected("scale", f"a number, {MEASURED!r}, or None", scale))
    if isinstance(scale, (int, float)) and not is_positive(scale):
        raise ConfigError(expected("scale", "a positive number", scale))
    if not (signed is None or isinstance(signed, bool)):
        raise ConfigError(expected("signed", "True, False, or None", signed))
    if scale is None:
        if images.dtype == np.uint8 and not signed:
            return None
        if images.dtype == np.uint8:
            want = f"no sign, as uint8 are intensities (images.astype(float) with scale={MEASURED!r} has one)"
            raise DataError(expected(place, want, Unquoted("uint8 with signed=True")))
        want = f"uint8, or scale={MEASURED!r} or the real number of one unit (scale=1/255 for floats from 0 to 1)"
        raise DataError(expected(place, want, Unquoted(f"{images.dtype} without a scale")))
    byte = images.dtype == np.int8 if images.dtype in (np.uint8, np.int8) else None
    negative = signed if signed is not None else bool((images < 0).any()) if byte is None else byte
    if byte is not None and (word or negative != byte):
        want = "real numbers to measure or to give a sign (images.astype(float)), or bytes with a number as their scale"
        raise DataError(expected(place, want, Unquoted(f"{images.dtype} with scale={scale!r}, signed={signed}")))
    if word:
        return measured(images, place, signed=negative)
    return InputRange(*(SIGNED if negative else UNSIGNED), float(scale))


def in_range(place: str, images: Array, span: InputRange | None) -> tuple[Array, float | None]:
    """Bytes and their scale; warns of what is cut. Bytes that came with a scale stay as they are."""
    if span is None or images.dtype == (np.int8 if span.low else np.uint8):
        return images, None if span is None else span.scale
    cut = span.outside(images)
    if cut:
        low, high = span.low * span.scale, span.peak * span.scale
        text = f"{cut:,} of {images.size:,} numbers lie outside {low:.4g} to {high:.4g} and were cut"
        warnings.warn(ClippedImagesWarning(f"{place}: {text}"), stacklevel=users_level())
    return span.quantize(images), span.scale


def _own(part: str, given: Any) -> list[tuple[str, Any, Any]]:
    """A part that has arrays of its own."""
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ConfigError(
                expected(part, "(images, labels), or the share that is held out", Unquoted(f"{len(given)} things"))
            )
        return [(part, *given)]
    return []


def _check(name: str, part: Part, train: Part) -> None:
    """As many labels as images, of the shape and kind of the training part."""
    place = f"{name}.{part.name}"
    if len(part.images) != len(part.labels):
        want = f"one label for each of {len(part.images)} samples"
        raise DataError(expected(f"{place}.labels", want, Unquoted(f"{len(part.labels)} labels")))
    if not part.images.size:
        raise DataError(
            expected(f"{place}.images", "at least one sample", Unquoted(f"shape {list(part.images.shape)}"))
        )
    if part.images.shape[1:] != train.images.shape[1:]:
        want = f"samples of shape {list(train.images.shape[1:])}, as in {name}.train"
        raise DataError(expected(f"{place}.images", want, list(part.images.shape[1:])))
    if part.images.dtype != train.images.dtype and np.uint8 in (part.images.dtype, train.images.dtype):
        want = f"{train.images.dtype}, as in {name}.train"
        raise DataError(expected(f"{place}.images", want, part.images.dtype))


def _count(place: str, share: Any, samples: int) -> int:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        want = "(images, labels), or the share that is held out: a number between 0 and 1"
        raise ConfigError(expected(place, want, share))
    return round(share * samples)


def _held_out(name: str, train: Part, part: str, count: int, seed: int, stream: int) -> tuple[Part, Part]:
    """What is left to train on, and the part that is held out."""
    if not 0 < count < len(train.labels):
        want = f"1 to {len(train.labels) - 1} samples held out, so that no part is empty"
        raise ConfigError(expected(f"{name}.{part}", want, count))
    strata = train.labels if train.labels.ndim == 1 else np.zeros(len(train.labels), np.int64)
    held: Longs = stratified(strata, count, seed, stream)
    rest = np.ones(len(train.labels), np.bool_)
    rest[held] = False
    return Part("train", train.images[rest], train.labels[rest]), Part(part, train.images[held], train.labels[held])


def _check_classes(name: str, parts: dict[str, Part], held: str, names: tuple[str, ...]) -> None:
    """What was held out left samples of each of its classes to train on."""
    missing = sorted(set(parts[held].labels.tolist()) - set(parts["train"].labels.tolist()))
    if missing:
        want = f"samples of every class of {name}.{held}, which was held out"
        got = Unquoted(f"none of {', '.join(names[index] for index in missing)}")
        raise DataError(expected(f"{name}.train", want, got))


def _dataset(place: str, part: Part, span: InputRange | None, names: tuple[str, ...], task: str) -> Dataset:
    images, scale = in_range(f"{place}.images", part.images, span)
    return Dataset(images, part.labels, names, place, scale, task=task)
