"""An integer network on a stream of events: window after window, each becomes frames, and the frames an answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, DataError, ShapeError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.validation import check_kind
from qpsnn_core.integer.backends import Run
from qpsnn_core.integer.dead import warn_dead_integers
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.stateful import StatefulSimulator
from qpsnn_datasets.events import Recording, resize
from qpsnn_datasets.events.frames import frames_in_bins
from qpsnn_datasets.events.recording import FIELDS, UNLABELLED


class Window(NamedTuple):
    """The events of `begin <= t < end`, microseconds, perhaps none; their label is that of the latest's recording."""

    begin: int
    end: int
    events: Recording

    def __repr__(self) -> str:
        return f"Window({self.begin} to {self.end} us, {len(self.events)} events)"


class Answer(NamedTuple):
    """What came of one window.

    frames: uint8 [steps, H, W, 2]. run: of these frames, a batch of one. answer: the class of the largest readout since
    the membranes were last at 0, over the latest T steps at most. seconds: from the window's events to the answer.
    """

    window: Window
    frames: npt.NDArray[np.uint8]
    run: Run
    answer: int
    seconds: float

    def __repr__(self) -> str:
        return f"Answer({self.answer}, {self.window!r}, {self.seconds:.3g} s)"


def stream(
    network: IntegerNetwork,
    recordings: Iterable[Recording],
    window: int,
    *,
    steps: int | None = None,
    keep: bool = False,
    start: int | None = None,
) -> Iterator[Answer]:
    """Run the network over `recordings`, one stream, and give an answer for every `window` microseconds.

    steps: frames of equal duration that a window is divided into, each one time step; by default the network's T, or
    one where membranes are kept. keep: membranes go on from window to window; else each window begins at 0.
    start: where the first window begins, by default at the first event.
    Warns of layers that can never fire (DeadLayerWarning).
    Raises, before the first answer, ShapeError (a network that does not take events), ConfigError (window, steps),
    what `StatefulSimulator` raises; on the way DataError (a recording of another sensor, or out of order).
    """
    window, steps, keep, start = plain((window, steps, keep, start))
    check_kind("stream.network", network, IntegerNetwork)
    check_kind("stream.recordings", recordings, Iterable)
    check_kind("stream.keep", keep, bool)
    if network.input.shape[2] != 2:
        want = "(H, W, 2), a network for frames of OFF and ON events"
        raise ShapeError(expected(f"{network.input.name}.shape", want, network.input.shape))
    if network.input.low:
        want = "0, a network for counts of events, which are never negative"
        raise ConfigError(expected(f"{network.input.name}.low", want, network.input.low))
    steps = (1 if keep else network.steps) if steps is None else steps
    running = StatefulSimulator(network, steps, keep=keep)
    warn_dead_integers("stream", running.network, keep=keep)
    if type(window) is not int or window < steps:
        want = f"a whole number of microseconds, at least the {steps} steps"
        raise ConfigError(expected("window", want, window))
    silence = Window(0, window, _joined([], network.input.shape[:2], UNLABELLED))
    for _ in _answers(network, StatefulSimulator(network, steps, keep=keep), iter([silence] * 2)):
        pass  # compiles what is needed, from membranes at 0 and from others
    return _answers(network, running, windows(recordings, network.input.shape[:2], window, start))


def scaled_to(network: IntegerNetwork, recording: Recording) -> Recording:
    """The recording on the sensor that the network's input has; as it is where it has that already."""
    height, width, _ = network.input.shape
    return recording if recording.sensor == (height, width) else resize(recording, height, width)


def frames_for(
    network: IntegerNetwork, recording: Recording, steps: int, *, by: str = "time", span: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """Frames uint8 [steps, H, W, 2] as the network takes them: counts above its input's peak are the peak.

    The recording is on the network's sensor. by, span: as in `frames_in_bins`.
    """
    return np.minimum(frames_in_bins(recording, steps, by=by, span=span), min(network.input.peak, 255))


def _answers(network: IntegerNetwork, running: StatefulSimulator, found: Iterator[Window]) -> Iterator[Answer]:
    steps = running.network.steps
    latest: deque[npt.NDArray[np.int64]] = deque(maxlen=max(1, network.steps // steps) if running.keep else 1)
    for one in found:
        began = time.perf_counter()
        frames = frames_for(network, one.events, steps, span=(one.begin, one.end))
        run = running.run(frames[:, None])
        latest.append(run.readout[0])
        answer = int(sum(latest, start=np.zeros_like(run.readout[0])).argmax())
        yield Answer(one, frames, run, answer, time.perf_counter() - began)


def windows(
    recordings: Iterable[Recording], sensor: tuple[int, int], length: int, start: int | None = None
) -> Iterator[Window]:
    """A stream that comes in recordings, cut into windows of `length` microseconds, one after the other.

    A window is given as soon as an event after it has come, the last one when the stream ends; silent ones too.
    Raises DataError: a recording of another sensor, or one that begins before the last has ended, or before `start`.
    """
    waiting: list[tuple[npt.NDArray[Any], ...]] = []
    label, latest = UNLABELLED, start
    for piece in recordings:
        _check(piece, sensor, latest)
        low = 0
        if len(piece) and start is None:
            start = int(piece.t[0])
        while low < len(piece) and start is not None:
            high = int(np.searchsorted(piece.t, start + length))
            if high > low:
                waiting.append(tuple(getattr(piece, name)[low:high] for name in FIELDS))
                label, latest = piece.label, int(piece.t[high - 1])
            low = high
            if low < len(piece):
                yield Window(start, start + length, _joined(waiting, sensor, label))
                waiting, label, start = [], UNLABELLED, start + length
    if waiting and start is not None:
        yield Window(start, start + length, _joined(waiting, sensor, label))


def _check(piece: Recording, sensor: tuple[int, int], latest: int | None) -> None:
    if not isinstance(piece, Recording):
        raise DataError(expected("stream", "Recordings", Unquoted(type(piece).__name__)))
    if piece.sensor != tuple(sensor):
        raise DataError(expected(f"{piece.name}.sensor", f"{tuple(sensor)}, the network's input", piece.sensor))
    if latest is not None and len(piece) and int(piece.t[0]) < latest:
        want = f"at least {latest} microseconds, as far as the stream has come"
        raise DataError(expected(f"{piece.name}.t[0]", want, int(piece.t[0])))


def _joined(parts: list[tuple[npt.NDArray[Any], ...]], sensor: tuple[int, int], label: int) -> Recording:
    none = tuple(np.zeros(0, dtype) for dtype in FIELDS.values())
    x, y, t, p = (np.concatenate(column) for column in zip(none, *parts, strict=True))
    return Recording(x, y, t, p, sensor, label, "window")


def one_after_the_other(recordings: Iterable[Recording], duration: int) -> Iterator[Recording]:
    """Recordings, each of events of `0 <= t < duration`, as one stream: recording k begins at `k * duration`."""
    for index, one in enumerate(recordings):
        yield replace(one, t=one.t + index * duration)


def end_to_end(recordings: Iterable[Recording], window: int) -> Iterator[Recording]:
    """Recordings of any duration as one stream: each begins with the first window that the one before leaves empty."""
    begin = 0
    for one in recordings:
        first = int(one.t[0]) if len(one) else 0
        yield replace(one, t=one.t - first + begin)
        begin += (one.duration // window + 1) * window
