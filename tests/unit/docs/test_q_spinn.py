"""docs/q-spinn.md: its example runs and learns, and its links lead to names that are there."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest
from pages import blocks


@pytest.fixture
def page(root):
    return root / "docs" / "q-spinn.md"


@pytest.mark.slow
@pytest.mark.once
def test_the_example_runs_and_learns(page):
    (example,) = blocks(page, "python")
    names: dict[str, object] = {}
    exec(compile(example, str(page), "exec"), names)
    right = names["answers"] == np.asarray(names["data"].test.labels)
    assert right.mean() > 0.6


def test_links_lead_to_names(page):
    found = re.findall(r"\]\(([^)#]+)(?:#(\w+))?\)", page.read_text(encoding="utf-8"))
    assert len(found) > 20
    for file, name in found:
        path = (page.parent / file).resolve()
        assert path.is_file(), file
        names = {one.name for one in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(one, "name")}
        assert not name or name in names, f"{file}: {name}"
