"""The report's figure: a spike raster, weight codes before and after ReScaW, scores per layer, accuracy per stage."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpsnn_core.common.atomic import save_bytes, writable_folder

BLUE, ORANGE, GREY = "#2a6f97", "#e07a3f", "#b8c0c8"


def report(
    path: str | os.PathLike[str],
    *,
    spikes: Mapping[str, npt.NDArray[Any]],
    codes: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    scores: Mapping[str, npt.NDArray[np.float64]],
    kept: Mapping[str, npt.NDArray[Any]],
    stages: Sequence[tuple[str, float]],
    title: str = "",
) -> None:
    """Write the figure as PNG.

    spikes: one image's spikes of each neuron layer, [T, units]; codes: one layer's integers W_int, vanilla and ReScaW;
    scores: [C] of each scored layer; kept: the channels that pruning left; stages: name and accuracy (0..1).
    """
    figure, axes = plt.subplots(2, 2, figsize=(12, 8.5), layout="constrained")
    raster(axes[0, 0], spikes)
    code_use(axes[0, 1], *codes)
    score_map(axes[1, 0], scores, kept)
    accuracies(axes[1, 1], stages)
    if title:
        figure.suptitle(title, fontsize=13)
    try:
        write(figure, Path(path), dpi=120)
    finally:
        plt.close(figure)


def write(figure: Figure, target: Path, *, dpi: int) -> None:
    """Write a figure whole or not at all, in the format that the file's ending says."""
    writable_folder(target.parent)
    image = io.BytesIO()
    figure.savefig(image, format=target.suffix[1:], dpi=dpi)
    save_bytes(target, image.getvalue())


def raster(axes: Axes, spikes: Mapping[str, npt.NDArray[Any]]) -> None:
    """Every spike of one image: time across, units upwards, layer above layer, each layer drawn equally high."""
    steps = 1
    for row, layer in enumerate(spikes.values()):
        steps = layer.shape[0]
        time, unit = np.nonzero(layer)
        height = row + 0.05 + 0.9 * unit / max(1, layer.shape[1] - 1)
        jitter = 0.8 * ((unit * 0.618034) % 1 - 0.5)
        colour = BLUE if row % 2 == 0 else ORANGE
        axes.plot(time + jitter, height, ".", markersize=2, color=colour, alpha=0.6, rasterized=True)
        axes.text(steps - 0.4, row + 0.5, f"{layer.mean():.0%} fire", va="center", fontsize=8, color="#444444")
    axes.set_yticks([row + 0.5 for row in range(len(spikes))], [f"{n} ({v.shape[1]})" for n, v in spikes.items()])
    axes.set_xticks(range(steps), [str(step + 1) for step in range(steps)])
    axes.set_xlim(-0.5, steps + 0.15)
    axes.set_ylim(0, len(spikes))
    axes.set_xlabel("time step")
    axes.set_title("Spikes of one test image (integer network)")


def code_use(axes: Axes, vanilla: npt.NDArray[Any], rescaled: npt.NDArray[Any]) -> None:
    """How often each integer is used, with vanilla quantization and with ReScaW."""
    top = int(max(vanilla.max(), rescaled.max()))
    levels = np.arange(2 ** max(1, int(np.ceil(np.log2(top + 1)))))
    for shift, values, colour, label in ((-0.2, vanilla, GREY, "vanilla (Eq. 6)"), (0.2, rescaled, BLUE, "ReScaW")):
        share = np.bincount(values.ravel(), minlength=len(levels)) / values.size
        used = f"{label}: {np.count_nonzero(share)} of {len(levels)} integers"
        axes.bar(levels + shift, share, width=0.4, color=colour, label=used)
    axes.set_xlabel("integer weight")
    axes.set_ylabel("share of weights")
    axes.margins(y=0.3)
    axes.legend(frameon=False, loc="upper left")
    axes.set_title("The same weights, quantized without and with rescaling")


def score_map(axes: Axes, scores: Mapping[str, npt.NDArray[np.float64]], kept: Mapping[str, npt.NDArray[Any]]) -> None:
    """Every channel's score, relative to its layer's best; what was removed is drawn in grey."""
    for row, (name, values) in enumerate(scores.items()):
        stays = np.zeros(len(values), bool)
        stays[kept.get(name, np.arange(len(values)))] = True
        height = values / max(float(values.max()), 1e-12)
        order = np.argsort(-values, kind="stable")
        place = np.linspace(0, 1, len(values))
        for chosen, colour in ((stays[order], BLUE), (~stays[order], GREY)):
            axes.bar(place[chosen], 0.85 * height[order][chosen], 0.9 / len(values), bottom=row, color=colour)
    axes.set_yticks([row + 0.4 for row in range(len(scores))], [f"{n} ({len(v)})" for n, v in scores.items()])
    axes.set_xticks([])
    axes.set_xlabel("channels, best first (grey: removed)")
    axes.set_title("Scores of the channels, relative to each layer's best")


def accuracies(axes: Axes, stages: Sequence[tuple[str, float]]) -> None:
    """Accuracy after each stage."""
    names = [name for name, _ in stages]
    values = [100 * accuracy for _, accuracy in stages]
    bars = axes.bar(names, values, color=[BLUE if name != "pruned" else GREY for name in names])
    axes.bar_label(bars, [f"{value:.1f}%" for value in values], padding=2)
    axes.set_ylim(0, 112)
    axes.set_ylabel("test accuracy, %")
    axes.set_title("Accuracy after each stage")
