"""Files of an export: each is written beside its place and renamed, and nobody else's folder is written to."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from qpsnn_core.common.atomic import replacing, write_all
from qpsnn_core.common.errors import FileError, Unquoted, expected

MARK = "Written by qpsnn export."
"""Stands in the Makefile of every export."""


def check_folder(folder: Path) -> None:
    """FileError unless the folder is not there, is empty, or holds an earlier export."""
    if folder.is_dir():
        found = sorted(path.name for path in folder.iterdir())
        makefile = folder / "Makefile"
        ours = makefile.is_file() and MARK in makefile.read_text(encoding="utf-8", errors="replace")
        if found and not ours:
            held = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            raise FileError(expected(str(folder), "a new or empty folder, or an earlier export", Unquoted(held)))
    elif folder.exists():
        raise FileError(expected(str(folder), "a folder", Unquoted("a file")))


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files, then rename them all into place; FileError, and nothing changed, where one cannot be written."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be written: {error}") from error
    with contextlib.ExitStack() as stack:  # they take their places when all have been written
        for name, data in files.items():
            write_all(stack.enter_context(replacing(folder / name)), memoryview(data))
