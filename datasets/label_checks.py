"""Checks of the labels of a set, of each task: what comes out is what a Dataset holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.errors import DataError, LabelError, Unquoted, expected
from qpsnn_core.common.types import Array, Labels


def check_labels(labels: Any, classes: int, place: str = "labels") -> Labels:
    """`labels` as int64 `[N]`; DataError for type or shape, LabelError for the first not in 0..classes-1."""
    if not isinstance(labels, np.ndarray):
        raise DataError(expected(place, "a NumPy array", Unquoted(type(labels).__name__)))
    if labels.dtype.kind not in "iu":
        raise DataError(expected(place, "integers", labels.dtype))
    if labels.ndim != 1:
        raise DataError(expected(place, "[N]", Unquoted(f"shape {list(labels.shape)}")))
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise LabelError(expected(f"{place}[{wrong[0]}]", f"0 to {classes - 1}", int(labels[wrong[0]])))
    return np.ascontiguousarray(labels, dtype=np.int64)


def check_marks(labels: Any, classes: int, place: str = "labels") -> Array:
    """`labels` as uint8 `[N, K]`, 0 and 1 or truth values; DataError for type or shape, LabelError for others."""
    found = _rows(labels, classes, place, "biu")
    wrong = np.flatnonzero(((found != 0) & (found != 1)).any(1))
    if wrong.size:
        raise LabelError(
            expected(f"{place}[{wrong[0]}]", "0 or 1 for each label", Unquoted(f"{found[wrong[0]].tolist()}"))
        )
    return np.ascontiguousarray(found, dtype=np.uint8)


def check_numbers(labels: Any, classes: int, place: str = "labels") -> Array:
    """`labels` as float64 `[N, K]`; DataError for type or shape, LabelError for NaN or infinity."""
    found = _rows(labels, classes, place, "fiu")
    wrong = np.flatnonzero(~np.isfinite(found).all(1))
    if wrong.size:
        raise LabelError(expected(f"{place}[{wrong[0]}]", "finite numbers", Unquoted(f"{found[wrong[0]].tolist()}")))
    return np.ascontiguousarray(found, dtype=np.float64)


def _rows(labels: Any, classes: int, place: str, kinds: str) -> Array:
    if not isinstance(labels, np.ndarray):
        raise DataError(expected(place, "a NumPy array", Unquoted(type(labels).__name__)))
    if labels.dtype.kind not in kinds or labels.shape[1:] != (classes,) or labels.ndim != 2:
        words = {"b": "truth values", "i": "integers", "u": "integers", "f": "real numbers"}
        want = f"{' or '.join(dict.fromkeys(words[kind] for kind in kinds))} [N, {classes}], one for each of its names"
        raise DataError(expected(place, want, Unquoted(f"{labels.dtype} {list(labels.shape)}")))
    return labels
