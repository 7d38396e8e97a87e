"""docs/q-spinn.md: its example runs and learns, and its links lead to names that are there."""

from __future__ import annotations

import ast
import re
import shutil

import numpy as np
import pytest
from pages import blocks


@pytest.fixture
def page(root):
    return root / "docs" / "q-spinn.md"


@pytest.mark.slow
@pytest.mark.once
def test_the_example_runs_and_learns(page, capsys):
    example, decolle, deployed = blocks(page, "python")
    names: dict[str, object] = {}
    exec(compile(example, str(page), "exec"), names)
    right = names["answers"] == np.asarray(names["data"].test.labels)
    assert right.mean() > 0.6
    exec(compile(decolle, str(page), "exec"), names)
    right = names["votes"][:, -1] == np.asarray(names["data"].test.labels)
    assert right.mean() > 0.3
    if shutil.which("cc") is not None:
        exec(compile(deployed, str(page), "exec"), names)
        assert capsys.readouterr().out.startswith("{'membranes': 0, 'thresholds': 0,")


@pytest.mark.slow
@pytest.mark.cli
@pytest.mark.plot
def test_the_commands_run(page, root, qpsnn, tmp_path, monkeypatch):
    """On fewer images, in one rounding, with fewer neurons."""
    pytest.importorskip("typer")
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    (tmp_path / "examples").mkdir()
    for name, changes in (
        ("digits-stdp", {'["truncation", "nearest", "stochastic"]': '["nearest"]', "neurons = 50": "neurons = 20"}),
        ("digits-decolle", {"epochs = 2": "epochs = 1"}),
    ):
        text = (root / "examples" / f"{name}.toml").read_text(encoding="utf-8")
        for old, new in {**changes, 'name = "digits': 'limit = 120\nname = "digits'}.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "examples" / f"{name}.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks(page, "sh")
    for line in commands.strip().split("\n"):
        code, said, _ = qpsnn(*line.split()[1:])
        assert code == 0 or (code == 1 and "qspinn" in line), line
        assert said.strip(), line
    assert {"learnt.h5", "decolle.h5"} <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "search" / "results.json").is_file()
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {"fields", "learning", "precision-bits", "precision-memory"}


def test_links_lead_to_names(page):
    found = re.findall(r"\]\(([^)#]+)(?:#(\w+))?\)", page.read_text(encoding="utf-8"))
    assert len(found) > 20
    for file, name in found:
        path = (page.parent / file).resolve()
        assert path.is_file(), file
        names = {one.name for one in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(one, "name")}
        assert not name or name in names, f"{file}: {name}"
