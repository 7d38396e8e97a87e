"""One pytest session that collects all tests once; each record and each mutant is a fork of it that runs a few."""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.machinery
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import hypothesis
import pytest
from _pytest.runner import runtestprotocol

SECONDS = 2
"""Processor time that a test may take while its lines are recorded; slower ones are left out."""
FILE_SECONDS = 15
"""The same for a file: first one case of every test, then the second, as far as that goes."""
CASES = 4
"""How many cases of one test are recorded, evenly spaced."""
OPTIONS = ("--override-ini=addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-s", "-q", "--tb=line")
FOLDERS = ("qpsnn_core", "backends", "datasets")


class Session:
    """Collects, then calls `work` with itself; knows every test, and what ran while modules were imported."""

    def __init__(self, work: Callable[[Session], None]) -> None:
        self.work = work
        self.items: dict[str, pytest.Item] = {}
        self.cases: dict[str, list[str]] = {}
        self.at_import: set[tuple[str, int]] = set()

    def run(self, paths: Sequence[str]) -> int:
        """Collect the tests of these files and do the work."""
        sys.setprofile(self._called)
        return int(pytest.main([*OPTIONS, "-m", "not slow and not lava", *paths], [self]))

    def _called(self, frame: Any, event: str, _: object) -> None:
        if event == "call":
            self.at_import.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """The same examples every time, and no search for smaller ones: before tests are imported, after conftest."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        parent = hypothesis.settings.get_profile("qpsnn")
        hypothesis.settings.register_profile("mutants", parent, phases=phases, derandomize=True)
        hypothesis.settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running every test."""
        sys.setprofile(None)
        self.items = {item.nodeid: item for item in session.items}
        for name in self.items:
            self.cases.setdefault(name.partition("[")[0], []).append(name)
        self.work(self)
        return True

    def record(self, file: str, out: Path) -> int:
        """Run a few cases of every test of a file; write the seconds of each, and for every line its tests."""
        dealt = itertools.zip_longest(
            *(spaced(same) for test, same in self.cases.items() if test.startswith(f"{file}::"))
        )
        chosen = [self.items[name] for turn in dealt for name in turn if name is not None]
        signal.signal(signal.SIGPROF, _too_slow)
        traced = coverage.Coverage(data_file=None, source=[str(Path(folder).resolve()) for folder in FOLDERS])
        traced.start()
        seconds, begun = dict[str, float](), sum(os.times()[:4])
        for item, reports, spent in self._each(chosen, out, dict.fromkeys(self.items, SECONDS), traced.switch_context):
            if all(report.passed for report in reports):
                seconds[item.nodeid] = round(spent, 3)
            if sum(os.times()[:4]) - begun > FILE_SECONDS:
                break
        traced.stop()
        index, data, lines = {name: place for place, name in enumerate(seconds)}, traced.get_data(), {}
        for path in data.measured_files():
            found = {
                n: sorted(index[c] for c in held if c in index) for n, held in data.contexts_by_lineno(path).items()
            }
            lines[os.path.relpath(path)] = {number: tests for number, tests in found.items() if tests}
        out.write_text(json.dumps({"seconds": seconds, "lines": lines}))
        return 0

    def check(self, module: str, source: str, limits: dict[str, float], out: Path) -> int:
        """Run the tests with `source` as the module until one fails, which is written; "" changes nothing, runs all.

        A test past its limit ends the process by SIGPROF.
        """
        out.write_text(json.dumps(list(limits)[:1]))
        if module and not self.swap(module, source):
            return self.imported(module, source, limits, out)
        return self._until_one_fails(limits, out, go_on=not module)

    def _until_one_fails(self, limits: dict[str, float], out: Path, *, go_on: bool = False) -> int:
        failures = []
        chosen = [self.items[name] for name in limits]
        for item, reports, _ in self._each(chosen, out, limits, lambda name: _write(out, [name])):
            if any(report.failed for report in reports):
                failures.append(item.nodeid)
                if not go_on:
                    break
        _write(out, failures)
        return int(bool(failures))

    def _each(
        self, chosen: Sequence[pytest.Item], out: Path, limits: dict[str, float], begin: Callable[[str], None]
    ) -> Iterator[tuple[pytest.Item, list[pytest.TestReport], float]]:
        """Each test with its reports and seconds. Limits count processor time, so that other work kills nothing."""
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            factory = item.config._tmp_path_factory  # type: ignore[attr-defined]  # a folder for each process
            if factory._given_basetemp != out.with_suffix(".tmp"):
                factory._given_basetemp, factory._basetemp = out.with_suffix(".tmp"), None
            begin(item.nodeid)
            signal.setitimer(signal.ITIMER_PROF, limits[item.nodeid], 0.1)
            start = sum(os.times()[:4])
            reports = runtestprotocol(item, log=False, nextitem=following)
            signal.setitimer(signal.ITIMER_PROF, 0)
            yield item, reports, sum(os.times()[:4]) - start

    def swap(self, module: str, source: str) -> bool:
        """Give the functions of an imported module their new code; False where the change acts as it is imported."""
        here = importlib.import_module(module)
        path = str(here.__file__)
        pairs = _pairs(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), compile(source, path, "exec"))
        if pairs is None or any((path, old.co_firstlineno) in self.at_import for old, _ in pairs):
            return False
        functions = [one for one in gc.get_objects() if type(one) is FunctionType and one.__code__.co_filename == path]
        for old, new in pairs:
            for function in functions:
                if function.__code__ == old:
                    function.__code__ = new
        return True

    def imported(self, module: str, source: str, limits: dict[str, float], out: Path) -> int:
        """The same in a session inside this one, which imports the checkout again with `source` as the module."""
        for name, held in list(sys.modules.items()):
            if (getattr(held, "__file__", None) or "").startswith(os.getcwd()):
                del sys.modules[name]
        sys.meta_path.insert(0, Changed(module, source))
        signal.setitimer(signal.ITIMER_PROF, 120)
        status = [1]  # where collecting fails

        def work(again: Session) -> None:
            status[0] = again._until_one_fails(limits, out)

        Session(work).run(sorted({name.partition("::")[0] for name in limits}))
        return status[0]


def spaced(same: Sequence[str]) -> Sequence[str]:
    """The cases of one test that are recorded."""
    return same[:: -(-len(same) // CASES)]


def _pairs(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions that differ, old and new; None where other code does, or what a function captures."""
    if _shell(old) != _shell(new):
        return None
    found: list[tuple[CodeType, CodeType]] = []
    for one, other in zip(_inner(old), _inner(new), strict=True):
        if one.co_flags & 2 and not one.co_name.endswith("comp>") and one.co_name != "<genexpr>":  # a new local scope
            if one.co_freevars != other.co_freevars:
                return None
            found += [(one, other)] if _text(one) != _text(other) else []
        else:
            below = _pairs(one, other)
            if below is None:
                return None
            found += below
    return found


def _shell(code: CodeType) -> tuple[object, ...]:
    constants = tuple("code" if isinstance(one, CodeType) else repr(one) for one in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants


def _text(code: CodeType) -> tuple[object, ...]:
    return _shell(code), tuple(_text(one) for one in _inner(code))


def _inner(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


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


def _write(out: Path, names: Sequence[str]) -> None:
    out.write_text(json.dumps(names))


def _too_slow(_: int, frame: Any) -> None:
    """Not where coverage holds its lock, which nobody would give back; the signal comes again."""
    if Path(frame.f_code.co_filename).parent.name != "coverage":
        pytest.fail("too slow with the compiler off", pytrace=False)
