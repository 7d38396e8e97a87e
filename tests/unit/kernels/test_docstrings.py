"""Every parameter of a kernel is explained: its docstring names it, or the kernel whose explanation it shares."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qpsnn_core.kernels.machine_code import FOLDER, imported

MODULES = sorted(FOLDER.rglob("*.py"))


def kernels(path: Path) -> Iterator[ast.FunctionDef]:
    """The functions of a module that are compiled."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and any("kernel" in ast.unparse(one) for one in node.decorator_list):
            yield node


def unexplained(function: ast.FunctionDef) -> list[str]:
    """Parameters that the docstring does not name, unless it says `As for ...` another kernel."""
    text = ast.get_docstring(function) or ""
    if re.search(r"\bas (for )?`\w+`", text, re.IGNORECASE):
        return []
    return [one.arg for one in function.args.args if not re.search(rf"\b{one.arg}\b", text, re.IGNORECASE)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_every_parameter_is_explained(path):
    assert {one.name: left for one in kernels(path) if (left := unexplained(one))} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_kernel_that_shares_an_explanation_names_a_kernel_that_is_there(path):
    near = {one.name for other in (path, *imported(path)) for one in kernels(other)}
    for one in kernels(path):
        for name in re.findall(r"\bas (?:for )?`(\w+)`", ast.get_docstring(one) or "", re.IGNORECASE):
            assert name in near, f"{one.name}: {name}"


@pytest.mark.parametrize(
    ("text", "left"),
    [("The sum of a.", ["b"]), ("The sum of a and b.", []), ("As `other`, backwards.", []), ("As b wants.", ["a"])],
)
def test_a_parameter_left_out_is_found(text, left):
    (function,) = ast.parse(f'def f(a, b):\n    """{text}"""').body
    assert isinstance(function, ast.FunctionDef)
    assert unexplained(function) == left
