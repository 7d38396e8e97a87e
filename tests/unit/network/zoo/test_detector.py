"""EMS-YOLO's detector: its published sizes, its shape, what of it is pruned, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.compression.channels.rates import prunable
from qpsnn_core.experiments.paper_table5 import MIDDLES, RATE, pruned_widths, sizes
from qpsnn_core.network import Concat, CurrentReadout, MaxPool
from qpsnn_core.network.zoo.detector import DETECTOR, SMALL, detector, detector_small


def test_its_sizes_are_those_of_table_5():
    """Its backbone's, alone, in 10**6 bytes: 4,823,104 parameters of 32 bits; 4 bits; 13% of the middles pruned."""
    found = {(row.part, row.bits, row.rate): row for row in sizes()}
    whole, quantized, pruned = (found[("backbone", *key)] for key in ((32, 0.0), (4, 0.0), (4, RATE)))
    assert (whole.parameters, round(whole.size_mb, 3), whole.printed_mb) == (4_823_104, 19.292, 19.29)
    assert round(quantized.size_mb, 3) == 2.462
    assert (round(pruned.size_mb, 4), pruned.printed_mb) == (2.1508, 2.15)
    assert [pruned_widths(RATE)[place] for place in MIDDLES] == [int(0.87 * c) for c in (64, 128, 256, 512)]
    assert (found["whole", 32, 0.0].parameters, round(found["whole", 32, 0.0].size_mb, 1)) == (17_399_962, 69.6)
    assert round(found["whole", 4, 0.0].size_mb, 3) == 8.901


def test_its_maps_and_its_streams():
    network = detector((320, 256, 3), 10)
    assert [(node.name, network.shape(node.name)) for node in network.readouts] == [
        ("p4", (20, 16, 45)),
        ("p5", (10, 8, 45)),
    ]
    assert all(isinstance(node, CurrentReadout) and node.places == "each" for node in network.readouts)
    assert {network.values[node.name].kind for node in network.of(Concat, MaxPool)} == {"current"}
    assert {(lif.threshold, lif.beta, lif.surrogate, lif.detach_reset) for lif in network.neurons} == {
        (0.5, 0.25, "rectangular", True)
    }
    begun = qp.initialise(detector_small(width=0.25, head="currents")).params
    weights = {name.rpartition(".")[2]: set(own["bn_weight"]) for name, own in begun.items() if "bn_weight" in own}
    half = {np.float32(0.5)}
    assert weights == {"layer0": half, "conv1": half, "shortcut": half, "conv2": {np.float32(0.1)}}
    assert len(SMALL) == 13
    assert len(DETECTOR) == 17


@pytest.mark.parametrize("head", ["currents", "spikes"])
def test_the_middles_of_blocks_are_what_is_pruned(head):
    """A stream's channels are a part of those of the next, by their Concat, and stay."""
    network = detector_small((32, 32, 3), 2, width=0.25, head=head)
    middles = tuple(name for name in prunable(network, prune_last=True) if name.endswith(".lif2"))
    assert middles == tuple(f"layer{index}.lif2" for index in range(1, 7))
    others = set(prunable(network, prune_last=True)) - set(middles)
    assert not {name for name in others if name.startswith(("layer2", "layer3"))}
    model = qp.initialise(network, 3)
    rng = np.random.default_rng(3)
    scores = {lif.name: rng.random(network.shape(lif.name)[2]) for lif in network.neurons}
    pruned = qp.prune(model, scores, dict.fromkeys(middles, 0.4), prune_last=True)
    widths = [round(one * 0.25) for one in SMALL]
    widths[1::2] = [one - int(np.ceil(one * 0.4)) for one in widths[1::2]]
    again = detector_small((32, 32, 3), 2, widths=widths, head=head)
    assert pruned.model.network == again


def test_what_it_refuses():
    with pytest.raises(ConfigError, match=r"^detector\.head: expected one of currents, spikes, got 'logits'"):
        detector(head="logits")
    with pytest.raises(ConfigError, match=r"^detector_small\.anchors: expected an integer of at least 1, got 0$"):
        detector_small(anchors=0)
    with pytest.raises(ConfigError, match=r"^detector\.widths: expected 17 channel counts, got 2$"):
        detector(widths=(4, 4))
    with pytest.raises(qp.errors.ShapeError, match=r"^layer4\.lif1 \(from layer3\.pool\): expected \(3, 2, 64\)"):
        detector_small((40, 32, 3))
