"""Convolutions in groups, and with windows that are not square: through pruning, prices, NIR, NetX, Lava and Loihi."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from naive import loihi as cores
from naive import trained
from qpsnn_backends.lava import plan as lava
from qpsnn_backends.loihi.populations import populations
from qpsnn_core.common.errors import ConfigError, ShapeError, UnsupportedError
from qpsnn_core.compression.channels.rates import prunable
from qpsnn_core.compression.channels.remove import coupled_groups
from qpsnn_core.compression.weights.hessian import hessians
from qpsnn_core.engine.passes import forward
from qpsnn_core.exchange.netx import NETX
from qpsnn_core.experiments import audit_gradients
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.layers import LIF, Conv, Linear
from qpsnn_core.network import nodes
from qpsnn_core.network.cost import fanout
from qpsnn_core.network.values import ValueSpec

SHAPE = (5, 6, 2)
IMAGES = np.random.default_rng(4).integers(0, 256, (6, *SHAPE)).astype(np.uint8)
LAYERS = [
    *(Conv(4, (3, 5), (1, 2)), LIF(threshold=0.7)),
    *(Conv(4, groups=4), LIF(threshold=0.5)),
    *(Conv(6, (1, 3), groups=2), LIF(threshold=0.5)),
    Linear(3),
]
MODEL = qp.recalibrate(qp.initialise(qp.sequential(SHAPE, LAYERS, steps=3), 5), IMAGES)
INTEGERS = qp.lower(MODEL).network


def test_a_square_window_has_one_text():
    plain = nodes.Conv("c", "x", 4, 3, 1, 1)
    assert nodes.Conv("c", "x", 4, (3, 3), [1, 1], (1, 1)) == plain
    text = MODEL.network.to_json()
    assert '"kernel":[3,5],"kind":"Conv","name":"conv1","padding":[1,2]' in text
    assert '"groups":4' in text
    assert '"groups":1' not in text
    assert qp.Network.from_json(text) == MODEL.network


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": (3, 0)}, r"^c\.kernel: expected an integer of at least 1, got 0$"),
        ({"stride": (1, 2, 3)}, r"^c\.stride: expected a whole number, or two: \(rows, columns\), got \(1, 2, 3\)$"),
        ({"kernel": (1, 3)}, r"^c\.padding: expected less than the kernel \(\(1, 3\)\), got 1$"),
        ({"groups": 3}, r"^c\.groups: expected a divisor of the channels \(4\), got 3$"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        nodes.Conv("c", "x", 4, **options)


def test_groups_divide_the_channels_that_are_read():
    with pytest.raises(ShapeError, match=r"^c \(from x\): expected channels in 2 groups, got 3 channels$"):
        nodes.Conv("c", "x", 4, groups=2).output(ValueSpec("spikes", (4, 4, 3), 1))


def test_prices_count_the_weights_of_a_group_alone():
    """Of each spike the additions, by pushing one spike after another through weights of 1."""
    network = MODEL.network
    rows = {row.name: row for row in qp.cost(network).nodes}
    assert rows["conv2"].quantized == 3 * 3 * 4
    assert rows["conv3"].quantized == 3 * 2 * 6
    for source, name in (("lif1", "conv2"), ("lif2", "conv3")):
        node, shape = network[name], network.shape(source)
        found = fanout(network, source)
        weight = np.ones(node.weight_shape(network.values[source]))
        for place in np.ndindex(shape):
            spike = np.zeros((1, *shape))
            spike[(0, *place)] = 1
            moved = trained.convolve(spike, weight, node.stride, node.padding, node.groups)
            assert moved.sum() == found[place]


def test_a_depthwise_convolution_loses_channels_with_what_it_reads():
    network = MODEL.network
    assert coupled_groups(network) == (("lif1", "lif2"), ("lif3",))
    assert prunable(network, prune_last=True) == ()
    chain = [*LAYERS[:4], Conv(5, (3, 1)), LIF(), Linear(3)]
    model = qp.recalibrate(qp.initialise(qp.sequential(SHAPE, chain, steps=3), 5), IMAGES)
    assert prunable(model.network) == ("lif1", "lif2")
    kept = qp.remove_channels(model, {"lif1": [0, 2, 3], "lif2": [0, 2, 3]})
    assert (kept.network["conv2"].channels, kept.network["conv2"].groups) == (3, 3)
    for name, axis in (("conv2", slice(None)), ("conv3", slice(None))):
        old, new = model.params[name]["weight"], kept.params[name]["weight"]
        chosen = old[..., [0, 2, 3]] if name == "conv2" else old[:, :, [0, 2, 3]]
        np.testing.assert_array_equal(new, chosen[axis])
    assert forward(kept, IMAGES).logits.shape == (3, 6, 3)
    with pytest.raises(ConfigError, match=r"keep\.lif2: expected those of keep\.lif1"):
        qp.remove_channels(model, {"lif1": [0, 1]})


def test_a_depthwise_convolution_of_the_image_keeps_its_channels():
    network = qp.sequential(SHAPE, [Conv(2, groups=2), LIF(), Conv(4), LIF(), Linear(3)], steps=2)
    assert prunable(network, prune_last=True) == ("lif2",)


def test_a_hessian_of_groups_is_refused():
    with pytest.raises(UnsupportedError, match=r"^conv3\.groups: expected 1: the outputs of a group .*, got 2$"):
        hessians(MODEL, [IMAGES], nodes=(MODEL.network["conv3"],))
    (found,) = hessians(MODEL, [IMAGES], nodes=(MODEL.network["conv1"],)).values()
    assert found.shape == (30, 30)


def test_the_audit_finds_no_wrong_gradient():
    seen = audit_gradients.trace(MODEL, IMAGES, np.arange(6) % 3)
    rng = np.random.default_rng(0)
    errors = [*audit_gradients.weight_errors(MODEL, seen, 12, rng), *audit_gradients.input_errors(MODEL, seen, 12, rng)]
    assert len(errors) == 7
    assert max(error for _, error in errors) < 1e-4


def test_the_lift_has_the_same_windows():
    lifted = qp.lift(INTEGERS, IMAGES)
    for node in MODEL.network.of(nodes.Conv):
        again = lifted.network[node.name]
        assert (again.kernel, again.stride, again.padding, again.groups) == (
            *(node.kernel, node.stride, node.padding),
            node.groups,
        )
    found = qp.simulate(qp.lower(lifted).network, IMAGES, record="spikes").spikes
    for name, spikes in qp.simulate(INTEGERS, IMAGES, record="spikes").spikes.items():
        assert (found[name] != spikes).mean() < 0.01


@pytest.mark.exchange
def test_nir_has_them_with_zeros(tmp_path):
    import nir

    from naive import nir as graphs
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_import import load_nir

    save_nir(tmp_path / "model.nir", MODEL)
    back = load_nir(tmp_path / "model.nir", steps=3)
    assert [node.groups for node in back.network.of(nodes.Conv)] == [1, 1, 1]
    assert [node.kernel for node in back.network.of(nodes.Conv)] == [5, 3, 3]
    ours, theirs = (forward(model, IMAGES, save_for_backward=True).values for model in (MODEL, back))
    for node in MODEL.network.of(nodes.LIF):
        assert (ours[node.name] != theirs[node.name]).mean() < 0.01
    save_nir(tmp_path / "exact.nir", INTEGERS, exact=True)
    frames = np.repeat(IMAGES[None, 0], 3, 0).transpose(0, 3, 1, 2).astype(float)
    comp = graphs.run(nir.read(tmp_path / "exact.nir"), frames, 1.0)
    ref = qp.simulate(INTEGERS, IMAGES[:1], record="spikes")
    for node in INTEGERS.of(IntLIF):
        spikes = ref.spikes[node.name][:, 0].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(comp[node.name].reshape(spikes.shape), spikes)


@pytest.mark.exchange
def test_the_reader_of_nir_takes_groups_and_rectangles(tmp_path):
    """As other writers have them; nir's own check of shapes knows neither."""
    import nir

    from qpsnn_core.exchange.nir_import import load_nir

    weight = np.random.default_rng(1).normal(0, 1, (6, 1, 1, 3)).astype(np.float32)
    conv = nir.Conv2d((5, 6), weight, (2, 1), (0, 1), (1, 1), 2, np.zeros(6, np.float32))
    neuron = nir.LIF(*(np.full((6, 3, 6), value) for value in (2.0, 2.0, 0.0, 1.0, 0.0)))
    ends = {"in": nir.Input(np.array([2, 5, 6])), "out": nir.Output(np.array([6, 3, 6]))}
    edges = [("in", "conv"), ("conv", "lif"), ("lif", "out")]
    graph = nir.NIRGraph({**ends, "conv": conv, "lif": neuron}, edges, type_check=False)
    nir.write(tmp_path / "a.nir", graph)
    model = load_nir(tmp_path / "a.nir", steps=3, dt=1.0)
    node = model.network["conv"]
    assert (node.kernel, node.stride, node.padding, node.groups) == ((1, 3), (2, 1), (0, 1), 2)
    np.testing.assert_array_equal(model.params["conv"]["weight"], weight.transpose(2, 3, 1, 0))


