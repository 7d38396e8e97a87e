"""The results as one figure: how many times better qpsnn is, by network and T, with the spread of paired repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contestants import OURS
from benchmarks.results import TARGETS, memory_ratios

PANELS = {
    "train": "training step",
    "infer_integer": "inference as deployed (integers)",
    "infer_float": "inference in floating point",
    "memory": "memory of a training step",
}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the figure as PNG. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(4 * len(PANELS), 3.6), layout="constrained")
    for axis, (name, words) in zip(axes, PANELS.items(), strict=True):
        bars = _bars(results, name)
        places = [f"{network}, T={steps}" for network, steps in bars]
        values = [value for value, _, _ in bars.values()]
        low = [max(value - below, 0) for value, below, _ in bars.values()]
        high = [max(above - value, 0) for value, _, above in bars.values()]
        axis.barh(places, values, xerr=(low, high) if values else None, color="#4878a8", ecolor="#333333", capsize=2)
        axis.axvline(1, color="black", linewidth=0.8)
        for target, style in zip(TARGETS.get(name, ()), (":", "--"), strict=False):
            axis.axvline(target, color="#a84848", linestyle=style, linewidth=1)
        axis.invert_yaxis()
        axis.set_title(words, fontsize=10)
        axis.set_xlabel("times better than the better peer", fontsize=9)
        axis.tick_params(labelsize=8)
        if axis is not axes[0]:
            axis.set_yticklabels([])
    figure.suptitle("qpsnn on one thread; dotted: the least that is wanted, dashed: the aim", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _bars(results: dict[str, Any], name: str) -> dict[tuple[str, int], tuple[float, float, float]]:
    """By (network, T): the ratio of minima, and the 10th and 90th percentile of paired repeats."""
    if name == "memory":
        return {place: (value, value, value) for place, value in memory_ratios(results["memory"]).items()}
    found = {}
    for record in results["records"]:
        if (record["contestant"], record["work"], record["threads"]) == (OURS, name, 1) and "ratio" in record:
            ratio = record["ratio"]
            found[record["network"], record["T"]] = (ratio["minima"], ratio["low"], ratio["high"])
    return found
