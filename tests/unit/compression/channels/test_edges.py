"""Rates of layers that keep the same channels, indices at the edge, and what `score` takes as a threshold."""

from __future__ import annotations

import numpy as np
import pytest
import small

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.compression.channels.prune import prune
from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels
from qpsnn_core.compression.channels.score import score


def scores_of(network):
    return {node.name: np.arange(network.shape(node.name)[2], dtype=float) for node in network.neurons}


def test_layers_that_keep_the_same_channels_need_the_same_rate():
    model = small.model()
    group = next(group for group in coupled_groups(model.network) if len(group) > 1)
    assert group == ("lif1", "lif2")
    for first, second in ((0.5, 0.25), (0.25, 0.5), (0.0, 0.5), (0.5, 0.0)):
        with pytest.raises(ConfigError) as caught:
            prune(model, scores_of(model.network), {"lif1": first, "lif2": second})
        assert str(caught.value) == f"rates.lif2: expected {first}, as lif1 keeps the same channels, got {second}"
    kept = prune(model, scores_of(model.network), {"lif1": 0.5, "lif2": 0.5}).kept
    assert kept["lif1"].tolist() == kept["lif2"].tolist() == [3, 4, 5]


@pytest.mark.parametrize("indices", [[], [-1, 2], [2, 1], [1, 1], [0, 6], [0.0, 1.0], [[0, 1]], 3])
def test_channels_to_keep_rise_within_the_layer(indices):
    model = small.model()
    with pytest.raises(ConfigError) as caught:
        remove_channels(model, {"lif1": indices, "lif2": indices})
    want = "expected rising channel indices from 0 to 5, at least one, got"
    assert str(caught.value).startswith(("keep.lif1: " + want, "keep.lif2: " + want))


def test_the_first_and_the_last_channel_may_be_kept():
    pruned = remove_channels(small.model(), {"lif1": [0, 5], "lif2": [0, 5]})
    assert pruned.network.shape("lif1")[2] == pruned.network.shape("lif2")[2] == 2


def test_a_threshold_of_singular_values_is_at_least_0():
    model, images = small.model(), small.dataset(samples=4)
    found = [score(model, images, criterion="svs", epsilon=epsilon).values["lif1"].sum() for epsilon in (0.0, 0.5, 1e9)]
    assert found[0] >= found[1] >= found[2] == 0
    for epsilon in (-1e-9, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"score\.epsilon: expected a number of at least 0"):
            score(model, images, criterion="svs", epsilon=epsilon)
