"""Lava beside a Python that cannot have it: an environment made once in the user's cache, and the command run there."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from qpsnn_backends.lava.limits import DISTRIBUTION, PYTHON
from qpsnn_core.common import install
from qpsnn_core.common.errors import MissingError, Unquoted, expected

VARIABLE = "QPSNN_SIDE_ENVIRONMENT"
"""1: make the environment without asking; 0: neither make nor use one."""

EXTRAS = ("lava", "cli", "data", "plot", "events")
"""What the commands that reach Lava can need."""

STDERR = 2
VERSION = ".".join(map(str, PYTHON))
PROBE = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != {PYTHON})"
CHECK = f"import importlib.metadata as m; m.version({DISTRIBUTION!r})"


class Source(NamedTuple):
    """What is installed, so that it is this qpsnn; from which folder; and what tells that it has changed since."""

    words: tuple[str, ...]
    folder: Path | None
    state: str


def run_there(error: MissingError) -> None:
    """Replace this process by the same command in the side environment: where it is there, or where it may be made.

    On a terminal it asks first, elsewhere `VARIABLE` must be 1. Where nobody wants it, raises MissingError with what
    to do; where it cannot be made, with what failed.
    """
    choice = os.environ.get(VARIABLE, "")
    if choice == "0":
        raise error
    source, folder = origin(), place()
    if not ready(folder, source):
        python = interpreter()
        if python is None:
            raise error
        if choice != "1" and not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise MissingError(f"{error}; or set {VARIABLE}=1, and this command makes one and runs there")
        if choice != "1":
            ask(error, folder, python)
        make(folder, source, python)
    typer.echo(f"running in {folder}", err=True)
    program = str(folder / "bin" / "qpsnn")
    os.execve(program, [program, *sys.argv[1:]], {**environment(), VARIABLE: "0"})


def ask(error: MissingError, folder: Path, python: str) -> None:
    """SystemExit unless the answer is yes: 2 after no, as of any error, 130 after Ctrl-C."""
    typer.echo(f"{error}\n", err=True)
    question = (
        f"Make an environment with Lava in {folder} (Python {python}; a minute or two, once), and run this there?"
    )
    try:
        if not typer.confirm(question, err=True):
            sys.exit(2)
    except typer.Abort:
        sys.exit(130)


def place() -> Path:
    """The environment's folder in the user's cache: one for each place where a qpsnn is installed."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache).absolute() / "qpsnn" / f"lava-{digest(str(install.here()))[:8]}"


def origin() -> Source:
    """The checkout that this qpsnn runs from; else where it was installed from. MissingError if neither is known."""
    extras = f"[{','.join(EXTRAS)}]"
    if (project := install.checkout()) is not None:
        text = (project / "pyproject.toml").read_text(encoding="utf-8")
        return Source(("--editable", f".{extras}"), project, digest(text))
    if (url := install.installed_from()) is None:
        want = "the checkout that qpsnn was installed from, or another: `pip install '.[cli,data]'` in it"
        raise MissingError(expected("lava: side environment", want, Unquoted("a qpsnn whose source is gone")))
    found = importlib.metadata.distribution("qpsnn")
    return Source((f"qpsnn{extras} @ {url}",), None, digest(found.read_text("RECORD") or found.version))


def digest(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def interpreter() -> str | None:
    """A Python of Lava's version; the bare version where uv can find or fetch it; else None."""
    return next(filter(starts, candidates()), VERSION if shutil.which("uv") else None)


def candidates() -> Iterator[str]:
    """This interpreter, the one on PATH, then pyenv's, the latest first."""
    yield sys.executable
    if found := shutil.which(f"python{VERSION}"):
        yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    releases = [path for path in root.glob(f"versions/{VERSION}.*") if path.suffix[1:].isdigit()]
    for path in sorted(releases, key=lambda path: int(path.suffix[1:]), reverse=True):
        yield str(path / "bin" / "python")


def starts(python: str) -> bool:
    """Whether it runs, is of Lava's version, and can make environments."""
    try:
        done = subprocess.run([python, "-c", PROBE], env=environment(), capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def ready(folder: Path, source: Source) -> bool:
    """Whether the environment is whole, and made from this source as it is now."""
    stamp = folder / ".made-from"
    whole = stamp.is_file() and (folder / "bin" / "python").exists()
    return whole and stamp.read_text(encoding="utf-8") == repr(source)


def environment() -> dict[str, str]:
    """This process's, without what would lead another Python to this one's packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def make(folder: Path, source: Source, python: str) -> None:
    """Make the environment, from nothing, unless another command just did; what the tools print goes to stderr."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready(folder, source):
                typer.echo(f"making {folder}: a minute or two, this once", err=True)
                shutil.rmtree(folder, ignore_errors=True)
                for command in commands(folder, source, python):
                    run_install_step(command, source.folder)
                (folder / ".made-from").write_text(repr(source), encoding="utf-8")
    except OSError as error:
        want = f"a folder that can be made, {folder}"
        raise MissingError(expected("lava: side environment", want, Unquoted(str(error)))) from error


def commands(folder: Path, source: Source, python: str) -> list[list[str]]:
    """What makes the environment: with uv where there is one, else with venv and pip; the last looks for Lava in it."""
    inside, uv = str(folder / "bin" / "python"), shutil.which("uv")
    check = [inside, "-c", CHECK]
    if uv:
        install = [uv, "pip", "install", "--quiet", "--python", inside, *source.words]
        return [[uv, "venv", "--quiet", "--python", python, str(folder)], install, check]
    return [[python, "-m", "venv", str(folder)], [inside, "-m", "pip", "install", "--quiet", *source.words], check]


def run_install_step(command: list[str], folder: Path | None) -> None:
    """Run it to its end; MissingError where it fails."""
    status = subprocess.run(command, cwd=folder, env=environment(), stdout=STDERR, check=False).returncode
    if status:
        want = f"`{shlex.join(command)}` to succeed"
        raise MissingError(expected("lava: side environment", want, Unquoted(f"status {status}")))
