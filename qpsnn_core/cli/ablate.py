"""`qpsnn ablate`: Tables 2 and 3 from a recipe."""

from __future__ import annotations

from pathlib import Path

from qpsnn_core import ablation
from qpsnn_core.cli import show
from qpsnn_core.cli.files import data_of
from qpsnn_core.config import load_recipe


def run(recipe: Path, out: Path, seeds: int, models: str, as_json: bool, quiet: bool) -> None:
    """Run what is missing, and print the table."""
    chosen = load_recipe(recipe)
    names = [name.strip() for name in models.split(",")] if models else list(ablation.VARIANTS)
    with show.bars(quiet) as listen:
        say = (lambda text: None) if quiet else show.say
        results = ablation.run(chosen, data_of(chosen), out, seeds=seeds, models=names, progress=listen, say=say)
    rows = ablation.table(results)
    if as_json:
        show.print_json({"table": [r._asdict() for r in rows], "results": [r._asdict() for r in results]})
        return
    heads = ("model", "what", "seeds", "accuracy, %", "spread", "against", "gain, points", "its spread")
    cells = [
        (r.model, r.text, r.seeds, f"{r.mean:.2f}", _two(r.spread), r.against or "-", _two(r.gain), _two(r.gain_spread))
        for r in rows
    ]
    show.table(f"Tables 2 and 3: {recipe}", heads, cells)


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
