"""Which tests reach which line: recorded once per test file, and read with the lines where they stand today."""

from __future__ import annotations

import ast
import difflib
import functools
import json
import re
from collections import deque
from pathlib import Path

from mutants import pool
from mutants.sample import CORE, Mutant, definitions, digest
from mutants.session import Session, spaced

ASIDE = ("benchmarks", "cli", "docs", "examples", "exchange", "experiments", "recipes")
"""Folders of tests/unit whose tests run commands, pages or studies: they reach much code and aim at little."""
FIRST = 10.0
"""Seconds of the first round: one case of each test, those of the module's own folder before the others."""
LIMIT = 30.0
"""Seconds of the second round: all further cases of those tests, the module's own folder and the fastest first."""


class Records:
    """Seconds of every test that passes with the compiler off, and the tests of every line."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree, self.folder = tree, folder
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[int, set[str]]] = {}
        self.further: dict[str, list[str]] = {}

    def files(self) -> list[str]:
        """The test files, from the tree."""
        unit = self.tree / "tests" / "unit"
        files = [path for path in sorted(unit.glob("*/**/test_*.py")) if path.relative_to(unit).parts[0] not in ASIDE]
        for part in ("property", "contract"):
            files += sorted((self.tree / "tests" / part).glob("test_*.py"))
        return [path.relative_to(self.tree).as_posix() for path in files]

    def make(self, session: Session, at_once: int) -> None:
        """Record the test files that changed since they were recorded, then read all."""
        (self.folder / "sources").mkdir(parents=True, exist_ok=True)
        wanted = {self.folder / f"{digest((self.tree / file).read_bytes())}.json": file for file in self.files()}
        for old in set(self.folder.glob("*.json")) - set(wanted):
            old.unlink()
        sources = {
            path.relative_to(self.tree).as_posix(): path
            for folder in CORE
            for path in (self.tree / folder).rglob("*.py")
        }
        versions = {}
        for name, path in sources.items():
            versions[name] = digest(path.read_text(encoding="utf-8"))
            (self.folder / "sources" / versions[name]).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        (self.folder / "new").mkdir(exist_ok=True)
        jobs = deque(
            pool.Job(out.stem, functools.partial(session.record, file), file, 900)
            for out, file in wanted.items()
            if not out.exists()
        )
        total = len(jobs)
        for number, ended in enumerate(pool.run(jobs, at_once, self.tree, self.folder / "new"), start=1):
            held = json.loads(ended.out.read_text()) if ended.out.exists() else {"seconds": {}, "lines": {}}
            held["versions"] = {name: versions[name] for name in held["lines"] if name in versions}
            (self.folder / f"{ended.job.name}.json").write_text(json.dumps(held))
            print(f"[{number}/{total}] {ended.job.about}: {len(held['seconds'])} tests recorded", flush=True)
        for out in wanted:
            self._read(json.loads(out.read_text()))
        for test, same in session.cases.items():
            known = [self.seconds[name] for name in same if name in self.seconds]
            self.further[test] = sorted(set(same) - set(spaced(same)) - set(self.seconds)) if known else []
            self.seconds |= dict.fromkeys(self.further[test], max(known, default=0.0))

    def _read(self, held: dict[str, dict[str, dict[str, list[int]]]]) -> None:
        self.seconds |= held["seconds"]
        tests = list(held["seconds"])
        for file, version in held["versions"].items():
            if not (self.tree / file).exists():
                continue
            today = self.today(file, version)
            for number, reached in held["lines"][file].items():
                if int(number) in today:
                    self.lines.setdefault(file, {}).setdefault(today[int(number)], set()).update(
                        tests[i] for i in reached
                    )

    @functools.cache  # noqa: B019 (one instance per run)
    def today(self, file: str, version: str) -> dict[int, int]:
        """Lines as they were numbered when recorded, to their numbers now."""
        old = (self.folder / "sources" / version).read_text(encoding="utf-8").splitlines()
        new = (self.tree / file).read_text(encoding="utf-8").splitlines()
        same = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        return {block.a + i + 1: block.b + i + 1 for block in same for i in range(block.size)}

    def reaching(self, mutant: Mutant) -> set[str]:
        """The tests of the line; of what runs at import, those of the function or class around it.

        Outside of functions and classes, those of the whole file, and those of test files that import the module:
        a test may read a constant and run none of the lines.
        """
        lines = self.lines.get(mutant.file, {})
        if mutant.number in lines:
            return lines[mutant.number]
        tree = ast.parse((self.tree / mutant.file).read_text(encoding="utf-8"))
        for first, last, _ in reversed(definitions(tree)):
            if first <= mutant.number <= last:
                found = set().union(*(tests for number, tests in lines.items() if first <= number <= last))
                if found:
                    return found
        stem = mutant.module.rpartition(".")[2]
        paths = [path for path in (self.tree / "tests").rglob("test_*.py") if imports(path, stem)]
        naming = {path.relative_to(self.tree).as_posix() for path in paths}
        return set().union(*lines.values(), (test for test in self.seconds if test.partition("::")[0] in naming))

    def cases(self, mutant: Mutant) -> set[str]:
        """All cases of the tests that reach it, those that were not recorded included."""
        tests = self.reaching(mutant)
        return tests.union(*(self.further.get(name, ()) for name in {test.partition("[")[0] for test in tests}))

    def rounds(self, mutant: Mutant) -> tuple[list[str], list[str]]:
        """The tests in the order in which they are tried, in two rounds."""
        own = "tests/unit/" + mutant.file.removeprefix("qpsnn_core/").rpartition("/")[0] + "/"
        stem = mutant.file.rpartition("/")[2].removesuffix(".py")
        far = functools.cache(lambda test: (stem not in test.partition("::")[0], not test.startswith(own)))
        ranked = sorted(self.reaching(mutant), key=lambda test: (sum(far(test)), self.seconds[test], test))
        fastest = list({test.partition("[")[0]: test for test in reversed(ranked)}.values())[::-1]
        first = self._within(fastest, FIRST)
        rest = sorted(self.cases(mutant) - set(first), key=lambda test: (sum(far(test)), self.seconds[test], test))
        return first, self._within(rest, LIMIT)

    def _within(self, tests: list[str], limit: float) -> list[str]:
        kept, spent = [], 0.0
        for test in tests:
            spent += self.seconds[test]
            if spent > limit and kept:
                break
            kept.append(test)
        return kept


def imports(path: Path, stem: str) -> bool:
    """Whether a test file imports a module of that name, or from it."""
    text = path.read_text(encoding="utf-8")
    return bool(re.search(rf"\.{stem} import |import {stem}\b|import .*\b{stem}\b", text))
