"""The evidence of detection: its cells on a set of a few drawn images, stopped and gone on."""

from __future__ import annotations

import pytest
from generators.detection_files import voc

from benchmarks import detection
from qpsnn_core.recipes.recipe import recipe_from_dict

BOXES = {"loss": "boxes", "epochs": 1, "batch": 2}


@pytest.mark.slow
def test_cells_go_on_from_what_is_there(tmp_path):
    pytest.importorskip("PIL")
    images = {name: [("red", 1, 1, 8 + 3 * k, 20), ("red", 5, 5, 25, 9 + 2 * k)] for k, name in enumerate("abcdef")}
    voc(tmp_path / "set", images, {"train": [*"abcd"], "test": [*"ef"]})
    data = {"name": "voc", "path": str(tmp_path / "set"), "size": 32, "anchors": 6}
    tables = {
        "network": {"steps": 1},
        "data": data,
        "train": {**BOXES},
        "finetune": {**BOXES},
        "prune": {"rates": 0.25},
    }
    recipe = recipe_from_dict(tables)
    found = detection.run_cells(recipe, {"command": "made"}, tmp_path / "out", 1)
    assert [one.cell for one in found] == list(detection.CELLS)
    whole, quantized, pruned = found
    assert (whole.integers, quantized.integers, pruned.integers) == (False, True, True)
    assert whole.weights_mb > 3 * quantized.weights_mb
    assert pruned.weights_mb < 0.8 * quantized.weights_mb
    assert pruned.parameters < quantized.parameters == whole.parameters
    again = detection.run_cells(recipe, {"command": "made"}, tmp_path / "out", 1)
    assert again == found
    heads, rows = detection.rows(found)
    assert len(rows) == 3
    assert all(len(row) == len(heads) for row in rows)
