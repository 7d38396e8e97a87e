"""Results as Markdown tables, for the terminal and for README, where a generated block lies between two comments."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from benchmarks.contestants import OURS, PEERS
from benchmarks.results import FLOOR, RIVAL, TARGETS, memory_ratios, ratios, scaling

BEGIN, END = "<!-- speed: written by `make bench` -->", "<!-- end of speed -->"
MEBI = 2**20
WORDS = {
    "train": "training step, against the faster of SpikingJelly and snnTorch",
    "infer_integer": "inference as deployed (integers), against their inference in floating point",
    "infer_float": "inference in floating point, against theirs",
    "memory": "memory added by a training step",
    "threads2": "training on two threads, against one thread",
    "import_s": "`import qpsnn_core`",
    "first_warm_s": "first training step of a new process, warm cache",
    "first_cold_cpu_s": "first training step, cold cache: CPU time including all compilation",
}


def summary(results: dict[str, Any]) -> str:
    """Every figure with its minimum and target, in Markdown: geometric means over networks and T, and the worst."""
    least = {work: ratios(results["records"], work) for work in RIVAL}
    least |= {"memory": memory_ratios(results["memory"]), "threads2": scaling(results)}
    lines = ["| | measured | worst network | required | target |", "|---|---|---|---|---|"]
    for name, words in WORDS.items():
        figure = _figure(results, name)
        if figure is None:
            continue
        seconds = name.endswith("_s")
        unit = " s" if seconds else "x"
        worst = "" if seconds or not least[name] else _worst(least[name])
        floor, aim = (f"{target:g}{unit}" for target in TARGETS[name]) if name in TARGETS else ("", "")
        lines.append(f"| {words} | {_short(figure)}{unit} | {worst} | {floor} | {aim} |")
    return "\n".join(lines)


def details(results: dict[str, Any], threads: int = 1) -> str:
    """Times of every network in milliseconds, the ratios that count, and memory, in Markdown."""
    records = [record for record in results["records"] if record["threads"] == threads]
    ours = {work: ratios(records, work, threads) for work in RIVAL}
    held = {(m["network"], m["T"], m["contestant"]): m["step_bytes"] / MEBI for m in results["memory"]}
    spared = memory_ratios(results["memory"])
    head = [
        "network",
        "T",
        "firing rate, training / inference",
        "training step, ms",
        "ratio",
        "inference, ms",
        "ratio",
        "memory, MiB",
        "ratio",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for place in dict.fromkeys((record["network"], record["T"]) for record in records):
        times = {(r["work"], r["contestant"]): r["min_s"] * 1e3 for r in records if (r["network"], r["T"]) == place}
        rate = {r["work"]: r["rate"] for r in records if (r["network"], r["T"]) == place}
        firing = " / ".join(f"{rate[work]:.0%}" for work in ("train", "infer_float") if work in rate)
        train = _listed(times.get(("train", who)) for who in (OURS, *PEERS))
        inner = [times.get(("infer_integer", OURS)), *(times.get(("infer_float", who)) for who in (OURS, *PEERS))]
        bytes_ = _listed(held.get((*place, who)) for who in (OURS, *PEERS))
        ratio = [_times(ours[work].get(place)) for work in ("train", "infer_integer")]
        cells = [place[0], place[1], firing, train, ratio[0], _listed(inner), ratio[1], bytes_]
        lines.append("| " + " | ".join(map(str, [*cells, _times(spared.get(place))])) + " |")
    return "\n".join(lines)


def block(results: dict[str, Any]) -> str:
    """The generated block of README, markers included."""
    made = results["machine"]
    versions = ", ".join(f"{name} {made['versions'][name]}" for name in ("torch", *PEERS) if name in made["versions"])
    batch = results["records"][0]["batch"]
    said = (
        f"`{results['command']}` on {made['cpu']} with {versions}: one thread, batch {batch}. The libraries run in "
        "turns, and each figure is the minimum of repeated runs. Ratios are qpsnn's advantage (higher is better). "
        "The first table gives geometric means over the networks of the second."
    )
    below = (
        "Order of the figures in a cell: for training and memory, qpsnn / SpikingJelly / snnTorch; for inference, "
        "qpsnn in integers / qpsnn in floating point / SpikingJelly / snnTorch. PyTorch runs channels-last and "
        "multi-step, compiled where that is faster. For inference its batch norm is folded and its weights are "
        "quantized in advance. The benchmark stops if spikes, logits or gradients disagree."
    )
    return "\n".join([BEGIN, said, "", summary(results), "", details(results), "", below, END])


def write(results: dict[str, Any], readme: Path) -> None:
    """Replace the generated block of README. Raises ValueError if a marker is missing."""
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{readme}: expected the two comments {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    readme.write_text(before + block(results) + after, encoding="utf-8")


def short_of(results: dict[str, Any]) -> list[str]:
    """One line for each figure that misses its minimum."""
    missed = []
    for name, (floor, _) in TARGETS.items():
        figure = _figure(results, name)
        if figure is not None and (figure > floor if name.endswith("_s") else figure < floor):
            missed.append(f"{WORDS[name]}: {_short(figure)}, expected {floor:g}")
    for work in ("train", "infer_integer"):
        for (network, steps), value in ratios(results["records"], work).items():
            if value < FLOOR:
                missed.append(f"{network}, T={steps}, {work}: {value:.2f}x, expected {FLOOR:g}x")
    return missed


def _figure(results: dict[str, Any], name: str) -> float | None:
    if name == "import_s":
        return next((one["min_s"] for one in results["import_s"] if one["contestant"] == OURS), None)
    if name.startswith("first_"):
        cache, key = ("cold", "cpu_s") if "cold" in name else ("warm", "wall_s")
        steps = results["first_step_s"]
        return next((one[key] for one in steps if (one["contestant"], one["cache"]) == (OURS, cache)), None)
    figure: float | None = results["geomean"].get(name)
    return figure


def _worst(values: dict[tuple[str, int], float]) -> str:
    (network, steps), value = min(values.items(), key=lambda item: item[1])
    return f"{_short(value)}x ({network}, T={steps})"


def _short(value: float) -> str:
    return f"{value:.3g}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{_short(value)}x"


def _listed(values: Iterable[float | None]) -> str:
    return " / ".join("–" if value is None else _short(value) if value < 1000 else f"{value:.0f}" for value in values)


def show(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table in the terminal: numbers to the right, with as many digits as a reader wants."""
    lines = [list(heads), *([cell if isinstance(cell, str) else _number(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(title)
    for first, *others in lines:
        right = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join((first.ljust(widths[0]), *right)).rstrip())


def log(text: str) -> None:
    """A line for the person, on standard error."""
    print(text, file=sys.stderr)


def _number(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
