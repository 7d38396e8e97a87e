"""Events as a file has them; their faults are refused, or mended where the repair was asked for by name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, DataError, FormatError, Unquoted, expected

from .recording import UNLABELLED, Recording

REPAIRS = {
    "truncate": "bytes cut off: a file ended within an event",
    "unwrap": "times that the clock began anew: counted on from there",
    "drop": "events off the sensor: left out",
    "clip": "events off the sensor: moved to its edge",
    "sort": "events earlier than one before them: put in the order of time",
    "skip": "recordings without events: left out",
}


LARGEST_SHARE = 0.05
"""The share of a recording's events that repairs may change; bytes of another format have far more faults. One event
may always be changed: it is no share."""


@dataclass(frozen=True, eq=False)
class Raw:
    """What a reader found, unchecked.

    x, y, t (microseconds): integers `[N]` of any type; p: `[N]`, ON where above 0. sensor: (H, W). clock: microseconds
    after which the file's clock begins anew, 0 if it never does. cut: bytes at the end that are no whole event.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    t: NDArray[Any]
    p: NDArray[Any]
    sensor: tuple[int, int]
    name: str
    clock: int = 0
    cut: int = 0


@dataclass
class Report:
    """What was mended: of each repair (recordings, how much of what `REPAIRS` says)."""

    done: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, repair: str, amount: int) -> None:
        """Note a repair of one recording."""
        recordings, total = self.done.get(repair, (0, 0))
        self.done[repair] = (recordings + 1, total + amount)


def check_repairs(repair: Collection[str]) -> frozenset[str]:
    """The names of repairs; ConfigError for one that is unknown, and for two that exclude each other."""
    wrong = [name for name in repair if name not in REPAIRS]
    if isinstance(repair, str) or wrong:
        raise ConfigError(expected("repair", f"some of {', '.join(REPAIRS)}", ", ".join(wrong) or repair))
    if {"drop", "clip"} <= set(repair):
        raise ConfigError(expected("repair", "drop or clip", Unquoted("both")))
    return frozenset(repair)


def mend(raw: Raw, repair: Collection[str], report: Report, label: int = UNLABELLED) -> Recording | None:
    """The recording, or None where it has no events and "skip" was asked for.

    What is done is added to `report`, in this order: truncate, unwrap, drop or clip, sort, skip. A recording in which
    they would change more than `LARGEST_SHARE` of the events is refused, and no repair is offered: it may be of another
    format. Raises FormatError (cut off), DataError (time, sensor, no events; each names the repair), LabelError.
    """
    off = _off_sensor(raw)
    _check_share(raw, off, repair)
    if raw.cut:
        _allow("truncate", repair, report, raw.cut, FormatError, f"{raw.name}: end", "a whole event", "bytes of one")
    columns = {"x": raw.x, "y": raw.y, "t": raw.t, "p": raw.p > 0}
    if "unwrap" in repair:
        columns["t"], anew = _unwrapped(raw)
        if anew:
            report.add("unwrap", anew)
    columns = _on_sensor(columns, off, raw, repair, report)
    columns["t"], order = _in_order(columns["t"], raw, repair, report)
    if order is not None:
        columns = {name: column if name == "t" else column[order] for name, column in columns.items()}
    if len(columns["t"]) == 0:
        _allow("skip", repair, report, 1, DataError, raw.name, "at least one event", "recording without any")
        return None
    return Recording(**columns, sensor=raw.sensor, label=label, name=raw.name)


def _check_share(raw: Raw, off: NDArray[np.bool_], repair: Collection[str]) -> None:
    """DataError where all repairs together would change more than a few per cent of the events."""
    time, anew = _unwrapped(raw)
    outside = int(np.count_nonzero(off))
    faults = {
        f"off the sensor of {raw.sensor[1]}x{raw.sensor[0]} pixels": outside,
        "earlier than one before them": _late(time[~off] if outside and "clip" not in repair else time),
        "where the clock begins anew": anew,
    }
    if _too_many(sum(faults.values()), raw):
        said = ", ".join(f"{count} {fault}" for fault, count in faults.items() if count)
        got = f"{said}, of {len(raw.t)} in all: a file of another format or sensor, which no repair mends"
        want = f"faults in at most {LARGEST_SHARE:.0%} of the events"
        raise DataError(expected(raw.name, want, Unquoted(got)))


