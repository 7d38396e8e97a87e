"""What the figures show: Eq. 8 by hand, the formula of Sec. 4.1, scores over batches; and that figures are drawn."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.experiments import analysis
from qpsnn_core.network import Quantizer
from qpsnn_core.quantization.rescaw import utilization


@pytest.fixture(scope="module")
def digits():
    return qp.load_data("digits", limit=64).train


@pytest.fixture(scope="module")
def model(digits):
    network = qp.build("vgg_small", (8, 8, 1), 10, width=0.25, steps=2, quantizer=Quantizer(8, "mean"))
    return qp.recalibrate(qp.initialise(network, 3), digits)


def test_use_of_bits_is_eq_8(model):
    layers = analysis.use_of_bits(model)
    assert [layer.layer for layer in layers] == ["conv2", "conv3", "conv4", "conv5", "conv6"]
    for layer in layers:
        weight = model.params[layer.layer]["weight"]
        assert layer.measured == {g: utilization(weight, Quantizer(8, g)) for g in layer.measured}
        assert layer.a == pytest.approx(max(abs(np.quantile(weight, 0.01)), abs(np.quantile(weight, 0.99))))
        assert layer.expected == pytest.approx((255 * layer.a + 1) / 256)
        assert layer.measured["one"] < layer.measured["mean"]


def test_the_formula_of_the_paper_is_of_the_weights_between_the_percentiles(model):
    """Sec. 4.1: `1 + a s` integers, as long as there are more weights than integers; one more or less by rounding."""
    for layer in analysis.use_of_bits(model, 4):
        count = layer.central["one"] * 16
        assert abs(count - (1 + layer.a * 15)) <= 1.5


def test_codes_are_the_quantizers(model):
    layers = analysis.layer_codes(model, 2)
    for layer in layers:
        assert layer.bits == 2
        assert {values.max() for values in layer.codes.values()} <= {2, 3}
        assert all(len(values) == len(layer.weights) for values in layer.codes.values())
        assert layer.edges[0] < 0 < layer.edges[1]


def test_scores_over_batches(model, digits):
    layers = analysis.stabilities(model, digits, batches=3, batch=8)
    assert [layer.layer for layer in layers] == [f"lif{i}" for i in range(1, 7)]
    for layer in layers:
        first, second, third = layer.scores["sca"]
        pairs = ((first, second), (first, third), (second, third))
        want = np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])
        assert layer.average_cosine["sca"] == pytest.approx(want)
        assert layer.scores["svs"].shape == (3, len(first))


def test_a_network_in_floating_point_needs_bits():
    model = qp.initialise(qp.build("vgg_small", (8, 8, 1), 10, width=0.1, quantizer=None))
    with pytest.raises(ConfigError, match="bits: expected bits"):
        analysis.use_of_bits(model)
    assert len(analysis.use_of_bits(model, 4)) == 5


@pytest.mark.slow
@pytest.mark.plot
@pytest.mark.cli
def test_every_figure_is_written_twice(digits, tmp_path, capsys, monkeypatch):
    """Of three bits: figures of eight have a bar for each of 256 integers of each layer: most of the time."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("typer")
    from qpsnn_core.cli import main

    network = qp.build("vgg_small", (8, 8, 1), 10, width=0.1, steps=2, quantizer=Quantizer(3, "mean"))
    model = qp.recalibrate(qp.initialise(network, 3), digits)
    file, points = tmp_path / "model.h5", tmp_path / "points.json"
    qp.save_checkpoint(file, qp.Checkpoint(model))
    points.write_text(json.dumps([{"size_mb": 0.1, "accuracy": 80, "label": "a", "group": "4 bits"}]))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["qpsnn", "plot", *map(str, words), "--out", str(tmp_path / "figures")])
        with pytest.raises(SystemExit) as done:
            main()
        return done.value.code or 0, capsys.readouterr()

    for words in (("weights", file), ("scores", file, "--data", "digits", "--batches", 2, "--batch", 8)):
        code, (out, _) = run(*words, "--json")
        assert code == 0
        assert json.loads(out)["figures"]
    assert run("utilization", file)[0] == 0
    assert run("front", points, "--printed", "cifar10")[0] == 0
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"{n}.{k}" for n in ("weights", "codes", "utilization", "scores", "front") for k in ("png", "svg")}
    assert (tmp_path / "figures" / "codes.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "figures" / "codes.svg").read_bytes()
    points.write_text("[{}]")
    code, (_, err) = run("front", points)
    assert code == 2
    assert "points.json: not a list of size_mb" in err
