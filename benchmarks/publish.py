"""What is committed of a run: a file and a section of docs/benchmarks.md for its kind of processor, and README's table.

A run on another kind adds a file and a section and leaves the others alone. README shows one kind, which its comment
names; a run on that kind renews the table.

python -m benchmarks.publish build/bench/results.json      a run that is there, of this kind of processor or another
python -m benchmarks.publish                               all sections again, from what was published
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import plot, processor, report, results

FOLDER, PAGE, README = Path("benchmarks", "published"), Path("docs", "benchmarks.md"), Path("README.md")
README_BEGIN = re.compile(r"<!-- speed of ([a-z0-9-]+): written by `make bench` -->")
README_END = "<!-- end of speed -->"


def publish(found: dict[str, Any], root: Path) -> list[Path]:
    """Write all of it below `root`; the files that were written. Raises ValueError if a page lacks its comments."""
    slug = processor.slug(found["machine"])
    path = root / FOLDER / f"{slug}.json"
    page = _with_section((root / PAGE).read_text(encoding="utf-8"), found)
    readme = _with_block((root / README).read_text(encoding="utf-8"), found)
    results.save(found, path)
    plot.draw(found, root / "docs" / f"benchmark-{slug}.png")
    (root / PAGE).write_text(page, encoding="utf-8")
    (root / README).write_text(readme, encoding="utf-8")
    return [path, root / PAGE, root / README]


def section(found: dict[str, Any]) -> str:
    """The section of the page, comments included."""
    slug = processor.slug(found["machine"])
    begin, end = markers(slug)
    figure = f"![How many times better qpsnn is, by network and T](benchmark-{slug}.png)"
    return f"{begin}\n{report.section(found)}\n\n{figure}\n{end}"


def block(found: dict[str, Any]) -> str:
    """README's block, comments included."""
    slug = processor.slug(found["machine"])
    said = (
        f"{report.title(found)}; {report.about(found)} The libraries run in turns, and each figure is the minimum of "
        "repeated runs. Ratios are qpsnn's advantage (higher is better)."
    )
    below = (
        "[docs/benchmarks.md](docs/benchmarks.md) has every network's figures, a section for each kind of processor, "
        "and how they are measured. The benchmark stops if spikes, logits or gradients disagree."
    )
    begin = f"<!-- speed of {slug}: written by `make bench` -->"
    return "\n".join([begin, said, "", report.summary(found), "", below, README_END])


def markers(slug: str) -> tuple[str, str]:
    """The comments around the section of a kind of processor."""
    return f"<!-- benchmark of {slug}: written by `make bench` -->", f"<!-- end of {slug} -->"


def kinds(page: str) -> list[str]:
    """The kinds of processor that a page has a section of."""
    return re.findall(r"<!-- benchmark of ([a-z0-9-]+): written by `make bench` -->", page)


def _with_section(page: str, found: dict[str, Any]) -> str:
    slug = processor.slug(found["machine"])
    begin, end = markers(slug)
    if slug not in kinds(page):
        return f"{page.rstrip()}\n\n{section(found)}\n"
    if (page.count(begin), page.count(end)) != (1, 1) or page.index(begin) > page.index(end):
        raise ValueError(f"{PAGE}: expected the two comments {begin} and {end}, each once")
    return page.split(begin)[0] + section(found) + page.split(end)[1]


def _with_block(readme: str, found: dict[str, Any]) -> str:
    shown = README_BEGIN.findall(readme)
    if len(shown) != 1 or readme.count(README_END) != 1:
        raise ValueError(f"{README}: expected the two comments {README_BEGIN.pattern} and {README_END}, each once")
    if shown[0] != processor.slug(found["machine"]):
        return readme
    before, _, rest = README_BEGIN.split(readme)
    return before + block(found) + rest.split(README_END)[1]


def main(given: list[str], root: Path) -> None:
    """Publish the runs of these files; of none, all that were published."""
    for path in [Path(name) for name in given] or sorted((root / FOLDER).glob("*.json")):
        for written in publish(results.load_race(path), root):
            print(written)


if __name__ == "__main__":
    main(sys.argv[1:], Path(__file__).resolve().parent.parent)
