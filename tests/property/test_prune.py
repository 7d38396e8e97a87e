"""Removing channels from random networks: what is left computes what it did when the others were silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels, unprunable
from qpsnn_core.engine.checks import check_model
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.model import Model

VANILLA = Quantizer(4, gamma="one")
DYADIC = 16


@st.composite
def networks(draw, quantizer):
    """Stems, residual blocks, SEW blocks, pools, perhaps a hidden linear layer, in any order."""
    count = st.integers(1, 4)
    events = draw(st.booleans())
    size, channels = draw(st.integers(3, 6)), draw(count)
    nodes = [Input("input", (size, draw(st.integers(3, 6)), draw(st.integers(1, 2))), peak=3, scale=0.5, spikes=events)]

    def conv(name, source, width, **options):
        nodes.append(Conv(name, source, width, quantizer=quantizer, bias=draw(st.booleans()), **options))
        return name

    def lif(name, *sources):
        nodes.append(LIF(name, sources))
        return name

    last = lif("lif", conv("conv", "input", channels))
    for i in range(draw(st.integers(0, 3))):
        pool = ["max"] if min(shape(nodes, last, quantizer)) >= 2 else []
        kind = draw(st.sampled_from(["conv", "residual", "sew", *pool]))
        if kind == "conv":
            channels = draw(count)
            kernel = draw(st.sampled_from([1, 3]))
            last = lif(f"lif{i}", conv(f"conv{i}", last, channels, kernel=kernel, padding=kernel // 2))
        elif kind == "residual":
            middle = lif(f"b{i}.lif1", conv(f"b{i}.conv1", last, draw(count)))
            outputs, stride = draw(count), draw(st.integers(1, 2))
            mapping = tuple(draw(st.integers(-1, channels - 1)) for _ in range(outputs))
            plain = outputs >= channels and draw(st.booleans())
            nodes.append(Shortcut(f"b{i}.shortcut", last, outputs, stride, None if plain else mapping))
            last = lif(f"b{i}.lif2", conv(f"b{i}.conv2", middle, outputs, stride=stride), f"b{i}.shortcut")
            channels = outputs
        elif kind == "sew":
            middle = lif(f"s{i}.lif", conv(f"s{i}.conv", last, channels))
            nodes.append(Sum(f"s{i}.sum", (last, middle)))
            last = f"s{i}.sum"
        else:
            nodes.append(MaxPool(f"pool{i}", last, 2, 1))
            last = f"pool{i}"
    if draw(st.booleans()):
        nodes.append(AvgPool("average", last, 1 if min(shape(nodes, last, quantizer)) < 2 else 2))
        last = "average"
    if draw(st.booleans()):
        nodes.append(Linear("hidden", last, draw(count), quantizer=quantizer, batch_norm=True))
        last = lif("hidden.lif", "hidden")
    return Network((*nodes, *head(last, quantizer)), draw(st.integers(1, 3)))


def head(source, quantizer):
    return Linear("linear", source, 3, quantizer=quantizer), Readout("readout", "linear")


def shape(nodes, name, quantizer):
    return Network((*nodes, *head(name, quantizer)), 1).shape(name)[:2]


def random_model(network, seed):
    """Weights that are multiples of 1/16, so that sums are exact in any order; batch norm that makes neurons fire."""
    rng = np.random.default_rng(seed)
    model = initialise(network, seed)
    for name, arrays in model.params.items():
        weight = rng.normal(0, 0.5, arrays["weight"].shape)
        arrays["weight"] = (np.rint(weight * DYADIC) / DYADIC).astype(np.float32)
        for other in set(arrays) - {"weight"}:
            arrays[other] = rng.normal(0.5, 0.5, arrays[other].shape).astype(np.float32)
        for statistic in model.state.get(name, {}):
            model.state[name][statistic] = rng.uniform(0.5, 2, model.state[name][statistic].shape).astype(np.float32)
    return model


def random_keep(draw, network):
    """A keep set for some LIFs, the same for those that share channels."""
    keep = {}
    for group in coupled_groups(network):
        if group[0] not in unprunable(network) and draw(st.booleans()):
            size = network.shape(group[0])[2]
            kept = sorted(draw(st.sets(st.integers(0, size - 1), min_size=1)))
            keep.update(dict.fromkeys(group, kept))
    return keep


@st.composite
def cases(draw, quantizer=VANILLA):
    network = draw(networks(quantizer))
    seed = draw(st.integers(0, 2**16))
    images = np.random.default_rng(seed).integers(0, 4, (network.steps, 2, *network.input.shape)).astype(np.uint8)
    return random_model(network, seed), random_keep(draw, network), images


def silenced(model, keep):
    """The same network, in which the channels that are to go never fire."""
    params = {name: {key: array.copy() for key, array in arrays.items()} for name, arrays in model.params.items()}
    for name, kept in keep.items():
        (source, *_) = [s for s in model.network[name].sources if s in params]
        params[source]["bn_bias"][np.setdiff1d(np.arange(model.network.shape(name)[2]), kept)] = -1e6
    return model._replace(params=params)


def disconnected(model, keep):
    """The same network, in which nobody listens to the channels that are to go."""
    network = model.network
    params = {name: dict(arrays) for name, arrays in model.params.items()}
    nodes = []
    for node in network.nodes:
        source = node.sources[0] if node.sources else node.name
        gone = np.setdiff1d(np.arange(network.shape(source)[2]), heard(network, source, keep))
        if isinstance(node, (Conv, Linear)):
            weight = params[node.name]["weight"].copy()
            spread = weight.reshape(*network.shape(source), -1) if isinstance(node, Linear) else weight
            spread[:, :, gone] = 0
            params[node.name]["weight"] = weight
        if isinstance(node, Shortcut):
            mapping = node.mapping(network.shape(source)[2])
            node = replace(node, channel_map=tuple(-1 if c in gone else c for c in mapping))
        nodes.append(node)
    return Model(replace(network, nodes=tuple(nodes)), params, model.state)


def heard(network, name, keep):
    """The channels of a node's spikes that stay."""
    node = network[name]
    if isinstance(node, (MaxPool, AvgPool, Sum)):
        return heard(network, node.sources[0], keep)
    return keep.get(name, range(network.shape(name)[2]))


