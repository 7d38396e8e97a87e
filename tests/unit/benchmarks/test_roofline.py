"""The roofline page says what the script measured, and the script runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import benched
import qpsnn_core as qp
from benchmarks.roofline import __main__, costs, curves, model, peaks, plot, steps
from benchmarks.roofline import page as roofline_page
from benchmarks.roofline.layer import LayerSize
from benchmarks.roofline.words import KERNELS, UNTIMED
from qpsnn_core.kernels import threads
from qpsnn_core.network.nodes import LIF, AvgPool, Input, MaxPool, Readout, Sum
from qpsnn_core.network.synapses import Conv, Linear

ROOT = Path(__file__).resolve().parents[3]
PAGE, FILE = ROOT / "docs" / "performance.md", benched.FOLDER / "roofline.json"

INPUT_GRADIENT = {"through_tiles", "gradient_tiles", "products", "tiles_back"}
"""One of them, or the other three, by the number of weights."""


@pytest.fixture(scope="module")
def tiny():
    """A run of the smallest sizes."""
    pytest.importorskip("threadpoolctl")
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
    networks = {"vgg_small": {"width": 0.125}, "resnet20": {"widths": [4] * 7 + [6] * 6 + [8] * 6}}
    widths = ((8, 4, 2), (24, 4, 2))
    found = __main__.measure(0.0, (layer, layer), widths, points, (16, 64), networks, lambda _: None)
    assert threads.threads() == before
    return json.loads(json.dumps(found))


def test_a_tiny_run_measures_everything(tiny):
    assert set(peaks.ADDITIONS) | {"multiply_add", "byte_products", "look_ups", "sgemm"} == set(
        tiny["peaks"]["operations"]
    )
    assert all(rate > 0 for rate in tiny["peaks"]["operations"].values())
    for found in tiny["kernels"]:
        assert set(found["works"]) | INPUT_GRADIENT == set(KERNELS)
        assert set(found["works"]) & INPUT_GRADIENT
        for work in found["works"].values():
            assert work["seconds"] > 0
            cost = costs.Cost(*(work[field] for field in costs.Cost._fields))
            assert model.roof(cost, tiny["peaks"])[0] > 0
    assert [one["channels"] for one in tiny["crossing"]] == [8, 24]
    assert set(tiny["curves"]) == set(curves.points())
    assert "step" not in tiny["curves"]["width"][1]
    assert "/" not in tiny["command"]
    assert [one["network"] for one in tiny["steps"]] == ["vgg_small", "resnet20"]
    assert all(one["bound"] > 0 and one["seconds"] > 0 for one in tiny["steps"])


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


def test_the_page_of_another_kind_of_processor_is_not_overwritten(tiny, tmp_path, monkeypatch, capsys):
    path = tmp_path / "roofline.json"
    assert __main__.another_kind(path) == ""
    for machine, other in (
        ({"cpu": "AMD EPYC"}, ""),
        (tiny["machine"], ""),
        ({"cpu": "Other", "design": None, "features": ["AVX2"]}, "Other (AVX2; no AMX)"),
    ):
        path.write_text(json.dumps({**tiny, "machine": machine}))
        assert __main__.another_kind(path) == other
    before = path.read_text()
    monkeypatch.setattr("sys.argv", ["roofline", "--out", str(path), "--docs", str(tmp_path)])
    with pytest.raises(SystemExit):
        __main__.main()
    assert "expected a file of this processor, got one of Other" in capsys.readouterr().err
    assert path.read_text() == before


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


def test_the_share_of_the_limit_is_said_for_each_network():
    run = {"machine": {"cpu": "A processor", "features": ["AVX2"]}}
    assert roofline_page.steps(run) == (
        "A processor (AVX2; no AMX): not measured yet; `python -m benchmarks.roofline` measures it."
    )
    one = {"network": "vgg9", "T": 4, "batch": 16, "rate": 0.15, "bound": 0.05, "seconds": 0.2}
    table = roofline_page.steps({**run, "steps": [one]})
    assert table.endswith("| vgg9 | 4 | 16 | 15% | 50 | 200 | 25% |")
    assert table.startswith("| A processor (AVX2; no AMX) | T |")


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


PEAKS = {
    "operations": {
        **{"float32": 1.0, "int32": 1.0, "int16": 1.0, "uint8": 2.0},
        **{"multiply_add": 4.0, "byte_products": 8.0, "look_ups": 2.0},
    },
    "load": [[1, 1.0], [2**20, 1.0]],
    "store": [[1, 0.5], [2**20, 0.5]],
}
"""A thousand millions of operations a second, and of bytes."""


def test_every_kernel_has_its_formulas_and_its_words():
    assert set(costs.COSTS) == set(KERNELS) | set(UNTIMED)
    assert not set(KERNELS) & set(UNTIMED)
    size = costs.ConvSize(4, 2, 8, 8, 16, 128)
    for name, cost in costs.COSTS.items():
        assert model.roof(cost(size), PEAKS)[0] > 0, name
        assert cost(size).kind in model.KINDS, name


def test_rows_are_counted_window_by_window():
    for size in (
        costs.ConvSize(2, 3, 5, 4, 2, 64),
        costs.ConvSize(1, 2, 6, 6, 3, 64, 3, 2, 1),
        costs.ConvSize(1, 1, 7, 5, 2, 64, 1, 2, 0),
        costs.ConvSize(1, 1, 4, 4, 1, 64, 5, 1, 2),
    ):
        geometry = size.geometry
        inside = 0
        for y, x in np.ndindex(geometry.out_height, geometry.out_width):
            for ky, kx in np.ndindex(size.kernel, size.kernel):
                row, column = y * size.stride + ky - size.padding, x * size.stride + kx - size.padding
                inside += 0 <= row < size.height and 0 <= column < size.width
        assert size.rows == pytest.approx(size.steps * size.batch * inside * size.channels * size.rate)
        assert size.sums == size.steps * size.batch * geometry.out_height * geometry.out_width * 64
    four = costs.ConvSize(2, 3, 8, 8, 16, 16)
    assert four.rows == pytest.approx(four._replace(outputs=64).rows / 2)  # four windows side by side: 6 columns for 12


def test_the_roof_is_the_slowest_of_loads_stores_tables_and_operations():
    none = costs.Cost(0, 0, 0, 1, 0, "uint8")
    assert model.roof(none._replace(reads=3e9), PEAKS) == (pytest.approx(3), "memory, loads")
    assert model.roof(none._replace(writes=2e9, reads=3e9), PEAKS) == (pytest.approx(4), "memory, stores")
    assert model.roof(none._replace(near=5e9, operations=2e9), PEAKS) == (pytest.approx(5), "L1, table")
    assert model.roof(none._replace(operations=6e9), PEAKS) == (pytest.approx(3), "byte additions")
    one = none._replace(reads=1e9)
    assert model.bound([one] * 3, PEAKS) == pytest.approx(3)
    assert model.bound([one, (one._replace(reads=5e9), one._replace(reads=4e9))], PEAKS) == pytest.approx(5)


def test_the_model_of_a_halving_is_a_fixed_cost_and_a_cost_per_spike():
    size = costs.ConvSize(1, 2, 8, 8, 64, 64)
    fixed, slope = model.forward_line(size, False, PEAKS)
    neurons, weights = 2 * 8 * 8 * 64, 9 * 64 * 64
    packing, looking, storing = weights / 0.5, 3 * neurons / 2, 2 * neurons / 0.5
    assert fixed == pytest.approx((packing + looking + storing) / 1e9)
    rows = 2 * 22**2 * 64
    assert slope == pytest.approx((12 * neurons + rows * 64) / 1e9)
    real = model.forward_line(size, True, PEAKS)
    assert real[1] == pytest.approx((12 * neurons + rows * 256) / 1e9)
    assert real[0] > fixed


def test_a_halving_that_follows_the_model_is_said_to():
    size = costs.ConvSize(1, 2, 8, 8, 64, 64)
    crossing = {"channels": 64, "side": 8, "images": 2, "dense": 1.0}
    for kind in ("bytes", "floats"):
        fixed, slope = model.forward_line(size, kind == "floats", PEAKS)
        crossing[kind] = [fixed + rate * slope for rate in curves.RATES]
    table = roofline_page.predicted({"crossing": [crossing], "peaks": PEAKS})
    for row in table.split("\n")[2:]:
        for cell in row.split(" | ")[2:5]:
            measured, predicted = cell.split(" of ")
            assert measured == predicted
        for cell in row.strip("| ").split(" | ")[5:]:
            measured, predicted = cell.split(" / ")
            assert measured == predicted


def test_a_step_counts_each_kernel_of_each_node():
    network = qp.build("vgg_small", (8, 8, 3), 5, steps=2, width=0.25)
    images = np.zeros((2, 8, 8, 3), np.uint8)
    found = steps.step_costs(qp.initialise(network, 0), images)
    nodes = [type(node) for node in network.nodes]
    convolutions = nodes.count(Conv)
    assert len(found) == (
        5  # the image's: update, encode, forward, gradient, moments; and no input gradient
        + 8 * (convolutions - 1)
        + 5 * nodes.count(Linear)
        + 2 * (nodes.count(LIF) + nodes.count(MaxPool) + nodes.count(AvgPool))
    )
    assert set(steps.KERNELS) >= set(nodes)
    with pytest.raises(NotImplementedError, match=r"sum: expected one of .*, got Sum"):
        steps.step_costs(_with_sum(), images)


def _with_sum():
    nodes = (
        Input("x", (8, 8, 3)),
        Conv("conv", "x", 4),
        LIF("lif", ("conv",)),
        LIF("again", ("conv",)),
        Sum("sum", ("lif", "again")),
        Linear("linear", "sum", 5),
        Readout("readout", "linear"),
    )
    return qp.initialise(qp.Network(nodes, 2), 0)
