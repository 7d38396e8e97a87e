"""The record of a run, run.json in its folder: which stages are done, and what each depended on.

A stage is named finished only once its files are whole, so that a run that was killed does the stage again, or goes on
from the checkpoint of its training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from qpsnn_core.common.atomic import LOCK, UNFINISHED, save_json
from qpsnn_core.common.errors import ConfigError, FileError, FormatError, QpsnnError, Unquoted, VersionError, expected
from qpsnn_core.common.foreign import read_bytes
from qpsnn_core.common.serialization import converter, structure

NAME = "run.json"
KIND = "qpsnn-run"
VERSION = 1


@dataclass
class Entry:
    """A stage. depends: its settings, and what it begins from, by name; files: SHA-256 of each, by name in the folder.

    finished: its files are whole, and figures are what it found; else it has begun.
    """

    depends: dict[str, Any]
    finished: bool = False
    seconds: float = 0.0
    files: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 of what it depends on: where this is the same, its files are."""
        return key_of(self.depends)


def key_of(depends: Mapping[str, Any]) -> str:
    """SHA-256 of settings by name."""
    return sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


class Record:
    """The stages of the run in a folder, read once and written after every change. None: a run that keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.entries: dict[str, Entry] = {} if folder is None else _read(folder)

    def finished(self, name: str) -> Entry | None:
        """A stage that is done."""
        entry = self.entries.get(name)
        return entry if entry is not None and entry.finished else None

    def check(
        self,
        depends: Mapping[str, Mapping[str, Any]],
        defaults: Mapping[str, Any],
        trainings: Mapping[str, str],
        explain: Callable[[str, Any, Any], Change] = lambda place, old, new: Change(place, old, new),
        without: Collection[str] = (),
    ) -> list[str]:
        """The trainings that get more epochs; those go on, and their files are not looked at.

        depends: of each stage of the plan, in order. defaults: of settings that the record of an older version lacks.
        trainings: the files of stages that go on where they were stopped; of others, what has only begun is forgotten.
        explain: says of a place and its two digests what they stand for. without: stages that are to be done anew.
        Raises ConfigError: a stage that was done with other settings, also more epochs where a later stage is done;
        FileError: a file of one that is gone, or another.
        """
        longer = []
        for name, now in depends.items():
            if name not in self.entries or name in without:
                continue
            entry = self.entries[name]
            if not entry.finished and not (name in trainings and self._there(trainings[name])):
                del self.entries[name]
                continue
            changed = []
            for place in dict.fromkeys([*now, *entry.depends]):
                new = now.get(place, NOTHING)
                old = entry.depends.get(place, defaults.get(place, NOTHING))
                if old != new:
                    changed.append(Change(place, old, new))
            after = [one for one in self._after(name, depends) if one not in without]
            more = [one for one in changed if one.place == f"{name}.epochs" and one.new > one.old]
            if more and len(changed) == 1 and not after and name in trainings and self._there(trainings[name]):
                longer.append(name)
                continue
            if changed:
                found = explain(*changed[0])
                kept = (
                    f"--anew {after[0]} lets the training go on and does what follows anew; " if more and after else ""
                )
                got = Unquoted(f"{found.new} ({kept}{remedy(name)})")
                want = f"{found.old}, as the run in it began"
                raise ConfigError(expected(f"{self._place}: {found.place}", want, got))
            if entry.finished:
                self._check_files(name, entry)
        return longer

    def _after(self, name: str, plan: Iterable[str]) -> list[str]:
        """The stages behind one of the plan that are there."""
        order = list(plan)
        return [one for one in order[order.index(name) + 1 :] if one in self.entries]

    def forget(self, names: Collection[str], files: Mapping[str, str]) -> None:
        """Do these stages anew. files: of each, "" for none: what a training would go on from is removed."""
        there = [name for name in names if name in self.entries]
        for name in there:
            del self.entries[name]
        if there and self.folder is not None:
            self._write()
            for name in there:
                if files[name]:
                    (self.folder / files[name]).unlink(missing_ok=True)

    def begin(self, name: str, depends: Mapping[str, Any]) -> None:
        """Say what a stage depends on, before it writes anything."""
        self.entries[name] = Entry(dict(depends))
        self._write()

    def finish(
        self, name: str, seconds: float, figures: dict[str, Any], files: Collection[Path], depends: Mapping[str, Any]
    ) -> Entry:
        """Say that a stage is done, and what its files are. depends: of a longer training, with its epochs."""
        written = {} if self.folder is None else {_below(self.folder, file): _digest(file) for file in files}
        whole = round(self.entries[name].seconds + seconds, 2)
        entry = Entry(dict(depends), True, whole, written, figures)
        self.entries[name] = entry
        self._write()
        return entry

    def _there(self, file: str) -> bool:
        return self.folder is not None and (self.folder / file).is_file()

    @property
    def _place(self) -> str:
        return str((self.folder or Path()) / NAME)

    def _check_files(self, name: str, entry: Entry) -> None:
        assert self.folder is not None  # noqa: S101 - without a folder nothing is finished before a run begins
        for file, digest in entry.files.items():
            path = self.folder / file
            want = f"the file that the stage {name!r} of the run wrote ({remedy(name)})"
            if not path.is_file():
                raise FileError(expected(str(path), want, Unquoted("no such file")))
            if _digest(path) != digest:
                raise FormatError(expected(str(path), want, Unquoted("another")))

    def _write(self) -> None:
        if self.folder is not None:
            stages = {name: {"key": entry.key, **asdict(entry)} for name, entry in self.entries.items()}
            save_json(self.folder / NAME, {"format": KIND, "version": VERSION, "stages": stages})


NOTHING = "nothing"


class Change(NamedTuple):
    """What a stage depends on, as it was and as it is."""

    place: str
    old: Any
    new: Any


def remedy(name: str) -> str:
    """What helps where a stage was done with other settings."""
    return f"--anew {name} does this stage and those that begin from it anew; another --out keeps both"


def _below(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _digest(file: Path) -> str:
    return sha256(read_bytes(file, "a file of the run")).hexdigest()


def _read(folder: Path) -> dict[str, Entry]:
    """What the record says. FileError: a folder that holds something else; FormatError, VersionError: a damaged one."""
    path = folder / NAME
    if not path.exists():
        held = sorted(one.name for one in folder.iterdir() if not one.name.endswith((UNFINISHED, LOCK)))
        if held:
            listed = ", ".join(held[:3]) + (", ..." if len(held) > 3 else "")
            raise FileError(expected(str(folder), "a new or empty folder, or one of an earlier run", Unquoted(listed)))
        return {}
    try:
        found = _table(f"{path}", json.loads(read_bytes(path, "the record of a run")))
    except (RecursionError, ValueError) as error:  # not JSON, nested too deep, or not UTF-8
        got = f"line {error.lineno} is not JSON" if isinstance(error, json.JSONDecodeError) else "another file"
        raise FormatError(expected(str(path), "the record of a run", Unquoted(got))) from error
    if found.get("format") != KIND:
        raise FormatError(expected(f"{path}: format", repr(KIND), found.get("format")))
    if found.get("version") != VERSION:
        raise VersionError(expected(f"{path}: version", VERSION, found.get("version")))
    entries: dict[str, Entry] = {}
    for name, stage in _table(f"{path}: stages", found.get("stages")).items():
        own = dict(_table(f"{path}: {name}", stage))
        key = own.pop("key", None)
        try:
            entries[name] = structure(converter(), own, Entry, f"{path}: {name}")
        except QpsnnError as error:
            raise FormatError(str(error)) from error
        if key != entries[name].key:
            raise FormatError(expected(f"{path}: {name}: key", entries[name].key, key))
    return entries


def _table(place: str, value: Any) -> dict[str, Any]:
    """A JSON object; FormatError for anything else."""
    if not isinstance(value, dict):
        raise FormatError(expected(place, "a table of names, as the record of a run has", value))
    return value
