"""Write formats/: a small file of every format, and expected.json, what a reader must recover from each.

The files are those of the format before the packages were laid out in rooms. They are never made again: a reader of
today must read the files of then. Run in `tests/`, `python -m golden.make_formats` makes everything anew in a temporary
folder and copies only what formats/ does not have yet, so that a new format, or a new field, gets a file of its own
beside the old ones. Times of the clock are set to fixed numbers; all else follows from seeds.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
from golden import facts, format_parts

import qpsnn_core as qp
from qpsnn_datasets import Augment, Split
from qpsnn_datasets.events import import_events

SECONDS = 0.5


def command(*words: object) -> str:
    """A command of the command line, in this process; what it printed."""
    from qpsnn_core.cli import main as cli

    said = io.StringIO()
    old, sys.argv = sys.argv, ["qpsnn", *map(str, words)]
    try:
        with contextlib.redirect_stdout(said):
            cli()
    except SystemExit as stop:
        if stop.code:
            raise RuntimeError(f"{words}: {stop.code}: {said.getvalue()}") from stop
    finally:
        sys.argv = old
    return said.getvalue()


def interrupted(recipe: Any, table: str, start: Any, data: Any, path: str, after: int) -> None:
    """A training, or fine-tuning, that Ctrl-C ends after so many batches."""
    done = 0

    def stop(progress: Any) -> None:
        nonlocal done
        done += progress.stage == table
        if done == after:
            raise KeyboardInterrupt

    verb = {"train": qp.train, "finetune": qp.finetune}[table]
    options: dict[str, Any] = {"augment": Augment(flip=True), "recipe": recipe.to_dict(), "notes": {"by": "the script"}}
    with contextlib.suppress(KeyboardInterrupt):
        verb(start, data, getattr(recipe, table), checkpoint=path, progress=stop, **options)
    if done != after:
        raise RuntimeError(f"{path}: {done} batches, not {after}")


def still(path: Path) -> None:
    """A checkpoint without times of the clock."""
    found = qp.load_checkpoint(path)
    history = tuple(replace(epoch, seconds=SECONDS) for epoch in found.history)
    position = replace(found.position, seconds=SECONDS if found.position.batches else 0.0) if found.position else None
    notes = json.loads(json.dumps(found.notes))
    if "compressed" in notes:
        notes["compressed"]["seconds"] = SECONDS
    versions = {**found.versions, "made by": "make_formats.py"}  # not those of who reads it
    qp.save_checkpoint(path, replace(found, history=history, position=position, notes=notes, versions=versions))


def still_results(path: Path) -> None:
    """Results without times of the clock; the fixed ones are unlikely, so that a cell that ran again is seen."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if path.parent.name == "folds":
        del found["results"][1:]
    for number, one in enumerate(found["results"]):
        for name in {"minutes", "seconds", "epoch_seconds"} & set(one):
            one[name] = 1000.25 + number
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def write_models() -> None:
    """Checkpoints and integer networks of images, with every kind of node."""
    data = Split(format_parts.dataset(24), format_parts.dataset(9, 24))
    network = qp.Network.from_json(Path("network.json").read_text(encoding="utf-8"))
    config = qp.TrainConfig(epochs=2, batch=6, optimizer="adam", lr=0.02, seed=1)
    trained = qp.train(network, data, config, checkpoint="model.h5").model
    pruned = qp.prune(trained, qp.score(trained, data.train, batches=2, batch=6), 0.4)
    kept = {name: channels.tolist() for name, channels in pruned.kept.items()}
    qp.save_checkpoint("pruned.h5", qp.Checkpoint(pruned.model, notes={"kept": kept}))
    qp.save_integer("integer.h5", qp.lower(pruned.model).network)
    chain = qp.initialise(qp.Network.from_json(format_parts.network_text(format_parts.CHAIN)), 5)
    qp.save_integer("integer-chain.h5", qp.lower(chain, fraction_bits=0).network)
    command("export", "integer-chain.h5", "--netx", "network.netx")


