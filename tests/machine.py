"""A made-up machine: a home folder and a PATH with made-up executables, for what looks for tools and runs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = ("sh", "ls", "sed", "sort", "cat", "rm", "mkdir", "cksum", "dirname", "touch", "chmod")

WITHOUT_LAVA = """
import importlib.metadata, sys
sys.executable = sys.argv.pop(1)
real = importlib.metadata.version
def version(name):
    if name == "lava-nc":
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
from qpsnn_core.cli import main
main()
"""
"""`python -c`: the command line where Lava is not installed; the first argument is the name that Python goes by."""


class Machine:
    """A home folder and a PATH that hold what a test puts there, and the tools that the scripts call."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home, self.log = folder / "bin", folder / "home", folder / "log"
        self.bin.mkdir()
        self.home.mkdir()
        self.log.touch()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))

    def add(self, path: Path | str, script: str) -> Path:
        """An executable; a bare name lies on PATH. It notes its arguments, but for the look-up's own `-c`."""
        path = self.bin / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo "{path.name} $*" >> "{self.log}"\n{script}\n')
        path.chmod(0o755)
        return path

    def add_python(self, path: Path | str) -> Path:
        """Looks to the scripts like a Python of the version asked for."""
        return self.add(path, 'echo "$0"')

    def add_uv(self, found: Path | str = "", fetched: Path | str = "") -> Path:
        """A uv that finds one interpreter, or can fetch one, or neither; it must not fetch while it looks."""
        fetch = f'echo "{fetched}" > "{self.home}/uv"' if fetched else "exit 1"
        (self.home / "uv").write_text(f"{found}\n" if found else "")
        return self.add(
            "uv",
            f"""case "$1 $2" in
            "python install") {fetch} ;;
            "python find") [ "$UV_PYTHON_DOWNLOADS" = never ] && [ -s "{self.home}/uv" ] && cat "{self.home}/uv" ;;
            "venv "*) mkdir -p .venv ;;
            esac""",
        )

    def pyenv(self, version: str, root: str = ".pyenv") -> Path:
        return self.home / root / "versions" / version / "bin" / "python"

    def run(self, *command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.home), **environment}
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
