"""`qpsnn plot compression`: what it draws are the means and spreads of the table, and what it refuses."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from matplotlib import pyplot as plt

from qpsnn_core.experiments import compression_sweep
from qpsnn_core.experiments.plots import analysis

pytestmark = [pytest.mark.cli, pytest.mark.plot]

LOST = {"osbc": 0.01, "obc": 0.03, "magnitude": 0.2, "rtn": 0.2}


def results(bits=(32, 4)):
    """Two seeds; each halving of what is left, or of bits, costs a method its share once more."""
    made = []
    for seed, dense in enumerate((0.9, 0.8)):
        for method, lost in LOST.items():
            for sparsity in (0.0, 0.5, 0.97):
                for number in bits:
                    if (sparsity or number != 32) and not (sparsity and method == "rtn"):
                        accuracy = dense - lost * (1 + seed) * (1 + sparsity)
                        figures = (dense, accuracy, None, 1.0, 1.0, {}, 2.0, 1.0)
                        made.append(compression_sweep.Result(seed, method, sparsity, number, *figures))
    return made


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"recipe": {}, "results": [one._asdict() for one in results()]}))
    return path


def drawn(axes):
    """By its name, each line's heights and bars."""
    found = {}
    for line in axes.containers:
        (bars,) = line.lines[2]
        found[line.get_label()] = [(y, (top - low) / 2) for y, (low, top) in _pairs(line.lines[0], bars)]
    return found


def _pairs(line, bars):
    return [(y, (ends[0][1], ends[1][1])) for y, ends in zip(line.get_ydata(), bars.get_segments(), strict=True)]


def test_it_draws_the_table():
    rows = compression_sweep.table(results())
    figure = analysis.compression(rows, 85.0, 0.97)
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == [
        "pruned, in floating point",
        "nothing pruned",
        "97% of the weights pruned",
    ]
    ticks = [[text.get_text() for text in panel.get_xticklabels()] for panel in panels]
    assert ticks == [["50%", "97%"], ["4"], ["32", "4"]]
    assert set(drawn(panels[0])) == set(drawn(panels[2])) == {"osbc", "obc", "magnitude"}
    assert set(drawn(panels[1])) == set(LOST)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"dense", *LOST}
    for panel, share in zip(panels, ((0.5, 0.97), (0.0,), (0.97, 0.97)), strict=True):
        for method, points in drawn(panel).items():
            for (height, bar), sparsity in zip(points, share, strict=True):
                lost = [100 * LOST[method] * times * (1 + sparsity) for times in (1, 2)]
                assert height == pytest.approx(85 - sum(lost) / 2)
                assert bar == pytest.approx((lost[1] - lost[0]) / 2**0.5)
    plt.close(figure)


def test_panels_with_nothing_in_them_are_left_out():
    rows = [row for row in compression_sweep.table(results((4,))) if row.sparsity == 0.97]
    figure = analysis.compression(rows, 85.0, 0.97)
    assert [panel.get_title() for panel in figure.axes] == ["pruned, 4 bits", "97% of the weights pruned"]
    plt.close(figure)


def test_the_command_writes_both_files(qpsnn, file, tmp_path):
    code, out, _ = qpsnn("plot", "compression", file, "--out", tmp_path / "figures", "--json")
    assert code == 0
    assert json.loads(out)["figures"] == [row._asdict() for row in compression_sweep.table(results())]
    assert (tmp_path / "figures" / "compression.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "figures" / "compression.svg").read_bytes()


def test_what_is_wrong_is_said(qpsnn, file, tmp_path):
    code, _, err = qpsnn("plot", "compression", file, "--at", 0.9, "--out", tmp_path / "figures")
    assert (code, "--at: expected one of 0.0, 0.5, 0.97, got 0.9" in err) == (2, True)
    file.write_text('{"results": [{"model": "A"}]}')
    for path in (file, tmp_path / "nothing.json"):
        code, _, err = qpsnn("plot", "compression", path, "--out", tmp_path / "figures")
        assert (code, f"{path.name}: not the results of a sweep" in err) == (2, True)
    assert not (tmp_path / "figures").exists()
