"""Scalars for TensorBoard: one for each figure of each epoch, none twice after a run went on."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import small
from runs import Stop

from qpsnn_core.common.errors import DataError, FileError
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.tensorboard import TAGS
from qpsnn_core.training.train import finetune, train

CONFIG = TrainConfig(epochs=3, batch=8, optimizer="adam", lr=0.02)


@pytest.fixture
def written(monkeypatch):
    """What a writer that keeps all in memory was given, in the place of tensorboardX's."""
    calls = []

    class SummaryWriter:
        def __init__(self, logdir, purge_step=None):
            calls.append(("open", logdir, purge_step))

        def add_scalar(self, tag, value, step):
            calls.append((tag, value, step))

        def flush(self):
            pass

        def close(self):
            calls.append(("close",))

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    return calls


def test_every_figure_of_every_epoch_is_written(written, tmp_path):
    done = train(small.network(), small.split(), CONFIG, tensorboard=tmp_path / "log")
    assert (written[0], written[-1]) == (("open", str(tmp_path / "log"), None), ("close",))
    assert written[1:-1] == [
        (tag, getattr(epoch, name), epoch.epoch)
        for epoch in done.history
        for name, tag in sorted(TAGS.items(), key=lambda item: list(epoch.__dict__).index(item[0]))
    ]
    written.clear()
    finetune(small.model(), small.dataset(), replace(CONFIG, epochs=1), tensorboard=tmp_path / "log")
    assert {call[0] for call in written} == {
        "open",
        "close",
        *(set(TAGS.values()) - {"loss/validation", "accuracy/validation"}),
    }


def test_a_run_that_goes_on_purges_what_came_after_its_checkpoint(written, tmp_path):
    options = {"checkpoint": tmp_path / "a.h5", "tensorboard": tmp_path / "log"}
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), small.dataset(), CONFIG, progress=Stop(7), **options)
    assert written[-1] == ("close",)
    assert {call[2] for call in written if len(call) == 3 and call[0] != "open"} == {1}
    written.clear()
    train(small.network(), small.dataset(), CONFIG, resume=True, **options)
    assert written[0] == ("open", str(tmp_path / "log"), 2)
    assert {call[2] for call in written[1:-1]} == {2, 3}


def test_what_is_missing_is_said_before_training(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(DataError, match=r"train\.tensorboard: expected tensorboardX, .* \(.*\[tensorboard\]"):
        train(small.network(), small.dataset(), CONFIG, tensorboard=tmp_path / "log", progress=Stop(1))


def test_a_folder_that_cannot_be_is_named(written, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileError, match="expected a folder to write to"):
        train(small.network(), small.dataset(), CONFIG, tensorboard=tmp_path / "file", progress=Stop(1))


def test_the_library_takes_them(tmp_path):
    pytest.importorskip("tensorboardX")
    train(small.network(), small.split(), replace(CONFIG, epochs=1), tensorboard=tmp_path)
    (file,) = tmp_path.glob("events.out.tfevents.*")
    contents = file.read_bytes()
    assert all(tag.encode() in contents for tag in TAGS.values())
