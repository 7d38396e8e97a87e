"""The benchmark of OSBC: its moving images send the events that they should, and it runs to its table."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

from scipy import ndimage

import benched  # noqa: F401 - makes the benchmarks importable
from benchmarks import compression
from qpsnn_datasets import Dataset, Split

pytestmark = pytest.mark.cli


def images(count, seed=0):
    """Bright squares on black, 28 x 28; which of four corners, says the label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    made = np.zeros((count, 28, 28, 1), np.uint8)
    for image, label in zip(made, labels, strict=True):
        y, x = 4 + 12 * (label // 2) + rng.integers(3), 4 + 12 * (label % 2) + rng.integers(3)
        image[y : y + 7, x : x + 7] = 255
    return Dataset(made, labels, tuple("abcd"), "squares")


def test_events_follow_the_image():
    """What they add up to is less than a threshold from how far the brightness has changed."""
    data = images(3)
    found = compression.events(data, 28, 200)
    assert found.images.shape == (3, 200, 28, 28, 2)
    assert 0.0005 < found.images.mean() < 0.1
    assert not (found.images[..., 0] & found.images[..., 1]).any()
    start = data.images[..., 0] / 255
    end = ndimage.shift(start, (0, *compression.path(200, 28 / 5)[-1]), order=1)
    total = compression.THRESHOLD * (found.images[..., 0].astype(int) - found.images[..., 1]).sum(1)
    assert np.abs(total - (end - start)).max() < compression.THRESHOLD + 1e-9


def test_an_image_that_stands_still_sends_nothing(monkeypatch):
    monkeypatch.setattr(compression, "CORNERS", ((0.0, 0.0), (0.0, 0.0)))
    assert not compression.events(images(2), 14, 5).images.any()


def test_the_path_is_closed():
    path = compression.path(30, 5.0)
    assert path.shape == (31, 2)
    np.testing.assert_array_equal(path[0], path[-1])
    np.testing.assert_allclose(np.abs(np.diff(path, axis=0)).max(), 0.5)


def test_it_runs_to_its_table(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(compression.qp, "load_data", lambda *_: Split(images(64), images(16, 1)))
    words = "folder --size 7 --steps 6 --train 64 --test 16 --epochs 1 --hidden 16 --images 32"
    monkeypatch.setattr(sys, "argv", ["compression", *words.split(), "--out", str(tmp_path / "out")])
    compression.main()
    out = capsys.readouterr().out
    assert "an epoch of training" in out
    assert all(method in out for method in ("osbc", "obc", "magnitude", "rtn"))
    assert (tmp_path / "out" / "results.json").stat().st_size > 1000
