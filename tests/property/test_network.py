"""What holds for any network that can be drawn."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qpsnn_core.common.errors import NetworkError
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.cost import cost, counted, fanout, sops
from qpsnn_core.network.nodes import RESETS
from qpsnn_core.network.surrogates import SURROGATES
from qpsnn_core.quantization.formats import GAMMAS, GRANULARITIES, STRAIGHT_THROUGH

quantizers = st.none() | st.builds(
    Quantizer,
    bits=st.integers(2, 8),
    gamma=st.sampled_from(GAMMAS),
    granularity=st.sampled_from(GRANULARITIES),
    ste=st.sampled_from(STRAIGHT_THROUGH),
)


@st.composite
def networks(draw):
    """A chain of blocks: Conv-LIF, a residual block, a pool, a Sum with the block before; then Linear and Readout."""
    side = st.integers(3, 9)
    events = draw(st.booleans())
    nodes = [Input("input", (draw(side), draw(side), draw(st.integers(1, 3))), spikes=events)]
    value = nodes[0].output()

    def add(node, *inputs):
        nodes.append(node)
        return node.output(*inputs)

    def neuron(name, *sources):
        return LIF(
            name,
            sources,
            threshold=draw(st.floats(0.1, 4)),
            beta=draw(st.floats(0, 1)),
            surrogate=draw(st.sampled_from(sorted(SURROGATES))),
            detach_reset=draw(st.booleans()),
            reset=draw(st.sampled_from(RESETS)),
        )

    for index in range(draw(st.integers(1, 4))):
        source, height, width = nodes[-1].name, *value.shape[:2]
        kind = draw(st.sampled_from(["conv", "residual", "max", "average", "sum"] if index else ["conv"]))
        kernel = draw(st.integers(1, min(3, height, width)))
        if kind == "conv":
            stride, padding = draw(st.integers(1, 2)), draw(st.integers(0, kernel - 1))
            options = {"quantizer": draw(quantizers), "bias": draw(st.booleans()), "batch_norm": draw(st.booleans())}
            conv = Conv(f"conv{index}", source, draw(st.integers(1, 4)), kernel, stride, padding, **options)
            current = add(conv, value)
            value = add(neuron(f"lif{index}", conv.name), current)
        elif kind == "residual":
            channels = value.shape[2] + draw(st.integers(0, 2))
            stride = draw(st.integers(1, 2))
            one = add(Conv(f"conv{index}", source, channels, 3, stride, 1, quantizer=draw(quantizers)), value)
            two = add(Shortcut(f"short{index}", source, channels, stride), value)
            value = add(neuron(f"lif{index}", f"conv{index}", f"short{index}"), one, two)
        elif kind == "sum":
            assume(value.max_count == 1)
            current = add(Conv(f"conv{index}", source, value.shape[2], 3, 1, 1), value)
            spikes = add(neuron(f"lif{index}", f"conv{index}"), current)
            value = add(Sum(f"sum{index}", (source, f"lif{index}")), value, spikes)
        else:
            value = add((MaxPool if kind == "max" else AvgPool)(f"pool{index}", source, kernel), value)
    linear = Linear("linear", nodes[-1].name, draw(st.integers(2, 5)), quantizer=draw(quantizers))
    return Network((*nodes, linear, Readout("readout", "linear")), draw(st.integers(1, 10)))


@given(networks())
def test_json_gives_back_the_same_network(network):
    again = Network.from_json(network.to_json())
    assert again == network
    assert hash(again) == hash(network)
    assert (again.to_json(), again.digest()) == (network.to_json(), network.digest())
    assert again.values == network.values


@given(networks(), networks())
def test_different_networks_have_different_digests(one, other):
    assert (one == other) == (one.digest() == other.digest())


@given(networks())
def test_every_value_has_a_shape_and_a_reader(network):
    for node in network:
        assert all(size >= 1 for size in network.shape(node.name))
        assert bool(network.consumers(node.name)) == (node is not network.readout)
    assert network.shape("readout") == (1, 1, network.classes)


@given(networks(), st.data())
def test_a_network_without_one_of_its_nodes_is_refused(network, data):
    gone = data.draw(st.sampled_from(network.nodes))
    with pytest.raises(NetworkError):
        Network(tuple(node for node in network if node is not gone), network.steps)


@given(networks(), st.data())
def test_only_an_order_that_runs_is_accepted(network, data):
    nodes = tuple(data.draw(st.permutations(network.nodes)))
    place = {node.name: index for index, node in enumerate(nodes)}
    runs = all(place[source] < place[node.name] for node in nodes for source in node.sources)
    if runs and isinstance(nodes[-1], Readout):
        assert Network(nodes, network.steps).values == network.values
    else:
        with pytest.raises(NetworkError):
            Network(nodes, network.steps)


@given(networks(), st.data())
def test_a_source_that_lies_ahead_is_a_cycle_or_a_wrong_order(network, data):
    neurons = [node for node in network if isinstance(node, (Conv, Shortcut, MaxPool, AvgPool))]
    node = data.draw(st.sampled_from(neurons))
    later = network.nodes[network.nodes.index(node) :]
    name = data.draw(st.sampled_from([one.name for one in later]))
    with pytest.raises(NetworkError, match=rf"{node.name}\.source: .*(a cycle|an earlier node)"):
        network.change(node.name, source=name)


@given(networks())
def test_costs_add_up(network):
    total = cost(network)
    weights = sum(math.prod(n.weight_shape(network.inputs_of(n)[0])) for n in network.of(Conv, Linear))
    others = sum(n.channels * (n.bias + 2 * n.batch_norm) for n in network.of(Conv, Linear))
    assert total.parameters == weights + others
    assert round(total.size_mb * 8e6) <= 32 * total.parameters
    assert cost(floating(network)).size_mb * 8e6 == pytest.approx(32 * total.parameters)


def floating(network):
    nodes = tuple(
        dataclasses.replace(node, quantizer=None) if isinstance(node, (Conv, Linear)) else node for node in network
    )
    return Network(nodes, network.steps)


@given(networks())
def test_no_spike_causes_more_additions_than_the_dense_network(network):
    everywhere = sops(network, dict.fromkeys(counted(network), 1.0))
    dense = {row.name: row.macs * network.steps for row in cost(network).nodes}
    for node in network.of(Conv, Linear):
        if node.name in everywhere:
            assert 0 <= everywhere[node.name] <= dense[node.name]
            if isinstance(node, Linear) or node.padding == 0:
                assert everywhere[node.name] == dense[node.name]
    assert sum(everywhere.values()) == network.steps * sum(fanout(network, name).sum() for name in counted(network))
