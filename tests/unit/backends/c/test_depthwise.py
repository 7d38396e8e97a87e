"""Depthwise convolutions of spikes in C: exact at the edges of maps and of words, in the lanes that their sums need."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from compiled import SANITIZED, needs_cc

import qpsnn_backends
import qpsnn_core as qp
from qpsnn_backends.c.counts import Counts
from qpsnn_backends.c.depthwise import DepthwiseJob, depthwise_job
from qpsnn_backends.c.direct import DirectJob
from qpsnn_backends.c.plan import plan
from qpsnn_backends.c.planned import of
from qpsnn_core.integer.nodes import IntConv
from qpsnn_core.layers import LIF, Conv, Linear
from qpsnn_core.quantization.formats import Quantizer


@needs_cc
@pytest.mark.once
def test_every_window_is_exact():
    layers = [Conv(35), LIF(threshold=0.3)]
    for kernel, stride, padding, bits in (((3, 2), (2, 1), (2, 0), 4), ((1, 3), (1, 2), (0, 2), 8), (2, 1, 1, 2)):
        own = Conv(35, kernel, stride, padding=padding, groups=35, quantizer=Quantizer(bits, "mean"))
        layers += [own, LIF(threshold=0.3)]
    network = qp.sequential((7, 6, 3), [*layers, Linear(4)], steps=3)
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 6, 3)).astype(np.uint8)
    net = qp.lower(qp.recalibrate(qp.initialise(network, 0), images)).network
    assert [job.lane for job in of(DepthwiseJob, plan(net).synapses)] == [8, 16, 8]
    ref = qpsnn_backends.get("exact").run(net, images, record="all")
    run = qpsnn_backends.get("c", flags=SANITIZED).run(net, images, record="all")
    for name in ref.spikes:
        assert 0.05 < ref.spikes[name].mean() < 0.95
        np.testing.assert_array_equal(run.spikes[name], ref.spikes[name], name)
        np.testing.assert_array_equal(run.membranes[name], ref.membranes[name], name)
    np.testing.assert_array_equal(run.readout, ref.readout)


@pytest.mark.parametrize(
    ("low", "high", "lane"), [(-15, 13, 8), (-15, 14, 16), (0, 28, 8), (-2, 7279, 16), (-2, 7280, None)]
)
def test_lanes_hold_the_sums_with_their_biases(low, high, lane):
    """9 taps: 15 + 13 each is 252, 15 + 14 is 261; 2 + 7279 each is 65529, one more 65538."""
    codes = np.full((3, 3, 1, 2), high, np.int16)
    codes[..., 1] = low
    node, spikes = IntConv("c", "s", 2, 3, 1, 1, 2), Counts("s", (4, 4, 2), 1, "bits")
    job = depthwise_job(DirectJob(node, "c", spikes, (4, 4, 2), codes, np.ones(2, np.int32)))
    assert (job.lane if isinstance(job, DepthwiseJob) else None) == lane


def test_counts_and_several_outputs_of_a_channel_go_input_by_input():
    codes = np.ones((1, 1, 1, 4), np.int8)
    for kind, channels in (("u8", 4), ("bits", 2)):
        node = SimpleNamespace(groups=channels)
        job = DirectJob(node, "c", Counts("s", (1, 1, channels), 1, kind), (1, 1, 4), codes, np.ones(4, np.int32))
        assert depthwise_job(job) is job
