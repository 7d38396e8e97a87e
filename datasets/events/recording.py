"""One recording of an event camera, in memory: checked once, when it is made, and then trusted everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import DataError, LabelError, Unquoted, expected

UNLABELLED = -1
LARGEST_SIDE = 1 << 16

FIELDS: dict[str, type[np.generic]] = {"x": np.uint16, "y": np.uint16, "t": np.int64, "p": np.bool_}


@dataclass(frozen=True, eq=False)
class Recording:
    """Events in the order of their time.

    x, y: uint16 `[N]`, column and row, from the upper left. t: int64 `[N]`, microseconds, never falling.
    p: bool `[N]`, True where it became brighter (ON). sensor: (H, W) in pixels. label: of a class, -1 for none.
    name: that messages use. N may be 0. The arrays are stored C-contiguous in these types; others are taken where no
    value changes. Raises DataError (types, lengths, an event off the sensor, time that falls), LabelError.
    """

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    t: NDArray[np.int64]
    p: NDArray[np.bool_]
    sensor: tuple[int, int]
    label: int = UNLABELLED
    name: str = "recording"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DataError(expected("name", "a string", Unquoted(type(self.name).__name__)))
        for field, dtype in FIELDS.items():
            object.__setattr__(self, field, _column(getattr(self, field), dtype, f"{self.name}.{field}"))
        if any(len(getattr(self, field)) != len(self.x) for field in FIELDS):
            lengths = ", ".join(f"{field} {len(getattr(self, field))}" for field in FIELDS)
            raise DataError(expected(self.name, "x, y, t and p of one length", Unquoted(lengths)))
        object.__setattr__(self, "sensor", _sensor(self.sensor, f"{self.name}.sensor"))
        for field, side in (("y", self.sensor[0]), ("x", self.sensor[1])):
            _below(getattr(self, field), side, f"{self.name}.{field}")
        fallen = np.flatnonzero(self.t[1:] < self.t[:-1])
        if fallen.size:
            at = int(fallen[0]) + 1
            want = f"at least the {self.t[at - 1]} microseconds before it"
            raise DataError(expected(f"{self.name}.t[{at}]", want, int(self.t[at])))
        if isinstance(self.label, bool) or not isinstance(self.label, (int, np.integer)) or self.label < UNLABELLED:
            raise LabelError(expected(f"{self.name}.label", f"an integer of at least {UNLABELLED}", self.label))
        object.__setattr__(self, "label", int(self.label))

    def __len__(self) -> int:
        """The number of events N."""
        return len(self.t)

    def __repr__(self) -> str:
        """Name, events, sensor, duration and label, not the events themselves."""
        return (
            f"Recording({self.name!r}, {len(self)} events, sensor={self.sensor}, {self.duration} us, "
            f"label={self.label})"
        )

    @property
    def duration(self) -> int:
        """Microseconds from the first event to the last; 0 where there are none."""
        return int(self.t[-1] - self.t[0]) if len(self) else 0


def _column(values: Any, dtype: type[np.generic], place: str) -> NDArray[Any]:
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        got = f"shape {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__
        raise DataError(expected(place, "a NumPy array [N]", Unquoted(got)))
    if values.dtype.kind not in ("biu" if dtype is np.bool_ else "iu"):
        want = "booleans, or 0 and 1" if dtype is np.bool_ else "integers"
        raise DataError(expected(place, want, values.dtype))
    if values.dtype != dtype and values.size:
        highest = 1 if dtype is np.bool_ else np.iinfo(dtype).max  # type: ignore[type-var]  # one of FIELDS
        lowest = 0 if dtype is np.bool_ else np.iinfo(dtype).min  # type: ignore[type-var]  # one of FIELDS
        least, most = int(values.min()), int(values.max())
        if least < lowest or most > highest:
            raise DataError(expected(place, f"{lowest} to {highest}", Unquoted(f"{least} to {most}")))
    return np.ascontiguousarray(values, dtype=dtype)


def _sensor(sensor: Any, place: str) -> tuple[int, int]:
    whole = (int, np.integer)
    fits = (
        isinstance(sensor, (tuple, list))
        and len(sensor) == 2
        and all(isinstance(side, whole) and not isinstance(side, bool) and 1 <= side <= LARGEST_SIDE for side in sensor)
    )
    if not fits:
        raise DataError(expected(place, f"(H, W), each 1 to {LARGEST_SIDE} pixels", sensor))
    return int(sensor[0]), int(sensor[1])


def _below(values: NDArray[Any], side: int, place: str) -> None:
    outside = np.flatnonzero(values >= side)
    if outside.size:
        at = int(outside[0])
        more = f", and {outside.size - 1} more" if outside.size > 1 else ""
        raise DataError(expected(f"{place}[{at}]", f"0 to {side - 1}", Unquoted(f"{values[at]}{more}")))
