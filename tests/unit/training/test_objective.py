"""The loss of a run: the recipe's with smoothing and class weights, or the user's own function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small
from runs import Stop, same_runs

from qpsnn_core.common.errors import ArgumentError, ConfigError, NumericsError
from qpsnn_core.engine.passes import initialise
from qpsnn_core.optim.losses import mean_logits_cross_entropy, tet
from qpsnn_core.recipes.recipe import recipe_from_dict
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.objective import objective_of
from qpsnn_core.training.train import finetune, train

CONFIG = TrainConfig(epochs=2, batch=8, optimizer="adam", lr=0.02)
DATA = small.dataset(24)


def own(logits, labels):
    """The mean of squares of the mean logits' distance from one-hot targets."""
    apart = logits.mean(0, dtype=np.float64) - np.eye(logits.shape[2])[labels]
    slope = np.broadcast_to(2 * apart / (apart.size * len(logits)), logits.shape)
    return float(np.square(apart).mean()), slope


def test_a_function_is_what_is_made_smaller():
    done = train(small.network(), DATA, replace(CONFIG, epochs=8), loss=own)
    assert done.history[-1].loss < 0.5 * done.history[0].loss


def test_the_recipes_own_loss_as_a_function_gives_the_same_run():
    first, *others = [
        train(small.network(), DATA, CONFIG).model,
        train(small.network(), DATA, CONFIG, loss=mean_logits_cross_entropy).model,
        finetune(initialise(small.network(), CONFIG.seed), DATA, CONFIG, loss=mean_logits_cross_entropy).model,
    ]
    for other in others:
        for node, inner in first.params.items():
            for name, array in inner.items():
                np.testing.assert_array_equal(array, other.params[node][name])


def test_the_share_of_squares_in_tet_is_a_setting():
    logits, labels = np.random.default_rng(1).normal(0, 1, (2, 8, 3)).astype(np.float32), DATA.labels[:8]
    for lam in (0.0, 0.9):
        objective = objective_of("train", replace(CONFIG, loss="tet", tet_lambda=lam), DATA, None)
        loss, gradient = objective(logits, labels)
        want, slope = tet(logits, labels, lam=lam)
        assert loss == want
        np.testing.assert_array_equal(gradient, slope)
    with pytest.raises(ConfigError, match=r"train\.tet_lambda: expected 0\.0, as mean has none, got 0\.9"):
        train(small.network(), DATA, replace(CONFIG, tet_lambda=0.9))
    with pytest.raises(ConfigError, match=r"train\.tet_lambda: expected 0\.0, as the loss is a function, got 0\.9"):
        train(small.network(), DATA, replace(CONFIG, tet_lambda=0.9), loss=own)
    with pytest.raises(ConfigError, match=r"train\.tet_lambda: expected a number from 0 to 1, got 1\.5"):
        recipe_from_dict({"train": {"loss": "tet", "tet_lambda": 1.5}})


def test_a_run_with_a_function_goes_on_with_the_same_function_only(tmp_path):
    path = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), DATA, CONFIG, loss=own, checkpoint=path, progress=Stop(4))
    with pytest.raises(ConfigError, match=r"loss: expected [\w.]*test_objective\.own, as the run began, got None"):
        train(small.network(), DATA, CONFIG, checkpoint=path, resume=True)
    again = train(small.network(), DATA, CONFIG, loss=own, checkpoint=path, resume=True)
    same_runs(train(small.network(), DATA, CONFIG, loss=own), again)


@pytest.mark.parametrize(
    ("made", "kind", "said"),
    [
        (lambda logits, labels: 1.0, ArgumentError, "to give two things, loss and gradient"),
        (lambda logits, labels: (logits, logits), ArgumentError, "to give a number first"),
        (lambda logits, labels: (1.0, logits[0]), ArgumentError, r"floats \[3, 8, 3\], second"),
        (lambda logits, labels: (1.0, logits > 0), ArgumentError, r"floats \[3, 8, 3\], second"),
        (lambda logits, labels: (np.nan, logits), NumericsError, "epoch 1, batch 1: train.loss: expected a finite"),
        (lambda logits, labels: (1.0, logits * np.inf), NumericsError, "epoch 1, batch 1: train.loss: expected a"),
        (lambda logits: 1.0, ArgumentError, r"train\.loss: .*<lambda>: TypeError"),
        (3, ArgumentError, "a function of logits and labels"),
    ],
)
def test_what_a_function_must_give(made, kind, said):
    with pytest.raises(kind, match=said):
        train(small.network(), DATA, CONFIG, loss=made)


@pytest.mark.parametrize("change", [{"loss": "tet"}, {"label_smoothing": 0.1}, {"class_weights": {"a": 2.0}}])
def test_options_of_the_recipes_losses_do_not_go_with_a_function(change):
    with pytest.raises(ConfigError, match=rf"train\.{next(iter(change))}: expected .*, as the loss is a function"):
        train(small.network(), DATA, replace(CONFIG, **change), loss=own)


def test_classes_are_weighed_by_name():
    heavy = train(small.network(), DATA, replace(CONFIG, class_weights={"b": 3.0}))
    weights = np.array([1.0, 3.0, 1.0])
    same = train(small.network(), DATA, CONFIG, loss=lambda a, b: mean_logits_cross_entropy(a, b, weights=weights))
    assert [e.loss for e in heavy.history] == [e.loss for e in same.history]
    with pytest.raises(ConfigError, match=r"train\.class_weights: expected names of classes, of a, b, c, got 'd'"):
        train(small.network(), DATA, replace(CONFIG, class_weights={"d": 3.0}))


@pytest.mark.parametrize(
    "change", [{"label_smoothing": 0.1}, {"class_weights": {"a": 2.0, "c": 0.5}, "loss": "tet"}, {"patience": 3}]
)
def test_runs_with_them_go_on_bit_for_bit(tmp_path, change):
    path, config = tmp_path / "run.h5", replace(CONFIG, **change)
    data = small.split(samples=24)
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), data, config, checkpoint=path, progress=Stop(5))
    same_runs(train(small.network(), data, config), train(small.network(), data, config, checkpoint=path, resume=True))


def test_a_recipe_has_them():
    given = {"label_smoothing": 0.1, "class_weights": {"cat": 2, "a dog": 0.5}}
    recipe = recipe_from_dict({"train": given, "finetune": given})
    assert recipe.train.class_weights == recipe.finetune.class_weights == {"cat": 2.0, "a dog": 0.5}
    for weight in (0, -1, float("inf")):
        with pytest.raises(ConfigError, match=r"train\.class_weights\.cat: expected a positive number"):
            recipe_from_dict({"train": {"class_weights": {"cat": weight}}})
    with pytest.raises(ConfigError, match=r"train\.label_smoothing: expected a number from 0 to below 1, got 1"):
        recipe_from_dict({"train": {"label_smoothing": 1.0}})
