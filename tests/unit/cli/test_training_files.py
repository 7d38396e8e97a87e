"""`train --best --log` and `finetune --best --log`: the best epoch's checkpoint, and the history as a file."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("sklearn")

import qpsnn_core as qp

pytestmark = pytest.mark.cli

RECIPE = """
[network]
name = "mlp"
widths = [8]
steps = 2
[data]
name = "digits"
limit = 128
[train]
epochs = 3
batch = 32
optimizer = "adam"
validation = 0.25
accumulate = 2
ema = 0.5
[finetune]
epochs = 2
batch = 32
validation = 0.25
label_smoothing = 0.1
class_weights = { 3 = 2.0 }
"""


def test_the_files_are_written(qpsnn, tmp_path):
    recipe, run, best = tmp_path / "tiny.toml", tmp_path / "run.h5", tmp_path / "best.h5"
    recipe.write_text(RECIPE, encoding="utf-8")
    code, out, _ = qpsnn("train", recipe, "--out", run, "--best", best, "--log", tmp_path / "a.jsonl", "--json")
    assert code == 0
    history = json.loads(out)["history"]
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == history
    figures = [epoch["validation"] for epoch in history]
    assert len(qp.load_checkpoint(best).history) == 1 + figures.index(max(figures))
    tuned = ("finetune", best, "--out", tmp_path / "tuned.h5", "--best", tmp_path / "b.h5", "--log", tmp_path / "b.csv")
    code, _, _ = qpsnn(*tuned)
    assert code == 0
    assert len((tmp_path / "b.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert qp.load_checkpoint(tmp_path / "b.h5").data.validation == 32
    code, _, err = qpsnn("train", recipe, "--out", run, "--log", tmp_path / "a.txt")
    assert (code, "expected a file that ends in .csv or .jsonl" in err) == (2, True)
