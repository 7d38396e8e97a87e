"""What long commands say while they run: a line for each epoch, and that kernels are being compiled."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("sklearn")

from rich.console import Console

import qpsnn_core as qp
from qpsnn_core.cli import compiling, show
from qpsnn_core.common.progress import Progress
from qpsnn_core.experiments.demo import DIGITS
from qpsnn_core.kernels.compiling import compilations
from qpsnn_core.training.history import Epoch

pytestmark = pytest.mark.cli
EPOCH = re.compile(r"^(\w+): epoch (\d+)/(\d+), loss [\d.]+, train [\d.]+%(, validation [\d.]+%)?, lr ", re.MULTILINE)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    tiny = replace(
        DIGITS,
        network=replace(DIGITS.network, name="mlp", widths=(8,), steps=2),
        data=replace(DIGITS.data, limit=128),
        train=replace(DIGITS.train, epochs=3, batch=32),
        prune=replace(DIGITS.prune, batches=1, batch=32),
        finetune=replace(DIGITS.finetune, epochs=2, batch=32),
    )
    path.write_text(tiny.to_toml(), encoding="utf-8")
    return path


def told(text: str) -> list[tuple[str, int, int]]:
    """Stage, epoch and epochs of each line, whatever moves the cursor between them."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
    return [(stage, int(epoch), int(epochs)) for stage, epoch, epochs, _ in EPOCH.findall(plain)]


TRAIN = [("train", 1, 3), ("train", 2, 3), ("train", 3, 3)]
FINETUNE = [("finetune", 1, 2), ("finetune", 2, 2)]


def test_train_and_finetune_write_a_line_for_each_epoch(qpsnn, recipe, tmp_path):
    file = tmp_path / "a.h5"
    code, out, err = qpsnn("train", recipe, "--out", file, "--json")
    assert (code, told(err)) == (0, TRAIN)
    assert json.loads(out)["stopped"] is False
    code, out, err = qpsnn("finetune", file, "--out", tmp_path / "b.h5", "--json")
    assert (code, told(err), len(json.loads(out)["history"])) == (0, FINETUNE, 2)
    assert told(qpsnn("train", recipe, "--out", file, "--quiet")[2]) == []


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (("ablate", "--seeds", "1", "--models", "F"), [*TRAIN, *FINETUNE]),
        (("front", "--bits", "4", "--rates", "0.5"), [*TRAIN, *FINETUNE]),
        (("crossvalidate", "--folds", "2"), [*TRAIN, *FINETUNE, *TRAIN, *FINETUNE]),
        (("compress-sweep", "--methods", "rtn", "--sparsities", "0", "--bits", "4", "--images", "32"), TRAIN),
    ],
)
def test_so_do_studies(qpsnn, recipe, tmp_path, command, lines):
    code, out, err = qpsnn(command[0], recipe, *command[1:], "--out", tmp_path / "study", "--json")
    assert (code, told(err)) == (0, lines)
    json.loads(out)


def test_so_does_the_demo(qpsnn, tmp_path, monkeypatch):
    """On a few digits: `make demo` runs it on all."""
    data, network = replace(DIGITS.data, limit=128), replace(DIGITS.network, width=0.125)
    few = replace(DIGITS, data=data, network=network, prune=replace(DIGITS.prune, batches=1, batch=32))
    monkeypatch.setattr("qpsnn_core.cli.demo.DIGITS", few)
    code, out, err = qpsnn("demo", "--backend", "exact", "--lava-images", 2, "--out", tmp_path / "demo", "--json")
    assert (code, told(err)) == (0, [(s, e, 6) for s in ("train", "finetune") for e in range(1, 7)])
    json.loads(out)


def test_compress_writes_a_line_for_each_tenth(qpsnn, recipe, tmp_path):
    file = tmp_path / "a.h5"
    assert qpsnn("train", recipe, "--out", file)[0] == 0
    code, _, err = qpsnn("compress", file, "--sparsity", 0.5, "--bits", 4, "--out", tmp_path / "b.h5", "--json")
    stages = re.findall(r"^(calibrate|prune): ([\d,]+) of ([\d,]+)$", err, re.MULTILINE)
    assert code == 0
    for stage in ("calibrate", "prune"):
        own = [(done, total) for name, done, total in stages if name == stage]
        assert 1 <= len(own) <= 10, (stage, err)
        assert own[-1][0] == own[-1][1]


