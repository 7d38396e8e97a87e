"""The benchmark of exported C: it compares before it times, and its published figures are whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from compiled import needs_cc

import qpsnn_core as qp
from benched import FOLDER
from benchmarks import c_export, measure
from qpsnn_datasets import Dataset

PUBLISHED = FOLDER / "c_export.json"


def small():
    network = qp.build("vgg_small", (8, 8, 1), 4, steps=2, width=0.1)
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
    net = qp.lower(qp.recalibrate(qp.initialise(network, 0), images)).network
    return net, Dataset(images, np.arange(6) % 4, ("a", "b", "c", "d"), "noise")


@needs_cc
def test_a_small_network_is_measured():
    net, data = small()
    found = c_export.measured(net, data, measure.Effort(0.0, 2, 2))
    assert set(found["ms_per_image"]) == {"exact, an image at a time", "exact, all at once", "C -O2", "C -O3"}
    assert all(value > 0 for value in found["ms_per_image"].values())
    assert found["flash_bytes"]["with code, -Os"] > found["flash_bytes"]["constants"] > 500
    assert found["ram_bytes"]["state"] == 8 * 4 + 4 * sum(np.prod(net.shape(f"lif{i}")) for i in range(1, 7))
    assert 0 < found["firing_rate"] < 1


@needs_cc
def test_a_difference_stops_it(monkeypatch):
    net, data = small()
    other, _ = qp.lower(qp.initialise(qp.build("vgg_small", (8, 8, 1), 4, steps=2, width=0.1), 7))
    monkeypatch.setattr(c_export, "simulate", lambda _, images, **how: qp.simulate(other, images, **how))
    with pytest.raises(SystemExit, match="differs from the exact simulator"):
        c_export.same(net, data.images)


def test_the_published_figures_are_whole():
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert set(published["networks"]) == {"vgg_small", "vgg_small, 3/8"}
    assert published["networks"]["vgg_small, 3/8"]["flash_bytes"]["with code, -Os"] < 32 * 1024
    for one in published["networks"].values():
        assert one["repeats"] >= 3
        assert min(one["ms_per_image"].values()) > 0
