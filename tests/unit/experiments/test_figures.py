"""Figures in axes: what is drawn is what was given; axes of one's own are used, and nothing but they."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")

import matplotlib
import numpy as np
import small
from matplotlib import pyplot as plt

import qpsnn_core as qp
from qpsnn_core import plot
from qpsnn_core.common.errors import ArgumentError, ConfigError, DataError, QpsnnError
from qpsnn_core.network.ordered_graph import sources_of
from qpsnn_datasets import Split

pytestmark = pytest.mark.plot

matplotlib.use("Agg")

MODEL = small.model(3)
DATA = small.dataset(24)
INTEGERS = qp.lower(MODEL).network
SEEN = qp.inspect(INTEGERS, DATA)
TRAINED = qp.train(MODEL, Split(DATA, DATA), qp.TrainConfig(epochs=3, batch=8))
EVALUATED = qp.evaluate(MODEL, DATA)
SCORES = qp.score(MODEL, DATA, batches=2, batch=4)

CALLS = {
    "raster": lambda **ax: plot.raster(SEEN, **ax),
    "membrane": lambda **ax: plot.membrane(SEEN, "lif1", **ax),
    "training": lambda **ax: plot.training(TRAINED, **ax),
    "confusion": lambda **ax: plot.confusion(EVALUATED, **ax),
    "weights": lambda **ax: plot.weights(MODEL, "conv2", **ax),
    "scores": lambda **ax: plot.scores(SCORES, **ax),
    "network": lambda **ax: plot.network(MODEL, **ax),
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_every_figure_is_tried():
    assert set(CALLS) == set(plot.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_it_draws_into_ones_own_axes_and_gives_them_back(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert CALLS[name](ax=left) is left
    assert left.has_data() or left.texts
    assert not right.has_data()
    figure.canvas.draw()


@pytest.mark.parametrize("name", CALLS)
def test_without_axes_it_draws_into_the_current_ones(name):
    _, axes = plt.subplots()
    assert CALLS[name]() is axes
    with pytest.raises(ArgumentError, match=rf"plot\.{name}\.ax: expected an Axes, got a list"):
        CALLS[name](ax=[1])


def test_a_raster_has_a_point_for_every_spike():
    axes = plot.raster(SEEN, sample=2)
    points = sum(len(line.get_xdata()) for line in axes.lines)
    assert points == sum(int(own[:, 2].sum()) for own in SEEN.spikes.values())
    assert [text.get_text() for text in axes.get_yticklabels()] == ["lif1 (216)", "lif2 (216)", "lif3 (32)"]


def test_membranes_are_shares_of_the_threshold_with_a_dot_where_one_fires():
    axes = plot.membrane(SEEN, "lif1", sample=1, neurons=[3, 7])
    lines = {line.get_label(): line for line in axes.lines}
    share = (SEEN.membranes["lif1"][:, 1] / SEEN.thresholds["lif1"]).reshape(3, -1)
    np.testing.assert_allclose(lines["neuron 7"].get_ydata(), share[:, 7])
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    spikes = SEEN.spikes["lif1"][:, 1].reshape(3, -1)
    assert [len(line.get_xdata()) for line in dots] == [spikes[:, 3].sum(), spikes[:, 7].sum()]


def test_the_neurons_that_fire_at_half_of_the_steps_are_chosen():
    axes = plot.membrane(SEEN, "lif1", neurons=9)
    spikes = SEEN.spikes["lif1"][:, 0].reshape(3, -1).sum(0)
    chosen = [int(line.get_label().split()[1]) for line in axes.lines if line.get_label().startswith("neuron")]
    assert len(chosen) == 9
    assert np.abs(spikes[chosen] - 1.5).max() <= np.sort(np.abs(spikes - 1.5))[8]


def test_training_has_a_line_for_each_figure():
    for given in (TRAINED, TRAINED.checkpoint, TRAINED.history, list(TRAINED.history)):
        axes = plot.training(given)
        lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
        assert lines["training"] == [100 * one.accuracy for one in TRAINED.history]
        assert lines["validation"] == [100 * one.validation for one in TRAINED.history]
        plt.close("all")


def test_a_confusion_matrix_has_the_counts_and_the_classes():
    axes = plot.confusion(EVALUATED, classes=DATA.classes)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c"]
    shown = {text.get_position(): int(text.get_text()) for text in axes.texts}
    counts = EVALUATED.confusion
    assert shown == {(column, row): counts[row, column] for row, column in np.argwhere(counts).tolist()}


def test_a_network_has_a_box_for_every_node_and_an_arrow_for_every_source():
    for network in (MODEL.network, INTEGERS, qp.zoo.resnet20()):
        axes = plot.network(network)
        assert [text.get_text().split(":")[0] for text in axes.texts if text.get_text()] == [n.name for n in network]
        arrows = [text for text in axes.texts if not text.get_text()]
        assert len(arrows) == sum(len(sources_of(node)) for node in network)
        plt.close("all")


def test_what_was_removed_is_grey():
    kept = {"lif1": np.array([0, 1])}
    from matplotlib.colors import to_hex

    axes = plot.scores(SCORES, kept=kept)
    assert {to_hex(bar.get_facecolor()) for bar in axes.patches} == {"#2a6f97", "#b8c0c8"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.raster(EVALUATED), ArgumentError, "plot.raster.inspection: expected an Inspection"),
        (lambda: plot.raster(SEEN, sample=24), ConfigError, "plot.raster.sample: expected 0 to 23, got 24"),
        (
            lambda: plot.raster(qp.inspect(MODEL, DATA, "conv1")),
            DataError,
            "plot.raster: expected an inspection",
        ),
        (lambda: plot.membrane(SEEN, "lif9"), ConfigError, "plot.membrane.layer: expected one of lif1, lif2, lif3"),
        (lambda: plot.membrane(SEEN, "lif1", neurons=[216]), ConfigError, "numbers from 0 to 215, got 216"),
        (lambda: plot.membrane(SEEN, "lif1", neurons="x"), ArgumentError, "plot.membrane.neurons: expected how many"),
        (lambda: plot.training([1]), ArgumentError, "plot.training.history: expected what train gives"),
        (lambda: plot.training([]), DataError, "plot.training: expected at least one epoch"),
        (lambda: plot.confusion(EVALUATED, classes=["a"]), ConfigError, "plot.confusion.classes: expected 3 names"),
        (lambda: plot.weights(MODEL, "lif1"), ConfigError, "plot.weights.layer: expected one of conv1, conv2"),
        (lambda: plot.scores(SCORES, kept={"conv1": [0]}), ConfigError, "plot.scores.kept: expected one of lif1"),
        (lambda: plot.network(DATA), ArgumentError, "plot.network.network: expected a Network"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, QpsnnError)
    assert message in str(caught.value)


def test_neither_importing_nor_drawing_changes_the_backend():
    code = """
import matplotlib
matplotlib.use("svg")
import qpsnn_core as qp
qp.plot.network(qp.build("mlp", (4, 4, 1), 3))
print(matplotlib.get_backend())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().lower() == "svg"


def test_without_matplotlib_the_command_that_installs_it_is_named():
    code = """
import sys
sys.modules["matplotlib"] = None
import qpsnn_core as qp
try:
    qp.plot.network(qp.build("mlp", (4, 4, 1), 3))
except qp.errors.DataError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("plot.network: expected matplotlib, which draws (")
    assert "plot]" in done.stdout
