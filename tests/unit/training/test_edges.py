"""The edges of a training's arguments, and the words with which a run refuses to go on as another."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest
import small

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.optim.optimizers import State
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_core.training import train as training
from qpsnn_core.training.history import Cursor
from qpsnn_core.training.resume import flat, resumed_state
from qpsnn_core.training.train import ignore_sigint, train

CONFIG = TrainConfig(epochs=1, batch=20)


@pytest.mark.parametrize("every", [0, -1, 1.0, 1.5, True, None, "1"])
def test_checkpoints_come_after_whole_epochs(every):
    with pytest.raises(ConfigError, match="every: expected a whole number of epochs, at least 1"):
        train(small.model(), small.split(), CONFIG, every=every)


def resumed(network, settings, began):
    """A checkpoint of a run of small.model() with the settings `began`, resumed with others, on a network."""
    past = SimpleNamespace(
        model=small.model(), optimizer=State(7, {}), position=Cursor(0, settings=began), history=("an epoch",)
    )
    return resumed_state(SimpleNamespace(settings=settings), network, past, "run.h5")


def test_a_run_goes_on_with_what_it_had():
    began = {"stage": "train", "config": {"lr": 0.1}, "augment": {"flip": False}}
    found = resumed(small.model(), {**began, "later": 0}, began)
    assert (found.optimizer, found.history) == (State(7, {}), ("an epoch",))


@pytest.mark.parametrize(("old", "new"), [(0.1, 0.2), (0.2, 0.1), (1, 2), (2, 1), ("adam", "sgd"), ("sgd", "adam")])
def test_what_differs_from_the_run_that_began_is_named(old, new):
    with pytest.raises(ConfigError) as caught:
        resumed(small.model(), {"config": {"lr": new}}, {"config": {"lr": old}})
    assert str(caught.value) == str(ConfigError(expected("run.h5: config.lr", f"{old}, as the run began", new)))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (small.network(steps=4), "steps: expected 3, as the run began, got 4"),
        (small.network().change("lif2", threshold=0.5), "lif2.threshold: expected 1.0, as the run began, got 0.5"),
        (small.network().change("conv3", stride=1), "conv3.stride: expected 2, as the run began, got 1"),
    ],
)
def test_what_differs_in_another_network_is_named(other, said):
    with pytest.raises(ConfigError) as caught:
        resumed(other, {}, {})
    assert str(caught.value) == f"run.h5: network: {said}"


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


def test_settings_are_compared_one_by_one():
    """What decides a run, flat: the keys of a table after its name."""
    found = flat({"stage": "train", "config": {"lr": 0.1, "epochs": 3}, "augment": {}, "validation": None})
    assert found == {"stage": "train", "config.lr": 0.1, "config.epochs": 3, "validation": None}


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_pruned_model_goes_on_at_the_steps_that_are_asked_for(steps, monkeypatch):
    model, seen = small.model(), []
    monkeypatch.setattr(training, "train", lambda given, *_, **options: seen.append((given, options["stage"])))
    training.finetune(model, small.split(), FinetuneConfig(steps=steps))
    ((given, stage),) = seen
    assert stage == "finetune"
    assert given.network.steps == (steps or 3)
    assert (given is model) is (steps == 0)
    assert given.params is model.params or all(given.params[name] is model.params[name] for name in model.params)
