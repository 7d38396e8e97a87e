"""A recording of events as pictures: counts in pixels, their colours, and the rate over time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.types import Longs
from qpsnn_datasets.events import Recording


class Palette(NamedTuple):
    """Red, green and blue, 0 to 255, of a pixel without events, and of one with many that are OFF, or ON."""

    background: tuple[int, int, int]
    off: tuple[int, int, int]
    on: tuple[int, int, int]


PAPER = Palette((255, 255, 255), (224, 122, 63), (42, 111, 151))
SCREEN = Palette((0, 0, 0), (255, 140, 60), (80, 170, 255))


def edges(recording: Recording, slices: int) -> npt.NDArray[np.int64]:
    """Times `[slices + 1]` that part a recording into spans of nearly one length; the last is after its end."""
    if slices < 1:
        raise ConfigError(expected("slices", "at least 1", slices))
    first, last = (int(recording.t[0]), int(recording.t[-1])) if len(recording) else (0, 0)
    return np.array([first + (last + 1 - first) * k // slices for k in range(slices + 1)], np.int64)


def counts(recording: Recording, times: npt.NDArray[np.int64], size: tuple[int, int]) -> Longs:
    """Events `[slices, 2, rows, columns]`, OFF then ON, between successive times, on a sensor scaled to `size`.

    A sensor of one row (a cochlea) is laid out with its units upwards and time, from each slice's begin, to the right.
    """
    rows, columns = size
    slices = len(times) - 1
    part = np.searchsorted(times, recording.t, side="right") - 1
    inside = (part >= 0) & (part < slices)
    part = part[inside]
    x, y, t, on = (column[inside].astype(np.int64) for column in (recording.x, recording.y, recording.t, recording.p))
    height, width = recording.sensor
    if height == 1:
        column = (t - times[part]) * columns // np.maximum(np.diff(times)[part], 1)
        row = rows - 1 - x * rows // width
    else:
        column, row = x * columns // width, y * rows // height
    place = ((part * 2 + on) * rows + row) * columns + column
    return np.bincount(place, minlength=slices * 2 * rows * columns).reshape(slices, 2, rows, columns)


def picture_size(recording: Recording, rows: int, columns: int) -> tuple[int, int]:
    """The largest (rows, columns) within these, in the sensor's proportions, and not larger than the sensor."""
    height, width = recording.sensor
    if height == 1:
        return min(rows, width), columns
    scale = min(1.0, rows / height, columns / width)
    return max(1, int(height * scale)), max(1, int(width * scale))


def colours(counted: Longs, palette: Palette) -> npt.NDArray[np.uint8]:
    """Colours `[slices, rows, columns, 3]`: full at the 99th percentile of the pixels with events."""
    busy = counted[counted > 0]
    top = max(1.0, float(np.percentile(busy, 99))) if busy.size else 1.0
    share = np.minimum(1.0, counted / top) ** 0.5
    off, on = share[:, 0, ..., None], share[:, 1, ..., None]
    background = np.array(palette.background, np.float64)
    mixed = background + (palette.off - background) * off + (palette.on - background) * on
    found: npt.NDArray[np.uint8] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return found


def rate(recording: Recording, bins: int) -> npt.NDArray[np.float64]:
    """Events per second `[2, bins]`, OFF then ON, over the recording's time."""
    times = edges(recording, bins)
    spans = np.maximum(np.diff(times), 1) / 1e6
    events = [np.histogram(recording.t[recording.p == on], times)[0] for on in (False, True)]
    found: npt.NDArray[np.float64] = np.array(events) / spans
    return found
