"""Gates in integers: thresholds that are exact, spikes that are the trained network's, masks that fit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from generators.gates import by_membranes, deployable

from naive import integer as naive
from oracle import networks
from qpsnn_core.common.errors import ConfigError, LoweringError, ShapeError
from qpsnn_core.engine import passes
from qpsnn_core.engine.gates import gated_additions
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.lowering.gates import gate_thresholds
from qpsnn_core.integer.lowering.lower import affine, lower
from qpsnn_core.integer.lowering.shares import shares
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.integer.stateful import StatefulSimulator
from qpsnn_core.network import LIF, Conv, MaxPool, MembraneQuantizer, Network, Sum
from qpsnn_datasets import Dataset

NET = deployable()
MODEL, IMAGES = networks.model(NET), networks.images(NET)
LOWERED = lower(MODEL).network
BY_MEMBRANES = lower(networks.model(by_membranes())).network


def test_every_spike_is_the_twins_and_the_trained_networks():
    run = simulate(LOWERED, IMAGES, record="all")
    readout, spikes, membranes = naive.run(LOWERED, IMAGES)
    np.testing.assert_array_equal(run.readout, readout)
    trained = passes.forward(MODEL, IMAGES, save_for_backward=True).values
    for name, found in run.spikes.items():
        np.testing.assert_array_equal(found, spikes[name])
        np.testing.assert_array_equal(found, trained[name])
        np.testing.assert_array_equal(run.membranes[name], membranes[name])


@pytest.mark.parametrize(
    "net",
    [
        by_membranes(),
        by_membranes(
            how=MembraneQuantizer(-1, 1, parts=2), learn=("threshold",), learn_per="channel", reset="subtract"
        ),
        by_membranes(how=MembraneQuantizer(0, 3), beta=0.75),
    ],
    ids=["five levels", "half thresholds of each channel", "none below 0"],
)
def test_a_prior_of_membranes_is_the_levels_of_the_step_before(net):
    """Exactly: sums of levels are integers in training, too."""
    model = networks.model(net, 1)
    lowered = lower(model).network
    run = simulate(lowered, IMAGES, record="all")
    readout, spikes, _ = naive.run(lowered, IMAGES)
    np.testing.assert_array_equal(run.readout, readout)
    trained = passes.forward(model, IMAGES, save_for_backward=True).values
    assert trained["prior"].dtype.kind in "iu"
    assert trained["prior"].any()
    assert 0 < trained["places"].mean() < 1
    for name, found in run.spikes.items():
        np.testing.assert_array_equal(found, spikes[name])
        np.testing.assert_array_equal(found, trained[name])
    step, parts = lowered.arrays["lif1"]["threshold"], lowered["lif1"].membrane.parts
    levels = run.membranes["lif1"].astype(np.int64) * parts // step
    sums = levels[:, :, :6, :6].reshape(4, -1, 3, 2, 3, 2, 4).sum((3, 5))
    np.testing.assert_array_equal(trained["prior"], np.concatenate([0 * sums[:1], sums[:-1]]))


def test_a_prior_begins_with_what_the_piece_before_left():
    frames = networks.images(by_membranes(), frames=True)
    whole = IntegerNetwork(BY_MEMBRANES.nodes, BY_MEMBRANES.arrays, 4)
    run, pieces = simulate(whole, frames, record="spikes"), StatefulSimulator(whole, 2, keep=True)
    found = [pieces.run(frames[start : start + 2]) for start in (0, 2)]
    for name, spikes in run.spikes.items():
        np.testing.assert_array_equal(spikes, np.concatenate([one.spikes[name] for one in found]))


def test_additions_of_gated_sums_are_the_trained_networks():
    counts = simulate(LOWERED, IMAGES).counts
    trained = gated_additions(NET, passes.forward(MODEL, IMAGES, save_for_backward=True).values)
    assert trained
    for name, total in trained.items():
        np.testing.assert_array_equal(counts[name], total)
    names = tuple(f"class {index}" for index in range(NET.classes))
    data = Dataset(IMAGES, networks.labels(NET), names, "some")
    of_integers, of_trained = (measured_cost(MODEL, evaluate(one, data)).sops for one in (LOWERED, MODEL))
    assert of_integers == of_trained


def test_sums_of_an_image_behind_a_mask_of_each_step():
    """They are computed once for all steps where no gate is, and here at every step."""
    start = [node for node in NET.nodes if node.name in ("input", "conv1", "lif1", "prior", "where", "places")]
    late = Conv("late", "input", 3, quantizer=networks.ENDS, gate="places")
    net = Network((*start, late, LIF("lif2", ("late",)), *networks._head("lif2")), 3)
    model, images = networks.model(net), networks.images(net)
    lowered = lower(model).network
    run, trained = simulate(lowered, images, record="all"), passes.forward(model, images, save_for_backward=True).values
    assert 0 < trained["places"].mean() < 1
    np.testing.assert_array_equal(run.readout, naive.run(lowered, images)[0])
    np.testing.assert_array_equal(run.spikes["lif2"], trained["lif2"])


def test_the_threshold_is_the_least_sum_that_opens():
    currents = {node.name: affine(MODEL, node) for node in NET if NET.values[node.name].kind == "current"}
    for name, found in gate_thresholds(NET, currents, shares(NET)).items():
        current, strict = currents[NET[name].source], name in ("channels", "pairs")
        for k, least in enumerate(found.tolist()):
            scale, shift = Fraction(current.scale[k]), Fraction(current.shift[k])
            for n in range(int(current.reach.low[k]), int(current.reach.high[k]) + 1):
                assert (scale * n + shift > 0 or (not strict and scale * n + shift == 0)) == (n >= least)


def test_it_is_saved_and_loaded(tmp_path):
    save_integer(tmp_path / "n.h5", LOWERED)
    assert load_integer(tmp_path / "n.h5").digest() == LOWERED.digest()


def test_what_has_no_integers_is_refused_by_name():
    whole = r"^prior \(from lif1\): expected membranes of few levels in lif1.*prior = .spikes.*, got whole membranes"
    with pytest.raises(LoweringError, match=whole):
        lower(networks.model(networks.network("gates")))
    nodes = tuple(replace(node, membrane=None) if node.name == "lif1" else node for node in BY_MEMBRANES.nodes)
    with pytest.raises(ShapeError, match=r"prior \(from lif1\): expected an IntLIF whose membrane has levels"):
        IntegerNetwork(nodes, BY_MEMBRANES.arrays, 4)
    nodes = [
        node for node in NET.nodes if node.name in ("input", "conv1", "lif1", "mean", "which", "channels", "conv2")
    ]
    ends = LIF("lif2", ("conv2",)), MaxPool("top", "lif2", 6), LIF("extra", ("which",)), Sum("sum", ("extra", "top"))
    shared = Network((*nodes, *ends, *networks._head("sum")), 2)
    with pytest.raises(
        LoweringError, match=r"which: current: expected to be read by channels alone.* got also by extra"
    ):
        lower(networks.model(shared))


def test_masks_that_fit_nothing_are_refused_by_name():
    for name, changed, message in (
        ("conv2", {"gate": "lif1"}, r"conv2 \(from lif1\): expected channel mask or place mask, got 'counts'"),
        ("conv2", {"gate": "places", "source": "mean"}, r"conv2 \(from places\): expected a place mask \(1, 1, 1\)"),
        ("conv2", {"source": "pairs"}, r"conv2 \(from pairs\): expected counts or signed, got 'channel mask'"),
        ("places", {"shape": (2, 7)}, r"places \(from where\): expected one channel, of at most \(2, 7\) places"),
        ("pairs", {"size": 0}, r"pairs.size: expected an integer of at least 1"),
        ("pairs", {"shape": (2, 2)}, r"pairs.shape: expected \(H, W\) and size 1, or None for channels"),
    ):
        nodes = tuple(replace(node, **changed) if node.name == name else node for node in LOWERED.nodes)
        with pytest.raises((ShapeError, ConfigError), match=message):
            IntegerNetwork(nodes, LOWERED.arrays, 4)
