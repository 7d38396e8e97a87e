"""Figures of local learning: receptive fields, the course of learning, accuracy against bits and against memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from qpsnn_core.common.types import Array
from qpsnn_core.experiments.plots.axes import BLUE, GREY, ORANGE
from qpsnn_core.experiments.precision_results import Evaluation

COLOURS = {"truncation": ORANGE, "nearest": BLUE, "stochastic": "#7fb069"}
MOST = 400
"""Receptive fields that one figure shows: the first neurons."""


def receptive_fields(weights: Array, shape: tuple[int, int, int], names: Sequence[int] | None) -> Figure:
    """Each neuron's weights as an image, side by side; names: their classes, written above where there are few.

    weights: `[inputs, neurons]`, real numbers. shape: (height, width, channels) of an image; channels are added.
    """
    count = min(weights.shape[1], MOST)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    side = max(0.35, 8 / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns, side * rows + 0.5), squeeze=False)
    highest = float(weights.max()) or 1.0
    for place, at in zip(axes.flat, range(rows * columns), strict=True):
        place.axis("off")
        if at < count:
            image = weights[:, at].reshape(shape).sum(-1)
            place.imshow(image, cmap="viridis", vmin=0, vmax=highest, interpolation="nearest")
            if names is not None and count <= 100:
                place.set_title("-" if names[at] < 0 else str(names[at]), fontsize=6, pad=1)
    figure.suptitle(f"Receptive fields of {count} neurons")
    return figure


def learning_course(history: Sequence[dict[str, float]]) -> Figure:
    """Thresholds (lowest, mean, highest) and spikes per sample while a network learns.

    history: as `learn_recipe` notes it.
    """
    seen = [one["seen"] for one in history]
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
    above.plot(seen, [one["mean"] for one in history], color=BLUE, label="mean")
    lowest, highest = ([one[name] for one in history] for name in ("lowest", "highest"))
    above.fill_between(seen, lowest, highest, color=BLUE, alpha=0.2, label="lowest to highest")
    above.set_ylabel("threshold, mV")
    above.legend(frameon=False, fontsize=8)
    below.plot(seen, [one["spikes"] for one in history], color=ORANGE)
    below.set_ylabel("spikes per sample")
    below.set_xlabel("samples")
    figure.suptitle("Thresholds and spikes while the network learns")
    return figure


def accuracy_of_bits(evaluations: Sequence[Evaluation], baseline: float) -> Figure:
    """Figs. 10, 11: accuracy against fraction bits; for each scheme of weights alone, neurons alone, and both.

    What was not evaluated has no panel.
    """
    schemes = [one for one in ("ptq", "itq") if any(each.scheme == one for each in evaluations)]
    panels = [
        panel for panel in ("weights", "neurons", "both") if any(line_of(one, panel) is not None for one in evaluations)
    ]
    rows, columns = max(len(schemes), 1), max(len(panels), 1)
    size = (1.5 + 3 * columns, 3 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for row, scheme in zip(axes, schemes, strict=False):
        for place, panel in zip(row, panels, strict=False):
            place.axhline(100 * baseline, color=GREY, linestyle="--", linewidth=1)
            for rounding, colour in COLOURS.items():
                points = sorted(
                    (bits, 100 * one.accuracy)
                    for one in evaluations
                    if (one.scheme, one.rounding) == (scheme, rounding) and (bits := line_of(one, panel)) is not None
                )
                if points:
                    place.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=rounding)
            place.set_title(f"{scheme.upper()}: {panel}", fontsize=9)
            place.set_xlabel("fraction bits")
        row[0].set_ylabel("accuracy, %")
    named = {line.get_label(): line for place in axes.flat for line in place.lines[1:]}
    if named:
        figure.legend(named.values(), named.keys(), frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    figure.suptitle("Accuracy against fraction bits; dashed: float32")
    return figure


def line_of(one: Evaluation, panel: str) -> int | None:
    """The fraction bits of an evaluation if it belongs to this panel, else None."""
    weights, neurons = one.formats["weights"], one.formats["neurons"]
    w = None if weights == "none" else int(weights.partition(".")[2])
    if not isinstance(neurons, dict):
        return w if panel == "weights" else None
    bits = {int(neurons[name].partition(".")[2]) for name in ("membrane", "threshold", "p") if name in neurons}
    if len(bits) > 1:
        return None
    if w is None:
        return bits.pop() if panel == "neurons" else None
    return w if panel == "both" and bits == {w} else None


def accuracy_of_memory(found: dict[str, Any], evaluations: Sequence[Evaluation], chosen: Evaluation | None) -> Figure:
    """Fig. 12: accuracy against memory as a share of float32's, the front, the target, and the network chosen.

    found: "baseline" and "target" of `qpsnn qspinn`'s results, and "front": its evaluations.
    """
    figure, place = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for scheme, colour in (("ptq", BLUE), ("itq", ORANGE)):
        some = [one for one in evaluations if one.scheme == scheme]
        place.scatter(
            [one.memory for one in some],
            [100 * one.accuracy for one in some],
            s=9,
            color=colour,
            alpha=0.6,
            label=scheme.upper(),
        )
    front = found["front"]
    place.plot(
        [one.memory for one in front],
        [100 * one.accuracy for one in front],
        color="black",
        linewidth=0.8,
        label="front",
    )
    place.scatter([1.0], [100 * found["baseline"]], marker="s", color=GREY, label="float32")
    place.axhline(100 * (found["baseline"] - found["target"]), color=GREY, linestyle="--", linewidth=1)
    if chosen is not None:
        place.scatter([chosen.memory], [100 * chosen.accuracy], marker="*", s=150, color="black", label=chosen.title)
    place.set_xlabel("memory, of float32's")
    place.set_ylabel("accuracy, %")
    place.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{len(evaluations)} networks; dashed: the target")
    return figure
