"""The text of `--data`: names, names with a path, and files that say themselves what they are."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, FileError, FormatError
from qpsnn_core.common.hdf5 import writing
from qpsnn_datasets import NAMES, Source, source_of
from qpsnn_datasets.events.writer import KIND


@pytest.mark.parametrize("name", NAMES)
def test_every_name_alone_and_with_a_path(name):
    assert source_of(name) == Source(name, "")
    assert source_of(name, "some/folder") == source_of(f"{name}:some/folder") == Source(name, "some/folder")
    assert source_of(f"{name}:C:\\data") == Source(name, "C:\\data")


def test_a_file_says_what_it_is(tmp_path):
    np.savez(tmp_path / "mine.npz", images=np.zeros(1))
    (tmp_path / "mine").mkdir()
    np.save(tmp_path / "mine" / "images.npy", np.zeros(1))
    with h5py.File(tmp_path / "jpegs.h5", "w") as file:
        file.attrs["classes"] = ["a"]
    with writing(tmp_path / "store.h5", KIND, 1):
        pass
    for name, kind in (("mine.npz", "arrays"), ("mine", "arrays"), ("jpegs.h5", "jpeg"), ("store.h5", "events")):
        assert source_of(str(tmp_path / name)) == Source(kind, str(tmp_path / name))
        with pytest.raises(ConfigError, match="--data: expected one path"):
            source_of(str(tmp_path / name), "elsewhere")


def test_what_is_no_set_is_refused_by_name(tmp_path):
    with writing(tmp_path / "own.h5", "qpsnn-checkpoint", 1):
        pass
    (tmp_path / "text.txt").write_text("x")
    for text, error, said in (
        ("digit", ConfigError, r"--data: expected NAME, .*got 'digit' \(did you mean 'digits'\?\)"),
        ("images/tiny", FileError, r"^--data: images/tiny: expected NAME, .*got no such file or folder$"),
        ("./nowhere", FileError, r"^--data: \./nowhere: expected .*got no such file or folder$"),
        ("digits.zip", FileError, r"^--data: digits\.zip: expected .*got no such file or folder$"),
        ("", ConfigError, r"got ''"),
        ("mnist:a", ConfigError, "--data: expected one path of mnist, got a and b"),
        (str(tmp_path / "own.h5"), FormatError, r"own\.h5: expected a store of recordings, got a checkpoint"),
        (str(tmp_path / "none.h5"), FileError, r"none\.h5: expected a file, got no such file"),
        (str(tmp_path / "text.txt"), FormatError, r"text\.txt: expected a \.npz or HDF5 file.*got another file"),
        (str(tmp_path), FormatError, r"got another folder"),
    ):
        with pytest.raises(error, match=said):
            source_of(text, "b" if text.startswith("mnist") else "")
