"""Figures are kept in a file of this processor, by whole files, beside those of other processes; or not at all."""

from __future__ import annotations

import json
from math import inf

import pytest

from qpsnn_core.kernels.conv import measured

COST = measured.Cost(1e-5, 2e-5, 3e-5, inf, 5e-5, 6e-5, inf)


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.setenv(measured.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setattr(measured, "_known", {})
    return tmp_path / "cache"


def test_another_process_reads_what_was_kept(alone):
    assert measured.known("a") is None
    measured.remember("a", COST)
    measured.forget()
    assert measured.known("a") == COST
    assert [path.name for path in alone.iterdir()] == [measured.file().name]


def test_what_others_wrote_stays(alone):
    measured.remember("a", COST)
    path = measured.file()
    path.write_text(json.dumps({**json.loads(path.read_text()), "theirs": list(COST)}))
    measured.remember("b", COST)
    assert set(json.loads(path.read_text())) == {"a", "theirs", "b"}


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", '{"a": [1, 2]}', '{"a": ["x", 1, 1, 1, 1, 1, 1]}', '{"a": null}', "\xff"]
)
def test_a_damaged_file_is_measured_again(alone, text):
    alone.mkdir()
    measured.file().write_bytes(text.encode("latin-1"))
    assert measured.known("a") is None
    measured.remember("a", COST)
    measured.forget()
    assert measured.known("a") == COST


def test_a_folder_that_is_none_is_no_fault(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(measured.FOLDER, str(tmp_path / "file"))
    measured.remember("a", COST)
    assert measured.known("a") == COST
    assert (tmp_path / "file").read_text() == ""


def test_nothing_half_written_stays(alone, monkeypatch):
    def full(*given):
        raise OSError

    monkeypatch.setattr(measured.os, "replace", full)
    measured.remember("a", COST)
    assert list(alone.iterdir()) == []


def test_an_empty_variable_writes_nothing(monkeypatch, alone):
    monkeypatch.setenv(measured.FOLDER, "")
    assert measured.file() is None
    measured.remember("a", COST)
    assert measured.known("a") == COST
    assert not alone.exists()


def test_without_the_variable_the_user_has_a_folder(monkeypatch, tmp_path):
    monkeypatch.delenv(measured.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert measured.file().parent == tmp_path / "qpsnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert measured.file().parent == tmp_path / ".cache" / "qpsnn"
    monkeypatch.setattr(measured.os.path, "expanduser", lambda path: path)
    assert measured.file() is None


def test_another_processor_has_another_file(monkeypatch):
    names = {measured.file().name}
    for name, value in (("_name", lambda: "another"), ("host_features", "+none")):
        with monkeypatch.context() as context:
            context.setattr(measured, name, value)
            measured._processor.cache_clear()
            names.add(measured.file().name)
    measured._processor.cache_clear()
    assert len(names) == 3
