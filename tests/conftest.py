"""What every test may use: markers that skip with a reason, the shared data folder, one profile for hypothesis."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
CI = os.environ.get("CI") == "true"
INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
INSTALLED = os.environ.get("QPSNN_TEST_INSTALLED") == "1"

os.environ.setdefault("QPSNN_CACHE", "")  # what convolutions cost is measured, and not written to the user's folder
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # BLAS is a witness of small arrays; its threads wait by spinning

# An extra, and the distribution whose presence says that it is installed. Lava must not be imported to find out: it
# sets the start method of multiprocessing.
EXTRAS = {"lava": "lava-nc", "cli": "typer", "plot": "matplotlib", "events": "faery", "exchange": "nir"}

QUICK_CASES = 2
"""How many cases of one test `make check` runs at most."""

COLD = ("test_job", "test_resources", "test_channels")
"""Modules that test the child in which Lava runs itself: each of theirs imports Lava anew."""

INTERPRETED_CONTRACTS = [
    f"contract/test_{name}" for name in ("backends", "layers", "pairs", "signed_images", "trained_pairs")
]
"""Contracts of numbers that kernels give; the others are about arguments, messages and tables."""

FEW_CASES = 12
"""How many cases of one test core-test and test-interpreted run at most."""

NUMBERS = ("unit/kernels/", "unit/engine/", "unit/integer/", *INTERPRETED_CONTRACTS)
"""Where tests compare what kernels compute with loops."""

RECORDED = ("test_pytorch", "test_resets")
"""Modules there that compare it with records."""

FEW_NUMBERS = 4 if INSTALLED else FEW_CASES
"""How many cases of one of NUMBERS: core-test has the same Numba, whose work is more than half of theirs.

What another Python or NumPy changes in what Numba is given, or in what it makes of a kernel, changes recorded bits,
all of which core-test compares.
"""

# A compiled kernel's first call takes seconds, so that no example has a deadline, and slow examples are no fault.
hypothesis.settings.register_profile(
    "qpsnn",
    deadline=None,
    derandomize=CI,
    max_examples=25 if INTERPRETED or INSTALLED else 100,
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
    gc.disable()  # until all is collected, which leaves no garbage
    # Many networks of the tests have a layer that cannot fire; what is to be warned of is asked for by pytest.warns.
    config.addinivalue_line("filterwarnings", r"ignore:.*(can never fire|did not fire once):UserWarning")
    if INTERPRETED:  # compiled code is silent where NumPy warns: of an overflow, of what was never written
        config.addinivalue_line("filterwarnings", "error::RuntimeWarning")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as it is in a shell's background: tests send it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if INSTALLED:
        import qpsnn_core

        if Path(qpsnn_core.__file__).is_relative_to(ROOT / "qpsnn_core"):
            raise pytest.UsageError("the installed qpsnn is to be tested, but the checkout was imported")


def pytest_report_header() -> str:
    here = ", ".join(f"{extra} {'yes' if installed(EXTRAS[extra]) else 'no'}" for extra in EXTRAS)
    return f"kernels: {'interpreted' if INTERPRETED else 'compiled'}; extras: {here}"


def mark_some(items: list[pytest.Item]) -> None:
    """Give the markers quick and few: so many cases of every test.

    Quick: evenly spaced, of tests that are neither slow nor on Lava. Few: FEW_CASES, or FEW_NUMBERS of NUMBERS, drawn
    by their names, so that none of what is combined is left out for its place in the list.
    """
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for same in cases.values():
        path = same[0].path.relative_to(ROOT / "tests").as_posix()
        numbers = path.startswith(NUMBERS) and not path.removesuffix(".py").endswith(RECORDED)
        count = FEW_NUMBERS if numbers else FEW_CASES
        for item in sorted(same, key=lambda one: sha256(one.nodeid.encode()).digest())[:count]:
            item.add_marker(pytest.mark.few)
        fast = [one for one in same if not (one.get_closest_marker("slow") or one.get_closest_marker("lava"))]
        for item in fast[:: -(-len(fast) // QUICK_CASES) or 1]:
            item.add_marker(pytest.mark.quick)


def pytest_collection_finish() -> None:
    """What was collected and imported stays to the end: the garbage collector need not look through it again.

    Threads that wait by spinning take the processor from the other stage that CI runs: they sleep sooner.
    """
    if threads := sys.modules.get("qpsnn_core.kernels.threads"):
        threads.SPIN_ITERATIONS = min(threads.SPIN_ITERATIONS, 1000)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_some(items)
    missing = {extra for extra, distribution in EXTRAS.items() if not installed(distribution)}
    for item in items:
        # What is compiled from C runs no kernel.
        own = f"{item.path.parent.name}/{item.path.stem}" in INTERPRETED_CONTRACTS
        contract = own and not item.name.startswith("test_c_")
        if contract or item.path.is_relative_to(ROOT / "tests" / "unit" / "kernels"):
            item.add_marker(pytest.mark.interpreted)
        if item.path.is_relative_to(ROOT / "tests" / "unit" / "benchmarks"):  # which are not installed
            item.add_marker(pytest.mark.once)
        if item.get_closest_marker("lava") and not item.path.name.startswith(COLD):
            item.fixturenames.append("warm_lava")  # type: ignore[attr-defined]  # of functions, which all of these are
        for extra in sorted(missing):
            if item.get_closest_marker(extra):  # not item.keywords, which folders' names are among
                item.add_marker(pytest.mark.skip(reason=f"the [{extra}] extra is not installed ({EXTRAS[extra]})"))


@pytest.fixture
def warm_lava() -> Iterator[None]:
    """Children in which Lava runs are forked from a process that has imported it (warm.py)."""
    if not installed(EXTRAS["lava"]):
        yield
        return
    import warm

    with warm.launched():
        yield


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
