"""Recordings as frames of counted events, uint8 `[T, H, W, 2]`: channel 0 counts OFF events, channel 1 ON events.

A count above 255 stays 255. The slices are those of tonic (SliceByTime, SliceByEventCount, SliceByTimeBins,
SliceByEventBins) without overlap, or those of SpikingJelly, whose last bin takes what is left over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Protocol

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, Unquoted, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.types import Images, Longs
from qpsnn_core.common.validation import whole
from qpsnn_core.kernels.events.columns import EventColumns
from qpsnn_core.kernels.events.frames import count_events
from qpsnn_core.kernels.threads import parallel_for
from qpsnn_datasets.memmap import mapped
from qpsnn_datasets.schema import Dataset

from .recording import Recording

Span = tuple[int, int]

MOST = 255


class Recordings(Protocol):
    """Anything that has a length and gives a Recording for an index: a list, or a file that reads when asked."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> Recording:
        """The recording of that index."""


def frames_by_time(recording: Recording, window: int, *, partial: bool = False, binary: bool = False) -> Images:
    """A frame for every `window` microseconds from the first event on.

    Whole windows only, but at least one (tonic); partial: also the last one, so that no event is lost. binary: 1 where
    there is any event. Raises ConfigError (window), DataError (more frames than memory).
    """
    window = whole("frames_by_time.window", window, 1)
    count = recording.duration // window + 1 if partial else max(1, recording.duration // window)
    frames = _room(recording, count)
    edges = np.searchsorted(recording.t, _first(recording) + window * np.arange(count + 1))
    return _counted(recording, edges, frames, binary)


def frames_by_count(recording: Recording, count: int, *, partial: bool = False, binary: bool = False) -> Images:
    """A frame for every `count` events, from the first on; arguments and errors as of `frames_by_time`."""
    count = whole("frames_by_count.count", count, 1)
    found = max(1, -(-len(recording) // count) if partial else len(recording) // count)
    edges = np.minimum(count * np.arange(found + 1), len(recording))
    return _counted(recording, edges, _room(recording, found), binary)


def frames_in_bins(
    recording: Recording,
    bins: int,
    *,
    by: str = "time",
    rest: str = "last",
    span: Span | None = None,
    binary: bool = False,
) -> Images:
    """`bins` frames of equal duration (by "time"), or of equally many events (by "count").

    What division leaves over at the end goes into the "last" frame (SpikingJelly), or is dropped ("drop", tonic).
    span: microseconds (from, to before), for "time": the frames divide it, and events outside it are dropped; without
    one they begin with the first event and end with the last. Raises ConfigError.
    """
    bins = whole("frames_in_bins.bins", bins, 1)
    for place, word, words in (("by", by, ("time", "count")), ("rest", rest, ("last", "drop"))):
        if word not in words:
            raise ConfigError(expected(f"frames_in_bins.{place}", f"one of {', '.join(words)}", word))
    frames = _room(recording, bins)
    if span is not None:
        begin, end = _span(span, by)
        edges = np.searchsorted(recording.t, [begin + (end - begin) * k // bins for k in range(bins + 1)])
        return _counted(recording, edges, frames, binary)
    if by == "count":
        edges = len(recording) // bins * np.arange(bins + 1)
    else:
        edges = np.searchsorted(recording.t, _first(recording) + recording.duration // bins * np.arange(bins + 1))
    if rest == "last":
        edges[-1] = len(recording)
    return _counted(recording, edges, frames, binary)


def to_dataset(
    recordings: Recordings | Sequence[Recording],
    steps: int,
    *,
    by: str = "time",
    rest: str = "last",
    span: Span | None = None,
    binary: bool = False,
    classes: Sequence[str] | None = None,
    name: str = "events",
    on_disk: bool = False,
) -> Dataset:
    """Every recording in `steps` frames, as data to train on: images uint8 `[N, steps, H, W, 2]`.

    by, rest, span, binary: as in `frames_in_bins`. classes: the name of each, else the numbers up to the largest label.
    Recordings are asked for one after the other and not kept. on_disk: frames lie in a mapped temporary file, so that
    they may be larger than memory. Raises DataError (none, another sensor, more frames than memory), LabelError
    (unlabelled), ConfigError, FileError (no room on the disk).
    """
    steps, count = whole("steps", steps, 1), len(recordings)
    if not count:
        raise DataError(expected(name, "at least one recording", Unquoted("none")))
    images, labels = np.zeros((0, 0, 0, 0, 2), np.uint8), np.zeros(count, np.int64)
    for index, one in _all(recordings, name):
        if index == 0:
            sensor = one.sensor
            images = _frames((count, steps, *sensor, 2), name, on_disk)
        if one.sensor != sensor:
            want = f"the sensor {sensor} of {name}[0]"
            raise DataError(expected(f"{name}[{index}] ({one.name}).sensor", want, one.sensor))
        if one.label < 0:
            want = "a label of at least 0, to train on"
            raise LabelError(expected(f"{name}[{index}] ({one.name}).label", want, one.label))
        images[index] = frames_in_bins(one, steps, by=by, rest=rest, span=span, binary=binary)
        labels[index] = one.label
    named = tuple(classes) if classes is not None else tuple(map(str, range(int(labels.max()) + 1)))
    return Dataset(images, labels, named, name)


def _all(recordings: Recordings | Sequence[Recording], name: str) -> Iterator[tuple[int, Recording]]:
    for index in range(len(recordings)):
        one = recordings[index]
        if not isinstance(one, Recording):
            raise DataError(expected(f"{name}[{index}]", "a Recording", Unquoted(type(one).__name__)))
        yield index, one


def _span(span: Span, by: str) -> Span:
    place = "frames_in_bins.span"
    if by != "time":
        raise ConfigError(expected(place, "None, as frames are of equally many events", span))
    valid = isinstance(span, (tuple, list)) and len(span) == 2
    if not valid or not all(isinstance(edge, (int, np.integer)) for edge in span) or not span[0] < span[1]:
        raise ConfigError(expected(place, "two whole numbers of microseconds, the second the larger", span))
    return int(span[0]), int(span[1])


def _first(recording: Recording) -> int:
    return int(recording.t[0]) if len(recording) else 0


def _counted(recording: Recording, edges: Longs, frames: Images, binary: bool) -> Images:
    """Frame f filled with events `edges[f]..edges[f + 1] - 1`."""
    columns = EventColumns(recording.x, recording.y, recording.t, recording.p.view(np.uint8))
    ranges = np.ascontiguousarray(edges[:-1]), np.ascontiguousarray(edges[1:])
    parallel_for(count_events, len(frames), 1, columns, *ranges, frames, 1 if binary else MOST)
    return frames


def _room(recording: Recording, count: int) -> Images:
    return _zeros((count, *recording.sensor, 2), recording.name)


def _frames(shape: tuple[int, ...], name: str, on_disk: bool) -> Images:
    if not on_disk:
        return _zeros(shape, name)
    with mapped(shape) as (_, images):
        return images


def _zeros(shape: tuple[int, ...], name: str) -> Images:
    check_fits(name, {f"frames {list(shape)}": prod(shape)}, DataError)
    try:
        return np.zeros(shape, np.uint8)
    except (MemoryError, ValueError) as error:
        raise DataError(expected(name, "frames that memory can hold", Unquoted(f"shape {list(shape)}"))) from error
