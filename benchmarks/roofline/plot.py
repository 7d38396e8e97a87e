"""The curves of docs/performance.md as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.roofline.costs import Cost
from benchmarks.roofline.curves import RATES
from benchmarks.roofline.model import roof

COLOURS = ("#4878a8", "#a84848", "#4a8f5a", "#b0803c", "#7a5aa0", "#444444")
PARTS = {"forward": "convolution forward", "weight": "weight gradient", "step": "training step of vgg_small"}

Results = dict[str, Any]


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the figures as PNG. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = []
    for name, form in {"roofs": _roofs, "rate": _rate, "crossing": _crossing, "growth": _growth}.items():
        figure = form(pyplot, results)
        drawn.append(folder / f"performance-{name}.png")
        figure.savefig(drawn[-1], dpi=100, metadata={"Software": None})
        pyplot.close(figure)
    return drawn


def _roofs(pyplot: Any, results: Results) -> Any:
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for name, colour in (("load", COLOURS[0]), ("store", COLOURS[1])):
        sizes, rates = zip(*results["peaks"][name], strict=True)
        axes[0].plot(sizes, rates, "o-", color=colour, label=f"{name}s")
    axes[0].set_xscale("log", base=2)
    axes[0].set_yscale("log")
    axes[0].set_xlabel("size of the array, KiB")
    axes[0].set_ylabel("GB/s")
    axes[0].set_title("bandwidth of caches and memory, one thread", fontsize=10)
    axes[0].legend()
    axes[0].grid(alpha=0.3)
    works = results["kernels"][0]["works"]
    each = {name: Cost(*(work[field] for field in Cost._fields)) for name, work in works.items()}
    shares = [roof(each[name], results["peaks"])[0] / work["seconds"] for name, work in works.items()]
    axes[1].barh(list(works), shares, color=COLOURS[0])
    axes[1].axvline(1, color="black", linewidth=0.8)
    axes[1].invert_yaxis()
    axes[1].tick_params(axis="y", labelsize=8)
    axes[1].set_xlabel("share of the nearest roof")
    axes[1].set_title("share that each kernel reaches (64 channels, 32 x 32)", fontsize=10)
    return figure


def _rate(pyplot: Any, results: Results) -> Any:
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    records = results["curves"]["rate"]
    for axis, (part, words), colour in zip(axes, PARTS.items(), COLOURS, strict=False):
        rates = [100 * record["x"] for record in records]
        times = [1e3 * record[part] for record in records]
        axis.plot(rates, times, "o-", color=colour, label="measured")
        axis.plot([0, rates[-1]], [0, times[-1]], ":", color="#888888", label="in proportion to spikes")
        axis.set_ylim(0, 1.05 * max(times))
        axis.set_xlim(0, 1.02 * rates[-1])
        axis.set_xlabel("neurons that fire, %")
        axis.set_ylabel("ms")
        axis.set_title(words, fontsize=10)
        axis.legend(fontsize=8, loc="lower right")
    return figure


def _crossing(pyplot: Any, results: Results) -> Any:
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
    percent = [100 * rate for rate in RATES]
    for axis, (kind, words) in zip(axes, (("floats", "float32 weights"), ("bytes", "4-bit weights")), strict=True):
        for record, colour in zip(results["crossing"], COLOURS, strict=False):
            relative = [time / record["dense"] for time in record[kind]]
            label = f"{record['channels']} channels, {record['side']} x {record['side']}"
            axis.plot(percent, relative, "o-", color=colour, label=label)
        axis.axhline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(percent, [f"{rate:.0f}" for rate in percent])
        axis.minorticks_off()
        axis.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
        axis.set_xlabel("neurons that fire, %")
        axis.set_title(f"{words}: time against a dense float32 product", fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("times the dense product")
    axes[1].legend(fontsize=8, loc="upper left")
    return figure


def _growth(pyplot: Any, results: Results) -> Any:
    figure, axes = pyplot.subplots(1, 4, figsize=(13, 3.8), layout="constrained", sharey=True)
    words = {
        "T": "T, per step of time",
        "bits": "bits of a weight",
        "width": "channels, at constant work",
        "batch": "batch, per image",
    }
    for axis, (name, title) in zip(axes, words.items(), strict=True):
        records = results["curves"][name]
        divided = name in ("T", "batch")
        for (part, label), colour in zip(PARTS.items(), COLOURS, strict=False):
            chosen = [
                (record["x"], record[part] / (record["x"] if divided else 1)) for record in records if part in record
            ]
            base = dict(chosen)[{"T": 4, "bits": 4, "width": 64, "batch": 16}[name]]
            axis.plot([str(x) for x, _ in chosen], [time / base for _, time in chosen], "o-", color=colour, label=label)
        axis.axhline(1, color="black", linewidth=0.8)
        axis.set_yscale("log")
        axis.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
        axis.minorticks_off()
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("time, against T = 4, 4 bits,\n64 channels and a batch of 16", fontsize=9)
    axes[0].legend(fontsize=8, loc="upper right")
    return figure
