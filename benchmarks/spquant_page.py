"""Writes the tables and the figure of SpQuant-SNN's choices into docs/results.md, from docs/results/spquant-*.json.

    python -m benchmarks.spquant_page [--from build/spquant [OTHER ...]]

--from: take over the results that `python -m benchmarks.spquant` wrote into these folders, first.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.roofline.page import fill, table
from benchmarks.spquant import BITS, MEMBRANES, Result, cells
from qpsnn_core.common.atomic import save_json
from qpsnn_core.experiments.runs import RESULTS, read_results, std

DOCS = Path(__file__).parent.parent / "docs"
SETS = {"spquant-cifar10": "CIFAR-10", "spquant-nmnist": "N-MNIST"}
FIGURE = DOCS / "spquant-front.png"
WHAT = "the results of SpQuant-SNN's choices"

BASE = "ternary, 4 bits"
"""The cell that gates and surrogates are compared with."""

Cells = dict[str, dict[int, Result]]


def load(name: str) -> tuple[dict[str, Any], Cells]:
    """What made the results of a set, and they themselves by cell and seed; none where there is no file."""
    path = DOCS / "results" / f"{name}.json"
    if not path.exists():
        return {}, {}
    made_by, results = read_results(path, Result, WHAT)
    found: Cells = {}
    for one in results:
        found.setdefault(one.cell, {})[one.seed] = one
    return made_by, found


def comparable(cells: Cells) -> Cells:
    """Of each cell the seeds that all cells have, so that no difference is one of seeds."""
    seeds = set.intersection(*(set(own) for own in cells.values())) if cells else set()
    return {name: {seed: own[seed] for seed in sorted(seeds)} for name, own in cells.items()}


def take_over(folders: Sequence[Path]) -> None:
    """Put the results of each set, of all folders together, beside the page; of a cell's, those of the first folder.

    Raises ValueError where two folders are of other recipes.
    """
    for name in SETS:
        found = [read_results(one / name / RESULTS, Result, WHAT) for one in folders if (one / name / RESULTS).exists()]
        if not found:
            continue
        every = {(one.cell, one.seed): one for _, results in reversed(found) for one in results}
        if any(made_by != found[0][0] for made_by, _ in found):
            raise ValueError(f"{name}: expected folders of one recipe, and of one command")
        order = {cell.name: place for place, cell in enumerate(cells())}
        results = sorted(every.values(), key=lambda one: (order[one.cell], one.seed))
        save_json(DOCS / "results" / f"{name}.json", {**found[0][0], "results": [one._asdict() for one in results]})


def markers(name: str, what: str) -> tuple[str, str]:
    """The comments around a table."""
    return f"<!-- {name}, {what}: written by `python -m benchmarks.spquant_page` -->", f"<!-- end of {name}, {what} -->"


def blocks() -> dict[tuple[str, str], str]:
    """Every table, by the comments around it."""
    found = {}
    for name in SETS:
        made_by, every = load(name)
        cells = comparable(every)
        tables = {"budget": budget(made_by, every), "levels": levels(cells), "choices": choices(cells)}
        tables |= {"gates": gates(cells), "memory": memory(cells)}
        found |= {markers(name, what): text for what, text in tables.items()}
    return found


def budget(made_by: dict[str, Any], cells: Cells) -> str:
    """A line: the command, how many networks, which seeds the tables compare, and how long it took."""
    if not cells:
        return "Not run yet."
    every = [one for own in cells.values() for one in own.values()]
    minutes, seeds = sum(one.seconds for one in every) / 60, sorted(next(iter(comparable(cells).values())))
    compared = f"the tables are of seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}, which all have"
    images = " and ".join(f"{count:,} {part}" for part, count in made_by["data"]["images"].items())
    return f"`{made_by['command']}`: {images}; {len(every)} networks, {minutes:.0f} minutes of one core; {compared}."


def levels(cells: Cells) -> str:
    """Accuracy and memory by membranes and bits of weights."""
    rows = []
    for kind in MEMBRANES:
        own = [cells.get(f"{kind}, {bits} bits", {}) for bits in BITS]
        rows.append([kind, *(f"{_mean(one)}, {_size(one)}" if one else "-" for one in own)])
    return table(["membranes", *(f"{bits}-bit weights" for bits in BITS)], rows)


def choices(cells: Cells) -> str:
    """The surrogate of rounding, and learned thresholds: each beside what it is compared with, seed by seed."""
    pairs = [(f"{kind}, straight", f"{kind}, 4 bits", "stacked") for kind in ("five levels", "ternary")]
    pairs += [(f"{kind}, learned", f"{kind}, 4 bits", "fixed") for kind in ("whole", "ternary")]
    pairs.append(("ternary, learned, as published", BASE, "fixed"))
    rows = [
        [
            name,
            _mean(cells[name]),
            f"{against}, {_mean(cells.get(other, {}))}",
            _gain(cells[name], cells.get(other, {})),
        ]
        for name, other, against in pairs
        if name in cells
    ]
    return table(["4-bit weights", "accuracy", "against", "gain, seed by seed"], rows)


def gates(cells: Cells) -> str:
    """Accuracy, operations and what gates do."""
    base = cells.get(BASE, {})
    rows = [["none", _mean(base), _operations(base), "-", "-", "-", "-"]] if base else []
    for name in ("channels", "places", "channels and places"):
        own = cells.get(f"ternary, {name}", {})
        if own:
            fields = ("gate_accuracy", "open", "reduction", "paper_reduction")
            shares = [[getattr(one, field) for one in own.values()] for field in fields]
            rows.append([name, _mean(own), _operations(own), *(f"{np.mean(one):.0%}" for one in shares)])
    heads = [
        "gates of",
        "accuracy",
        "additions per image",
        "right decisions",
        "open",
        "fewer additions",
        "paper's reduction",
    ]
    return table(heads, rows)


def memory(cells: Cells) -> str:
    """Weights and membranes against accuracy, the smallest first."""
    rows = [
        [name, f"{np.mean([one.rate for one in own.values()]):.0%}", _size(own), _mean(own)]
        for name, own in sorted(cells.items(), key=lambda item: _memory(item[1]))
        if next(iter(own.values())).group in ("levels", "pruning")
    ]
    return table(["network", "channels removed", "weights + membranes", "accuracy"], rows)


def points(cells: Cells) -> dict[str, list[tuple[float, float, float]]]:
    """Lines of the figure: (MB, accuracy, standard error) by group."""
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for name, own in cells.items():
        one = next(iter(own.values()))
        if one.group == "levels":
            group = f"{name.split(',')[0]} membranes"
        elif one.group == "pruning":
            group = "whole membranes, pruned channels" if name.startswith("whole") else "ternary, half of the channels"
        else:
            continue
        values = [100 * r.accuracy for r in own.values()]
        lines.setdefault(group, []).append((_memory(own), float(np.mean(values)), _error(values) or 0.0))
    return {group: sorted(line) for group, line in lines.items()}


def draw(path: Path) -> None:
    """Both sets' fronts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(SETS), figsize=(10, 4.2), layout="constrained")
    for axes, (name, title) in zip(panels, SETS.items(), strict=True):
        for group, line in points(comparable(load(name)[1])).items():
            sizes, accuracies, errors = zip(*line, strict=True)
            style = "s--" if "channels" in group else "o-"
            axes.errorbar(sizes, accuracies, errors, fmt=style, capsize=3, markersize=4, label=group)
        axes.set_xscale("log")
        axes.set_xlabel("weights and membranes, MB")
        axes.set_ylabel("test accuracy, %")
        axes.set_title(title)
        axes.grid(alpha=0.3, which="both")
    panels[0].legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)


