"""Files of networks that learn locally: exact, whole or refused; descriptions and recipes as plain data."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, VersionError
from qpsnn_core.common.serialization import to_toml
from qpsnn_core.local_learning import (
    STDP,
    DiehlCook,
    InhibitoryLIF,
    LabelledNeurons,
    LocalCheckpoint,
    LocalModel,
    NeuronFormats,
    NumberFormats,
    initialise,
    load_local,
    save_local,
)
from qpsnn_core.local_learning.formats import FLOAT
from qpsnn_core.local_learning.recipe import load_local_recipe, local_recipe_from_dict
from qpsnn_core.quantization.fixed_point import FixedPoint

Q = FixedPoint.parse
FIXED = NumberFormats(Q("Q1.6"), NeuronFormats(Q("Q11.6"), Q("Q11.6"), Q("Q7.0"), Q("Q1.6")), "stochastic")
NETWORK = DiehlCook(12, 5, "three", 17.5, inhibitory=InhibitoryLIF(), rule=STDP(total=3.0))


def checkpoint(formats=FIXED):
    model = replace(initialise(NETWORK, formats, 7), seen=42)
    named = LabelledNeurons(np.array([0, 1, -1, 1, 0]), np.full((5, 2), 0.5), np.full((5, 2), 3.5))
    return LocalCheckpoint(model, named, {"learn": {"seed": 7}}, {"minutes": 0.5})


@pytest.mark.parametrize("formats", [FIXED, FLOAT], ids=str)
@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_loaded_is_what_was_saved(tmp_path, formats, labelled):
    saved = checkpoint(formats)
    saved = saved if labelled else replace(saved, named=None)
    save_local(tmp_path / "a.h5", saved)
    found = load_local(tmp_path / "a.h5")
    assert (found.model.network, found.model.formats) == (NETWORK, formats)
    assert (found.model.seed, found.model.seen) == (7, 42)
    np.testing.assert_array_equal(found.model.weights, saved.model.weights, strict=True)
    np.testing.assert_array_equal(found.model.adaptation, saved.model.adaptation, strict=True)
    assert (found.recipe, found.notes, found.versions) == (saved.recipe, saved.notes, saved.versions)
    assert (found.named is None) != labelled
    if labelled:
        for name in ("assignments", "proportions", "rates"):
            np.testing.assert_array_equal(getattr(found.named, name), getattr(saved.named, name), strict=True)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    save_local(path, checkpoint())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError):
        load_local(path)
    for change, error, match in (
        (lambda file: file["arrays/weights"].__setitem__((0, 0), 1), FormatError, "checksum"),
        (lambda file: file.attrs.__setitem__("version", 2), VersionError, "version: expected 1"),
        (
            lambda file: file.attrs.__setitem__("format", np.bytes_("other")),
            FormatError,
            "expected a network that learns locally",
        ),
        (lambda file: file.__delitem__("about"), FormatError, "about"),
    ):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(error, match=match):
            load_local(path)
    with pytest.raises(FileError):
        load_local(tmp_path / "b.h5")


def test_arrays_that_do_not_fit_the_network_are_refused(tmp_path, monkeypatch):
    saved = checkpoint()
    object.__setattr__(saved.model, "weights", np.zeros((12, 4), np.int8))
    save_local(tmp_path / "a.h5", saved)
    with pytest.raises(FormatError, match=r"a\.h5: LocalModel\.weights: expected \[12, 5\], got \[12, 4\]"):
        load_local(tmp_path / "a.h5")
    assert isinstance(checkpoint().model, LocalModel)


def test_a_recipe_is_what_it_writes(root, tmp_path):
    paths = [root / "examples" / f"{name}-stdp.toml" for name in ("digits", "mnist")]
    for path in paths:
        recipe = load_local_recipe(path)
        again = tmp_path / "again.toml"
        again.write_text(to_toml(recipe.to_dict()), encoding="utf-8")
        assert load_local_recipe(again) == recipe


TABLES = {"diehl_cook": {"neurons": 5, "form": "single", "inhibition": 17.5}}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"diehl_cook": {"neurons": 5, "form": "single"}}, "diehl_cook.inhibition: expected a value, got nothing"),
        ({"learn": {"vote": "most"}}, "learn.vote: expected one of"),
        ({"learn": {"epoch": 2}}, "unknown key 'epoch'"),
        ({"formats": {"weights": "1.6", "neurons": "none", "rounding": "nearest"}}, "formats.weights: .*'Q1.6'"),
        ({"qspinn": {"fractions": [4, 6], "schemes": ["ptq"]}}, "qspinn.fractions: expected falling numbers"),
        ({"qspinn": {"schemes": ["ptq", "atq"]}}, "qspinn.schemes: expected some of ptq, itq"),
        ({"qspinn": {"schemes": ["ptq"], "integer": {"v": 11}}}, "qspinn.integer: expected keys of weights"),
        ({"qspinn": {"schemes": ["ptq"], "finalists": 2}}, "qspinn.finalists"),
        ({}, 'theta_tau .*expected "none" where the search trains with truncation'),
        ({"diehl_cook": None}, r"recipe: expected a table \[diehl_cook\] or \[decolle\]"),
    ],
)
def test_a_wrong_recipe_is_named(changes, match):
    tables = {name: table for name, table in (TABLES | changes).items() if table is not None}
    with pytest.raises(ConfigError, match=match):
        local_recipe_from_dict(tables)
