"""The papers' figures: codes, use of bits, scores over batches, accuracy against size, and what compression costs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qpsnn_core.experiments.analysis import NAMES, BitUtilization, LayerCodes, Stability
from qpsnn_core.experiments.compression_sweep import Row
from qpsnn_core.experiments.plots.axes import BLUE, GREY, ORANGE, weight_histogram
from qpsnn_core.experiments.plots.report import write
from qpsnn_core.recipes.network import FULL_PRECISION

COLOURS = {"one": GREY, "mean": BLUE, "max": "#7fb069", "percentile": ORANGE}
STYLES = {"osbc": (BLUE, "o"), "obc": (ORANGE, "s"), "magnitude": ("#7fb069", "^"), "rtn": ("#8a8f94", "x")}
"""Colour and marker of each method of compression."""

MOST = 12
"""Layers that one figure shows; of more, as many are taken evenly."""


def save(figure: Figure, folder: str | os.PathLike[str], name: str, data: str = "") -> list[Path]:
    """Write `name`.png and `name`.svg, each whole or not at all, and close the figure.

    data: what the figure is of, in words, written below it.
    """
    if data:
        figure.supxlabel(f"data: {data}", fontsize=7, color="#777777")
    targets = [Path(folder) / f"{name}.{kind}" for kind in ("png", "svg")]
    try:
        for target in targets:
            write(figure, target, dpi=150)
    finally:
        plt.close(figure)
    return targets


def plot_weights(layers: Sequence[LayerCodes]) -> Figure:
    """Figs. 2b, 7 to 9: how each layer's real weights are distributed, with the 1st and 99th percentile."""
    figure, axes = _grid(layers)
    for place, layer in zip(axes, _some(layers), strict=False):
        weight_histogram(place, layer.weights, layer.edges)
        a = max(abs(edge) for edge in layer.edges)
        place.set_title(f"{layer.layer}: a = {a:.2f}", fontsize=9)
    figure.suptitle("Weights, and their 1st and 99th percentiles")
    return figure


def plot_codes(layers: Sequence[LayerCodes], gamma: str = "mean") -> Figure:
    """Figs. 2a, 5c, 10 to 12: how often each integer is used, vanilla and rescaled."""
    figure, axes = _grid(layers)
    for place, layer in zip(axes, _some(layers), strict=False):
        levels = np.arange(2**layer.bits)
        for shift, kind in ((-0.2, "one"), (0.2, gamma)):
            share = np.bincount(layer.codes[kind], minlength=len(levels)) / len(layer.codes[kind])
            place.bar(levels + shift, share, width=0.4, color=COLOURS[kind], label=NAMES[kind])
        place.set_title(layer.layer, fontsize=9)
        place.set_yticks([])
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle("Share of weights at each integer, vanilla and ReScaW")
    return figure


def use_of_bits(layers: Sequence[BitUtilization]) -> Figure:
    """Eq. 8 for each layer and gamma, with Sec. 4.1's formula for vanilla quantization."""
    figure, axes = plt.subplots(figsize=(max(6, 0.8 * len(layers)), 4.2), layout="constrained")
    kinds = list(layers[0].measured)
    place = np.arange(len(layers))
    for index, kind in enumerate(kinds):
        values = [100 * layer.measured[kind] for layer in layers]
        shift = (index - (len(kinds) - 1) / 2) * 0.8 / len(kinds)
        axes.bar(place + shift, values, 0.8 / len(kinds), color=COLOURS[kind], label=NAMES[kind])
    formula = [100 * layer.expected for layer in layers]
    axes.plot(place, formula, "k_", markersize=14, label="vanilla, by the formula of Sec. 4.1")
    axes.set_xticks(place, [layer.layer for layer in layers], rotation=45, ha="right")
    axes.set_ylabel("integers used, %")
    axes.set_ylim(0, 118)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    axes.set_title("Use of the bits (Eq. 8)")
    return figure


