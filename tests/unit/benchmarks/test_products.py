"""The page says what the script measured, and the script runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import benched
from benchmarks import products
from qpsnn_core.kernels import threads

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_tiny_run_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv(products.PRODUCT, "auto")  # the script sets it
    monkeypatch.setattr(products, "WORK", 1e5)
    monkeypatch.setattr(products, "NETWORKS", ())
    before = threads.threads()
    layers = products.Layer(8, 20, 4), products.Layer(8, 8, 4, max_count=4), products.Layer(30, 5, 1, 1, 8)
    try:
        found = json.loads(json.dumps(products.measure(0.0, ["vgg_small"], layers, steps=1)))
    finally:
        threads.set_threads(before)
    assert [one["inputs"] for one in found["layers"]] == [8, 8, 30]
    assert {one["work"] for one in found["networks"]} == {"integer inference", "training, forward"}
    page = tmp_path / "performance.md"
    page.write_text("\n\n".join("\n".join(products.markers(name)) for name in products.blocks(found)))
    products.write(found, page)
    products.write(found, page)
    for name, table in products.blocks(found).items():
        assert f"{products.markers(name)[0]}\n{table}\n" in page.read_text()
    page.write_text("")
    with pytest.raises(ValueError, match="expected the two comments"):
        products.write(found, page)


def test_the_page_is_of_the_file():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    found = json.loads((benched.FOLDER / "products.json").read_text())
    for name, table in products.blocks(found).items():
        begin, end = products.markers(name)
        assert f"{begin}\n{table}\n{end}" in text


def test_where_bytes_or_tables_win():
    falling = [100.0, 90, 80, 70, 60, 50, 40, 20]
    assert products._won(falling, {"dense": 10}) == "not below 60%"
    assert products._won(falling, {"dense": 200}) == "2%"
    assert products._won(falling, {"dense": 55}) == "25%"
    assert products._won(falling, {"dense": 10, "table": 55}) == "25%"
