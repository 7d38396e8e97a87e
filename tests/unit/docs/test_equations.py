"""The pages of equations: every equation is there, and every link leads to a name that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("equations.md", "osbc.md", "spquant.md", "gates.md")
TEXT, OSBC, SPQUANT, GATES = ((DOCS / name).read_text(encoding="utf-8") for name in PAGES)
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)(?:#(\w+))?\)", TEXT + OSBC + SPQUANT + GATES)))


def test_every_equation_has_its_line():
    lines = re.findall(r"^\| ([\d, to]+)(?:,[a-z ]+)? \|", TEXT, re.MULTILINE)
    assert {int(number) for line in lines for number in re.findall(r"\d+", line)} == set(range(1, 17))


def test_every_step_of_osbc_has_its_line():
    steps = re.findall(r"^\| (\w+(?: \w+)?) \|.*\|.*\]\(\.\./qpsnn_core/.*\]\(\.\./tests/", OSBC, re.MULTILINE)
    wanted = "objective, filter, events, ratios, first pass, budgets, second pass, rounding, both, integers, size"
    assert steps == [*wanted.split(", "), "operations"]


def test_there_are_links_of_all_three_kinds():
    folders = {link.split("/")[1] for link, _ in LINKS if link.endswith(".py")}
    assert folders == {"qpsnn_core", "tests"}
    assert len(LINKS) > 30


@pytest.mark.parametrize(("file", "name"), LINKS, ids=str)
def test_every_link_leads_somewhere(file, name):
    path = (DOCS / file).resolve()
    assert path.is_file()
    if path.suffix == ".md":
        headings = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not name or name in {heading.lower().replace(" ", "-") for heading in headings}
    elif name:
        found = {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(node, "name")}
        assert name in found
    if "/unit/" in file:
        assert not name or name.startswith("test_")
