"""The edges of a training's arguments, and the words with which a run refuses to go on as another."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace

import pytest
import small

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_core.training.train import ignore_sigint, train

CONFIG = TrainConfig(epochs=1, batch=20)


@pytest.mark.parametrize("every", [0, -1, 1.0, 1.5, True, None, "1"])
def test_checkpoints_come_after_whole_epochs(every):
    with pytest.raises(ConfigError, match="every: expected a whole number of epochs, at least 1"):
        train(small.model(), small.split(), CONFIG, every=every)


def test_what_differs_from_the_run_that_began_is_named(tmp_path):
    place, model = tmp_path / "run.h5", small.model()
    train(model, small.split(), CONFIG, checkpoint=place)
    began = load_checkpoint(place).model.network.digest()[:12]
    other = small.network(steps=4)
    with pytest.raises(ConfigError) as caught:
        train(other, small.split(), CONFIG, checkpoint=place, resume=True)
    assert str(caught.value) == f"{place}: network: expected {began}, got '{other.digest()[:12]}'"
    for name, old, new in (("lr", CONFIG.lr, CONFIG.lr / 2), ("lr", CONFIG.lr, CONFIG.lr * 2), ("epochs", 1, 2)):
        with pytest.raises(ConfigError) as caught:
            train(model, small.split(), replace(CONFIG, **{name: new}), checkpoint=place, resume=True)
        assert str(caught.value) == f"{place}: config.{name}: expected {old}, as the run began, got {new}"


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, print])
def test_the_handler_of_ctrl_c_is_put_back(before):
    ours = signal.signal(signal.SIGINT, before)
    try:
        with ignore_sigint():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, ours)


def test_another_thread_leaves_the_handler_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with ignore_sigint():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
