"""`qpsnn demo`: run it, print one table, write report.json and report.png."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.run import print_agreement, print_rows
from qpsnn_core.common.atomic import save_json, writable_folder
from qpsnn_core.common.install import install_command
from qpsnn_core.experiments.data_choice import described
from qpsnn_core.experiments.demo import DIGITS, DIGITS_EVENTS, Demo, as_json, run_demo


def write_demo(out: Path, *, events: bool, images: int, backend: str, as_json: bool, quiet: bool) -> None:
    """Run the demo into the folder `out`; exit status 1 if integers and backend differ anywhere."""
    writable_folder(out)
    with show.bars(quiet) as listen:
        log = (lambda text: None) if quiet else show.log
        options: dict[str, Any] = {"images": images, "backend": backend, "save": out / "network.h5"}
        done = run_demo(DIGITS_EVENTS if events else DIGITS, **options, progress=listen, log=log)
    name = "qpsnn demo --events" if events else "qpsnn demo"
    report = _write(out, done, name)
    if as_json:
        show.print_json(report)
    else:
        _print(out, done, name)
    if not done.report.agrees:
        raise typer.Exit(1)


def _write(out: Path, done: Demo, name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(json.dumps(as_json(done), default=show.plain))
    save_json(out / "report.json", report)
    try:
        from qpsnn_core.experiments.plots import report as plot
    except ModuleNotFoundError as error:
        show.log(f"no report.png: it needs {error.name}, {install_command('plot')}")
        return report
    plot.report(
        out / "report.png",
        spikes=done.spikes,
        codes=done.codes,
        scores=done.scores.values,
        kept=done.kept,
        stages=[(row.name, row.figures["accuracy"]) for row in done.report.rows],
        title=f"{name} on {described(done.report.data)}: 4-bit weights, half of the channels, the same spikes on Lava",
    )
    return report


def _print(out: Path, done: Demo, name: str) -> None:
    print_rows(name, done.report)
    print_agreement("trained against integer", done.rounding, " (rounding to integers)")
    print_agreement(f"integer against {done.backend.capitalize()}", done.backend_run)
    written = f"written: {out / 'report.json'}, {out / 'report.png'}, {out / 'network.h5'}"
    show.out.print(written, highlight=False, soft_wrap=True)
