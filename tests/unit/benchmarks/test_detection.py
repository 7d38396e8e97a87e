"""The evidence of detection: its cells on a set of a few drawn images, stopped and gone on."""

from __future__ import annotations

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("PIL")

from generators.detection_files import voc

from benchmarks import detection
from benchmarks.roofline.page import fill
from qpsnn_core.experiments.runs import read_results
from qpsnn_core.recipes.recipe import recipe_from_dict

BOXES = {"loss": "boxes", "epochs": 1, "batch": 2}

pytestmark = pytest.mark.cli


@pytest.mark.slow
def test_cells_go_on_from_what_is_there(tmp_path):
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
    whole, quantized, longer, pruned = found
    assert [one.integers for one in found] == [False, True, True, True]
    assert longer.parameters == quantized.parameters
    assert whole.weights_mb > 3 * quantized.weights_mb
    assert pruned.weights_mb < 0.8 * quantized.weights_mb
    assert pruned.parameters < quantized.parameters == whole.parameters
    again = detection.run_cells(recipe, {"command": "made"}, tmp_path / "out", 1)
    assert again == found
    heads, rows = detection.rows(found)
    assert len(rows) == 4
    assert all(len(row) == len(heads) for row in rows)


def test_the_page_has_the_table_of_its_data(tmp_path):
    made_by, results = read_results(
        detection.DOCS / "results" / "detection-bccd.json", detection.Result, detection.WHAT
    )
    assert "benchmarks.detection" in made_by["command"]
    page = tmp_path / "results.md"
    whole = (detection.DOCS / "results.md").read_text(encoding="utf-8")
    page.write_text(whole, encoding="utf-8")
    fill(page, {detection.MARKERS: detection.page_table(results)})
    assert page.read_text(encoding="utf-8") == whole
    assert {one.cell for one in results} == set(detection.CELLS)