def _too_many(changed: int, raw: Raw) -> bool:
    return changed > max(1, LARGEST_SHARE * len(raw.t))


def _allow(
    name: str,
    repair: Collection[str],
    report: Report,
    amount: int,
    error: type[Exception],
    place: str,
    want: str,
    got: str,
) -> None:
    """Note a repair that was asked for; otherwise raise the error, which says how to ask for it."""
    if name not in repair:
        raise error(expected(place, want, Unquoted(f"{amount} {got} (repair {name!r} mends it)")))
    report.add(name, amount)


def _unwrapped(raw: Raw) -> tuple[NDArray[Any], int]:
    """Time counted on where the clock began anew, and how often; it falls by more than half of its range there."""
    if not raw.clock or not _falls(raw.t):
        return raw.t, 0
    time = raw.t.astype(np.int64)
    anew = np.diff(time) < -(raw.clock // 2)
    time[1:] += raw.clock * np.cumsum(anew)
    return time, int(np.count_nonzero(anew))


def _off_sensor(raw: Raw) -> NDArray[np.bool_]:
    height, width = raw.sensor
    off: NDArray[np.bool_] = (raw.x < 0) | (raw.x >= width) | (raw.y < 0) | (raw.y >= height)
    return off


def _late(time: NDArray[Any]) -> int:
    """How many times are earlier than one before them."""
    return int(np.count_nonzero(time < np.maximum.accumulate(time))) if _falls(time) else 0


def _falls(time: NDArray[Any]) -> bool:
    return bool((time[1:] < time[:-1]).any())


def _on_sensor(
    columns: dict[str, NDArray[Any]], off: NDArray[np.bool_], raw: Raw, repair: Collection[str], report: Report
) -> dict[str, NDArray[Any]]:
    height, width = raw.sensor
    x, y = columns["x"], columns["y"]
    count = int(np.count_nonzero(off))
    if not count:
        return columns
    if "clip" in repair:
        report.add("clip", count)
        sides = {"x": (x, width), "y": (y, height)}
        return columns | {name: np.clip(at.astype(np.int64), 0, side - 1) for name, (at, side) in sides.items()}
    at = int(np.flatnonzero(off)[0])
    place, got = f"{raw.name}.events[{at}]", f"at x={x[at]}, y={y[at]}, and {count} event(s) off it in all"
    if "drop" not in repair:
        want = f"on the sensor of {width}x{height} pixels"
        raise DataError(expected(place, want, Unquoted(f"{got} (repair 'drop' or 'clip' mends it)")))
    report.add("drop", count)
    return {name: column[~off] for name, column in columns.items()}


def _in_order(
    time: NDArray[Any], raw: Raw, repair: Collection[str], report: Report
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Time that never falls, and the order that made it so (None: it was). Events of one time keep their order."""
    fallen = np.flatnonzero(time[1:] < time[:-1])
    if not fallen.size:
        return time, None
    if "sort" not in repair:
        at = int(fallen[0]) + 1
        want = f"at least the {time[at - 1]} microseconds before it"
        remedy = "unwrap" if "unwrap" not in repair and _unwrapped(raw)[1] else "sort"
        more = f"{time[at]}, and {fallen.size} step(s) back in all (repair {remedy!r} mends it)"
        raise DataError(expected(f"{raw.name}.t[{at}]", want, Unquoted(more)))
    late = _late(time)
    if _too_many(late, raw):
        want = "repair 'unwrap' before 'sort'"
        got = f"a clock that begins anew, after which {late} of {len(raw.t)} events are earlier than those before it"
        raise DataError(expected(raw.name, want, Unquoted(got)))
    report.add("sort", late)
    order = np.argsort(time, kind="stable")
    return time[order], order
