"""What a forked process does: tests with one module changed, or tests with their lines recorded."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest

SECONDS = 3
"""Processor time that a test may take while its lines are recorded; slower ones are left out."""
CASES = 4
"""How many cases of one test are recorded, evenly spaced."""


def record(test_file: str, out: Path) -> int:
    """Run a file's tests and write their seconds, and for every line of the packages the tests that reach it."""
    recorder = Recorder()
    recorder.coverage.start()
    status = _pytest([test_file, "-m", "not slow and not lava"], recorder, out)
    recorder.coverage.stop()
    data, names = recorder.coverage.get_data(), list(recorder.seconds)
    index = {name: place for place, name in enumerate(names)}
    lines: dict[str, dict[int, list[int]]] = {}
    for path in data.measured_files():
        found = {n: sorted(index[c] for c in held if c in index) for n, held in data.contexts_by_lineno(path).items()}
        lines[os.path.relpath(path)] = {number: tests for number, tests in found.items() if tests}
    out.write_text(json.dumps({"seconds": recorder.seconds, "lines": lines}))
    return status


def check(module: str, source: str, tests: Sequence[str], seconds: dict[str, float], out: Path) -> int:
    """Run the tests with `source` as the module until one fails, and write which; the module "" changes nothing."""
    sys.meta_path.insert(0, Changed(module, source))
    limits = Limits(seconds, out)
    return _pytest(["--exitfirst", *tests] if module else list(tests), limits, out)


def _pytest(arguments: list[str], plugin: object, out: Path) -> int:
    options = ["--override-ini=addopts=--import-mode=importlib", "-p", "no:cacheprovider", "--tb=line", "-q"]
    return int(pytest.main([*options, f"--basetemp={out.with_suffix('.tmp')}", *arguments], [plugin]))


class Changed(importlib.abc.MetaPathFinder):
    """Gives one module another text as it is imported; its file stays as it is."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The usual place, with our loader."""
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == self.module else None
        if spec is not None and spec.origin is not None:
            loader = ChangedLoader(name, spec.origin)
            loader.source, spec.loader = self.source, loader
        return spec


class ChangedLoader(importlib.machinery.SourceFileLoader):
    """Compiles the text that it was given, and keeps no bytecode."""

    source = ""

    def get_code(self, fullname: str) -> Any:
        """Compiled anew."""
        return compile(self.source, self.path, "exec", dont_inherit=True)

    def get_source(self, fullname: str) -> str:
        """What was compiled."""
        return self.source


class Repeatable:
    """The same examples every time, and no search for smaller ones."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """After tests/conftest.py has loaded its profile, before a test is imported."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        parent = hypothesis.settings.get_profile("qpsnn")
        hypothesis.settings.register_profile("mutants", parent, phases=phases, derandomize=True)
        hypothesis.settings.load_profile("mutants")


class Limits(Repeatable):
    """Ends the process by SIGPROF when a test takes ten times as long as it did; names the test that runs."""

    def __init__(self, seconds: dict[str, float], out: Path) -> None:
        self.seconds, self.out = seconds, out
        self.failed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Starts the clock, which counts processor time: other work on the machine kills no mutant."""
        self.out.write_text(json.dumps([item.nodeid]))
        signal.setitimer(signal.ITIMER_PROF, 10 + 10 * self.seconds.get(item.nodeid, 1))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes failures."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Writes them."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.out.write_text(json.dumps(self.failed))


class Recorder(Repeatable):
    """Makes the running test coverage's context, and keeps the seconds of those that pass."""

    def __init__(self) -> None:
        folders = [str(Path(folder).resolve()) for folder in ("qpsnn_core", "backends", "datasets")]
        self.coverage = coverage.Coverage(data_file=None, source=folders)
        self.seconds: dict[str, float] = {}
        self.start = 0.0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """A few cases of every test."""
        cases: dict[str, list[pytest.Item]] = {}
        for item in items:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
        items[:] = [item for same in cases.values() for item in same[:: -(-len(same) // CASES)]]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Starts the clock again and again, because Hypothesis may catch what ends a test."""
        signal.signal(signal.SIGPROF, _too_slow)
        signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
        self.coverage.switch_context(item.nodeid)
        self.start = sum(os.times()[:4])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keeps what passed."""
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = round(sum(os.times()[:4]) - self.start, 3)
        elif report.failed:
            self.seconds.pop(report.nodeid, None)

    def pytest_runtest_teardown(self) -> None:
        """Stops the clock."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.coverage.switch_context("")


def _too_slow(*_: object) -> None:
    pytest.fail("too slow with the compiler off", pytrace=False)
