"""Figures for a script or a notebook: each draws into `ax`, by default the current axes, and gives the axes back.

Matplotlib is imported when something is drawn, with the backend that the caller has chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError, Unquoted, expected
from qpsnn_core.common.install import missing_extra
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Array
from qpsnn_core.common.validation import check_kind, described, whole
from qpsnn_core.compression.channels.score import Scores
from qpsnn_core.engine.evaluation import Evaluation
from qpsnn_core.experiments.plots.axes import (
    BLUE,
    GREY,
    ORANGE,
    confusion_matrix,
    graph,
    score_map,
    weight_histogram,
)
from qpsnn_core.experiments.plots.axes import raster as draw_raster
from qpsnn_core.inference.inspection import Inspection
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.training.checkpoint import Checkpoint
from qpsnn_core.training.history import Epoch
from qpsnn_core.training.train import Trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PERCENTILES = (0.01, 0.99)


def raster(inspection: Inspection, ax: Axes | None = None, *, sample: int = 0) -> Axes:
    """Every spike of one image: time across, neurons upwards, layer above layer.

    inspection: of `inspect`. sample: which of its images. Raises ArgumentError, ConfigError (no such image), DataError
    (no layer of spikes; no Matplotlib: so do all of them).
    """
    check_kind("plot.raster.inspection", inspection, Inspection)
    sample = _sample("plot.raster", inspection, sample)
    if not inspection.spikes:
        raise DataError(expected("plot.raster", "an inspection of layers that spike", inspection))
    axes = axes_of("plot.raster", ax)
    spikes = {name: own[:, sample].reshape(inspection.steps, -1) for name, own in inspection.spikes.items()}
    draw_raster(axes, spikes, f"Spikes of image {sample}")
    return axes


def membrane(
    inspection: Inspection,
    layer: str,
    ax: Axes | None = None,
    *,
    sample: int = 0,
    neurons: int | Sequence[int] = 5,
) -> Axes:
    """The membranes of some neurons over time, before the reset, as shares of the threshold; a dot where one fires.

    layer: a LIF of the inspection. neurons: their numbers in the flattened map, or how many: those that fire at about
    half of the steps.
    Raises as `raster`, and ConfigError (no such layer or neuron).
    """
    check_kind("plot.membrane.inspection", inspection, Inspection)
    sample = _sample("plot.membrane", inspection, sample)
    _named("plot.membrane.layer", layer, inspection.membranes)
    potential = inspection.membranes[layer][:, sample] / inspection.thresholds[layer]
    potential = potential.reshape(inspection.steps, -1)
    fired = inspection.spikes[layer][:, sample].reshape(inspection.steps, -1) > 0
    chosen = _neurons(neurons, fired, potential)
    axes = axes_of("plot.membrane", ax)
    times = np.arange(1, inspection.steps + 1)
    for number in chosen:
        (line,) = axes.plot(times, potential[:, number], "-", linewidth=1, label=f"neuron {number}")
        own = fired[:, number]
        axes.plot(times[own], potential[own, number], "o", color=line.get_color())
    axes.axhline(1, color=GREY, linestyle="--", linewidth=1, label="threshold")
    axes.set_xticks(times)
    axes.set_xlabel("time step")
    axes.set_ylabel("membrane, of the threshold")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"Membranes of {layer}, image {sample}")
    return axes


def training(history: Trained | Checkpoint | Sequence[Epoch], ax: Axes | None = None) -> Axes:
    """Accuracy of each epoch on the training set, and on the validation set where there was one; the loss in grey.

    history: of `train`, of a checkpoint, or its epochs. The loss has an axis of its own, on the right.
    """
    epochs = history.history if isinstance(history, (Trained, Checkpoint)) else history
    if not isinstance(epochs, (list, tuple)) or not all(isinstance(one, Epoch) for one in epochs):
        want = "what train gives, a Checkpoint, or a list of Epochs"
        raise ArgumentError(expected("plot.training.history", want, Unquoted(described(history))))
    if not epochs:
        raise DataError(expected("plot.training", "at least one epoch", Unquoted("none")))
    axes = axes_of("plot.training", ax)
    times = [one.epoch for one in epochs]
    beside = axes.twinx()
    beside.plot(times, [one.loss for one in epochs], color=GREY, linestyle=":", label="loss")
    checked = [(one.epoch, one.validation_loss) for one in epochs if one.validation_loss is not None]
    if checked and epochs[-1].accuracy is None:
        beside.plot(*zip(*checked, strict=True), color=ORANGE, linestyle=":", label="loss of the validation")
    beside.set_ylabel("loss")
    trained = [(one.epoch, 100 * one.accuracy) for one in epochs if one.accuracy is not None]
    if trained:
        axes.plot(*zip(*trained, strict=True), color=BLUE, marker="o", label="training")
    tested = [(one.epoch, 100 * one.validation) for one in epochs if one.validation is not None]
    if tested:
        axes.plot(*zip(*tested, strict=True), color=ORANGE, marker="s", label="validation")
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy, %")
    handles = [both for one in (axes, beside) for both in zip(*one.get_legend_handles_labels(), strict=True)]
    axes.legend(*zip(*handles, strict=True), frameon=False, fontsize=8)
    axes.set_title("Training")
    return axes


def confusion(evaluation: Evaluation, ax: Axes | None = None, *, classes: Sequence[str] | None = None) -> Axes:
    """How many images of each class (rows) were taken for each class (columns).

    evaluation: of `evaluate`. classes: their names, such as those of a set; else numbers.
    """
    check_kind("plot.confusion.evaluation", evaluation, Evaluation)
    counts = evaluation.confusion
    if classes is not None and (not isinstance(classes, (list, tuple)) or len(classes) != len(counts)):
        want = f"{len(counts)} names of classes"
        raise ConfigError(expected("plot.confusion.classes", want, Unquoted(described(classes))))
    axes = axes_of("plot.confusion", ax)
    confusion_matrix(axes, counts, [str(one) for one in classes or range(len(counts))])
    axes.set_title(f"{evaluation.accuracy:.2%} of {evaluation.images:,} images")
    return axes


def weights(model: Model, layer: str, ax: Axes | None = None) -> Axes:
    """How the real weights of one layer are distributed, with their 1st and 99th percentile (Figs. 2b, 7 to 9)."""
    check_kind("plot.weights.model", model, Model)
    able = {name: own["weight"] for name, own in model.params.items() if "weight" in own}
    _named("plot.weights.layer", layer, able)
    values = able[layer].reshape(-1)
    low, high = (float(edge) for edge in np.quantile(values, PERCENTILES))
    axes = axes_of("plot.weights", ax)
    weight_histogram(axes, values, (low, high))
    axes.set_title(f"{layer}: {values.size:,} weights")
    return axes


def scores(scores: Scores, ax: Axes | None = None, *, kept: Mapping[str, Any] | None = None) -> Axes:
    """Every channel's score, relative to its layer's best. kept: of `prune`; what was removed is grey."""
    check_kind("plot.scores.scores", scores, Scores)
    if kept is not None:
        check_kind("plot.scores.kept", kept, Mapping)
        for name in kept:
            _named("plot.scores.kept", name, scores.values)
    axes = axes_of("plot.scores", ax)
    score_map(axes, scores.values, dict(kept or {}))
    return axes


def network(network: Network | Model | IntegerNetwork, ax: Axes | None = None) -> Axes:
    """The graph: a box for each node with its kind and what it gives, an arrow for each value that it reads."""
    check_kind("plot.network.network", network, Network, Model, IntegerNetwork)
    drawn = network.network if isinstance(network, Model) else network
    check_kind("plot.network.network", drawn, Network, IntegerNetwork)
    axes = axes_of("plot.network", ax)
    graph(axes, drawn)
    return axes


def axes_of(place: str, ax: Any) -> Axes:
    """The axes, or the current ones. ArgumentError (something else), DataError (no Matplotlib)."""
    try:
        from matplotlib import axes, pyplot
    except ImportError as error:
        raise missing_extra(place, "matplotlib, which draws", "plot", error) from error
    if ax is None:
        return pyplot.gca()
    check_kind(f"{place}.ax", ax, axes.Axes)
    chosen: Axes = ax
    return chosen


def _sample(place: str, inspection: Inspection, sample: int) -> int:
    sample = whole(f"{place}.sample", sample, 0)
    if sample >= len(inspection.labels):
        raise ConfigError(expected(f"{place}.sample", f"0 to {len(inspection.labels) - 1}", sample))
    return sample


def _named(place: str, name: Any, able: Mapping[str, Any]) -> None:
    if not isinstance(name, str) or name not in able:
        raise ConfigError(expected(place, f"one of {', '.join(able) or 'none'}" + did_you_mean(name, able), name))


def _neurons(asked: int | Sequence[int], fired: Array, potential: Array) -> list[int]:
    """The numbers of the neurons to draw, rising."""
    total = fired.shape[1]
    if isinstance(asked, (int, np.integer)) and not isinstance(asked, bool):
        asked = whole("plot.membrane.neurons", asked, 1)
        order = np.lexsort((-potential.max(0), np.abs(2 * fired.sum(0) - len(fired))))
        return sorted(order[:asked].tolist())
    if not isinstance(asked, (list, tuple, np.ndarray)):
        want = "how many neurons, or their numbers"
        raise ArgumentError(expected("plot.membrane.neurons", want, Unquoted(described(asked))))
    for number in asked:
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or not 0 <= number < total:
            raise ConfigError(expected("plot.membrane.neurons", f"numbers from 0 to {total - 1}", number))
    return [int(number) for number in asked]
