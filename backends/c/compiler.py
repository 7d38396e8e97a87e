"""The system's C compiler: where it is, and what it says."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from qpsnn_core.common.errors import BackendError, BackendTimeout, Unquoted, UnsupportedError, expected

STANDARD = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")


def command(compiler: str = "") -> list[str]:
    """The words that call the compiler: those given, else $CC, else cc. UnsupportedError where there is none."""
    words = shlex.split(compiler or os.environ.get("CC", "")) or ["cc"]
    if shutil.which(words[0]) is None:
        raise UnsupportedError(expected("c: compiler", "a C compiler on PATH, or its name in $CC", words[0]))
    return words


def compiled(folder: Path, files: tuple[str, ...], flags: tuple[str, ...], compiler: str, timeout: float) -> Path:
    """The program that those files of the folder make. Raises BackendError with what the compiler said."""
    words = [*command(compiler), *STANDARD, *flags, *files, "-o", "program"]
    called(words, folder, timeout, "compiler")
    return folder / "program"


def called(words: list[str], folder: Path, timeout: float, what: str) -> None:
    """Run a program to its end. Raises BackendError with the end of its words, or BackendTimeout."""
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise BackendTimeout(expected(f"c: {what}", f"an end within {timeout:g} s", Unquoted("none"))) from error
    except OSError as error:
        raise BackendError(f"c: {what}: cannot be started: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise BackendError(expected(f"c: {what}", "exit status 0", Unquoted(f"{done.returncode}: {said}")))
