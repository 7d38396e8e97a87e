"""Figures of local learning show what they are made of, and their commands refuse what they cannot draw."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import pyplot as plt

from qpsnn_core.experiments.plots import local
from qpsnn_core.experiments.precision_results import Evaluation, as_json, select
from qpsnn_core.local_learning import LabelledNeurons, LocalCheckpoint, initialise, save_local
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.local_learning.network import STDP, DiehlCook

pytestmark = pytest.mark.plot


def made(scheme, weights, neurons, accuracy, memory, rounding="nearest"):
    form = dict.fromkeys(("membrane", "threshold", "reset", "increment"), f"Q11.{neurons}")
    formats = {"weights": "none" if weights is None else f"Q1.{weights}", "rounding": rounding}
    formats["neurons"] = "none" if neurons is None else form
    return Evaluation(scheme, rounding, formats, 60, accuracy, 0.9 - accuracy, memory, 8, (0, 0, 0), 0.1)


SOME = [
    made("ptq", 8, None, 0.9, 0.3),
    made("ptq", 6, None, 0.88, 0.26),
    made("ptq", None, 6, 0.89, 0.95),
    made("ptq", 8, 8, 0.895, 0.31),
    made("itq", 6, 6, 0.85, 0.25, "stochastic"),
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_accuracies_of_bits_are_drawn_where_they_belong():
    assert [local.line_of(one, "weights") for one in SOME] == [8, 6, None, None, None]
    assert [local.line_of(one, "neurons") for one in SOME] == [None, None, 6, None, None]
    assert [local.line_of(one, "both") for one in SOME] == [None, None, None, 8, 6]
    axes = local.accuracy_of_bits(SOME, 0.9).axes
    lines = [[(x, y) for line in place.lines[1:] for x, y in line.get_xydata()] for place in axes]
    assert lines == [[(6, 88), (8, 90)], [(6, 89)], [(8, 89.5)], [], [], [(6, 85)]]
    assert [place.get_title() for place in local.accuracy_of_bits(SOME[-1:], 0.9).axes] == ["ITQ: both"]


def test_memory_front_and_choice_are_drawn():
    found = select(0.9, 60, SOME, 0.02, 0.3, 1.0)
    drawn = {"baseline": 0.9, "target": 0.02, "front": found.front}
    (place,) = local.accuracy_of_memory(drawn, SOME, found.chosen).axes
    labels = [text.get_text() for text in place.get_legend().get_texts()]
    assert labels == ["PTQ", "ITQ", "front", "float32", "W(Q1.8)-N(FP32)"]
    np.testing.assert_allclose(place.lines[0].get_xydata(), [(0.26, 88), (0.3, 90)])


def test_fields_are_the_weights_and_the_course_the_history():
    weights = np.arange(24, dtype=np.float32).reshape(6, 4)
    figure = local.receptive_fields(weights, (2, 3, 1), [1, -1, 0, 2])
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), weights[:, 2].reshape(2, 3))
    assert [place.get_title() for place in figure.axes] == ["1", "-", "0", "2"]
    history = [{"seen": 250, "lowest": -52, "mean": -50, "highest": -40, "spikes": 9}]
    above, below = local.learning_course(history).axes
    assert (above.lines[0].get_ydata()[0], below.lines[0].get_ydata()[0]) == (-50, 9)


@pytest.mark.cli
def test_the_commands_refuse_what_they_cannot_draw(qpsnn, tmp_path):
    pytest.importorskip("typer")
    named = LabelledNeurons(np.array([0, 1]), np.full((2, 2), 0.5), np.ones((2, 2)))
    model = initialise(DiehlCook(12, 2, "single", 17.5, rule=STDP(total=2.0)), FLOAT, 1)
    save_local(tmp_path / "a.h5", LocalCheckpoint(model, named))
    code, _, said = qpsnn("plot", "fields", tmp_path / "a.h5", "--out", tmp_path)
    assert (code, "--shape: expected 12 numbers, as the network has inputs, got '3x3x1'" in said) == (2, True)
    code, said, _ = qpsnn("plot", "fields", tmp_path / "a.h5", "--shape", "3x4x1", "--out", tmp_path, "--json")
    assert json.loads(said)["figures"] == {"shape": [3, 4, 1], "classes": [0, 1]}
    code, _, said = qpsnn("plot", "learning", tmp_path / "a.h5", "--out", tmp_path)
    assert (code, "got one without a history" in said) == (2, True)
    (tmp_path / "results.json").write_text(json.dumps({**as_json(select(0.9, 60, SOME, 0.02, 0.3, 1.0)), "mu": 0.3}))
    code, _, said = qpsnn("plot", "precision", tmp_path / "results.json", "--out", tmp_path)
    assert (code, "not the results of qspinn: 'target'" in said) == (2, True)
