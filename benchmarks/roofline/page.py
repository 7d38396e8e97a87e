"""The tables of docs/performance.md, written between markers from the measurements."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import processor
from benchmarks.roofline.costs import ConvSize, Cost
from benchmarks.roofline.curves import RATES
from benchmarks.roofline.model import forward_line, roof
from benchmarks.roofline.peaks import bandwidth
from benchmarks.roofline.words import KERNELS

Results = dict[str, Any]


def blocks(results: Results) -> dict[str, str]:
    """The tables by name."""
    return {
        "peaks": peaks(results),
        "formulas": formulas(),
        "kernels": kernels(results, 0),
        "wide": kernels(results, 1),
        "crossing": crossing(results),
        "halving": halving(results),
        "model": predicted(results),
        "steps": steps(results),
        "curves": curves(results),
    }


def write(results: Results, page: Path) -> None:
    """Replace every table of the page. Raises ValueError as `fill`."""
    fill(page, {markers(name): block for name, block in blocks(results).items()})


def fill(page: Path, blocks: dict[tuple[str, str], str]) -> None:
    """Replace what stands between each two comments. Raises ValueError if a comment is missing, or stands twice."""
    text = page.read_text(encoding="utf-8")
    for (begin, end), block in blocks.items():
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{page}: expected the two comments {begin} and {end}")
        text = f"{text.split(begin)[0]}{begin}\n{block}\n{end}{text.split(end)[1]}"
    page.write_text(text, encoding="utf-8")


def figures(page: str) -> list[str]:
    """The pictures that a page shows."""
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)


def markers(name: str) -> tuple[str, str]:
    """The comments around a table."""
    return f"<!-- {name}: written by `python -m benchmarks.roofline` -->", f"<!-- end of {name} -->"


def peaks(results: Results) -> str:
    """The processor's measured peaks."""
    found = results["peaks"]
    rates = found["operations"]
    rows = [
        ["float32 multiply-adds, in registers (two operations each)", f"{rates['multiply_add']:.0f} GFLOP/s"],
        ["float32 additions, in registers", f"{rates['float32']:.0f} G/s"],
        [
            "additions of int32 / int16 / bytes",
            f"{rates['int32']:.0f} / {rates['int16']:.0f} / {rates['uint8']:.0f} G/s",
        ],
        ["BLAS, float32 products of 512 x 512", f"{rates['sgemm']:.0f} GFLOP/s"],
    ]
    for size, words in (
        (16, "L1 (16 KiB)"),
        (256, "L2 (256 KiB)"),
        (12288, "L3 (12 MiB)"),
        (131072, "memory (128 MiB)"),
    ):
        load, store = (bandwidth(found[name], size * 1024) / 1e9 for name in ("load", "store"))
        rows.append([f"loads / stores in {words}", f"{load:.0f} / {store:.0f} GB/s"])
    return table([_machine(results), "peak"], rows)


def formulas() -> str:
    """The bytes and operations of each kernel."""
    return table(
        ["kernel", "bytes", "operations"], [[f"`{k}`", words.moved, words.done] for k, words in KERNELS.items()]
    )


def kernels(results: Results, place: int) -> str:
    """Each kernel's bytes and operations, its nearest roof, its measured time and what limits it."""
    found = results["kernels"][place]
    rows = []
    for name, work in found["works"].items():
        cost = Cost(*(work[field] for field in Cost._fields))
        least, which = roof(cost, results["peaks"])
        streamed, near = (work["reads"] + work["writes"]) / 1e6, work["near"] / 1e6
        cells = [f"`{name}`", _short(streamed), _short(near), _short(work["operations"] / 1e6), which]
        cells += [_short(least * 1e3), _short(work["seconds"] * 1e3), f"{least / work['seconds']:.0%}"]
        rows.append([*cells, KERNELS[name].limit])
    head = ["kernel", "arrays, MB", "table, MB", "operations, M", "nearest roof", "bound, ms", "measured, ms", "share"]
    return table([*head, "limited by"], rows)


def crossing(results: Results) -> str:
    """By width: dense speed, and the rate above which the dense product is faster."""
    rows = []
    for one in results["crossing"]:
        multiplied = one["images"] * one["side"] ** 2 * 9 * one["channels"] ** 2
        cells = [one["channels"], f"{one['side']} x {one['side']}", _short(one["dense"] * 1e3)]
        cells += [f"{multiplied / one['dense'] / 1e9:.0f}"]
        for kind in ("floats", "bytes"):
            cells += [_crossed(one[kind], one["dense"]), _short(one["dense"] / one[kind][-1]) + "x"]
        rows.append(cells)
    head = ["channels", "map", "dense, ms", "GMAC/s"]
    for kind in ("float32", "4-bit bytes"):
        head += [f"{kind}: dense wins from", "events against dense at 60%"]
    return table(head, rows)