def scores(layers: Sequence[Stability]) -> Figure:
    """Figs. 3, 5b, 13 to 18: each channel's score in each batch, SCA above SVS."""
    some = _some(layers)
    figure, axes = plt.subplots(2, len(some), figsize=(max(5, 2 * len(some)), 4.6), layout="constrained", squeeze=False)
    for column, layer in enumerate(some):
        for row, kind in enumerate(("sca", "svs")):
            values = layer.scores[kind]
            span = values / max(float(values.max()), 1e-12)
            place = axes[row, column]
            image = place.imshow(span, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
            place.set_title(f"{layer.layer}, {kind.upper()}: {layer.average_cosine[kind]:.4f}", fontsize=8)
            place.set_yticks([])
            place.set_xticks([])
        axes[1, column].set_xlabel("channel", fontsize=8)
    axes[0, 0].set_ylabel("batch")
    axes[1, 0].set_ylabel("batch")
    figure.colorbar(image, ax=axes, shrink=0.6, label="score, of the layer's largest")
    figure.suptitle("Scores over batches, and AvgCosS (Eq. 15)")
    return figure


def front(points: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]] = ()) -> Figure:
    """Fig. 1: accuracy against size. A point: `size_mb`, `accuracy` (percent), `label`, and `group` that names a line.

    others: printed figures, drawn in grey.
    """
    figure, axes = plt.subplots(figsize=(7, 4.8), layout="constrained")
    if others:
        xs, ys = [point["size_mb"] for point in others], [point["accuracy"] for point in others]
        axes.plot(xs, ys, "o", color=GREY, label="printed in the paper")
        for point in others:
            spot = (point["size_mb"], point["accuracy"])
            where: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
            axes.annotate(point["label"], spot, fontsize=6, color="#777777", **where)
    for index, group in enumerate(sorted({point["group"] for point in points})):
        line = sorted((p for p in points if p["group"] == group), key=lambda point: point["size_mb"])
        style: dict[str, Any] = {"marker": "o", "color": plt.get_cmap("viridis")(index / 6 + 0.1)}
        axes.plot([p["size_mb"] for p in line], [p["accuracy"] for p in line], label=group, **style)
        for point in line:
            spot = (point["size_mb"], point["accuracy"])
            axes.annotate(point["label"], spot, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("size, MB")
    axes.set_ylabel("test accuracy, %")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("Accuracy against size")
    return figure


def compression(rows: Sequence[Row], dense: float, at: float) -> Figure:
    """Accuracy of each method against sparsity, at the most bits that there are, and against bits, unpruned and `at`.

    rows: of a sweep's table; dense: accuracy before compression, percent; at: the sparsity of the last panel. Bars are
    the standard deviation, over seeds, of what was lost.
    """
    most = max(row.bits for row in rows)
    pruned = [row for row in rows if row.bits == most and row.sparsity]
    stored = "in floating point" if most == FULL_PRECISION else f"{most} bits"
    panels = [(f"pruned, {stored}", "weights pruned", pruned, "sparsity")]
    for share in dict.fromkeys((0.0, at)):
        title = f"{_percent(share)} of the weights pruned" if share else "nothing pruned"
        panels.append((title, "bits per weight", [row for row in rows if row.sparsity == share], "bits"))
    panels = [panel for panel in panels if panel[2]]
    size = (4.3 * len(panels), 4.2)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for place, (title, label, some, field) in zip(axes[0], panels, strict=True):
        values = sorted({getattr(row, field) for row in some}, reverse=field == "bits")
        _methods(place, some, field, values)
        place.set_xticks(range(len(values)), [str(value) if field == "bits" else _percent(value) for value in values])
        place.set_xlabel(label)
        place.set_title(title, fontsize=10)
        place.axhline(dense, color=GREY, linestyle="--", linewidth=1, label="dense")
        place.grid(alpha=0.3, axis="y")
    axes[0, 0].set_ylabel("test accuracy, %")
    named = {label: h for place in axes[0] for h, label in zip(*place.get_legend_handles_labels(), strict=True)}
    figure.legend(list(named.values()), list(named), frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _methods(axes: Axes, rows: Sequence[Row], field: str, values: Sequence[float]) -> None:
    """A line for each method, over the values of a field, which stand equally far apart."""
    for index, method in enumerate(STYLES):
        own = sorted((row for row in rows if row.method == method), key=lambda row: values.index(getattr(row, field)))
        xs = [values.index(getattr(row, field)) + 0.06 * (index - 1.5) for row in own]
        ys, bars = [row.accuracy for row in own], [row.spread or 0.0 for row in own]
        colour, marker = STYLES[method]
        if own:
            axes.errorbar(xs, ys, bars, label=method, color=colour, marker=marker, markersize=5, capsize=2)


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _some(layers: Sequence[Any]) -> list[Any]:
    if len(layers) <= MOST:
        return list(layers)
    return [layers[round(i * (len(layers) - 1) / (MOST - 1))] for i in range(MOST)]


def _grid(layers: Sequence[Any]) -> tuple[Figure, list[Axes]]:
    count = len(_some(layers))
    columns = min(4, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.7 * columns, 2.1 * rows + 0.5), layout="constrained")
    places = list(np.atleast_1d(axes).reshape(-1))
    for place in places[count:]:
        place.axis("off")
    return figure, places
