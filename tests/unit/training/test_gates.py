"""Gates in a run: their loss and accuracy, a run that goes on, channels that are removed with their gates."""

from __future__ import annotations

import numpy as np
import pytest
import small
from runs import Stop, same_runs

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.compression.channels.remove import coupled_groups, remove_channels, unprunable
from qpsnn_core.engine.gate_report import gate_report
from qpsnn_core.engine.passes import forward, initialise
from qpsnn_core.network import (
    LIF,
    AvgPool,
    ChannelGate,
    Conv,
    Input,
    Linear,
    Membrane,
    Network,
    Quantizer,
    Readout,
    SpatialGate,
)
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import train

FOUR, EIGHT = Quantizer(4, "mean"), Quantizer(8, "max")


def network(size=1):
    """A channel gate that masks sums and the next layer's spikes, a spatial gate whose prior is the membrane."""
    nodes = (
        Input("image", (6, 6, 2), 15, 1 / 15),
        Conv("conv1", "image", 6, quantizer=EIGHT),
        LIF("lif1", ("conv1",)),
        AvgPool("mean", "lif1", 6),
        Linear("which", "mean", 6 // size, quantizer=EIGHT),
        ChannelGate("channels", "which", size, weight=2.0),
        Membrane("prior", "lif1"),
        Conv("where", "prior", 1, quantizer=EIGHT, initial_shift=0.5),
        SpatialGate("places", "where", (6, 6), "straight-through", weight=1.0),
        Conv("conv2", "lif1", 6, quantizer=FOUR, gate="channels"),
        LIF("lif2", ("conv2",)),
        Conv("conv3", "lif2", 4, quantizer=FOUR, gate="places", input_gate="channels"),
        LIF("lif3", ("conv3",)),
        Linear("linear", "lif3", 3, quantizer=EIGHT),
        Readout("readout", "linear"),
    )
    return Network(nodes, 3)


CONFIG = TrainConfig(epochs=6, batch=10, optimizer="adam", lr=2e-2, seed=3)


@pytest.fixture(scope="module")
def trained():
    return train(network(), small.split(samples=40), CONFIG)


def test_it_learns_with_gates_that_learn(trained):
    first, last = trained.history[0], trained.history[-1]
    assert last.accuracy > 0.8
    assert last.gate_accuracy > max(0.6, first.gate_accuracy)
    report = gate_report(trained.model, small.dataset(20).images)
    assert report.gates["channels"].accuracy > 0.6
    assert 0 < report.gates["channels"].open < 1
    assert report.gates["places"].accuracy > 0.6
    assert 0.2 < report.gates["places"].open < 0.95


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, trained):
    """With the noise that it would have drawn, and the decisions so far of the epoch."""
    path = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train(network(), small.split(samples=40), CONFIG, checkpoint=path, progress=Stop(7))
    same_runs(trained, train(network(), small.split(samples=40), CONFIG, checkpoint=path, resume=True))


def test_the_report_counts_what_is_done(trained):
    net, images = trained.model.network, small.dataset(10).images
    report, values = gate_report(trained.model, images), forward(trained.model, images, save_for_backward=True).values
    assert report.done < report.dense
    assert report.reduction == pytest.approx(1 - (report.done + report.predictor) / report.dense)
    spikes = values["lif1"].sum(dtype=np.int64) / 10
    assert report.predictor == pytest.approx(6 * spikes + 3 * 9 * 9 * 6)  # a Linear of six, products with membranes
    assert report.predictor_macs == 3 * (6 * 6 + 9 * 9 * 6)
    closed = [1 - values[name].mean() for name in ("channels", "places")]
    assert report.neurons == 3 * 36 * 10
    assert report.masked_neurons == pytest.approx(3 * 36 * (6 * closed[0] + 4 * closed[1]))
    inside = 16 * 16  # pixels that 3 x 3 windows of a padded 6 x 6 map see
    assert report.macs == 3 * inside * (6 * 6 + 6 * 4)
    assert 0 < report.masked_macs < report.macs
    saved = report.masked_macs + report.masked_neurons - report.predictor_macs
    assert report.paper_reduction == saved / (report.macs + report.neurons)
    with pytest.raises(ConfigError, match="a network with gated synapses, got none"):
        gate_report(small.model(), images)
    assert net["conv2"].gate == "channels"


def test_channels_go_with_their_gate():
    model, images = initialise(network(), 1), small.dataset(6).images
    keep = np.array([0, 2, 3, 5])
    fewer = remove_channels(model, {"lif2": keep})
    assert coupled_groups(model.network) == (("lif1",), ("lif2",), ("lif3",))
    assert fewer.network.shape("channels") == (1, 1, 4)
    np.testing.assert_array_equal(fewer.params["which"]["weight"], model.params["which"]["weight"][:, keep])
    np.testing.assert_array_equal(fewer.params["conv3"]["weight"], model.params["conv3"]["weight"][:, :, keep])
    assert fewer.state["places"] == model.state["places"]
    assert np.isfinite(forward(fewer, images).logits).all()
    assert remove_channels(model, {}).network == model.network


def test_channels_that_are_gated_in_groups_stay():
    net = network(size=2)
    assert unprunable(net) == {"lif2"}
    with pytest.raises(ConfigError, match=r"keep.lif2: expected all 6"):
        remove_channels(initialise(net), {"lif2": [0, 1, 2]})