def _mean(own: dict[int, Result]) -> str:
    """Percent, with the standard error over seeds."""
    values = [100 * one.accuracy for one in own.values()]
    if not values:
        return "-"
    error = _error(values)
    return f"{np.mean(values):.1f}" + (f" ± {error:.1f}" if error is not None else "")


def _gain(own: dict[int, Result], other: dict[int, Result]) -> str:
    """Points, with the standard error, over seeds that both have."""
    values = [100 * (one.accuracy - other[seed].accuracy) for seed, one in own.items() if seed in other]
    if not values:
        return "-"
    error = _error(values)
    return f"{np.mean(values) + 0.0:.1f}" + (f" ± {error:.1f}" if error is not None else "")


def _error(values: Sequence[float]) -> float | None:
    spread = std(values)
    return None if spread is None else spread / len(values) ** 0.5


def _memory(own: dict[int, Result]) -> float:
    return float(np.mean([one.memory_mb for one in own.values()]))


def _size(own: dict[int, Result]) -> str:
    return f"{1000 * _memory(own):.0f} kB"


def _operations(own: dict[int, Result]) -> str:
    return f"{np.mean([one.sops for one in own.values()]) / 1e6:.2f} M"


def main() -> None:
    """Take over, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="sources", type=Path, nargs="+", default=[])
    take_over(parser.parse_args().sources)
    fill(DOCS / "results.md", blocks())
    draw(FIGURE)


if __name__ == "__main__":
    main()
