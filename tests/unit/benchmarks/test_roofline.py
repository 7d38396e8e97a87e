"""The roofline page says what the script measured, and the script runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import benched
from benchmarks.roofline import __main__, curves, peaks, plot
from benchmarks.roofline import page as roofline_page
from benchmarks.roofline.layer import LayerSize
from benchmarks.roofline.words import KERNELS
from qpsnn_core.kernels import threads

ROOT = Path(__file__).resolve().parents[3]
PAGE, FILE = ROOT / "docs" / "performance.md", benched.FOLDER / "roofline.json"

INPUT_GRADIENT = {"through_tiles", "gradient_tiles", "products", "tiles_back"}
"""One of them, or the other three, by the number of weights."""


@pytest.fixture(scope="module")
def tiny():
    """A run of the smallest sizes."""
    before = threads.threads()
    layer = LayerSize(2, 2, 8, 16, 0.3)
    point = curves.Point(2, 4, 8, 4, 2, 0.3, 0.125, 2)
    points = {
        "rate": {rate: point._replace(rate=rate) for rate in (0.1, 0.4)},
        "T": {steps: point._replace(steps=steps) for steps in (1, 4)},
        "bits": {bits or "float": point._replace(bits=bits) for bits in (4, None)},
        "width": {64: point, 8: point._replace(channels=16, factor=0.0)},
        "batch": {16: point},
    }
    found = __main__.measure(0.0, (layer, layer), ((8, 4, 2), (24, 4, 2)), points, (16, 64), lambda _: None)
    assert threads.threads() == before
    return json.loads(json.dumps(found))


def test_a_tiny_run_measures_everything(tiny):
    assert set(peaks.ADDITIONS) | {"multiply_add", "sgemm"} == set(tiny["peaks"]["operations"])
    assert all(rate > 0 for rate in tiny["peaks"]["operations"].values())
    for found in tiny["kernels"]:
        assert set(found["works"]) | INPUT_GRADIENT == set(KERNELS)
        assert set(found["works"]) & INPUT_GRADIENT
        for work in found["works"].values():
            assert work["seconds"] > 0
            assert roofline_page.roof(work, tiny["peaks"])[0] > 0
    assert [one["channels"] for one in tiny["crossing"]] == [8, 24]
    assert set(tiny["curves"]) == set(curves.points())
    assert "step" not in tiny["curves"]["width"][1]
    assert "/" not in tiny["command"]


def test_a_tiny_run_is_written_and_drawn(tiny, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("\n\n".join("\n".join(roofline_page.markers(name)) for name in roofline_page.blocks(tiny)))
    roofline_page.write(tiny, page)
    roofline_page.write(tiny, page)
    for name, table in roofline_page.blocks(tiny).items():
        begin, end = roofline_page.markers(name)
        assert f"{begin}\n{table}\n{end}" in page.read_text()
    page.write_text("no markers\n")
    with pytest.raises(ValueError, match="expected the two comments"):
        roofline_page.write(tiny, page)


@pytest.mark.plot
def test_the_figures_are_drawn(tiny, tmp_path):
    pytest.importorskip("matplotlib")
    drawn = plot.draw(tiny, tmp_path)
    assert len(drawn) == 4
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in drawn)


def test_the_page_says_what_was_measured():
    results = json.loads(FILE.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    for name, table in roofline_page.blocks(results).items():
        begin, end = roofline_page.markers(name)
        assert f"{begin}\n{table}\n{end}" in page


def test_the_pages_figures_are_there():
    shown = roofline_page.figures(PAGE.read_text(encoding="utf-8"))
    assert len(shown) == 4
    assert all((PAGE.parent / name).exists() for name in shown)


def test_the_dense_product_is_the_convolution():
    rng = np.random.default_rng(0)
    images = (rng.random((3, 5, 5, 2)) < 0.4).astype(np.uint8)
    weights = rng.normal(0, 1, (3, 3, 2, 4)).astype(np.float32)
    out = np.empty((75, 4), np.float32)
    curves.dense(images, weights.reshape(-1, 4), out)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for m, y, x in np.ndindex(3, 5, 5):
        expected = np.tensordot(padded[m, y : y + 3, x : x + 3].astype(np.float32), weights, 3)
        np.testing.assert_allclose(out[(m * 5 + y) * 5 + x], expected, atol=1e-5)


def test_a_straight_line_gives_the_fixed_cost():
    times = [3 + 100 * rate for rate in curves.RATES]
    assert roofline_page.fixed(times) == pytest.approx(3)
    assert roofline_page._crossed(times, 3 + 100 * 0.3) == "30%"
    assert roofline_page._crossed(times, 100) == "not below 60%"


def test_bandwidth_lies_between_what_was_measured():
    curve = [[16, 200.0], [1024, 20.0]]
    assert peaks.bandwidth(curve, 1) == 200e9
    assert peaks.bandwidth(curve, 2**30) == 20e9
    assert 20e9 < peaks.bandwidth(curve, 2**17) < 200e9
