"""Each kernel against the processor's limits, and how cost grows: the figures of docs/performance.md.

    python -m benchmarks.roofline [--seconds 0.3] [--out benchmarks/roofline.json] [--docs docs] [--draw]

One thread; calls take turns; the minimum of many by the thread's own clock. About five minutes. --draw: tables and
plots from the file as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks import processor
from benchmarks.results import load, machine, save
from benchmarks.roofline import curves as roofline_curves
from benchmarks.roofline import kernels as roofline_kernels
from benchmarks.roofline import page, plot
from benchmarks.roofline import peaks as roofline_peaks
from benchmarks.roofline import steps as roofline_steps
from benchmarks.roofline.layer import LayerSize
from qpsnn_core.kernels import threads

LAYERS = (LayerSize(), LayerSize(channels=256, side=8, batch=16))


def measure(
    seconds: float,
    layers: tuple[LayerSize, ...] = LAYERS,
    widths: tuple[tuple[int, int, int], ...] = roofline_curves.WIDTHS,
    points: dict[str, dict[Any, roofline_curves.Point]] | None = None,
    sizes: tuple[int, ...] = roofline_peaks.SIZES,
    networks: dict[str, dict[str, Any]] = roofline_steps.NETWORKS,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Everything, about `seconds` for each call. On one thread, whatever was set, also of BLAS."""
    began, before = perf_counter(), threads.threads()
    threads.set_threads(1)
    try:
        with single_blas():
            tell("peaks")
            peaks = roofline_peaks.measure(seconds, sizes)
            tell("kernels")
            kernels = [roofline_kernels.measure(layer, seconds) for layer in layers]
            tell("crossing")
            crossing = roofline_curves.crossing(seconds, widths)
            tell("steps")
            steps = roofline_steps.measure(seconds, peaks, networks)
            tell("curves")
            curves = roofline_curves.curves(seconds, roofline_curves.points() if points is None else points)
    finally:
        threads.set_threads(before)
    return {
        "command": "python -m benchmarks.roofline",
        "machine": machine(),
        "duration_s": round(perf_counter() - began, 1),
        "peaks": peaks,
        "kernels": kernels,
        "crossing": crossing,
        "curves": curves,
        "steps": steps,
    }


def single_blas() -> Any:
    """A context in which BLAS keeps to one thread."""
    import threadpoolctl  # of the environment of benchmarks; the tables are written without it

    return threadpoolctl.threadpool_limits(limits=1, user_api="blas")


def another_kind(path: Path) -> str:
    """The processor that the file is of, if it is another kind than this one and says so."""
    kind = load(path)["machine"] if path.exists() else {}
    known = kind.get("features") is not None and processor.slug(kind) != processor.slug(processor.describe())
    return processor.words(kind) if known else ""


def main() -> None:
    """Measure, unless only to draw; write the file, the page's tables and the plots."""
    parser = argparse.ArgumentParser(description="the roofs of the kernels, and how cost grows")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each call")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/roofline.json"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if not options.draw:
        other = another_kind(options.out)
        if other:
            parser.error(
                f"--out: {options.out}: expected a file of this processor, got one of {other}; its page has"
                " judgements of that one: name another file and another folder of docs"
            )
    if not options.draw:
        save(measure(options.seconds), options.out)
    results = load(options.out)
    page.write(results, options.docs / "performance.md")
    for path in plot.draw(results, options.docs):
        print(path)


if __name__ == "__main__":
    main()
