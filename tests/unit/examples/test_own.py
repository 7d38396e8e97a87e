"""The examples of your own data run, and end with the numbers that their page promises."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import qpsnn_core as qp

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.slow
@pytest.mark.once
def test_arrays_become_a_deployed_network(tmp_path, capsys):
    found = runpy.run_path(str(EXAMPLES / "own_data.py"))["main"](tmp_path)
    assert min(found.values()) >= 0.85
    said = capsys.readouterr().out
    for name, accuracy in found.items():
        assert f"{name:<28}{accuracy:7.2%}" in said
    data = qp.load_data("saved", tmp_path / "patterns.h5")
    network = qp.load_integer(tmp_path / "network.h5")
    assert qp.evaluate(network, data.test).accuracy == found["test, integers"]
    assert network.input.scale == data.train.scale


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.filterwarnings("ignore::qpsnn_core.errors.ClippedImagesWarning")
def test_sensor_data_become_a_deployed_network(tmp_path, capsys):
    found = runpy.run_path(str(EXAMPLES / "own_series.py"))["main"](tmp_path, lava=False)
    for name in ("accuracy, trained network", "accuracy, integers"):
        assert float(found[name].rstrip("%")) >= 85
    assert found.get("spikes that differ in C", "0") == "0"
    assert "accuracy, integers" in capsys.readouterr().out
    node = qp.load_integer(tmp_path / "network.h5").input
    assert (node.low, node.peak, node.scale) == (-128, 127, qp.load_model(tmp_path / "trained.h5").network.input.scale)
    assert qp.load_recipe(tmp_path / "trained.toml").data.series == "frames"
