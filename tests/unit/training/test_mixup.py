"""Runs with mixup: the loss of both labels, resumed bit for bit, of every task; and what cannot be mixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small
from runs import Stop, same_runs

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.optim.losses import mean_logits_cross_entropy
from qpsnn_core.recipes.recipe import recipe_from_dict
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.jobs import mixed_loss
from qpsnn_core.training.train import train
from qpsnn_datasets import Mixed, mixed

CONFIG = TrainConfig(epochs=2, batch=8, optimizer="adam", lr=0.02, mixup=0.4)
DATA = small.dataset(24)


def test_the_loss_and_its_gradient_are_of_both_labels():
    logits = small.uniform((3, 4, 3), 9)
    batch = Mixed(np.zeros(4), np.array([0, 1, 2, 0]), np.array([2, 1, 0, 1]), 0.75)
    value, gradient = mixed_loss(mean_logits_cross_entropy, logits, batch)
    one, other = (mean_logits_cross_entropy(logits, labels) for labels in (batch.labels, batch.others))
    assert value == 0.75 * one[0] + 0.25 * other[0]
    np.testing.assert_array_equal(gradient, np.float32(0.75) * one[1] + np.float32(0.25) * other[1])
    wide, step = logits.astype(np.float64), 1e-6
    for index in np.ndindex(logits.shape):
        up, down = wide.copy(), wide.copy()
        up[index] += step
        down[index] -= step
        slope = (
            mixed_loss(mean_logits_cross_entropy, up, batch)[0] - mixed_loss(mean_logits_cross_entropy, down, batch)[0]
        ) / (2 * step)
        assert gradient[index] == pytest.approx(slope, abs=1e-7)


def test_the_first_batch_has_the_loss_of_its_mixture():
    seen = []
    train(small.network(), DATA, replace(CONFIG, epochs=1), progress=seen.append)
    plain = []
    train(small.network(), DATA, replace(CONFIG, epochs=1, mixup=0.0), progress=plain.append)
    assert seen[0].loss != plain[0].loss


@pytest.mark.parametrize("change", [{}, {"loss": "tet", "class_weights": "balanced"}, {"accumulate": 2, "ema": 0.5}])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, change):
    config, path = replace(CONFIG, **change), tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), DATA, config, checkpoint=path, progress=Stop(4))
    again = train(small.network(), DATA, config, checkpoint=path, resume=True)
    same_runs(train(small.network(), DATA, config), again)
    with pytest.raises(ConfigError, match=r"config\.mixup: expected 0\.4, as the run began, got 0\.2"):
        train(small.network(), DATA, replace(config, mixup=0.2), checkpoint=path, resume=True)


def test_balanced_weights_are_the_samples_share_of_each_class():
    data = DATA.take(np.r_[0:24, 0:24:3, 0:24:3])  # class a: 24, b: 8, c: 8
    weights = np.array([40 / (3 * 24), 40 / (3 * 8), 40 / (3 * 8)])
    own = train(
        small.network(),
        data,
        replace(CONFIG, mixup=0.0),
        loss=lambda a, b: mean_logits_cross_entropy(a, b, weights=weights),
    )
    told = train(small.network(), data, replace(CONFIG, mixup=0.0, class_weights="balanced"))
    assert [one.loss for one in told.history] == [one.loss for one in own.history]
    with pytest.raises(
        DataError, match=r"train\.class_weights: expected samples of every class in stripes, .* none of c"
    ):
        train(small.network(), data.take(data.labels < 2), replace(CONFIG, class_weights="balanced"))


def test_counts_of_events_are_refused():
    frames = small.dataset(24, frames=3)
    with pytest.raises(ConfigError, match=r"train\.mixup: expected 0, as frames of events hold counts"):
        train(small.network(), frames, CONFIG)
    assert len(mixed(frames.images[:8], frames.labels[:8], 1.0, 0, 0, 0).images) == 8


def test_a_recipe_has_both():
    found = recipe_from_dict(
        {"train": {"mixup": 1, "class_weights": "balanced"}, "finetune": {"class_weights": {"a": 2}}}
    )
    assert (found.train.mixup, found.train.class_weights, found.finetune.class_weights) == (1.0, "balanced", {"a": 2.0})
    assert recipe_from_dict(found.to_dict()) == found
    for table, said in (
        ({"mixup": -0.1}, r"train\.mixup: expected a number from 0 \(none\) to 4"),
        ({"mixup": 5}, r"train\.mixup: expected a number from 0 \(none\) to 4"),
        ({"class_weights": "balance"}, r"train\.class_weights: expected one of balanced, got 'balance' \(did you mean"),
        ({"class_weights": 3}, r"train\.class_weights: expected a table of numbers by name, or 'balanced', got 3"),
        ({"class_weights": {"a": 0}}, r"train\.class_weights\.a: expected a positive number"),
        ({"delta": 0}, r"train\.delta: expected a positive number"),
    ):
        with pytest.raises(ConfigError, match=said):
            recipe_from_dict({"train": table})