def _crossed(times: list[float], dense: float) -> str:
    if times[-1] < dense:
        return "not below 60%"
    return f"{float(np.interp(dense, times, RATES)):.0%}"


def halving(results: Results) -> str:
    """By width: the speed-up of a convolution when the rate halves, with and without packing its weights.

    And the fixed share of its time at 10%: the intercept of a straight line at no spikes.
    """
    rows = []
    for one in results["crossing"]:
        for kind, words in (("bytes", "4-bit"), ("floats", "float32")):
            cells = [one["channels"], words]
            for less in (0.0, one["pack"][kind]):
                at = {rate: time - less for rate, time in zip(RATES, one[kind], strict=True)}
                cells += [f"{at[2 * rate] / at[rate]:.2f}" for rate in (0.2, 0.1, 0.05)]
            whole = one[kind][RATES.index(0.1)]
            cells += [f"{one['pack'][kind] / whole:.0%}", f"{max(fixed(one[kind]) - one['pack'][kind], 0) / whole:.0%}"]
            rows.append(cells)
    steps = ["40 to 20%", "20 to 10%", "10 to 5%"]
    head = ["channels", "weights", *steps, *(f"{step}, without packing" for step in steps)]
    return table([*head, "packing, share of the time at 10%", "other fixed cost, share"], rows)


def predicted(results: Results) -> str:
    """By width: each halving's speed-up beside the model's, and the two numbers of the line: measured, and modelled."""
    rows = []
    for one in results["crossing"]:
        size = ConvSize(1, one["images"], one["side"], one["side"], one["channels"], one["channels"])
        for kind, words in (("bytes", "4-bit"), ("floats", "float32")):
            none, slope = forward_line(size, kind == "floats", results["peaks"])
            at = dict(zip(RATES, one[kind], strict=True))
            cells: list[Any] = [one["channels"], words]
            for rate in (0.2, 0.1, 0.05):
                least = (none + 2 * rate * slope) / (none + rate * slope)
                cells.append(f"{at[2 * rate] / at[rate]:.2f} of {least:.2f}")
            cells.append(f"{_short(fixed(one[kind]) * 1e3)} / {_short(none * 1e3)}")
            rows.append([*cells, f"{_short((at[0.4] - at[0.05]) / 35 * 1e6)} / {_short(slope / 100 * 1e6)}"])
    halvings = [f"{step}, measured of model" for step in ("40 to 20%", "20 to 10%", "10 to 5%")]
    head = ["channels", "weights", *halvings, "fixed, ms: measured / model"]
    return table([*head, "each percent of neurons, us: measured / model"], rows)


def steps(results: Results) -> str:
    """By network: the least time of a training step, the measured one, and the share; a sentence if there are none."""
    if not results.get("steps"):
        return f"{_machine(results)}: not measured yet; `python -m benchmarks.roofline` measures it."
    rows: list[list[Any]] = []
    for one in results["steps"]:
        times = [_short(one["bound"] * 1e3), _short(one["seconds"] * 1e3), f"{one['bound'] / one['seconds']:.0%}"]
        rows.append([one["network"], one["T"], one["batch"], f"{one['rate']:.0%}", *times])
    head = [_machine(results), "T", "batch", "neurons that fire", "sum of the roofs, ms", "training step, ms"]
    return table([*head, "share of the limit"], rows)


def _machine(results: Results) -> str:
    return processor.words({"features": None, **results["machine"]})


def fixed(times: list[float]) -> float:
    """The intercept, in seconds, of a straight line through the times at 5, 10 and 20%: the cost without spikes."""
    chosen = [RATES.index(rate) for rate in (0.05, 0.1, 0.2)]
    line = np.polyfit([RATES[i] for i in chosen], [times[i] for i in chosen], 1)
    return max(0.0, float(line[1]))


def curves(results: Results) -> str:
    """Milliseconds by rate, T, bits, width and batch."""
    rows = []
    for name, records in results["curves"].items():
        for record in records:
            value = f"{record['x']:.0%}" if name == "rate" else str(record["x"])
            times = [_short(record[part] * 1e3) if part in record else "" for part in ("forward", "weight", "step")]
            rows.append([name, value, *times])
    return table(["", "", "convolution forward, ms", "weight gradient, ms", "training step, ms"], rows)


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.3g}"
