"""What is drawn into given axes; Matplotlib itself is imported by those who make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.network.ordered_graph import Ordered, sources_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#2a6f97", "#e07a3f", "#b8c0c8"


def raster(axes: Axes, spikes: Mapping[str, npt.NDArray[Any]], title: str) -> None:
    """Every spike of one image: time across, units upwards, layer above layer, each layer drawn equally high.

    spikes: of each layer, [T, units].
    """
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
    axes.set_title(title)


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


def weight_histogram(axes: Axes, weights: npt.NDArray[Any], edges: Sequence[float]) -> None:
    """How real weights are distributed, with two percentiles."""
    axes.hist(weights, bins=80, color=BLUE, density=True)
    for edge in edges:
        axes.axvline(edge, color=ORANGE, linewidth=1, linestyle="--")
    axes.set_yticks([])


MOST_NUMBERS = 20
"""Classes up to which the cells of a confusion matrix have numbers."""


def confusion_matrix(axes: Axes, counts: npt.NDArray[np.int64], classes: Sequence[str]) -> None:
    """Counts [K, K], rows the true class; shaded by the share of the row."""
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    numbers = range(len(classes))
    slanted = max(map(len, classes)) > 3
    axes.set_xticks(numbers, classes, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(numbers, classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= MOST_NUMBERS:
        for row, column in np.argwhere(counts):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=7, color=colour)


def graph(axes: Axes, network: Ordered[Any]) -> None:
    """A network from top to bottom: each node below all that it reads, those of one row side by side."""
    row: dict[str, int] = {}
    for node in network:
        row[node.name] = 1 + max((row[source] for source in sources_of(node)), default=-1)
    rows: dict[int, list[str]] = {}
    for name, depth in row.items():
        rows.setdefault(depth, []).append(name)
    place = {
        name: (index - (len(names) - 1) / 2, -float(depth))
        for depth, names in rows.items()
        for index, name in enumerate(names)
    }
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": BLUE}
    for node in network:
        shape = "x".join(map(str, network.shape(node.name)))
        text = f"{node.name}: {type(node).__name__}, {shape}"
        axes.text(*place[node.name], text, ha="center", va="center", fontsize=7, bbox=box, zorder=2)
        for source in sources_of(node):
            passes = row[node.name] - row[source] > 1 and place[source][0] == place[node.name][0]
            style = {"arrowstyle": "->", "color": ORANGE if passes else GREY, "shrinkA": 8, "shrinkB": 8}
            style |= {"connectionstyle": "arc3,rad=0.4" if passes else "arc3"}
            axes.annotate("", place[node.name], place[source], arrowprops=style, zorder=1)
    wide = max(map(len, rows.values()))
    axes.set_xlim(-wide / 2 - 0.2, wide / 2 + 0.2)
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_axis_off()
    axes.set_title(repr(network), fontsize=9)
