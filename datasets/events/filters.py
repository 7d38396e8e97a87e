"""Changes of a Recording that leave a smaller or a turned one; the one that was given stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.validation import whole
from qpsnn_core.kernels.events.columns import EventColumns
from qpsnn_core.kernels.events.filters import NEVER, rested, supported

from .recording import Recording

BESIDE = ((-1, 0), (0, -1), (0, 1), (1, 0))
NEIGHBOURS = {4: BESIDE, 8: (*BESIDE, (-1, -1), (-1, 1), (1, -1), (1, 1))}


def denoise(recording: Recording, within: int, *, neighbours: int = 8) -> Recording:
    """Only events with a neighbour that fired less than `within` microseconds before: no background activity.

    neighbours: 8, or the 4 that share an edge, as in tonic (which, unlike this, lets all events of its first `within`
    microseconds pass). Events of one time are in the order of the stream. Raises ConfigError.
    Delbruck 2008, "Frame-free dynamic digital vision".
    """
    if neighbours not in NEIGHBOURS:
        raise ConfigError(expected("denoise.neighbours", "4 or 8", neighbours))
    reach = np.array(NEIGHBOURS[neighbours], np.int64)
    keep = np.empty(len(recording), np.bool_)
    supported(
        _columns(recording), recording.sensor, reach, whole("denoise.within", within, 1), _silent(recording), keep
    )
    return kept(recording, keep)


def refractory(recording: Recording, period: int) -> Recording:
    """Only events at least `period` microseconds after the last one that their pixel kept: a pixel that rests.

    (tonic counts from the last event, kept or not, so that a busy pixel never fires again.) Raises ConfigError.
    """
    keep = np.empty(len(recording), np.bool_)
    rested(_columns(recording), recording.sensor[1], whole("refractory.period", period, 0), _silent(recording), keep)
    return kept(recording, keep)


def downsample(recording: Recording, down: int, across: int | None = None) -> Recording:
    """Every `down` rows and `across` columns (None: as many) become one pixel that fires whenever one of them does.

    Its frames are therefore sums of the old ones. A remainder at the edge is a smaller pixel. Raises ConfigError.
    """
    down = whole("downsample.down", down, 1)
    across = down if across is None else whole("downsample.across", across, 1)
    height, width = recording.sensor
    sensor = -(-height // down), -(-width // across)
    return changed(
        recording, x=recording.x.astype(np.int64) // across, y=recording.y.astype(np.int64) // down, sensor=sensor
    )


def resize(recording: Recording, height: int, width: int) -> Recording:
    """Events on a sensor of `height` x `width` pixels: column x is now `x * width // W`, row y `y * height // H`.

    A smaller sensor's frames are sums of the old ones' pixels; a larger one has pixels that never fire. ConfigError.
    """
    height, width = whole("resize.height", height, 1), whole("resize.width", width, 1)
    rows, columns = recording.sensor
    x, y = recording.x.astype(np.int64) * width // columns, recording.y.astype(np.int64) * height // rows
    return changed(recording, x=x, y=y, sensor=(height, width))


def crop_time(recording: Recording, start: int, end: int) -> Recording:
    """Events of `start <= t < end`, microseconds as in `t`, which does not change. Raises ConfigError."""
    for place, value in (("start", start), ("end", end)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ConfigError(expected(f"crop_time.{place}", "a whole number of microseconds", value))
    if end < start:
        raise ConfigError(expected("crop_time.end", f"at least the start, {start}", end))
    low, high = np.searchsorted(recording.t, (start, end))
    return kept(recording, slice(low, high))


def crop_space(recording: Recording, top: int, left: int, height: int, width: int) -> Recording:
    """The sensor's part of `height` x `width` pixels from (top, left) on. Raises ConfigError where it is not on it."""
    sizes = {"top": (top, 0), "left": (left, 0), "height": (height, 1), "width": (width, 1)}
    top, left, height, width = (whole(f"crop_space.{name}", *given) for name, given in sizes.items())
    for place, end, side in (("height", top + height, 0), ("width", left + width, 1)):
        if end > recording.sensor[side]:
            want = f"at most {recording.sensor[side] - (top, left)[side]}, the rest of the sensor {recording.sensor}"
            raise ConfigError(expected(f"crop_space.{place}", want, (height, width)[side]))
    row, column = recording.y.astype(np.int64) - top, recording.x.astype(np.int64) - left
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    columns = {"x": column[inside], "y": row[inside], "t": recording.t[inside], "p": recording.p[inside]}
    return changed(recording, **columns, sensor=(height, width))


def flip(recording: Recording, *, vertically: bool = False) -> Recording:
    """Left becomes right; vertically: top becomes bottom."""
    height, width = recording.sensor
    if vertically:
        return changed(recording, y=height - 1 - recording.y.astype(np.int64))
    return changed(recording, x=width - 1 - recording.x.astype(np.int64))


def flip_polarity(recording: Recording) -> Recording:
    """ON becomes OFF, and OFF ON."""
    return changed(recording, p=~recording.p)


def merge_polarity(recording: Recording) -> Recording:
    """All events are OFF, as tonic has them (channel 0 of frames counts them all)."""
    return changed(recording, p=np.zeros_like(recording.p))


def kept(recording: Recording, keep: NDArray[np.bool_] | slice) -> Recording:
    """The events of a mask `[N]`, or of a range."""
    return changed(recording, **{field: getattr(recording, field)[keep] for field in ("x", "y", "t", "p")})


def changed(recording: Recording, **fields: Any) -> Recording:
    """The recording with other columns or another sensor, checked again."""
    return replace(recording, **fields)


def _columns(recording: Recording) -> EventColumns:
    return EventColumns(recording.x, recording.y, recording.t, recording.p)


def _silent(recording: Recording) -> NDArray[np.int64]:
    """A time for each pixel: it never fired."""
    height, width = recording.sensor
    return np.full(height * width, NEVER, np.int64)
