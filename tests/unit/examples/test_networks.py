"""The networks in examples/networks: small enough, whole, made by the recipe beside them, as good as their log says."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_datasets import load_jpeg_part

FOLDER = Path(__file__).parents[3] / "examples" / "networks"
MOST = {"cifar10-400k": 400_000, "cifar10-100k": 100_000}
FILES = sorted(FOLDER.glob("*.h5"))


def test_each_has_its_recipe_and_its_log():
    assert {path.stem for path in FILES} == set(MOST)
    for path in FILES:
        log = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert qp.recipe_from_dict(log["recipe"]) == qp.load_recipe(path.with_suffix(".toml"))
        assert len(log["epochs"]) == log["recipe"]["train"]["epochs"]
        assert log["minutes"] > 0
        assert log["bytes"] == path.stat().st_size < MOST[path.stem]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_is_as_good_as_its_log_says(path, shared_data):
    """On every eighth part of the test images: within three standard errors."""
    pytest.importorskip("PIL")
    log = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    test = qp.load_data("cifar10", shared_data / "cifar10_jpeg.h5", limit=1000).test
    found = qp.evaluate(qp.load_integer(path), test)
    error = (log["accuracy"] * (1 - log["accuracy"]) / len(test)) ** 0.5
    assert found.accuracy == pytest.approx(log["accuracy"], abs=3 * error)


@pytest.mark.cli
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_command_takes_a_file_of_test_images_alone(path, qpsnn, shared_data, tmp_path):
    pytest.importorskip("PIL")
    with h5py.File(shared_data / "cifar10_jpeg.h5") as whole, h5py.File(tmp_path / "own.h5", "w") as own:
        offset = whole["test/offset"][1000:1021]
        own.attrs["classes"] = whole.attrs["classes"]
        own["test/jpeg"] = whole["test/jpeg"][offset[0] : offset[-1]]
        own["test/offset"] = offset - offset[0]
        own["test/label"] = whole["test/label"][1000:1020]
    test = load_jpeg_part(shared_data / "cifar10_jpeg.h5", "cifar10", "test").take(np.arange(1000, 1020))
    want = (20, qp.evaluate(qp.load_integer(path), test).accuracy)
    for words in (["--data", tmp_path / "own.h5"], ["--data", "cifar10", "--path", tmp_path / "own.h5"]):
        code, out, err = qpsnn("evaluate", path, *words, "--json")
        assert code == 0, err
        figures = json.loads(out)
        assert (figures["images"], figures["accuracy"]) == want
