"""What weights disturb: each method the least by its own Hessian, figures that are the measured membranes'."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import benched  # noqa: F401 - makes the benchmarks importable
import qpsnn_core as qp
from benchmarks import hessians
from qpsnn_core.experiments import compression_sweep
from qpsnn_core.experiments.demo import DIGITS_EVENTS

pytestmark = pytest.mark.cli

SETTINGS = compression_sweep.Settings(images=64)


@pytest.fixture(scope="module")
def recipe():
    return replace(
        DIGITS_EVENTS,
        network=replace(DIGITS_EVENTS.network, width=0.125, bits=32, threshold=0.25),
        data=replace(DIGITS_EVENTS.data, limit=64),
        train=replace(DIGITS_EVENTS.train, epochs=1, batch=32),
    )


@pytest.fixture(scope="module")
def compared(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hessians")
    split = qp.load_data("digits-events", limit=64, steps=4)
    return folder, split, hessians.compare(recipe, split, folder, SETTINGS, 0.5)


def test_each_is_the_best_by_its_own_measure(compared):
    rows, alike = compared[2]
    layers = [one.layer for one in alike]
    assert layers == ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6"]
    found = {(row.layer, row.weights): row for row in rows}
    assert len(found) == 4 * len(layers)
    for layer in layers:
        least = found[layer, "osbc"].predicted
        assert least <= found[layer, hessians.MIXED].predicted * 1.001
        assert least <= found[layer, "magnitude"].predicted * 1.001
        assert found[layer, "obc"].current <= found[layer, "magnitude"].current * 1.001
    for one in alike:
        assert -1 <= one.beside <= 1
        assert one.chance <= one.kept <= 1
        assert one.diagonal > 0.5


def test_what_is_predicted_of_the_test_samples_is_their_membranes(compared):
    """The first layer's, by hand: its currents with and without the change, filtered, squared and summed."""
    folder, split, (rows, _) = compared
    model = qp.load_model(folder / "dense-0.h5")
    ready = hessians.prepare(model, split.train, "osbc")
    after = hessians.finish(ready, 0.5).model
    frames = split.test.images.swapaxes(0, 1)
    beta = model.network["lif1"].beta
    currents = []
    for one in (model, after):
        weight = one.params["conv1"]["weight"].astype(np.float64)
        padded = np.pad(frames, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))).astype(np.float64)
        height, width = frames.shape[2:4]
        total = sum(
            padded[:, :, i : i + height, j : j + width] @ weight[i, j] for i in range(3) for j in range(3)
        ) * hessians.hessian.gains(model, model.network["conv1"])
        for t in range(1, len(total)):
            total[t] += beta * total[t - 1]
        currents.append(total)
    share = ((currents[1] - currents[0]) ** 2).sum() / (currents[0] ** 2).sum()
    (row,) = (row for row in rows if (row.layer, row.weights) == ("conv1", "osbc"))
    assert row.found == pytest.approx(share, rel=1e-5)


def test_the_command_takes_what_a_sweep_has_made(tmp_path, monkeypatch, capsys):
    """Its networks and first passes: the same figures, as no other could give."""
    written = tmp_path / "hessians.json"
    path = tmp_path / "recipe.toml"
    lines = "[network]\nwidth = 0.125\nthreshold = 0.25\nsteps = 4\n[data]\nname = 'digits-events'\nlimit = 64\n"
    path.write_text(lines + "[train]\nepochs = 1\nbatch = 32\nlr = 0.01\n", encoding="utf-8")
    read = qp.load_recipe(path)
    split = qp.load_data("digits-events", limit=64, steps=4)
    settings = SETTINGS._replace(methods=("osbc", "obc"), sparsities=(0.5,), bits=(32,))
    compression_sweep.run_compression_sweep(read, split, tmp_path / "sweep", settings)
    made = sorted(file.name for file in (tmp_path / "sweep").iterdir())
    before = {name: (tmp_path / "sweep" / name).read_bytes() for name in made}
    words = ["hessians", str(path), "--sparsity", "0.5", "--sweep", str(tmp_path / "sweep"), "--out", str(written)]
    monkeypatch.setattr(sys, "argv", words)
    hessians.main()
    assert {name: (tmp_path / "sweep" / name).read_bytes() for name in made} == before
    assert "conv6" in capsys.readouterr().out
    report = json.loads(written.read_text(encoding="utf-8"))
    assert report["sparsity"] == 0.5
    assert len(report["rows"]) == 4 * len(report["alike"]) == 24
    assert all(row["predicted"] >= 0 for row in report["rows"])
