"""The tables of docs/results.md and docs/osbc.md are the data beside them: each line is made anew from docs/results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.experiments import ablation, compression_sweep, cross_validation, pareto_front
from qpsnn_core.experiments.runs import read_results, std

DOCS = Path(__file__).parents[3] / "docs"
PAGES = "\n".join((DOCS / name).read_text(encoding="utf-8") for name in ("results.md", "osbc.md")).splitlines()


def results(name, kind):
    return read_results(DOCS / "results" / f"{name}.json", kind, "results")


def line(*cells):
    return "| " + " | ".join(cells) + " |"


def around(values, digits=2):
    """Mean and standard deviation."""
    return f"{round(np.mean(values), digits) + 0.0:.{digits}f} ± {std(values):.{digits}f}"


def missing(lines):
    """Lines, without the stress of bold figures, that are on no page."""
    there = {one.replace("**", "") for one in PAGES}
    return "\n".join(one for one in lines if one not in there)


@pytest.mark.parametrize("name", ["nmnist-osbc", "digits-events-osbc", "mnist-osbc", "nmnist-osbc-conv"])
def test_sweeps_of_compression(name):
    found = results(name, compression_sweep.Result)[1]
    groups = {}
    for one in found:
        if one.method != "rtn":
            groups.setdefault((one.sparsity, one.bits), {}).setdefault(one.method, []).append(one)
    lines = []
    for (sparsity, bits), methods in sorted(groups.items(), key=lambda group: (group[0][0], -group[0][1])):
        size = 1000 * np.mean([one.size_mb for one in methods["osbc"]])
        operations = np.mean([one.sops for one in methods["osbc"]]) / 1000
        lost = [around([100 * (one.dense - one.accuracy) for one in methods[m]]) for m in ("osbc", "obc", "magnitude")]
        assert {len(own) for own in methods.values()} == {3}
        lines.append(
            line(
                f"{sparsity:.0%}",
                str(bits),
                f"{size:,.0f}" if size >= 1000 else f"{size:.3g}",
                f"{operations:,.{int(operations < 10)}f}k",
                *lost,
            )
        )
    assert len(lines) > 5
    assert not missing(lines)


@pytest.mark.parametrize("name", ["cifar10-front", "mnist-front", "nmnist-front"])
def test_fronts(name):
    groups = {}
    for one in results(name, pareto_front.Point)[1]:
        groups.setdefault(one.bits, []).append(f"{one.accuracy:.1%} at {one.file_bytes / 1000:.0f} kB")
    lines = [line(str(bits), *cells) for bits, cells in groups.items()]
    assert len(lines) == 3
    assert not missing(lines)


@pytest.mark.parametrize("name", ["ablation-cifar10", "ablation-mnist"])
def test_ablations(name):
    found = results(name, ablation.Result)[1]
    text = "\n".join(PAGES).replace("**", "")
    parts = []
    for row in ablation.table(found):
        seeds = [f"{100 * one.accuracy:.2f}" for one in found if one.model == row.model]
        shown = seeds if name == "ablation-mnist" else []
        parts.append(line(row.model, row.text, *shown, f"{row.mean:.2f} ± {row.spread:.2f}").removesuffix(" |"))
        if row.against == "C":
            parts.append(f"| {row.gain:.2f} ± {row.gain_spread:.2f} ")
    assert len(parts) >= 9
    assert [part for part in parts if part not in text] == []


def test_folds():
    lines = [
        line(str(one.fold), f"{100 * one.start:.2f}", f"{100 * one.accuracy:.2f}", f"{one.file_bytes:,}")
        for one in results("nmnist-folds", cross_validation.Fold)[1]
    ]
    assert len(lines) == 5
    assert not missing(lines)


@pytest.mark.cli
def test_equal_sizes():
    pytest.importorskip("rich")
    import benched  # noqa: F401 - makes the benchmarks importable
    from benchmarks import equal_size

    lines = []
    for row in equal_size.table(results("digits-events-equal", equal_size.Result)[1]):
        lines.append(
            line(
                f"SVS {row.target:g}" if row.target else "dense",
                row.way,
                str(row.seeds),
                f"{row.accuracy:.2f} ± {row.spread:.2f}",
                f"{row.sparsity:.1%}" if row.sparsity else "-",
                f"{1000 * row.size_mb:.1f}",
                f"{row.file_bytes / 1000:.1f}",
                f"{row.sops / 1000:,.0f}k",
                f"{row.minutes:.1f}",
            )
        )
    assert len(lines) == 9
    assert not missing(lines)


def test_hessians():
    rows = json.loads((DOCS / "results" / "nmnist-hessians.json").read_text(encoding="utf-8"))["rows"]
    lines = [line(row["weights"], *(f"{row[name]:.1%}" for name in ("predicted", "found", "current"))) for row in rows]
    assert len(lines) == 4
    assert not missing(lines)


def test_networks():
    """Accuracies and sizes of the CIFAR-10 networks, here and in README."""
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    page = "\n".join(PAGES).replace("**", "")
    for path in sorted((DOCS.parent / "examples" / "networks").glob("*.json")):
        log = json.loads(path.read_text(encoding="utf-8"))
        steps, bits = qp.load_integer(path.with_suffix(".h5")).steps, log["recipe"]["network"]["bits"]
        assert f"| {log['bytes']:,} bytes | {steps} | {bits} |" in page
        assert f"| {100 * log['accuracy']:.2f}% | {100 * log['trained_accuracy']:.2f}% |" in page
        assert f"{100 * log['accuracy']:.1f}%" in readme


def test_bits_at_nearly_equal_size():
    found = json.loads((DOCS / "results" / "cifar10-bits-at-equal-size.json").read_text(encoding="utf-8"))
    lines = []
    for row in found["rows"]:
        last, size = row["epochs"][-1], f"{row['bytes']:,} bytes" if row["bytes"] else "-"
        reached = [f"{100 * last[part]:.2f}%" for part in ("train", "test")]
        lines.append(line(row["what"], ", ".join(map(str, row["widths"])), size, *reached))
    assert len(lines) == 4
    assert not missing(lines)
