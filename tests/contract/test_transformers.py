"""Attention from a builder to what it costs: what is refused, what is counted, and what may not matter."""

from __future__ import annotations

import re

import numpy as np
import pytest

import qpsnn_core as qp
from naive import trained
from oracle import networks
from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.engine.layers import lif
from qpsnn_core.engine.passes import backward, forward
from qpsnn_core.engine.reach import reaches
from qpsnn_core.layers import LIF, AvgPool, Branches, Conv, CurrentReadout, Dropout, Input, SelfAttention
from qpsnn_core.network import Network, ValueSpec, nodes
from qpsnn_core.network.cost import cost, counted
from qpsnn_core.network.dropout import without_dropout
from qpsnn_core.optim.losses import mean_logits_cross_entropy

SPIKES, CURRENT = ValueSpec("spikes", (3, 4, 8), 1), ValueSpec("current", (3, 4, 8))
COUNTS, OTHER = ValueSpec("spikes", (3, 4, 8), 4), ValueSpec("spikes", (4, 3, 8), 1)
NET = networks.network("attention in a residual stream", 3)
MODEL, IMAGES = networks.model(NET, 3), networks.images(NET, 5)


def test_written_with_a_builder():
    branches = Branches(*([Conv(8, 1), LIF()] for _ in range(2)), [Conv(4, 1), LIF()])
    layers = [Conv(6), LIF(), branches, SelfAttention(2), LIF(threshold=0.5), Conv(3, 1), CurrentReadout(5)]
    network = qp.sequential((4, 4, 2), layers)
    assert network["attention1"] == nodes.SelfAttention("attention1", "lif2", "lif3", "lif4", 2)
    assert network.shape("attention1") == (4, 4, 4)
    assert Network.from_json(network.to_json()) == network
    message = r"attention1\.sources: expected three values: queries, keys and values, got lif2, lif3"
    two = Branches([Conv(8), LIF()], [Conv(8), LIF()])
    with pytest.raises(ConfigError, match=message):
        qp.sequential((4, 4, 2), [Conv(6), LIF(), two, SelfAttention(2), LIF()])


@pytest.mark.parametrize(
    ("values", "heads", "message"),
    [
        ((SPIKES, SPIKES, CURRENT), 2, "a (from v): expected spikes, got 'current'"),
        ((SPIKES, COUNTS, SPIKES), 2, "a (from k): expected spikes of 0 and 1, got counts up to 4"),
        ((SPIKES, SPIKES, OTHER), 2, "a (from v): expected a map of (3, 4) (from q), got (4, 3)"),
        ((SPIKES, SPIKES, SPIKES), 3, "a (from q): expected channels in 3 heads of equal size, got 8"),
        ((SPIKES, ValueSpec("spikes", (3, 4, 6), 1), SPIKES), 2, "a (from k): expected 8 channels (from q), got 6"),
        ((ValueSpec("spikes", (2**15, 1, 2**16), 1),) * 3, 1, "of at most 2147483647, which sums of 32 bits hold"),
    ],
)
def test_what_attention_cannot_read_is_refused(values, heads, message):
    with pytest.raises(ShapeError, match=re.escape(message)):
        nodes.SelfAttention("a", "q", "k", "v", heads).output(*values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "a.heads: expected an integer of at least 1"),
        ({"heads": 2, "scale": 0.0}, "a.scale: expected a positive number"),
        ({"heads": 2, "key": "q"}, "a.sources: expected a tuple of at least 3 different names"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        nodes.SelfAttention(**{"name": "a", "query": "q", "key": "k", "value": "v", **options})


def test_outputs_do_not_depend_on_the_batch():
    """The fault of others: a state that runs on from one sample to the next."""
    together = forward(MODEL, IMAGES).logits
    for sample in range(5):
        alone = forward(MODEL, IMAGES[sample : sample + 1]).logits
        np.testing.assert_array_equal(alone, together[:, sample : sample + 1])
    turned = forward(MODEL, np.ascontiguousarray(IMAGES[::-1])).logits
    np.testing.assert_array_equal(turned[:, ::-1], together)


def test_the_network_computes_what_its_equations_say():
    logits, fired, _ = trained.run(MODEL, IMAGES)
    done = forward(MODEL, IMAGES, save_for_backward=True)
    np.testing.assert_allclose(done.logits.mean(0), logits, atol=1e-5)
    for name, spikes in fired.items():
        np.testing.assert_array_equal(done.values[name], spikes)


def test_a_stream_is_added_up_as_if_each_neuron_did_it_alone(monkeypatch):
    """The same bits: logits, statistics, and all gradients."""

    def everything():
        done = forward(MODEL, IMAGES, train=True, save_for_backward=True)
        gradient = mean_logits_cross_entropy(done.logits, np.arange(5) % 3)[1]
        return done.logits, done.state, backward(MODEL, done, gradient)

    found = everything()
    monkeypatch.setattr(lif, "_added_on", lambda currents, names, sums: lif.added(currents))
    np.testing.assert_equal(found, everything())


def test_operations_are_counted_spike_by_spike():
    """Each spike of q adds a channel of all keys to products of its token; each of v a column of products to sums."""
    done = forward(MODEL, IMAGES, save_for_backward=True)
    tokens = 12
    ref = tokens * (done.values["q.lif"].sum() + done.values["v.lif"].sum()) / len(IMAGES)
    firing = {name: done.values[name].sum(0).mean(0) for name in counted(NET)}
    assert {"q.lif", "v.lif"} <= set(firing)
    assert "k.lif" not in firing
    row = next(one for one in cost(NET, firing).nodes if one.name == "attention")
    assert row.sops == pytest.approx(ref)
    assert row.macs == tokens**2 * (4 + 6)
    assert (row.quantized, row.real, row.bits, row.saved_bits) == (0, 0, 0, 0)


def test_no_membrane_is_higher_than_its_reach():
    seen = {name: own.max((0, 1, 2, 3)) for name, own in trained.run(MODEL, IMAGES)[2].items()}
    bounds = {one.name: one.high for one in reaches(MODEL)}
    assert (seen["attention.lif"] <= bounds["attention.lif"]).all()
    assert (bounds["attention.lif"] <= 0.25 * 12 * 2 * 3 * 1.01).all()  # tokens, channels of a head, steps


def test_dropout_in_front_of_attention_is_left_out_of_what_is_deployed():
    parts = [[Conv(8, 1), LIF(name=name), Dropout(0.2)] for name in "qkv"]
    layers = [Branches(*parts), SelfAttention(2), LIF(), AvgPool(None), qp.layers.Linear(3)]
    network = qp.sequential(Input((4, 4, 2)), layers)
    plain = without_dropout(network)
    assert plain.of(nodes.SelfAttention)[0].sources == ("q", "k", "v")
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 2)).astype(np.uint8)
    model = qp.initialise(network)
    np.testing.assert_array_equal(forward(model, images).logits, forward(model._replace(network=plain), images).logits)
