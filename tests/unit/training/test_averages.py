"""Gradients accumulated over batches, and an average of weights over updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small
from runs import Stop, same_runs

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.engine.passes import backward, forward, initialise
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.optim.losses import mean_logits_cross_entropy
from qpsnn_core.optim.optimizers import adam
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.checkpoint import load_checkpoint
from qpsnn_core.training.train import train
from qpsnn_datasets import batches

CONFIG = TrainConfig(epochs=2, batch=8, optimizer="adam", lr=0.02, schedule="constant", weight_decay=0.0)


def equal(left, right):
    for node, inner in left.items():
        for name, array in inner.items():
            np.testing.assert_array_equal(array, right[node][name], err_msg=f"{node}.{name}")


def gradients(model, images, labels):
    done = forward(model, images, train=True, save_for_backward=True)
    return backward(model, done, mean_logits_cross_entropy(done.logits, labels)[1])


def test_an_update_takes_the_mean_gradient_of_its_batches():
    """Batches 1 and 2, then 3 alone, as the epoch ends with it."""
    data, model = small.dataset(24), initialise(small.network(), 0)
    order = list(batches(data, 8, seed=0))
    optimizer, params = adam(), model.params
    state = optimizer.init(params)
    for group in (order[:2], order[2:]):
        each = [gradients(model._replace(params=params), *one) for one in group]
        means = {
            node: {
                name: sum((one[node][name] for one in each[1:]), each[0][node][name]) / np.float32(len(each))
                for name in inner
            }
            for node, inner in params.items()
        }
        params, state = optimizer.update(means, state, params, 0.02)
    done = train(small.network(), data, replace(CONFIG, epochs=1, accumulate=2))
    equal(params, done.model.params)
    assert done.checkpoint.optimizer.step == 2
    assert "accumulated" not in done.checkpoint.optimizer.slots


def test_the_schedule_counts_updates():
    config = replace(CONFIG, schedule="cosine", accumulate=2)
    done = train(small.network(), small.dataset(24), config)
    assert done.checkpoint.optimizer.step == 4
    assert done.history[-1].lr == pytest.approx(0.02 * (1 + np.cos(np.pi * 3 / 4)) / 2)


def test_the_average_of_weights():
    """An epoch of one batch is one update: the weights after each are those of a shorter run."""
    data, decay = small.dataset(8), 0.75
    average = initialise(small.network(), 0).params
    for updates in (1, 2, 3):
        params = train(small.network(), data, replace(CONFIG, epochs=updates)).model.params
        average = {
            node: {name: old + np.float32(1 - decay) * (params[node][name] - old) for name, old in inner.items()}
            for node, inner in average.items()
        }
    done = train(small.network(), data, replace(CONFIG, epochs=3, ema=decay), validation=data)
    equal(average, done.model.params)
    equal(average, done.checkpoint.model.params)
    equal(params, done.checkpoint.optimizer.slots["live"])
    assert done.history[-1].validation_loss == evaluate(done.model, data).loss


@pytest.mark.parametrize("change", [{"ema": 0.9}, {"accumulate": 2}, {"ema": 0.9, "accumulate": 3, "clip_norm": 0.5}])
@pytest.mark.parametrize("events", [1, 2, 4, 6])
def test_they_go_on_bit_for_bit(tmp_path, change, events):
    path, config, data = tmp_path / "run.h5", replace(CONFIG, **change), small.dataset(40)
    whole = train(small.network(), data, config)
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), data, config, checkpoint=path, progress=Stop(events))
    slots = load_checkpoint(path).optimizer.slots
    assert ("live" in slots) is ("ema" in change)
    waits = "accumulate" in change and events % 5 % change["accumulate"] > 0
    assert ("accumulated" in slots) is waits
    same_runs(whole, train(small.network(), data, config, checkpoint=path, resume=True))


@pytest.mark.parametrize("change", [{"ema": 0.9}, {"accumulate": 2}])
def test_a_run_without_them_does_not_go_on_with_them(tmp_path, change):
    path, data = tmp_path / "run.h5", small.dataset(24)
    train(small.network(), data, CONFIG, checkpoint=path)
    with pytest.raises(ConfigError, match=rf"config\.{next(iter(change))}: expected .*, as the run began"):
        train(small.network(), data, replace(CONFIG, **change), checkpoint=path, resume=True)


@pytest.mark.parametrize(("name", "value"), [("ema", 1.0), ("ema", -0.1), ("accumulate", 0), ("accumulate", 1.5)])
def test_what_is_no_decay_or_number_of_batches(name, value):
    with pytest.raises(ConfigError, match=rf"TrainConfig\.{name}: expected"):
        replace(CONFIG, **{name: value})