def assert_same(left, right, keep):
    """Equal logits, and equal spikes of the channels that stay: exactly. left, right: passes."""
    np.testing.assert_array_equal(left.logits, right.logits)
    for name, kept in keep.items():
        np.testing.assert_array_equal(left.values[name], right.values[name][..., kept])


@given(cases())
def test_silent_channels_can_go(case):
    model, keep, images = case
    pruned = remove_channels(model, keep)
    check_model(pruned)
    assert_same(
        forward(pruned, images, save_for_backward=True),
        forward(silenced(model, keep), images, save_for_backward=True),
        keep,
    )


@given(cases(None))
def test_channels_that_nobody_listens_to_can_go(case):
    model, keep, images = case
    pruned = remove_channels(model, keep)
    check_model(pruned)
    assert_same(
        forward(pruned, images, save_for_backward=True),
        forward(disconnected(model, keep), images, save_for_backward=True),
        keep,
    )


@given(cases())
def test_shapes_are_as_many_as_are_kept(case):
    model, keep, _ = case
    network = remove_channels(model, keep).network
    for node in model.network.of(LIF):
        *place, channels = model.network.shape(node.name)
        assert network.shape(node.name) == (*place, len(keep.get(node.name, range(channels))))
    assert network.classes == model.network.classes
    assert Network.from_json(network.to_json()) == network


@given(cases())
def test_removing_nothing_changes_nothing(case):
    model, _, images = case
    everything = {node.name: range(model.network.shape(node.name)[2]) for node in model.network.of(LIF)}
    for keep in ({}, everything):
        same = remove_channels(model, keep)
        assert same.network == model.network
        assert same.network.digest() == model.network.digest()
        for old, new in ((model.params, same.params), (model.state, same.state)):
            assert {name: set(arrays) for name, arrays in new.items()} == {name: set(a) for name, a in old.items()}
            for name, arrays in old.items():
                for key in arrays:
                    np.testing.assert_array_equal(new[name][key], arrays[key])
        np.testing.assert_array_equal(forward(same, images).logits, forward(model, images).logits)


@given(cases(), st.data())
def test_removing_twice_is_removing_once(case, data):
    model, keep, _ = case
    first = remove_channels(model, keep)
    again = random_keep(data.draw, first.network)
    sizes = {node.name: model.network.shape(node.name)[2] for node in model.network.of(LIF)}
    both = {
        name: np.array(keep.get(name, range(size)))[list(again[name]) if name in again else slice(None)]
        for name, size in sizes.items()
    }
    twice, once = remove_channels(first, again), remove_channels(model, both)
    assert twice.network == once.network
    for left, right in ((twice.params, once.params), (twice.state, once.state)):
        assert left.keys() == right.keys()
        for name, arrays in left.items():
            for key, array in arrays.items():
                np.testing.assert_array_equal(array, right[name][key])


@given(cases())
def test_the_model_that_is_pruned_stays_as_it_was(case):
    model, keep, images = case
    before = forward(model, images).logits
    pruned = remove_channels(model, keep)
    for arrays in [*pruned.params.values(), *pruned.state.values()]:
        for array in arrays.values():
            array[...] = 7
    np.testing.assert_array_equal(forward(model, images).logits, before)
