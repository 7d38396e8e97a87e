"""The benchmarks of local learning: what they measure, and that a missed target is their exit status."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import benched  # noqa: F401 - makes the benchmarks importable
from benchmarks import local, local_losses
from qpsnn_core.kernels.threads import set_threads, threads
from qpsnn_core.local_learning.decolle import LocalConv


@pytest.fixture(autouse=True)
def as_before():
    count = threads()
    yield
    set_threads(count)


@pytest.mark.slow
def test_diehl_cook_is_measured_learning_and_not(monkeypatch, capsys, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (54, 28, 28, 1)).astype(np.uint8)
    monkeypatch.setattr(local, "load_mnist", lambda *_, **__: SimpleNamespace(train=SimpleNamespace(images=images)))
    monkeypatch.setattr(local, "FORMS", {"float32": local.FLOAT})
    monkeypatch.setattr(local, "SETTLED", 4)
    assert local.main(["--data", str(tmp_path), "--neurons", "8", "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert "BindsNET was not measured" in said
    assert [line.split()[1:-1] for line in said.splitlines() if line.lstrip("| ").startswith("float32")] != []


@pytest.mark.slow
def test_decolle_is_measured_and_a_missed_target_is_said(monkeypatch, capsys):
    monkeypatch.setitem(local_losses.SHAPES, "narrow", (LocalConv(4, 3, 1, 2),))
    assert local_losses.main(["--alone", "--samples", "1", "--steps", "2", "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("learning", "responding", "responding, filtered"))
    monkeypatch.setattr(local_losses, "theirs", lambda *_: {"learning": lambda: None, "responding": lambda: None})
    assert local_losses.main(["--samples", "1", "--steps", "2", "--rounds", "1"]) == 1


def test_rounds_take_turns_and_the_least_counts(monkeypatch):
    order, clock = [], iter([0, 5, 0, 1, 0, 3, 0, 2])
    monkeypatch.setattr(local.time, "thread_time", lambda: next(clock))
    contestants = {name: ((lambda name=name: order.append(name)), 2) for name in ("a", "b")}
    found = local.measure({(name, True): one for name, one in contestants.items()}, 2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert found == {("a", True): 1500, ("b", True): 500}
