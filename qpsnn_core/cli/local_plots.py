"""`qpsnn plot fields`, `plot learning` and `plot precision`: figures of networks that learn locally."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qpsnn_core.cli import plots
from qpsnn_core.cli.options import File, Json
from qpsnn_core.cli.plots import FIGURES, Folder, drawing_of, tell
from qpsnn_core.common.errors import ConfigError, FormatError, ShapeError, Unquoted, expected
from qpsnn_core.common.install import missing_extra
from qpsnn_core.experiments.precision_results import Evaluation, read_json
from qpsnn_core.local_learning import dequantized, load_local

app = plots.app
"""With the commands of this module, too."""


@app.command()
def fields(
    checkpoint: File,
    out: Folder = FIGURES,
    shape: Annotated[str, typer.Option("--shape", help="HEIGHTxWIDTHxCHANNELS; else a square of one channel.")] = "",
    as_json: Json = False,
) -> None:
    """The receptive fields of a network that learnt by STDP, as a grid of images."""
    loaded = load_local(checkpoint)
    sides = _shape(shape, loaded.model.network.inputs)
    names = None if loaded.named is None else loaded.named.assignments.tolist()
    figure = _drawing().receptive_fields(dequantized(loaded.model).weights, sides, names)
    tell(drawing_of().save(figure, out, "fields"), {"shape": list(sides), "classes": names}, as_json)


@app.command()
def learning(checkpoint: File, out: Folder = FIGURES, as_json: Json = False) -> None:
    """Thresholds and spikes while a network learnt by STDP."""
    history = load_local(checkpoint).notes.get("history", [])
    if not history:
        raise ConfigError(
            expected(str(checkpoint), "a network that `qpsnn learn` made", Unquoted("one without a history"))
        )
    tell(drawing_of().save(_drawing().learning_course(history), out, "learning"), history, as_json)


@app.command()
def precision(
    results: Annotated[Path, typer.Argument(help="results.json of qspinn.")],
    out: Folder = FIGURES,
    as_json: Json = False,
) -> None:
    """Accuracy against bits (Figs. 10, 11) and against memory, with the chosen network (Fig. 12)."""
    found, evaluations, chosen = _results(results)
    drawing, save = _drawing(), drawing_of().save
    paths = save(drawing.accuracy_of_bits(evaluations, found["baseline"]), out, "precision-bits")
    paths += save(drawing.accuracy_of_memory(found, evaluations, chosen), out, "precision-memory")
    figures = {name: found[name] for name in ("baseline", "target", "mu", "count")}
    tell(paths, {**figures, "chosen": None if chosen is None else chosen.title}, as_json)


def _results(path: Path) -> tuple[dict[str, Any], list[Evaluation], Evaluation | None]:
    found = read_json(path)
    try:
        lists = {name: [_evaluation(one) for one in found[name]] for name in ("front", "evaluations")}
        chosen = None if found["chosen"] is None else _evaluation(found["chosen"])
        figures = {name: float(found[name]) for name in ("baseline", "target", "mu")}
        return {**figures, "count": int(found["count"]), "front": lists["front"]}, lists["evaluations"], chosen
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: not the results of qspinn: {error}") from error


def _evaluation(plain: dict[str, Any]) -> Evaluation:
    given = {name: value for name, value in plain.items() if name != "title"}
    return Evaluation(**{**given, "saturated": tuple(given["saturated"])})


def _shape(text: str, inputs: int) -> tuple[int, int, int]:
    if not text:
        side = round(inputs**0.5)
        sides = (side, side, 1)
    else:
        words = text.split("x")
        if len(words) != 3 or not all(word.isdigit() for word in words):
            raise ConfigError(expected("--shape", "HEIGHTxWIDTHxCHANNELS, such as 28x28x1", text))
        sides = (int(words[0]), int(words[1]), int(words[2]))
    if sides[0] * sides[1] * sides[2] != inputs:
        raise ShapeError(expected("--shape", f"{inputs} numbers, as the network has inputs", "x".join(map(str, sides))))
    return sides


def _drawing() -> Any:
    try:
        from qpsnn_core.experiments.plots import local
    except ImportError as error:
        raise missing_extra("plot", "matplotlib, which draws", "plot", error) from error
    return local