def write_runs() -> None:
    """Runs of a recipe on events: stopped ones, and studies of which a part is done."""
    recipe = qp.load_recipe("study.toml")
    data = qp.load_data("events", "events.h5", steps=recipe.network.steps)
    network = recipe.network.build((4, 4, 2), 2, events=True)
    interrupted(recipe, "train", network, data, "stopped.h5", 4)
    shutil.copy("stopped.h5", "finished.h5")
    command("train", "study.toml", "--out", "finished.h5", "--resume", "--quiet")
    interrupted(recipe, "finetune", qp.load_model("finished.h5"), data, "stopped-tuning.h5", 2)
    shutil.copy("stopped-tuning.h5", "tuned.h5")
    command("finetune", "finished.h5", "--out", "tuned.h5", "--resume", "--quiet")
    command("compress", "finished.h5", "--out", "compressed.h5", "--sparsity", 0.8, "--bits", 4, "--quiet")
    command("lower", "compressed.h5", "--out", "integer-sparse.h5")
    command("export", "integer-sparse.h5", "--nir", "exact.nir", "--exact")
    command("ablate", "study.toml", "--out", "ablation", "--models", "A", "--seeds", 1, "--quiet")
    interrupted(recipe, "train", network, data.train, "ablation/rescaw-0.h5", 4)
    command("front", "study.toml", "--out", "front", "--bits", 4, "--rates", 0, "--quiet")
    command("crossvalidate", "study.toml", "--out", "folds", "--folds", 2, "--quiet")
    sweep = ("compress-sweep", "study.toml", "--out", "sweep", "--methods", "osbc", "--sparsities", 0.5)
    command(*sweep, "--bits", 4, "--images", 4, "--quiet")
    with h5py.File("sweep/first-pass-osbc-0.h5", "r+") as file:
        file.attrs["seconds"] = SECONDS
    for path in ("ablation/vanilla-0.h5", "front/trained-4-0.h5", "folds/fold-1.h5"):
        Path(path).unlink()  # the first two are not needed again, and the last fold is to be done by the test


def make() -> None:
    """Everything, in the current folder."""
    format_parts.recordings(Path("recordings"))
    import_events("recordings", "events.h5", format="numpy", sensor=(4, 4), repair=("sort",))
    shutil.rmtree("recordings")
    for name, nodes in format_parts.networks().items():
        text = qp.Network.from_json(format_parts.network_text(nodes)).to_json()
        Path(name).write_text(text + "\n", encoding="utf-8")
    for name, tables in (("study.toml", format_parts.STUDY), ("recipe.toml", format_parts.EVERY_FIELD)):
        Path(name).write_text(qp.recipe_from_dict(tables).to_toml(), encoding="utf-8")
    Path("by-hand.toml").write_text(format_parts.BY_HAND, encoding="utf-8")
    Path("paper.toml").write_text(format_parts.PAPER, encoding="utf-8")
    write_models()
    write_runs()


def text(found: dict[str, Any]) -> str:
    """JSON with each list of plain values on one line."""
    indented = json.dumps(found, indent=1, sort_keys=True)
    return re.sub(r"\[[^][{}]*\]", lambda part: re.sub(r"\s+", " ", part.group()), indented) + "\n"


def add(path: Path) -> bool:
    """Copy a file to formats/, unless it has one of that name. HDF5 is packed: so small a file is mostly empty."""
    content = path.read_bytes()
    target = facts.FOLDER / path
    if path.suffix in facts.PACKED:
        target, content = target.with_name(f"{path.name}.gz"), gzip.compress(content, mtime=0)
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return True


def main() -> None:
    """Make everything, and copy what is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path.cwd()
        os.chdir(folder)
        make()
        made = sorted(path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
        for path in made:
            with contextlib.suppress(qp.errors.FileError):
                still(path)
            if path.name == "results.json":
                still_results(path)
        expected_at = facts.FOLDER / "expected.json"
        expected = json.loads(expected_at.read_text(encoding="utf-8")) if expected_at.exists() else {}
        for path in made:
            if str(path) in expected or not add(path):
                continue
            if reader := facts.reader(str(path)):
                expected[str(path)] = reader(path)
        os.chdir(here)
    expected_at.write_text(text(expected), encoding="utf-8")


if __name__ == "__main__":
    main()
