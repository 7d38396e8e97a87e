"""The benchmark of gates: its masks close what they say, gated sums are compared, the page has the recorded figures."""

from __future__ import annotations

import json

import numpy as np

import benched
from benchmarks import gates


def test_masks_close_their_share_in_blocks():
    drawn = gates._drawn(np.random.default_rng(1), 5, 160, 16)
    assert (drawn.sum(1) == 4 * 16).all()
    assert (drawn.reshape(5, 10, 16).min(2) == drawn.reshape(5, 10, 16).max(2)).all()
    assert gates._drawn(np.random.default_rng(1), 2, 64, 64).all()


def test_a_layer_is_measured(monkeypatch):
    monkeypatch.setattr(gates, "WORK", 1e5)
    found = gates.of_layer(gates.Layer(32, 4, 4, 16), 0.2, 0.0)
    assert set(found["seconds"]) == {"all", "rows", "inputs", "groups", "places", "outputs"}
    assert found["closed"]["groups"] == 0.5


def test_the_page_has_the_recorded_figures():
    results = json.loads((benched.FOLDER / "gates.json").read_text(encoding="utf-8"))
    page = (benched.FOLDER.parent / "docs" / "gates.md").read_text(encoding="utf-8")
    assert page.split(gates.MARKERS[0])[1].split(gates.MARKERS[1])[0].strip() == gates.page_table(results)
    wide = [one for one in results["layers"] if one["channels"] >= 128 and one["rate"] >= 0.2]
    best = [min(one["seconds"][kind] for kind in ("inputs", "groups")) / one["seconds"]["all"] for one in wide]
    assert max(best) <= 0.55
