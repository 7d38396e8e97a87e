"""Whatever a library raises becomes a typed error with the user's path; contents are measured before they are read."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib

import pytest

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError
from qpsnn_core.common.foreign import (
    LEAST,
    RATIO,
    VARIABLE,
    check_bytes,
    existing_file,
    foreign,
    most_bytes,
    read_bytes,
    read_maybe_gzip,
    read_toml,
)
from qpsnn_core.recipes.recipe import load_recipe


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (KeyError("part"), FormatError, "f.h5: not a whole thing: 'part'"),
        (NotImplementedError("version 25.5"), FormatError, "f.h5: not a whole thing: version 25.5"),
        (zipfile.BadZipFile("directory"), FormatError, "f.h5: not a whole thing: directory"),
        (zlib.error("stream"), FormatError, "f.h5: not a whole thing: stream"),
        (struct.error("unpack"), FormatError, "f.h5: not a whole thing: unpack"),
        (OSError("truncated file"), FormatError, "f.h5: not a whole thing: truncated file"),
        (AssertionError(), FormatError, "f.h5: not a whole thing: AssertionError"),
        (RecursionError("depth"), FormatError, "f.h5: not a whole thing: nested too deep"),
        (MemoryError(), FormatError, "f.h5: not a whole thing: it asks for more memory than there is"),
        (FileNotFoundError(2, "No such file"), FileError, "f.h5: expected a thing, got no such file"),
        (PermissionError(13, "Permission denied"), FileError, "f.h5: cannot be read: Permission denied"),
        (OSError(36, "File name too long"), FileError, "f.h5: cannot be read: File name too long"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_exception_becomes_typed_and_names_the_file(raised, kind, said):
    with pytest.raises(FileError) as caught, foreign("f.h5", "thing"):
        raise raised
    assert type(caught.value) is kind
    assert str(caught.value) == said
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("raised", [DataError("x: own"), KeyboardInterrupt(), SystemExit(3)])
def test_own_errors_and_interrupts_pass_through(raised):
    with pytest.raises(type(raised)) as caught, foreign("f.h5", "thing"):
        raise raised
    assert caught.value is raised


def test_contents_may_be_some_times_the_file_and_an_option_raises_it(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert most_bytes(10) == LEAST
    assert most_bytes(LEAST) == RATIO * LEAST
    check_bytes("f", LEAST, 0)
    with pytest.raises(FormatError, match=rf"f: expected at most 67,108,864 bytes.*{VARIABLE} raises it.*67,108,865"):
        check_bytes("f", LEAST + 1, 0)
    monkeypatch.setenv(VARIABLE, str(LEAST + 1))
    check_bytes("f", LEAST + 1, 0)
    for wrong in ("4G", "-1", "1e9", "²", "9" * 40):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(ConfigError, match=f"{VARIABLE}: expected a number of bytes"):
            most_bytes(0)


def test_a_gzip_file_that_unpacks_to_too_much(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(LEAST + 1)))
    with pytest.raises(FormatError, match=r"a\.gz: expected at most"):
        read_maybe_gzip(path, "it")
    path.write_bytes(gzip.compress(b"few")[:-6])
    with pytest.raises(FormatError, match=r"a\.gz: not a whole gzip file"):
        read_maybe_gzip(path, "it")
    path.write_bytes(gzip.compress(b"few"))
    assert read_maybe_gzip(path, "it") == b"few"


@pytest.mark.parametrize("name", ["a" * 5000, "none", "no\0thing"])
def test_a_path_that_cannot_be(name, tmp_path):
    with pytest.raises(FileError):
        existing_file(tmp_path / name, "it")
    with pytest.raises(FileError):
        read_bytes(tmp_path / name, "it")
    with pytest.raises(FileError):
        read_toml(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 1000 + "]" * 1000, "a = " + "{ b = " * 1000 + "1" + "}" * 1000, "a = 1" + "0" * 5000, "\xff", "="],
    ids=["lists", "tables", "digits", "latin", "syntax"],
)
def test_toml_that_is_none(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"r\.toml: "):
        load_recipe(path)
