"""`tau` beside `beta`: one leak, said in two ways, in a node, a layer, a JSON file and a recipe."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qpsnn_core import layers
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.layers import Conv, Linear
from qpsnn_core.network import LIF, Network
from qpsnn_core.network.builder import sequential
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import recipe_from_dict
from qpsnn_core.zoo import Neuron


@pytest.mark.parametrize(("tau", "beta"), [(1, 0.0), (2, 0.5), (4.0, 0.75), (np.float64(8), 0.875), (np.inf, 1.0)])
def test_tau_is_kept_as_beta(tau, beta):
    node = LIF("n", ("a",), tau=tau)
    assert node == LIF("n", ("a",), beta=beta)
    assert (node.beta, node.tau, type(node.beta)) == (beta, None, float)
    assert layers.LIF(tau=tau).node("n", ("a",), ()) == node
    assert Neuron(tau=tau).like("n", "a") == node
    assert NetworkConfig(tau=tau).neuron.beta == beta


def test_a_node_without_either_has_the_usual_leak():
    assert type(LIF("n", ("a",)).beta) is type(NetworkConfig().beta) is float
    assert LIF("n", ("a",)).beta == NetworkConfig().beta == 0.5


def test_beta_and_tau_together_are_refused_even_where_they_agree():
    with pytest.raises(ConfigError, match=r"n\.tau: expected beta or tau, not both \(beta is 0\.5\), got 2\.0"):
        LIF("n", ("a",), beta=0.5, tau=2.0)
    with pytest.raises(ConfigError, match=r"layers\[1\] .*lif1\.tau: expected beta or tau, not both"):
        sequential((4, 4, 1), [Conv(2), layers.LIF(beta=0.5, tau=2.0), Linear(2)])
    with pytest.raises(ConfigError, match=r"^network\.tau: expected beta or tau, not both \(beta is 0\.5\), got 2"):
        recipe_from_dict({"network": {"beta": 0.5, "tau": 2.0}})


@pytest.mark.parametrize("tau", [0.5, 0, -2.0, float("nan"), "2", True])
def test_what_is_no_time_constant_is_refused(tau):
    with pytest.raises(ConfigError, match=r"n\.tau: expected a number of steps, at least 1, got"):
        LIF("n", ("a",), tau=tau)


def test_a_recipe_keeps_beta_alone():
    recipe = recipe_from_dict({"network": {"tau": 4}})
    assert (recipe.network.beta, recipe.network.tau) == (0.75, None)
    assert "tau" not in recipe.to_dict()["network"]
    assert recipe_from_dict(recipe.to_dict()) == recipe == recipe_from_dict({"network": {"beta": 0.75}})


@pytest.mark.parametrize("own", [{"file": "net.json"}, {"function": "mine:make"}])
def test_a_network_that_says_all_itself_takes_no_tau(own):
    with pytest.raises(ConfigError, match=r"NetworkConfig\.tau: expected nothing beside (file|function)"):
        NetworkConfig(**own, tau=2.0)
    assert type(NetworkConfig(**own).beta) is float


def test_a_json_file_may_say_tau_and_is_written_with_beta():
    network = sequential((4, 4, 1), [Conv(2), layers.LIF(tau=4.0), Linear(2)])
    text = json.loads(network.to_json())
    assert "tau" not in network.to_json()
    neuron = next(node for node in text["nodes"] if node["kind"] == "LIF")
    assert neuron.pop("beta") == 0.75
    neuron["tau"] = 4.0
    assert Network.from_json(json.dumps(text)) == network
