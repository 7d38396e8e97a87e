"""What the machine code of a kernel is made from: its module's text, and that of all modules of kernels it imports.

By contents and not by time, so that machine code outlives a checkout that brings the same text; by imports, so that a
change of one module leaves the machine code of those that do not use it. Processes read and write it in turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # stands for a module that is not there

FOLDER = Path(__file__).parent

_IMPORT = re.compile(r"^[ \t]*(?:from|import)\b[^(\n]*(?:\([^)]*\))?", re.MULTILINE)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _modules() -> dict[str, list[Path]]:
    """The modules of kernels by the last part of their names; a package's is that of its folder."""
    found: dict[str, list[Path]] = {}
    for path in FOLDER.rglob("*.py"):
        found.setdefault(path.parent.name if path.stem == "__init__" else path.stem, []).append(path)
    return found


@cache
def imported(path: Path) -> frozenset[Path]:
    """The modules of kernels that this one may import: those whose last name an import in it says, perhaps more."""
    words = set(re.findall(r"\w+", " ".join(_IMPORT.findall(_text(path)))))
    return frozenset(other for word in words for other in _modules().get(word, ()))


@cache
def stamp(path: Path) -> str:
    """SHA-256 of the module, of what it imports, and of what that imports."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting.extend(imported(one))
    return sha256("\0".join(map(_text, sorted(found))).encode()).hexdigest()


def in_turn(call: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The call, during which no other process makes one of the same folder.

    Numba names a file of machine code in an index before it writes it, and two processes may give two kernels one name:
    without turns, what is read may be another kernel's, or an older one's.
    """
    if fcntl is None:
        return call

    def made(*arguments: Any) -> Any:
        try:
            file = (folder / "kernels.lock").open("w")
        except OSError:  # nothing can be written there, by nobody
            return call(*arguments)
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return call(*arguments)

    return made
