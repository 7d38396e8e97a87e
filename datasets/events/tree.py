"""The files of a folder, of a zip archive, or one alone, seen alike."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from qpsnn_core.common.errors import DataError, FormatError, Unquoted, expected
from qpsnn_core.common.foreign import check_bytes, foreign, read_bytes, read_unpacked, read_up_to

from ..checks import existing


class Tree:
    """Files by their names, with / between folders. Hidden ones are left out.

    names: sorted; root: the folder, the archive, or the file itself. what: is looked for, as messages say.
    Raises FileError (not there), FormatError (a damaged archive).
    """

    def __init__(self, path: str | Path, what: str = "file of events") -> None:
        self.root = existing(path, f"a folder, a zip archive or a {what}")
        self._what = what
        self._archive: zipfile.ZipFile | None = None
        if _is_zip(self.root):
            with foreign(self.root, "zip archive"):
                self._archive = zipfile.ZipFile(self.root)
        if self._archive is not None:
            found = [each.filename for each in self._archive.infolist() if not each.is_dir()]
        elif self.root.is_dir():
            found = [each.relative_to(self.root).as_posix() for each in self.root.rglob("*") if each.is_file()]
        else:
            found = [self.root.name]
        self.names = sorted(name for name in found if not _hidden(name))

    def bytes_of(self, name: str) -> bytes:
        """The content of a file; FileError, FormatError (a damaged archive)."""
        if self._archive is None:
            return read_bytes(self.path_of(name), f"a {self._what}")
        return self._member(self._archive, name)

    def head_of(self, name: str, count: int) -> bytes:
        """The first bytes of a file; FileError, FormatError."""
        if self._archive is not None:
            return self._member(self._archive, name, count)
        with foreign(self.path_of(name), self._what), self.path_of(name).open("rb") as file:
            return file.read(count)

    def _member(self, archive: zipfile.ZipFile, name: str, count: int | None = None) -> bytes:
        """A file of the archive, or its first bytes; its own claim of its length is not believed."""
        place = f"{self.root}: {name}"
        with foreign(place, "archive"), archive.open(name) as file:
            if count is not None:
                return read_up_to(file, count)  # type: ignore[arg-type]  # ZipExtFile reads bytes
            packed = min(archive.getinfo(name).compress_size, self.root.stat().st_size)
            check_bytes(place, archive.getinfo(name).file_size, packed)
            return read_unpacked(file, place, packed)  # type: ignore[arg-type]  # as above

    def path_of(self, name: str) -> Path:
        """Where a file lies; DataError for one in an archive, which the library that reads it cannot open."""
        if self._archive is not None:
            raise DataError(
                expected(str(self.root), "a folder for this format", Unquoted("an archive: unpack it first"))
            )
        return self.root / name if self.root.is_dir() else self.root

    def named(self, *names: str) -> list[str]:
        """The files that are called one of these, in any folder."""
        return [each for each in self.names if PurePosixPath(each).name in names]


def _is_zip(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() != ".zip":
        return False
    with foreign(path, "zip archive"):
        whole = zipfile.is_zipfile(path)
    if not whole:
        raise FormatError(expected(str(path), "a whole zip archive", Unquoted("no such")))
    return True


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
