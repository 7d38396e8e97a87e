"""docs/detection.md: its example gives what the page says, and its links lead somewhere."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from pages import blocks, links

from qpsnn_core.engine.average_precision import CONVENTIONS
from qpsnn_datasets.detection import FORMATS

PAGE = Path(__file__).parents[3] / "docs" / "detection.md"


def test_the_example_gives_what_the_page_says():
    said = StringIO()
    with redirect_stdout(said):
        exec(compile(blocks(PAGE, "python")[0], str(PAGE), "exec"), {})
    assert said.getvalue() == blocks(PAGE, "")[0]


def test_links_formats_and_conventions():
    found = links(PAGE)
    assert found
    assert [link for link in found if not (PAGE.parent / link).exists()] == []
    text = PAGE.read_text(encoding="utf-8")
    for name in (*FORMATS, *CONVENTIONS):
        assert f"\n| `{name}` |" in text
