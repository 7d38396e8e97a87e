"""Labels as people have them (integers, words, truth values, one-hot rows) as integers from 0, and their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qpsnn_core.common.errors import DataError, LabelError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.tasks import MULTILABEL, REGRESSION
from qpsnn_core.common.types import Array, Labels
from qpsnn_core.common.validation import described

from .label_checks import check_marks, check_numbers

MOST_CLASSES = 1 << 16
"""Of a set that does not name its classes."""

FORMS = "integers, strings, truth values or one-hot rows, one for each sample"


def labels_of(
    parts: Sequence[tuple[str, Any]], classes: Sequence[str] | None, known: Sequence[str] = ()
) -> tuple[list[Labels], tuple[str, ...]]:
    """The labels of every part, int64 `[N]`, and the names of the classes, the same for all.

    parts: (place for messages, labels). Integers count from 0; words are the names of the classes, in the order of
    `classes`, else of `known`, else of the alphabet; truth values are "False", "True"; a row of a matrix has a single
    1, at its class. Without `classes`, integers are called 0, 1, ... up to the largest.
    Raises DataError (other types, shapes, mixed kinds), LabelError (a label that is no class).
    """
    arrays = [_array(place, labels) for place, labels in parts]
    kinds = {_kind(array) for array in arrays}
    if len(kinds) > 1:
        places = ", ".join(f"{place} {array.dtype}" for (place, _), array in zip(parts, arrays, strict=True))
        raise DataError(expected(parts[0][0], "labels of one kind in all parts", Unquoted(places)))
    named = None if classes is None else _names(parts[0][0], classes)
    if kinds == {"words"}:
        names = named or tuple(known) or tuple(sorted({str(one) for array in arrays for one in array.tolist()}))
        return [_indices(place, array, names) for (place, _), array in zip(parts, arrays, strict=True)], names
    numbers = [array.astype(np.int64) for array in arrays]
    names = named or (("False", "True") if kinds == {"truth"} else _numbered(parts, numbers))
    for (place, _), array in zip(parts, numbers, strict=True):
        wrong = np.flatnonzero((array < 0) | (array >= len(names)))
        if wrong.size:
            want = f"0 to {len(names) - 1} (classes count from 0; strings are labels, too)"
            raise LabelError(expected(f"{place}[{wrong[0]}]", want, int(array[wrong[0]])))
    return numbers, names


def _array(place: str, labels: Any) -> Array:
    """One label a sample: `[N, 1]` is `[N]`, a one-hot row the place of its 1."""
    try:
        found = np.asarray(labels)
    except ValueError as error:  # rows of different lengths
        raise DataError(expected(place, FORMS, Unquoted(str(error)))) from error
    if not found.ndim:
        raise DataError(expected(place, FORMS, Unquoted(described(labels))))
    if found.dtype.kind in "US":
        _check_words(place, labels)
    if found.dtype.kind == "O" and all(isinstance(one, (str, np.str_)) for one in found.reshape(-1).tolist()):
        found = found.astype(np.str_)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == 2 and found.dtype.kind in "biuf":
        return _from_rows(place, found)
    if found.ndim != 1 or found.dtype.kind not in "biuSU":
        whole = found.dtype.kind == "f" and found.ndim == 1 and np.isfinite(found).all() and not (found % 1).any()
        hint = " (whole numbers: labels.astype(int) makes integers of them)" if whole else ""
        raise DataError(expected(place, FORMS, Unquoted(f"{found.dtype} {list(found.shape)}{hint}")))
    return found.astype(np.str_) if found.dtype.kind == "S" else found


def _check_words(place: str, labels: Any) -> None:
    """Of a list, every label is a word: NumPy would make a word of each number beside one."""
    if isinstance(labels, np.ndarray):
        return
    every = np.asarray(labels, object).reshape(-1).tolist()
    words = [isinstance(one, (str, bytes)) for one in every]
    if not all(words):
        odd, word = words.index(False), words.index(True)
        raise DataError(expected(f"{place}[{odd}]", f"a string, as {place}[{word}] is one", every[odd]))


def _from_rows(place: str, rows: Array) -> Array:
    wrong = np.flatnonzero(((rows != 0) & (rows != 1)).any(1) | (rows.sum(1) != 1))
    if wrong.size:
        row = rows[wrong[0]].tolist()
        raise LabelError(
            expected(f"{place}[{wrong[0]}]", "a row of zeros with a single 1 (one-hot)", Unquoted(f"{row}"))
        )
    found: Array = rows.argmax(1)
    return found


def _kind(array: Array) -> str:
    return "words" if array.dtype.kind == "U" else "truth" if array.dtype.kind == "b" else "numbers"


def _names(place: str, classes: Sequence[str]) -> tuple[str, ...]:
    listed = isinstance(classes, (tuple, list, np.ndarray))
    if not listed or not all(isinstance(one, str) for one in classes):
        raise DataError(expected(f"{place}: classes", "names, one string for each class", Unquoted(described(classes))))
    return tuple(map(str, classes))


def _numbered(parts: Sequence[tuple[str, Any]], numbers: Sequence[Array]) -> tuple[str, ...]:
    """As many names as the largest label, or the longest one-hot row, asks for."""
    widths = [np.shape(labels)[1] for _, labels in parts if np.ndim(labels) == 2 and np.shape(labels)[1] > 1]
    for (place, _), array in zip(parts, numbers, strict=True):
        if array.size and int(array.max()) >= MOST_CLASSES:
            want = f"0 to {MOST_CLASSES - 1}, as classes have no names"
            raise LabelError(expected(f"{place}[{array.argmax()}]", want, int(array.max())))
    largest = max((int(array.max()) for array in numbers if array.size), default=0)
    return tuple(map(str, range(max([largest + 1, *widths]))))


def _indices(place: str, array: Array, names: tuple[str, ...]) -> Labels:
    known = {name: index for index, name in enumerate(names)}
    for index, one in enumerate(array.tolist()):
        if one not in known:
            want = f"one of the classes {', '.join(names)}"
            raise LabelError(expected(f"{place}[{index}]", want, one) + did_you_mean(one, names))
    return np.array([known[one] for one in array.tolist()], np.int64)


def rows_of(
    task: str, parts: Sequence[tuple[str, Any]], classes: Sequence[str] | None
) -> tuple[list[Array], tuple[str, ...]]:
    """Labels that are no classes: rows `[N, K]` (`[N]` is `[N, 1]`) of real numbers, or of 0 and 1; and K names.

    parts: (place for messages, labels). classes: the names; without them they are called 0, 1, ...
    Raises DataError (types, shapes), LabelError (what is no number, or no 0 or 1).
    """
    checks = {REGRESSION: check_numbers, MULTILABEL: check_marks}
    arrays = [_as_rows(task, place, labels) for place, labels in parts]
    names = _names(parts[0][0], classes) if classes is not None else tuple(map(str, range(arrays[0].shape[1])))
    return [checks[task](array, len(names), place) for (place, _), array in zip(parts, arrays, strict=True)], names


def _as_rows(task: str, place: str, labels: Any) -> Array:
    want = "real numbers [N] or [N, K]" if task == REGRESSION else "0 and 1, or truth values, [N, K]"
    try:
        found = np.asarray(labels)
    except ValueError as error:  # rows of different lengths
        raise DataError(expected(place, want, Unquoted(str(error)))) from error
    if found.dtype.kind not in "biuf" or found.ndim not in (1, 2):
        raise DataError(expected(place, want, Unquoted(f"{found.dtype} {list(found.shape)}")))
    if task == MULTILABEL and found.dtype.kind == "f" and not (found % 1).any():
        found = found.astype(np.int64)
    return found[:, None] if found.ndim == 1 else found
