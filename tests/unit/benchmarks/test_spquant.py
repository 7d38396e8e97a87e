"""The evidence for SpQuant-SNN: its cells, pruning to a given memory, going on, and tables that are the data's."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import benched
from benchmarks import spquant, spquant_page
from benchmarks.roofline.page import fill
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.experiments.demo import DIGITS

pytestmark = pytest.mark.cli

TINY = replace(
    DIGITS,
    network=replace(DIGITS.network, width=0.125, steps=2),
    data=replace(DIGITS.data, limit=48),
    train=replace(DIGITS.train, epochs=1, batch=24),
    finetune=replace(DIGITS.finetune, epochs=1, batch=24),
    prune=replace(DIGITS.prune, batches=2, batch=8, prune_last=True),
)
NAMES = ("whole, 4 bits", "ternary, 4 bits", "whole, 4 bits, memory of ternary, 4 bits", "ternary, channels and places")


def test_every_cell_begins_from_one_that_came_before_it():
    found = spquant.cells()
    names = [cell.name for cell in found]
    assert len(set(names)) == len(names) >= 20
    for place, cell in enumerate(found):
        assert all(name in names[:place] for name in (cell.start, cell.memory) if name)
    assert list(dict.fromkeys(cell.group for cell in found)) == ["levels", "surrogate", "threshold", "pruning", "gates"]


@pytest.mark.slow
def test_cells_are_run_once_and_pruned_to_a_memory(tmp_path, monkeypatch):
    few = [cell for cell in spquant.cells() if cell.name in NAMES]
    monkeypatch.setattr(spquant, "cells", lambda: few)
    groups = ("levels", "pruning", "gates")
    done = spquant.run_cells(TINY, {"command": "some"}, tmp_path, groups, 1)
    found = {one.cell: one for one in done}
    assert tuple(found) == NAMES
    ternary, pruned = found[NAMES[1]], found[NAMES[2]]
    assert ternary.membranes_mb == pytest.approx(found[NAMES[0]].membranes_mb / 16)
    assert 0 < pruned.rate < 1
    assert 0.5 * ternary.memory_mb < pruned.memory_mb <= ternary.memory_mb
    gated = found[NAMES[3]]
    assert 0 < gated.open <= 1
    assert 0 <= gated.gate_accuracy <= 1
    monkeypatch.setattr(spquant.Step, "run", lambda *_: pytest.fail("ran again"))
    assert spquant.run_cells(TINY, {"command": "some"}, tmp_path, groups, 1) == done
    with pytest.raises(ConfigError, match="command"):
        spquant.run_cells(TINY, {"command": "other"}, tmp_path, groups, 1)
    with pytest.raises(ConfigError, match="groups: expected of levels"):
        spquant.run_cells(TINY, {"command": "some"}, tmp_path, ("nothing",), 1)


def test_a_memory_that_no_rate_reaches():
    assert spquant.least_rate(lambda rate: 1 - rate, 0.75) == pytest.approx(0.25)
    with pytest.raises(ConfigError, match=r"got 0\.0001 MB"):
        spquant.least_rate(lambda rate: 1.0, 0.0001)


def test_the_page_has_the_recorded_figures(tmp_path):
    page = benched.FOLDER.parent / "docs" / "results.md"
    again = tmp_path / "results.md"
    again.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
    fill(again, spquant_page.blocks())
    assert again.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
