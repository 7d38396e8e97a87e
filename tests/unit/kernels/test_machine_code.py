"""What the machine code of a kernel is made from is found by its imports, however they are written."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from qpsnn_core.kernels import machine_code
from qpsnn_core.kernels.neurons import lif
from qpsnn_core.kernels.simd import vector


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    yield
    for cached in (machine_code._text, machine_code._modules, machine_code.imported, machine_code.stamp):
        cached.cache_clear()


@pytest.mark.parametrize(
    "line",
    [
        "from qpsnn_core.kernels.simd.vector import to",
        "from qpsnn_core.kernels.simd import llvm, vector",
        "from qpsnn_core.kernels.simd import (\n    llvm,\n    vector,\n)",
        "import qpsnn_core.kernels.simd.vector as v",
        "from .vector import *",
        "def f():\n    from . import vector",
    ],
)
def test_every_way_to_import_is_seen(tmp_path, line):
    path = tmp_path / "made_up.py"
    path.write_text(f"import numpy\n{line}\nlif = 1\n")
    assert Path(vector.__file__) in machine_code.imported(path)
    assert Path(lif.__file__) not in machine_code.imported(path)


def test_every_module_has_what_python_imports():
    seen = 0
    for path in machine_code.FOLDER.rglob("*.py"):
        text = ast.parse(path.read_text(encoding="utf-8"))
        named = {node.module or "" for node in ast.walk(text) if isinstance(node, ast.ImportFrom)}
        wanted = {Path(import_module(name).__file__) for name in named if name.startswith("qpsnn_core.kernels")}
        assert wanted <= machine_code.imported(path), path
        seen += len(wanted)
    assert seen > 50


@pytest.mark.parametrize(("changed", "counts"), [("a", True), ("b", True), ("inner/c", True), ("d", False)])
def test_a_stamp_reaches_as_far_as_imports_do(tmp_path, monkeypatch, changed, counts):
    monkeypatch.setattr(machine_code, "FOLDER", tmp_path)
    (tmp_path / "inner").mkdir()
    texts = {"a": "from b import x", "b": "from inner.c import x", "inner/c": "import b; x = 1", "d": "from a import x"}

    def stamped(**other):
        for name, text in {**texts, **other}.items():
            (tmp_path / f"{name}.py").write_text(text)
        for cached in (machine_code._text, machine_code._modules, machine_code.imported, machine_code.stamp):
            cached.cache_clear()
        return machine_code.stamp(tmp_path / "a.py")

    before = stamped()
    assert stamped() == before
    assert (stamped(**{changed: texts[changed] + "; y = 2"}) != before) == counts


IN_TURN = """
import sys
from pathlib import Path
from qpsnn_core.kernels.machine_code import in_turn
folder = Path(sys.argv[1])
def add():
    count = folder / "count"
    before = int(count.read_text()) if count.exists() else 0
    count.write_text(str(before + 1))
for _ in range(300):
    in_turn(add, folder)()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_processes_wait_for_each_other(tmp_path):
    words = [sys.executable, "-c", IN_TURN, str(tmp_path)]
    others = [subprocess.Popen(words) for _ in range(2)]
    assert [other.wait() for other in others] == [0, 0]
    assert (tmp_path / "count").read_text() == "600"


def test_where_nothing_can_be_written_the_call_is_made_all_the_same(tmp_path):
    assert machine_code.in_turn(len, tmp_path / "nowhere")("four") == 4


def test_kernels_are_read_and_written_in_turn():
    index = getattr(getattr(lif.add_current, "_cache", None), "_cache_file", None)
    if index is None:
        pytest.skip("interpreted")
    assert [call.__qualname__.split(".")[0] for call in (index.load, index.save)] == ["in_turn"] * 2
