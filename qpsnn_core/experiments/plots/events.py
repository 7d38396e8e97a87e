"""Figures of a recording of events: slices of time with the rate below them, or a moving picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import PillowWriter

from qpsnn_core.common.atomic import save_bytes, scratch_file, writable_folder
from qpsnn_core.experiments.plots.axes import BLUE, ORANGE
from qpsnn_core.experiments.plots.report import write
from qpsnn_datasets.events import Recording
from qpsnn_datasets.events.pictures import PAPER, colours, counts, edges, rate

SIDE = 240
"""Pixels that a cochlea's raster has each way."""

RATE_BINS = 120


def still(target: Path, recording: Recording, slices: int, origin: int) -> None:
    """Write `slices` pictures of equal time, side by side, over the rate of ON and OFF events; times since `origin`."""
    times = edges(recording, slices)
    pictures = colours(counts(recording, times, _size(recording)), PAPER)
    columns = min(slices, 6)
    rows = -(-slices // columns)
    height, width = pictures.shape[1:3]
    tall = rows * (max(2.2, 6 / columns) * height / width + 0.45)
    figure = plt.figure(figsize=(max(6, 2.2 * columns), tall + 2.2), layout="constrained")
    try:
        above, below = figure.subfigures(2, 1, height_ratios=(tall, 2.0))
        for axes, picture, begin in zip(
            above.subplots(rows, columns, squeeze=False).flat, pictures, times, strict=False
        ):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(f"from {(begin - origin) / 1000:,.1f} ms", fontsize=8)
        for axes in above.axes:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_visible(bool(axes.images))
        axes = below.subplots()
        bins = edges(recording, RATE_BINS)
        for values, colour, label in zip(rate(recording, RATE_BINS), (ORANGE, BLUE), ("OFF", "ON"), strict=True):
            if not values.any():
                continue
            axes.stairs(values / 1000, (bins - origin) / 1000, color=colour, label=label)
        axes.set_xlabel("ms")
        axes.set_ylabel("1000 events/s")
        axes.legend(frameon=False, fontsize=8)
        figure.suptitle(_title(recording), fontsize=10)
        write(figure, target, dpi=110)
    finally:
        plt.close(figure)


def moving(target: Path, recording: Recording, slices: int, fps: int, origin: int) -> None:
    """Write a GIF of `slices` pictures of equal time; times since `origin`, in microseconds."""
    times = edges(recording, slices)
    pictures = colours(counts(recording, times, _size(recording)), PAPER)
    height, width = pictures.shape[1:3]
    figure, axes = plt.subplots(figsize=(4, 4 * height / width + 0.4), layout="constrained")
    writable_folder(target.parent)
    try:
        axes.set_axis_off()
        image = axes.imshow(pictures[0], interpolation="nearest")
        writer = PillowWriter(fps=fps)
        with scratch_file("qpsnn-", ".gif") as beside:
            with writer.saving(figure, beside, dpi=80):
                for picture, begin in zip(pictures, times, strict=False):
                    image.set_data(picture)
                    axes.set_title(f"{_title(recording)}: {(begin - origin) / 1000:,.1f} ms", fontsize=8)
                    writer.grab_frame()
            save_bytes(target, Path(beside).read_bytes())
    finally:
        plt.close(figure)


def _size(recording: Recording) -> tuple[int, int]:
    return (SIDE, SIDE) if recording.sensor[0] == 1 else recording.sensor


def _title(recording: Recording) -> str:
    seconds = np.format_float_positional(recording.duration / 1e6, 3)
    return f"{recording.name}: {len(recording):,} events, {seconds} s"
