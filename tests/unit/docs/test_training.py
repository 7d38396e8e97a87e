"""docs/training.md: it names every key, and its code runs."""

from __future__ import annotations

import re
import sys
from dataclasses import fields

import pytest
from pages import blocks, run

from qpsnn_core.recipes.training import FinetuneConfig
from qpsnn_core.training.callbacks import RunState
from qpsnn_core.training.history import Epoch


def test_the_page_names_every_key(root):
    rows = re.findall(r"^\| (`.*?) \|", (root / "docs/training.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in fields(FinetuneConfig)}


@pytest.mark.slow
def test_the_pages_code_runs_from_top_to_bottom(root, tmp_path):
    pytest.importorskip("sklearn")
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(root / "docs/training.md", "python")), encoding="utf-8")
    said = run([sys.executable, str(script)], tmp_path)
    assert float(re.findall(r"Evaluation\(([\d.]+)%", said)[0]) > 80
    assert (tmp_path / "best.h5").is_file()
    epochs = int(said.strip().splitlines()[-1])
    assert epochs < 9
    assert len((tmp_path / "run.csv").read_text(encoding="utf-8").splitlines()) == 1 + epochs


def test_the_page_names_every_field_of_the_state(root):
    text = (root / "docs/training.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \.(\w+) \|", text, re.MULTILINE) == [field.name for field in fields(RunState)]
    (listed,) = re.findall(r"so far: (.*) \|", text)
    assert set(re.findall(r"\.(\w+)", listed)) == {field.name for field in fields(Epoch)}
