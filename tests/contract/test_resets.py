"""A reset by subtraction, from a recipe through training and lowering to every backend: the same bits."""

from __future__ import annotations

import pytest
import small
from alike import assert_equal
from compiled import SANITIZED, needs_cc

import qpsnn_backends
import qpsnn_core as qp
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.nodes import IntLIF


@pytest.fixture(scope="module")
def trained():
    """A recipe's network after two epochs, as integers; images of its set."""
    network = {"name": "vgg_small", "width": 0.1, "steps": 4, "bits": 4, "reset": "subtract"}
    recipe = qp.recipe_from_dict({"network": network, "train": {"epochs": 2, "batch": 8}})
    data = small.dataset(40, peak=255)
    done = qp.train(recipe.network.build((6, 6, 2), 3), data, recipe.train)
    lowered = lower(qp.recalibrate(done.model, data.images)).network
    assert {node.reset for node in lowered.of(IntLIF)} == {"subtract"}
    return lowered, data.images[:6]


@needs_cc
def test_what_a_recipe_trains_runs_in_c(trained):
    ref = qpsnn_backends.get("exact").run(*trained, record="all")
    assert_equal(ref, qpsnn_backends.get("c", flags=SANITIZED).run(*trained, record="all"))
    assert all(0 < spikes.mean() < 1 for spikes in ref.spikes.values())
    assert all((ref.membranes[name][spikes == 1] > 0).any() for name, spikes in ref.spikes.items())


@pytest.mark.lava
def test_what_a_recipe_trains_runs_on_lava(trained):
    ref = qpsnn_backends.get("exact").run(*trained, record="all")
    assert_equal(ref, qpsnn_backends.get("lava").run(*trained, record="all"))
