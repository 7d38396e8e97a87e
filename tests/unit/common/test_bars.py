"""`progress=True` of every verb that takes a listener: bars on a terminal, lines in a file, and what is missing."""

from __future__ import annotations

import inspect
import io
import sys

import pytest
import small
from numba.core import event

import qpsnn_core as qp
from qpsnn_core.common import bars
from qpsnn_core.common.errors import ArgumentError, DataError
from qpsnn_core.common.progress import Progress
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.kernels import compiling
from qpsnn_core.kernels.compiling import EVENT, TEXT
from qpsnn_core.kernels.counter_random import seed_word

CONFIG = qp.TrainConfig(epochs=2, batch=20)
VERBS = [name for name in qp.__all__ if inspect.isfunction(getattr(qp, name))]
TOLD = {name: inspect.signature(getattr(qp, name)).parameters.get("progress") for name in VERBS}
LISTENED = [name for name, one in TOLD.items() if one is not None and "Listener" in str(one.annotation)]


def call(name, progress):
    model, data = small.model(), small.split()
    calls = {
        "train": lambda: qp.train(small.network(), data, CONFIG, progress=progress),
        "finetune": lambda: qp.finetune(model, data, CONFIG, progress=progress),
        "evaluate": lambda: qp.evaluate(model, data, progress=progress),
        "predict": lambda: qp.predict(model, data, progress=progress),
        "score": lambda: qp.score(model, data, progress=progress),
        "compress": lambda: qp.compress(model, data, sparsity=0.1, batches=1, progress=progress),
        "recalibrate": lambda: qp.recalibrate(model, data, batch=20, progress=progress),
        "find_learning_rate": lambda: qp.find_learning_rate(
            small.network(), data, CONFIG, low=1e-3, high=1.0, updates=10, progress=progress
        ),
    }
    return calls[name]()


def test_these_are_all_verbs_that_tell_of_progress():
    assert set(LISTENED) == {
        *("train", "finetune", "evaluate", "predict", "score", "compress", "recalibrate"),
        *("find_learning_rate", "run"),
    }


@pytest.mark.parametrize("name", [name for name in LISTENED if name != "run"])
def test_a_terminal_shows_bars_that_vanish(name, monkeypatch):
    console = pytest.importorskip("rich.console")
    text = io.StringIO()
    made = console.Console(file=text, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(console, "Console", lambda **options: made)
    call(name, True)
    stage = {"compress": "calibrate", "find_learning_rate": "find_learn"}.get(name, name)
    assert stage in text.getvalue()
    assert text.getvalue().rstrip(" ").endswith("\x1b[2K")


def test_a_file_gets_a_line_for_each_epoch(capsys):
    pytest.importorskip("rich")
    done = call("train", True)
    lines = [line for line in capsys.readouterr().err.strip().split("\n") if line != TEXT]
    assert [line.split(",")[0] for line in lines] == ["train: epoch 1/2", "train: epoch 2/2"]
    assert lines == [bars.epoch_line("train", 2, epoch) for epoch in done.history]


def compiled(function):
    """As Numba says it of a function that it compiles."""
    with event.trigger_event(EVENT, data={"dispatcher": function}):
        pass


class Kernel:
    """What Numba makes of a function of ours."""

    py_func = seed_word


class Theirs:
    """Of the user's."""

    py_func = compiled


@shows_progress
def work(*, progress=None):
    compiled(Kernel)
    compiled(Kernel)


def test_with_progress_kernels_that_are_compiled_are_told_once(capsys):
    pytest.importorskip("rich")
    work(progress=True)
    assert capsys.readouterr().err == f"{TEXT}\n"
    work(progress=None)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_they_are_a_bar(monkeypatch):
    console = pytest.importorskip("rich.console")
    text = io.StringIO()
    made = console.Console(file=text, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(console, "Console", lambda **options: made)
    work(progress=True)
    assert "\x1b[2K" in text.getvalue().split(TEXT)[-1]


class Terminal(io.StringIO):
    """Standard error of a person."""

    def isatty(self):
        return True


def test_without_progress_a_terminal_is_told_once_of_ours_alone(monkeypatch):
    text = Terminal()
    monkeypatch.setattr(sys, "stderr", text)
    monkeypatch.setattr(compiling.terminal, "said", False)
    compiled(Theirs)
    with compiling.compilations(lambda: None, lambda: None):
        compiled(Kernel)
    assert text.getvalue() == ""
    compiled(Kernel)
    compiled(Kernel)
    assert text.getvalue() == f"qpsnn: {TEXT}\n"


def test_a_run_has_them(tmp_path, capsys):
    pytest.importorskip("rich")
    small.split().save(tmp_path / "set.h5")
    qp.save_network(tmp_path / "net.json", small.network())
    tables = {
        "network": {"file": str(tmp_path / "net.json"), "steps": 3},
        "data": {"name": "saved", "path": str(tmp_path / "set.h5")},
        "train": {"epochs": 1, "batch": 20},
        "prune": {"rates": 0.0},
    }
    qp.run(qp.recipe_from_dict(tables), tmp_path / "out", progress=True)
    assert "train: epoch 1/1" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in LISTENED if name != "run"])
def test_what_is_no_listener_is_refused(name):
    with pytest.raises(ArgumentError, match=rf"{name}\.progress: expected a function of a Progress, True to"):
        call(name, "yes")
    assert call(name, False) is not None


def test_without_rich_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(DataError, match=r"progress: expected rich, which draws bars \(.*cli"):
        call("evaluate", True)


def failing():
    with bars.drawn_bars() as listener:
        listener(Progress("train", 1, 2, 1, 4, 0.5, None))
        raise ZeroDivisionError


def test_an_exception_takes_the_bars_away(monkeypatch):
    console = pytest.importorskip("rich.console")
    made = console.Console(file=io.StringIO(), force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "Console", lambda **options: made)
    with pytest.raises(ZeroDivisionError):
        failing()
    assert made._live_stack == [] if hasattr(made, "_live_stack") else made._live is None
