"""The Loihi report: every synapse counted by loops, nets at and past each limit, remedies that work."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from generators.integer_networks import random_integer_network

import naive.loihi as naive
from qpsnn_backends.loihi.limits import CHIPS, LOIHI1, LOIHI2, Limit
from qpsnn_backends.loihi.mapping import Cuts, place, reached
from qpsnn_backends.loihi.memory import axon_bits, index_width, weight_bits
from qpsnn_backends.loihi.populations import populations
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import ConfigError, ShapeError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import (
    IntConv,
    IntInput,
    IntLIF,
    IntLinear,
    IntMaxPool,
    IntReadout,
    IntSum,
    IntSumPool,
)
from qpsnn_core.integer.simulate import simulate

WIDTH = 5


def dense(
    shape=(1, 1, 4),
    peak=1,
    features=3,
    threshold=5,
    bias=0,
    code=3,
    gain=1,
    steps=1,
    classes=2,
    leak=(1, 1),
    reset="zero",
) -> IntegerNetwork:
    """input -> linear -> lif -> linear -> readout."""
    size = int(np.prod(shape))
    codes = np.full((size, features), code, np.int16)
    codes[0] = -code
    nodes = (
        IntInput("input", shape, peak),
        IntLinear("fc", "input", features),
        IntLIF("lif", ("fc",), *leak, reset),
        IntLinear("last", "lif", classes),
        IntReadout("readout", "last"),
    )
    arrays = {
        "fc": {"codes": codes, "gain": np.full(features, gain, np.int32)},
        "lif": {
            "threshold": np.broadcast_to(np.array(threshold, np.int32), (features,)).copy(),
            "bias": np.broadcast_to(np.array(bias, np.int32), (features,)).copy(),
        },
        "last": {"codes": np.ones((features, classes), np.int8), "gain": np.ones(classes, np.int32)},
        "readout": {"bias": np.zeros(classes, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, steps)


def uses(found, place):
    return {use.resource: use for layer in found.layers for use in layer.uses if use.place == place}


@pytest.mark.parametrize("seed", range(24))
def test_cores_are_those_that_loops_count(seed):
    network, _ = random_integer_network(seed)
    every = populations(network)
    rng = np.random.default_rng(seed)
    tiles = {p.name: tuple(int(rng.integers(1, size + 1)) for size in p.shape) for p in every}
    widths = dict.fromkeys((node.name for node in network), WIDTH)
    for p in every[1:]:
        readers = [(q, projection) for q in every for projection in q.projections if projection.source == p.name]
        reach = tuple(reached(projection, tiles[q.name]) for q, projection in readers)
        thresholds = network.arrays[p.name].get("threshold", np.zeros(0, np.int32))
        got = Cuts(p, thresholds, reach).fullest(tiles[p.name], LOIHI1, widths)
        cores = naive.cores(network, p.name, tiles[p.name])
        sent: dict = {}
        for q in {q.name for q, _ in readers}:
            for core, count in naive.out_axons(network, p.name, tiles[p.name], q, tiles[q]).items():
                sent[core] = sent.get(core, 0) + count
        assert got.neurons == max(core["neurons"] for core in cores.values())
        assert got.in_axons == max(len(core["axons"]) for core in cores.values())
        assert got.out_axons == max(sent.values(), default=0)
        bits = 0
        for core in cores.values():
            widths_of = {
                name: WIDTH + (0 if isinstance(network[name], IntLinear) else index_width(core["neurons"]))
                for name, _ in core["axons"]
            }
            bits = max(bits, sum(naive.memory(count, widths_of[axon[0]]) for axon, count in core["axons"].items()))
        assert got.synapse_bits == bits
        synapses = sum(sum(core["axons"].values()) for core in cores.values())
        assert sum(projection.synapses for projection in p.projections) == synapses


@pytest.mark.parametrize("seed", range(8))
def test_no_other_cut_needs_fewer_cores(seed):
    """On a chip so small that layers must be cut; every size of tile is tried."""
    network, _ = random_integer_network(seed)
    limits = {"neurons": 12, "in_axons": 40, "synapse_bits": 3000, "thresholds": 2, "out_axons": 60}
    tight = replace(LOIHI1, **{name: Limit(maximum, "this test") for name, maximum in limits.items()})
    widths = dict.fromkeys((node.name for node in network), WIDTH)
    every = populations(network)
    cut = 0
    for p in every[1:]:
        reach = tuple(
            reached(projection, (2, 2, 2)) for q in every for projection in q.projections if projection.source == p.name
        )
        thresholds = network.arrays[p.name].get("threshold", np.zeros(0, np.int32))
        best = None
        for tile in product(*(range(1, size + 1) for size in p.shape)):
            cores = int(np.prod([-(-whole // size) for whole, size in zip(p.shape, tile, strict=True)]))
            if not Cuts(p, thresholds, reach).fullest(tile, tight, widths).over(tight):
                best = cores if best is None else min(best, cores)
        got = place(p, tight, widths, thresholds, reach)
        assert got.cores == (p.neurons if best is None else best)
        assert bool(got.fullest.over(tight)) is (best is None)
        cut += got.cores > 1
    assert cut


def test_a_small_convolution_by_hand():
    nodes = (
        IntInput("input", (4, 4, 2), 1),
        IntConv("conv", "input", 3, 3, 1, 1),
        IntLIF("lif", ("conv",)),
        IntSumPool("pool", "lif", 4),
        IntLinear("fc", "pool", 2),
        IntReadout("readout", "fc"),
    )
    arrays = {
        "conv": {"codes": np.full((3, 3, 2, 3), -7, np.int8), "gain": np.ones(3, np.int32)},
        "lif": {"threshold": np.array([1, 2, 3], np.int32), "bias": np.zeros(3, np.int32)},
        "fc": {"codes": np.ones((3, 2), np.int8), "gain": np.ones(2, np.int32)},
        "readout": {"bias": np.zeros(2, np.int32)},
    }
    network = IntegerNetwork(nodes, arrays, 1)
    first, second = (report(network, chip) for chip in ("loihi1", "loihi2"))
    layer = first.layers[0]
    assert (layer.tile, layer.cores, layer.synapses) == ((4, 4, 3), 1, 100 * 2 * 3)
    # 16 pixels: 4 corners reach 4 outputs, 8 edges 6, 4 inner ones 9; each of 2 channels is an axon of as many * 3
    # synapses of 3 bits and 6 of index: 12, 18 and 27 synapses take 118, 172 and 253 bits: 128, 192 and 256.
    assert uses(first, "lif")["synapse bits per core"].used == 2 * (4 * 128 + 8 * 192 + 4 * 256)
    assert uses(first, "lif")["in axons per core"].used == 32
    assert uses(first, "lif")["out axons per core"].used == 48
    assert uses(first, "lif")["thresholds per core"].used == 3
    assert uses(first, "conv")["weight bits"].used == 3  # all negative: no sign is stored
    assert uses(second, "lif")["synapse bits per core"].used == 3 * 3 * 2 * 3 * 3
    assert first.layers[1].synapses == 48 * 2
    assert [use.used for use in first.totals] == [2, 50, 600 + 96, 48 * 24]
    assert first.fits
    assert second.fits


def test_memory_of_an_axon():
    for width in (1, 5, 14):
        counts = np.arange(1, 200)
        assert axon_bits(counts, width, 0).tolist() == [naive.memory(int(n), width) for n in counts]


def test_weight_bits_are_the_fewest():
    rng = np.random.default_rng(0)
    for chip in CHIPS.values():
        for _ in range(300):
            weights = rng.integers(-40, 41, 5) * 2 ** int(rng.integers(0, 16)) + int(rng.integers(0, 2))
            weights = np.abs(weights) if rng.random() < 0.2 else weights
            if not weights.any():
                continue
            scale = int(rng.integers(0, 16))
            assert weight_bits(weights, chip, scale) == naive.weight_bits(weights, chip.weight_shift, scale)


def test_scaled_as_the_report_says_the_stock_neuron_fires_as_ours():
    rng = np.random.default_rng(1)
    steps, differ = 5, 0
    for _ in range(400):
        currents, bias = rng.integers(-30, 31, steps).tolist(), int(rng.integers(-5, 6))
        threshold, state, ours = int(rng.integers(1, 40)), 0, []
        for current in currents:
            state = (state >> 1) + current + bias
            ours.append(int(state >= threshold))
            state = 0 if ours[-1] else state
        assert naive.stock_spikes(currents, bias, threshold, steps, 6 + steps - 1) == ours
        differ += naive.stock_spikes(currents, bias, threshold, steps, 6) != ours
    assert differ  # one bit less than needed is seen


@pytest.mark.parametrize(
    ("chip", "resource", "place", "most", "change"),
    [
        ("loihi1", "threshold", "lif", 2**17 - 1, lambda at: dense(threshold=at + 1)),
        ("loihi1", "bias", "lif", 2**12 - 1, lambda at: dense(bias=at)),
        ("loihi1", "bias", "lif", 2**12 - 1, lambda at: dense(bias=-at)),
        ("loihi2", "threshold", "lif", 2**23 - 1, lambda at: dense(threshold=at)),
        ("loihi2", "state", "lif", 2**23 - 1, lambda at: dense(bias=at - 9, threshold=1)),
        ("loihi1", "weight bits", "fc", 8, lambda at: dense(code=2 ** (at - 1) - 1)),
        ("loihi2", "weight bits", "fc", 8, lambda at: dense(code=2 ** (at - 1) - 1)),
    ],
)
def test_integers_at_and_past_each_limit(chip, resource, place, most, change):
    at, past = report(change(most), chip), report(change(most + 1), chip)
    assert uses(at, place)[resource].used == most
    assert uses(at, place)[resource].fits
    assert not uses(past, place)[resource].fits
    assert uses(past, place)[resource].remedy
    assert at.fits
    assert not past.fits


def test_each_time_step_doubles_thresholds_on_loihi_1():
    at, past = (report(dense(threshold=threshold, steps=2), "loihi1") for threshold in (2**16, 2**16 + 1))
    assert uses(at, "lif")["threshold"].used == 2**17 - 1
    assert uses(at, "lif")["threshold"].fits
    assert not uses(past, "lif")["threshold"].fits


def test_a_billion_time_steps_do_not_fit_and_are_refused_at_once():
    """Their leaks would take figures of as many bits."""
    started = time.process_time()
    found = report(dense(steps=10**9, leak=(1, 1)), "loihi1")
    assert not found.fits
    assert not uses(found, "lif")["threshold"].fits
    assert time.process_time() - started < 1


def test_the_state_of_loihi_1_at_and_past_its_limit():
    largest = (2**23 - 1) // 64
    for bias, fits in ((largest - 9, True), (largest - 8, False)):
        found = report(dense(bias=bias, threshold=1), "loihi1")
        assert uses(found, "lif")["state"].used == (bias + 9) * 64
        assert uses(found, "lif")["state"].fits is fits


@pytest.mark.parametrize(
    ("inputs", "features", "threshold", "cores"),
    [
        (4096, 2, 5, 1),
        (4, 1024, 5, 1),
        (4, 1025, 5, 2),
        (4, 16, np.arange(1, 17), 1),
        (4, 17, np.arange(1, 18), 2),
        (4096, 41, 5, 1),
        (4096, 42, 5, 2),
    ],
)
def test_a_core_is_filled_to_its_limits_and_no_further(inputs, features, threshold, cores):
    # 4096 axons of 41 synapses of 6 bits (codes of 31) and a head of 10 take 256 bits each: 2**20 in all.
    code = 31 if inputs == 4096 and features > 2 else 3
    found = report(dense((1, 1, inputs), features=features, threshold=threshold, code=code), "loihi1")
    assert found.layers[0].cores == cores
    assert found.fits


def test_a_neuron_that_reads_too_much_does_not_fit():
    found = report(dense((1, 1, 4097)), "loihi1")
    assert {use.resource for use in found.problems} == {"in axons per core"}
    assert "prune 1%" in found.problems[0].remedy
    assert "prune 50%" in report(dense((1, 1, 8192)), "loihi1").problems[0].remedy


def test_out_axons_at_and_past_their_limit():
    tight = replace(LOIHI1, out_axons=replace(LOIHI1.out_axons, maximum=6))
    network = dense(features=6, classes=1024)
    lif = populations(network)[1]
    reach = (reached(populations(network)[2].projections[0], (1, 1, 1024)),)
    used = Cuts(lif, np.ones(6), reach).fullest((1, 1, 6), tight, {"fc": 3})
    assert (used.out_axons, used.over(tight)) == (6, [])
    cut = (reached(populations(network)[2].projections[0], (1, 1, 512)),)
    assert Cuts(lif, np.ones(6), cut).fullest((1, 1, 6), tight, {"fc": 3}).over(tight) == ["out_axons"]


@pytest.mark.parametrize(("features", "cores"), [(16 * 127, 128), (16 * 127 + 1, 129)])
def test_cores_of_a_chip_at_and_past_their_limit(features, cores):
    found = report(dense(features=features, threshold=np.arange(1, features + 1)), "loihi1")
    use = found.totals[0]
    assert (use.resource, use.used) == ("cores", cores)
    assert use.fits is found.fits is (cores <= 128)
    assert use.remedy.startswith("spread it over 2 chips") is (cores > 128)


def test_layers_that_read_images_run_on_loihi_1s_host():
    assert report(dense(peak=1), "loihi1").layers[0].where == "cores"
    found = report(dense(peak=2), "loihi1")
    assert (found.layers[0].where, found.layers[0].cores) == ("host", 0)
    assert found.fits
    assert report(dense(peak=2), "loihi2").layers[0].where == "cores"


def test_the_largest_of_counts_is_refused():
    nodes = (
        IntInput("input", (2, 2, 1), 1),
        IntConv("conv", "input", 1, 1, 1, 0),
        IntLIF("lif", ("conv",)),
        IntSum("sum", ("lif", "input")),
        IntMaxPool("pool", "sum", 2, 2),
        IntLinear("fc", "pool", 2),
        IntReadout("readout", "fc"),
    )
    one = {"gain": np.ones(1, np.int32)}
    arrays = {
        "conv": {"codes": np.ones((1, 1, 1, 1), np.int8), **one},
        "lif": {"threshold": np.ones(1, np.int32), "bias": np.zeros(1, np.int32)},
        "fc": {"codes": np.ones((1, 2), np.int8), "gain": np.ones(2, np.int32)},
        "readout": {"bias": np.zeros(2, np.int32)},
    }
    found = report(IntegerNetwork(nodes, arrays, 1), "loihi2")
    assert not found.fits
    assert found.refused[0].startswith("pool: the largest of counts up to 2")


def test_loihi_1_cannot_subtract_and_the_report_says_what_can():
    network = dense(reset="subtract")
    found = report(network, "loihi1")
    assert not found.fits
    assert found.problems == ()
    (refused,) = found.refused
    assert refused.startswith("lif: resets by subtraction; loihi1: its neuron is set to zero by a spike")
    assert 'train with reset = "zero", or take loihi2' in refused
    assert report(network, "loihi2").fits
    assert report(dense(), "loihi1").fits
    assert report(dense(peak=2, reset="subtract"), "loihi1").fits  # the layer runs on the host


def test_the_state_of_a_reset_by_subtraction_is_what_it_can_reach():
    """Without a leak: each step adds at most 9 and the bias, and a spike takes 5 off: 14 more with every step."""
    for steps in (1, 4):
        found = report(dense(bias=10, leak=(1, 0), steps=steps, reset="subtract"), "loihi2")
        assert uses(found, "lif")["state"].used == 14 * (steps - 1) + 19


@pytest.mark.parametrize("seed", range(6))
def test_spikes_and_operations_are_those_that_loops_count(seed):
    network, images = random_integer_network(seed)
    if network.input.peak > 1:
        images = np.minimum(images, 1)
        network = IntegerNetwork((replace(network.input, peak=1), *network.nodes[1:]), network.arrays, network.steps)
    run = simulate(network, images)
    found = report(network, "loihi2", run.counts, 2).activity
    every = populations(network)
    synapses = 0
    for p in every[1:]:
        height, width, channels = p.shape
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    for _, (source, i, j, k) in naive.read_by(network, p.name, y, x, c):
                        synapses += run.counts[source][i, j, k]
    assert found.synapses == synapses / 2
    for name, spikes in found.spikes.items():
        assert spikes == pytest.approx(run.counts[name].sum() / 2 / network.steps)
    assert found.updates == network.steps * sum(p.neurons for p in every[1:])
    assert found.energy_uj == pytest.approx((23.6 * found.synapses + 1.7 * found.messages + 81 * found.updates) * 1e-6)


@pytest.mark.parametrize(("chip", "wide"), [("loihi1", {"linear"}), ("loihi2", {"conv1", "linear"})])
def test_what_it_advises_makes_it_fit(chip, wide):
    import small

    import qpsnn_core as qp
    from qpsnn_core.network import Conv, Linear, Quantizer

    model = small.model()
    network = model.network
    found = report(qp.lower(model).network, chip)
    assert not found.fits
    bits = [use for use in found.problems if "quantize" in use.remedy]
    assert {use.place for use in bits} == wide
    for node in network.of(Conv, Linear):
        if node.name in {use.place for use in bits}:
            network = network.change(node.name, quantizer=Quantizer(7, gamma="max", granularity="layer"))
    changed = model._replace(network=network)
    found = report(qp.lower(changed).network, chip)
    assert not [use for use in found.problems if "quantize" in use.remedy]
    most = {
        kind: min((int(use.remedy.split()[4]) for use in found.problems if f"{kind} bits" in use.remedy), default=12)
        for kind in ("fraction", "readout")
    }
    lowered = qp.lower(changed, fraction_bits=most["fraction"], readout_bits=most["readout"])
    assert report(lowered.network, chip).problems == ()


def test_bad_input_is_told():
    network = dense()
    with pytest.raises(ConfigError, match="chip: expected one of loihi1, loihi2, got 'loihi3'"):
        report(network, "loihi3")
    with pytest.raises(ConfigError, match="images: expected at least 1"):
        report(network, "loihi2", {})
    with pytest.raises(ConfigError, match=r"counts.input: expected counted spikes"):
        report(network, "loihi2", {}, 1)
    with pytest.raises(ShapeError, match=r"counts.input: expected an array \(1, 1, 4\)"):
        report(network, "loihi2", {"input": np.zeros((2, 2, 4), int)}, 1)


def test_what_is_uncertain_is_marked():
    found = report(dense(), "loihi2").to_dict()
    assert not any(use["certain"] for layer in found["layers"] for use in layer["uses"])
    assert all(use["source"] for layer in found["layers"] for use in layer["uses"])
    assert LOIHI2.notes[0] in found["notes"]
