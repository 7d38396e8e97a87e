"""The benchmark of signed images and depthwise convolutions: its C is compared, the pages have the recorded figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from compiled import needs_cc

import benched
import qpsnn_core as qp
from benchmarks import layer_costs


@needs_cc
def test_a_network_is_worked_in_three_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(layer_costs, "STEPS", 2)
    network = qp.sequential((4, 4, 1), [qp.layers.Linear(4), qp.layers.LIF(), qp.layers.Linear(10)], steps=2)
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 1)).astype(np.uint8)
    made = layer_costs.works(network, images, tmp_path / "made")
    assert tuple(made) == layer_costs.HEADS[1:]
    found = layer_costs.ratios(made, made, 0.0)
    assert all(0 < one < 10 for one in found.values())


@pytest.mark.parametrize("kind", layer_costs.PAGES)
def test_the_pages_have_the_recorded_figures(kind):
    record = json.loads((benched.FOLDER / "layer_costs.json").read_text(encoding="utf-8"))
    page = (benched.FOLDER.parent / layer_costs.PAGES[kind]).read_text(encoding="utf-8")
    begin, end = layer_costs.MARKERS[kind]
    assert page.split(begin)[1].split(end)[0].strip() == layer_costs.page_table(record, kind)