@pytest.mark.exchange
def test_nir_refuses_a_kernel_that_no_zeros_make_square(tmp_path):
    from qpsnn_core.exchange.nir_export import save_nir

    network = qp.sequential(SHAPE, [Conv(4, (1, 2), padding=0), LIF(), Linear(3)])
    with pytest.raises(UnsupportedError, match=r"^nir: conv1\.kernel: expected a kernel .*, got 1 x 2$"):
        save_nir(tmp_path / "a.nir", qp.initialise(network))


def test_netx_and_lava_take_rows_and_columns_in_their_own_order():
    node = INTEGERS["conv1"]
    weights = INTEGERS.arrays["conv1"]["codes"].astype(np.int64)
    (group,) = NETX[node](INTEGERS, node, weights)
    assert (group["kernelSize"], group["stride"], group["padding"]) == ([3, 5], [1, 2], [1, 2])
    parts = {part.name: part for part in lava.plan(INTEGERS).wiring}
    assert (parts["conv1"].settings["stride"], parts["conv1"].settings["padding"]) == ([2, 1], [2, 1])
    assert parts["conv3"].settings["groups"] == 2


def test_loihi_lists_their_synapses():
    found = {population.name: population for population in populations(INTEGERS)}
    for name in ("lif1", "lif2", "lif3"):
        (projection,) = found[name].projections
        listed = [cores.read_by(INTEGERS, name, *place) for place in np.ndindex(*found[name].shape)]
        assert projection.synapses == sum(map(len, listed))
        assert int(projection.fanout.sum()) == projection.synapses
