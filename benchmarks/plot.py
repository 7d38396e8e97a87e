"""The results as one figure: how many times better qpsnn is, by network and T, with the spread of paired repeats.

Each form of qpsnn that was measured has its bars, against the better peer; memory is against float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import processor, targets
from benchmarks.contestants import FLOAT32, OURS
from benchmarks.results import BETTER, memory_ratios, our_forms

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
        places = [", ".join((network, f"T={steps}", *([form] if form else []))) for network, steps, form in bars]
        values = [value for value, _, _ in bars.values()]
        low = [max(value - below, 0) for value, below, _ in bars.values()]
        high = [max(above - value, 0) for value, _, above in bars.values()]
        axis.barh(places, values, xerr=(low, high) if values else None, color="#4878a8", ecolor="#333333", capsize=2)
        axis.axvline(1, color="black", linewidth=0.8)
        for target in targets.of(results["machine"]):
            if (target.figure, target.against) in ((name, BETTER), ("memory", FLOAT32)) and target.figure == name:
                axis.axvline(target.least, color="#a84848", linestyle=":", linewidth=1)
        axis.invert_yaxis()
        axis.set_title(words, fontsize=10)
        axis.set_xlabel(
            "times better than PyTorch " + ("in float32" if name == "memory" else "at its best"), fontsize=9
        )
        axis.tick_params(labelsize=8)
    words = processor.words(results["machine"])
    figure.suptitle(f"qpsnn on one thread of {words}; dotted: the target", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _bars(results: dict[str, Any], name: str) -> dict[tuple[str, int, str], tuple[float, float, float]]:
    """By (network, T, form): the ratio of minima, and the 10th and 90th percentile of paired repeats."""
    if name == "memory":
        return {(*place, ""): (value, value, value) for place, value in memory_ratios(results["memory"]).items()}
    several = len(our_forms(results["records"], name)) > 1
    found = {}
    for record in results["records"]:
        own = (record["contestant"], record["work"], record["threads"]) == (OURS, name, 1)
        if own and BETTER in record.get("ratios", {}):
            ratio = record["ratios"][BETTER]
            place = (record["network"], record["T"], record["form"] if several else "")
            found[place] = (ratio["minima"], ratio["low"], ratio["high"])
    return found