def stop_in(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Ctrl-C in the first batch of that epoch."""
    there = show.Told.__call__

    def call(self: show.Told, event: Progress) -> None:
        there(self, event)
        if (event.epoch, event.batch) == (epoch, 1):
            raise KeyboardInterrupt

    monkeypatch.setattr(show.Told, "__call__", call)


@pytest.mark.parametrize("form", ["table", "json"])
def test_an_interrupted_training_prints_the_epochs_that_it_finished(qpsnn, recipe, tmp_path, monkeypatch, form):
    stop_in(monkeypatch, 3)
    file = tmp_path / "a.h5"
    code, out, err = qpsnn("train", recipe, "--out", file, *(["--json"] if form == "json" else []))
    assert code == 130
    assert told(err) == TRAIN[:2]
    assert f"the same command with --resume goes on from {file}" in err
    if form == "json":
        found = json.loads(out)
        assert ([epoch["epoch"] for epoch in found["history"]], found["stopped"]) == ([1, 2], True)
    else:
        assert re.findall(r"^│ (\d+) ", out, re.MULTILINE) == ["1", "2"]


def test_one_that_is_interrupted_before_it_begins_promises_nothing(qpsnn, recipe, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(qp, "train", interrupted)
    code, out, err = qpsnn("train", recipe, "--out", tmp_path / "a.h5")
    assert (code, out) == (130, "")
    assert "--resume" not in err


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(show, "err", Console(file=text, force_terminal=True, width=160, color_system=None))
    return text


def test_on_a_terminal_bars_come_first_and_lines_only_after_an_interrupt(qpsnn, recipe, tmp_path, monkeypatch):
    text = terminal(monkeypatch)
    assert qpsnn("train", recipe, "--out", tmp_path / "a.h5")[0] == 0
    assert told(text.getvalue()) == []
    stop_in(monkeypatch, 2)
    text = terminal(monkeypatch)
    assert qpsnn("front", recipe, "--out", tmp_path / "front", "--bits", "4", "--rates", "0.5")[0] == 130
    assert told(text.getvalue()) == TRAIN[:1]


def history(count: int) -> list[Epoch]:
    return [Epoch(number, 1.0, 0.5, None, 0.1, 0.2, 3.0) for number in range(1, count + 1)]


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (30, 30), (31, 31), (32, 30), (300, 30)])
def test_a_long_table_says_what_it_leaves_out(capsys, count, shown):
    show.epochs("train", history(count), "so it is", "")
    out = capsys.readouterr().out
    numbers = [int(number) for number in re.findall(r"^│ (\d+) ", out, re.MULTILINE)]
    assert len(numbers) == shown
    assert (numbers[0], numbers[-1]) == (1, count)
    said = f"{count - shown} of {count} epochs are left out; so it is" if shown < count else "left out"
    assert (said in out) == (shown < count)


def test_the_command_that_the_table_names_prints_all(qpsnn, recipe, tmp_path):
    file = tmp_path / "a.h5"
    qpsnn("train", recipe, "--out", file)
    code, out, err = qpsnn("train", recipe, "--out", file, "--resume", "--json")
    assert (code, [epoch["epoch"] for epoch in json.loads(out)["history"]], told(err)) == (0, [1, 2, 3], [])


def test_a_notice_of_compiling_is_one_line_where_there_is_no_terminal(capsys):
    notice = compiling.Notice()
    for _ in range(3):
        notice.started()
        notice.started()
        notice.ended()
        notice.ended()
    assert capsys.readouterr().err == f"{compiling.TEXT}\n"
    with show.bars(quiet=True):
        compiling.Notice().started()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("beside", [False, True])
def test_on_a_terminal_it_is_a_bar_that_goes_away(monkeypatch, beside):
    text = terminal(monkeypatch)
    notice = compiling.Notice()

    def compile_two() -> None:
        for _ in range(2):
            notice.started()
            notice.ended()

    if beside:
        with show.bars() as listen:
            listen(Progress("train", 1, 2, 1, 2, 0.5, 0.5))
            compile_two()
            assert [task.description for task in show.board.bars.tasks] == ["train"]
    else:
        compile_two()
    assert compiling.TEXT in text.getvalue()
    assert show.board.bars is None


MODULE = "from numba import njit\n@njit(cache=True)\ndef inner(x):\n    return x + 1\n" + (
    "@njit(cache=True)\ndef outer(x):\n    return inner(x) * 2\n"
)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="nothing is compiled")
def test_what_is_compiled_is_told_once_and_what_is_cached_never(tmp_path, monkeypatch):
    file = tmp_path / "made.py"
    file.write_text(MODULE)
    counts = []
    for _ in range(2):
        spec = spec_from_file_location("made", file)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        events: list[int] = []
        with compilations(lambda kept=events: kept.append(1), lambda kept=events: kept.append(-1)):
            assert module.outer(3) == 8
        assert sum(events) == 0
        counts.append(len(events))
    assert counts == [4, 0]
