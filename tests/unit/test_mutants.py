"""The list of equivalent mutants fits the code; `make mutants` changes modules in memory and draws the same again."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import time
from collections import deque

import pytest

from mutants.equivalent import equivalents

MODULE = '''"""Made up."""

from __future__ import annotations


def area(width: int | None, height: int = 2) -> int:
    return (width or 1) * height
'''


def lines_of(root, file, function):
    """The stripped lines of a function or class with its decorators, or of the whole file where no name is given."""
    text = (root / file).read_text(encoding="utf-8")
    nodes = [ast.parse(text)]
    for name in filter(None, function.split(".")):
        inner = [child for node in nodes for child in ast.walk(node)]
        nodes = [one for one in inner if isinstance(one, ast.FunctionDef | ast.ClassDef) and one.name == name]
    spans = [
        (min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1, node.end_lineno)
        if function
        else (0, None)
        for node in nodes
    ]
    return [line.strip() for first, last in spans for line in text.splitlines()[first:last]]


@pytest.mark.parametrize("entry", sorted(equivalents()), ids=lambda entry: f"{entry[0]}-{entry[1]}")
def test_every_equivalent_mutant_is_of_todays_code(root, entry):
    file, function, line, mutated = entry
    assert set(line.split("\n")) <= set(lines_of(root, file, function)), "the line is gone: remove the entry"
    assert line.split() != mutated.split()
    assert len(equivalents()[entry]) > 10


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "qpsnn_core" / "optim"
    folder.mkdir(parents=True)
    (folder / "made_up.py").write_text(MODULE)
    return tmp_path


def test_a_sample_is_the_same_again_and_outlives_changes_elsewhere(checkout):
    sample = pytest.importorskip("mutants.sample")
    drawn = sample.draw(checkout, 10, 1)
    assert {mutant.line for mutant in drawn} == {
        "def area(width: int | None, height: int = 2) -> int:",
        "return (width or 1) * height",
    }
    assert len(drawn) == 4  # the 2, the `or`, the 1, the `*`; no type
    assert sample.draw(checkout, 2, 1) == drawn[:2]
    path = checkout / "qpsnn_core" / "optim" / "made_up.py"
    path.write_text(MODULE.replace("\n\n\ndef", "\n\n\nabove = 1\n\n\ndef"))
    again = [mutant for mutant in sample.draw(checkout, 10, 1) if mutant.function]
    assert [(mutant.key, mutant.change) for mutant in again] == [(mutant.key, mutant.change) for mutant in drawn]


def test_a_module_is_changed_as_it_is_imported_and_its_file_stays(tmp_path, monkeypatch):
    session = pytest.importorskip("mutants.session")
    (tmp_path / "made_up_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [session.Changed("made_up_module", MODULE.replace("*", "+")), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "made_up_module", raising=False)
    assert importlib.import_module("made_up_module").area(3, 4) == 7
    assert (tmp_path / "made_up_module.py").read_text() == MODULE


def test_functions_of_an_imported_module_get_their_new_code(tmp_path, monkeypatch):
    session = pytest.importorskip("mutants.session").Session(lambda one: None)
    (tmp_path / "made_up_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_up_module", raising=False)
    area = importlib.import_module("made_up_module").area
    assert session.swap("made_up_module", MODULE.replace("*", "-"))
    assert area(5) == 3
    assert not session.swap("made_up_module", MODULE.replace("= 2", "= 3")), "a default acts as it is imported"
    session.at_import.add((str(tmp_path / "made_up_module.py"), 6))
    assert not session.swap("made_up_module", MODULE.replace("*", "+")), "it ran as modules were imported"
    assert area(5) == 3


def test_operators_become_their_neighbours():
    near = pytest.importorskip("mutants.sample")._near
    kept = ("Mul_Add", "Sub_Add", "LtE_Lt", "NotEq_Gt", "Delete_USub", "Is_IsNot")
    assert all(near(f"core/ReplaceOperator_{change}") for change in kept)
    assert not any(near(f"core/ReplaceOperator_{change}") for change in ("Add_RShift", "Lt_Is", "USub_Not", "Mul_Pow"))
    assert near("core/NumberReplacer")


def test_processes_end_with_their_status_or_at_their_limit(tmp_path):
    pool = pytest.importorskip("mutants.pool")
    jobs = deque(
        [
            pool.Job("passes", lambda out: 0, None, 60),
            pool.Job("fails", lambda out: out.write_text("{}") and 1, None, 60),
            pool.Job("hangs", lambda out: time.sleep(600) or 0, None, 0.2),
            pool.Job("exits", lambda out: os._exit(9), None, 60),
        ]
    )
    ended = {end.job.name: end.status for end in pool.run(jobs, 2, tmp_path, tmp_path)}
    assert ended == {"passes": 0, "fails": 1, "hangs": -9, "exits": 9}
    assert (tmp_path / "fails.json").read_text() == "{}"
