"""Events a second: into frames, against plain NumPy; through filters; and out of the camera for still images.

    python -m benchmarks.events [--events 1000000] [--seconds 3] [--threads 1] [--out benchmarks/events.json]

Frames are of ten bins of equal duration. What is timed takes a Recording and gives frames or a Recording, checks
included. NumPy's frames are tonic's (`np.add.at` slice by slice, counts cut at 255), or the same counts by one
`np.bincount`; that all agree is checked before. Events are random in place and time: the worst case for a cache.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Effort, alternate
from qpsnn_core.kernels import threads as parallel
from qpsnn_datasets.digits import load_digits
from qpsnn_datasets.events import Recording
from qpsnn_datasets.events.drops import event_drop
from qpsnn_datasets.events.filters import crop_space, denoise, downsample, flip, refractory
from qpsnn_datasets.events.frames import MOST, frames_by_count, frames_by_time, frames_in_bins
from qpsnn_datasets.events.saccades import saccade

BINS = 10
SENSORS = {"34x34": (34, 34), "128x128": (128, 128), "480x640": (480, 640), "720x1280": (720, 1280)}
DURATION = 1_000_000

Calls = dict[str, Callable[[], Any]]


def recording(count: int, sensor: tuple[int, int], seed: int = 0) -> Recording:
    """Random events over a second."""
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(0, side, count, dtype=np.uint16) for side in sensor)
    t = np.sort(rng.integers(0, DURATION, count))
    return Recording(x, y, t, rng.integers(0, 2, count).astype(np.bool_), sensor)


def edges(one: Recording) -> np.ndarray:
    """Where each bin's events begin, and where the last ones end."""
    found = np.searchsorted(one.t, one.t[0] + one.duration // BINS * np.arange(BINS + 1))
    found[-1] = len(one)
    return found


def with_add_at(one: Recording) -> np.ndarray:
    """Frames as tonic makes them, slice by slice."""
    frames, ends = np.zeros((BINS, *one.sensor, 2), np.int16), edges(one)
    for f in range(BINS):
        part = slice(ends[f], ends[f + 1])
        np.add.at(frames, (f, one.y[part], one.x[part], one.p[part].view(np.uint8)), 1)
    return np.minimum(frames, MOST).astype(np.uint8)


def with_bincount(one: Recording) -> np.ndarray:
    """The same counts by a single histogram."""
    height, width = one.sensor
    frame = np.repeat(np.arange(BINS), np.diff(edges(one)))
    place = ((frame * height + one.y) * width + one.x) * 2 + one.p
    counts = np.bincount(place, minlength=BINS * height * width * 2)
    return np.minimum(counts, MOST).astype(np.uint8).reshape(BINS, height, width, 2)


def frames(one: Recording) -> Calls:
    """What makes frames of it; raises SystemExit where they differ."""
    ours = frames_in_bins(one, BINS)
    for name, theirs in (("add.at", with_add_at), ("bincount", with_bincount)):
        if not np.array_equal(ours, theirs(one)):
            raise SystemExit(f"frames differ from NumPy's {name}")
    return {
        "frames, bins of time": lambda: frames_in_bins(one, BINS),
        "frames, bins of events": lambda: frames_in_bins(one, BINS, by="count"),
        "frames, windows": lambda: frames_by_time(one, DURATION // BINS),
        "frames, by count": lambda: frames_by_count(one, len(one) // BINS),
        "NumPy, add.at": lambda: with_add_at(one),
        "NumPy, bincount": lambda: with_bincount(one),
    }


def filters(one: Recording) -> Calls:
    """What makes another recording of it."""
    height, width = one.sensor
    return {
        "denoise": partial(denoise, one, 1000),
        "refractory": partial(refractory, one, 1000),
        "downsample": partial(downsample, one, 2),
        "crop_space": partial(crop_space, one, 1, 1, height // 2, width // 2),
        "flip": partial(flip, one),
        "event_drop": partial(event_drop, one, 1),
    }


def measured(case: dict[str, Any], calls: Calls, count: int, effort: Effort) -> list[dict[str, Any]]:
    """A record for each, printed."""
    records = []
    for name, seconds in alternate(calls, effort).items():
        rate = count / min(seconds) / 1e6
        records.append({**case, "name": name, "min_s": min(seconds), "median_s": statistics.median(seconds)})
        records[-1]["million_per_s"] = rate
        print(
            f"{case['sensor']:>9}  {case['threads']} threads  {name:24} {1e3 * min(seconds):9.2f} ms  {rate:8.1f} M/s"
        )
    return records


def camera(threads: int, effort: Effort) -> list[dict[str, Any]]:
    """The test digits, image after image; counted are the events that come out."""
    images = load_digits().test.images
    made = sum(len(saccade(image)) for image in images)
    calls = {"camera, 360 digits": lambda: [saccade(image) for image in images]}
    return measured({"sensor": "10x10", "threads": threads, "events": made}, calls, made, effort)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="events a second")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each of those that take turns")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/events.json"))
    options = parser.parse_args()
    effort = Effort(options.seconds)
    records = []
    for threads in options.threads:
        parallel.set_threads(threads)
        for name, sensor in SENSORS.items():
            one = recording(options.events, sensor)
            case = {"sensor": name, "threads": threads, "events": options.events}
            for calls in (frames(one), filters(one)):
                records += measured(case, calls, options.events, effort)
        records += camera(threads, effort)
    result = {
        "command": f"python -m benchmarks.events --events {options.events} --seconds {options.seconds:g}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "bins": BINS,
        "records": records,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
