"""Lava beside a Python that cannot have it: an environment made once in the user's cache, and the command run there."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse
from urllib.request import url2pathname

import typer

import qpsnn_core
from qpsnn_backends.lava.limits import DISTRIBUTION, PYTHON
from qpsnn_core.common.errors import MissingError, Unquoted, expected

VARIABLE = "QPSNN_SIDE_ENVIRONMENT"
"""1: make the environment without asking; 0: neither make nor use one."""

EXTRAS = "[lava,cli,data,plot,events]"
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
    return Path(cache).absolute() / "qpsnn" / f"lava-{digest(str(here()))[:8]}"


def here() -> Path:
    """The folder that holds this package: site-packages, or a source tree."""
    return Path(qpsnn_core.__file__).resolve().parent.parent


def origin() -> Source:
    """The source tree that this qpsnn runs from; else where it was installed from (PEP 610); else its version."""
    project = here() / "pyproject.toml"
    if project.is_file() and 'name = "qpsnn"' in (text := project.read_text(encoding="utf-8")):
        return Source(("--editable", f".{EXTRAS}"), here(), digest(text))
    found = importlib.metadata.distribution("qpsnn")
    told = json.loads(found.read_text("direct_url.json") or "{}")
    url = str(told.get("url", ""))
    if vcs := told.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif url.startswith("file:") and not Path(url2pathname(urlparse(url).path)).exists():
        url = ""
    wanted = f"qpsnn{EXTRAS} @ {url}" if url else f"qpsnn{EXTRAS}=={found.version}"
    return Source((wanted,), None, digest(found.read_text("RECORD") or found.version))


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
