"""What every test may use: markers that skip with a reason, the shared data folder, one profile for hypothesis."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
CI = os.environ.get("CI") == "true"
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"

os.environ.setdefault("QPSNN_CACHE", "")  # what convolutions cost is measured, and not written to the user's folder

# An extra, and the distribution whose presence says that it is installed. Lava must not be imported to find out: it
# sets the start method of multiprocessing.
EXTRAS = {"lava": "lava-nc", "cli": "typer", "plot": "matplotlib", "events": "faery", "exchange": "nir"}

QUICK_CASES = 2
"""How many cases of one test `make check` runs at most."""

# A compiled kernel's first call takes seconds, so that no example has a deadline, and slow examples are no fault.
hypothesis.settings.register_profile(
    "qpsnn",
    deadline=None,
    derandomize=CI,
    max_examples=25 if INTERPRETED else 100,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("qpsnn")


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def pytest_configure(config: pytest.Config) -> None:
    # Many networks of the tests have a layer that cannot fire; what is to be warned of is asked for by pytest.warns.
    config.addinivalue_line("filterwarnings", r"ignore:.*(can never fire|did not fire once):UserWarning")
    if INTERPRETED:  # compiled code is silent where NumPy warns: of an overflow, of what was never written
        config.addinivalue_line("filterwarnings", "error::RuntimeWarning")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as it is in a shell's background: tests send it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("QPSNN_TEST_INSTALLED") == "1":
        import qpsnn_core

        if Path(qpsnn_core.__file__).is_relative_to(ROOT / "qpsnn_core"):
            raise pytest.UsageError("the installed qpsnn is to be tested, but the checkout was imported")


def pytest_report_header() -> str:
    here = ", ".join(f"{extra} {'yes' if installed(EXTRAS[extra]) else 'no'}" for extra in EXTRAS)
    return f"kernels: {'interpreted' if INTERPRETED else 'compiled'}; extras: {here}"


def mark_quick(items: list[pytest.Item]) -> None:
    """Of every test that is neither slow nor on Lava so many cases, evenly spaced: the marker of `make check`."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not (item.get_closest_marker("slow") or item.get_closest_marker("lava")):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for same in cases.values():
        for item in same[:: -(-len(same) // QUICK_CASES)]:
            item.add_marker(pytest.mark.quick)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_quick(items)
    missing = {extra for extra, distribution in EXTRAS.items() if not installed(distribution)}
    for item in items:
        # What is compiled from C runs no kernel.
        contract = "contract" in item.path.parts and not item.name.startswith("test_c_")
        if contract or item.path.is_relative_to(ROOT / "tests" / "unit" / "kernels"):
            item.add_marker(pytest.mark.interpreted)
        for extra in sorted(missing):
            if item.get_closest_marker(extra):  # not item.keywords, which folders' names are among
                item.add_marker(pytest.mark.skip(reason=f"the [{extra}] extra is not installed ({EXTRAS[extra]})"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger data sets that may lie beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no {folder.relative_to(ROOT.parent)} beside the checkout")
    return folder


@pytest.fixture
def qpsnn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A command in this process: `qpsnn("train", path)` gives (exit status, standard output, standard error)."""
    from qpsnn_core.cli import main

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qpsnn", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code = stop.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return command
