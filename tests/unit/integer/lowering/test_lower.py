"""Lowering: integer neurons fire as the trained ones do, but where U~ is within the reported rounding of theta."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import small
from generators.all_kinds import block, images_of, model_of, tiny, tiny_model
from hypothesis import given
from hypothesis import strategies as st

from naive import trained
from qpsnn_core.common.errors import ConfigError, LoweringError, NumericsError, ShapeError
from qpsnn_core.engine.passes import forward
from qpsnn_core.integer.lowering.fixed_point import leak
from qpsnn_core.integer.lowering.fold import REAL_WEIGHTS
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Quantizer, Readout, Sum
from qpsnn_core.network.nodes import RESETS


def differences(model, lowered, images, share=1.0, quantizer=None):
    """How many neurons fire otherwise than in float64 on the same inputs.

    Each is near its threshold when it first does: within `share` of the reported margin.
    """
    run = simulate(lowered.network, images, record="all")
    _, ref, before = trained.run(model, images, run.spikes, quantizer)
    count = 0
    for node in model.network.of(LIF):
        differ = run.spikes[node.name] != ref[node.name]
        first = differ & (differ.cumsum(0) == 1)
        distance = np.abs(before[node.name] - node.threshold)
        margin = np.broadcast_to(lowered.report[node.name].margin * share, distance.shape)
        assert (distance[first] <= margin[first] * (1 + 1e-9)).all(), node.name
        count += int(first.sum())
    assert 0.02 < np.mean([spikes.mean() for spikes in run.spikes.values()]) < 0.7
    return count


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.25, 0.0, 1.0])
def test_spikes_are_the_trained_ones_within_the_reported_rounding(bits, beta, reset):
    network = block(bits, beta, reset=reset)
    model = model_of(network, bits)
    assert differences(model, lower(model), images_of(network)) <= 1


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("steps", [1, 9])
def test_thresholds_and_steps(threshold, steps):
    network = block(threshold=threshold, steps=steps)
    model = model_of(network, steps)
    assert differences(model, lower(model), images_of(network)) <= 20


@pytest.mark.parametrize("quantizer", [Quantizer(3, "one"), Quantizer(3, "percentile", "layer"), Quantizer(5, "max")])
def test_quantizers(quantizer):
    network = block(quantizer=quantizer)
    model = model_of(network, 5)
    assert differences(model, lower(model), images_of(network)) <= 1


@pytest.mark.parametrize("reset", RESETS)
def test_coarse_units_stay_within_what_they_report(reset):
    network = block(2, reset=reset, steps=4 if reset == "zero" else 9)
    total = 0
    for seed in range(5):
        model = model_of(network, seed)
        total += differences(model, lower(model, fraction_bits=0), images_of(network, 6, seed))
    assert total > 20


def test_the_check_can_fail():
    """Ten thousandths of the reported margins are not enough: the test above looks at what it claims to."""
    network = block(2)
    model = model_of(network, 0)
    with pytest.raises(AssertionError, match="lif"):
        differences(model, lower(model, fraction_bits=0), images_of(network, 6), share=1e-3)


def test_finer_units_report_less_rounding():
    model = model_of(block())
    coarse, fine = (lower(model, fraction_bits=bits).report for bits in (3, 9))
    for name in ("lif1", "lif3", "lif5"):
        rounded = [part.rounding - part.float32 for part in (fine[name], coarse[name])]
        assert 0 < rounded[0] < rounded[1] / 30
        assert fine[name].float32 == pytest.approx(coarse[name].float32, rel=1e-2)


def test_logits_are_the_readout_times_its_scale():
    model = model_of(block())
    network, report = lower(model)
    run = simulate(network, x := images_of(model.network, 5), record="spikes")
    logits, *_ = trained.run(model, x, run.spikes)
    found = run.readout * network.readout.scale / network.steps
    assert np.abs(found - logits).max() <= report.readout.rounding + 1e-12
    assert report.readout.rounding < 0.01
    assert np.ptp(logits) > 0.1


def test_nodes_keep_their_names_and_shapes():
    model = model_of(block())
    network, _ = lower(model)
    assert [node.name for node in network] == [node.name for node in model.network]
    for node in model.network:
        assert network.shape(node.name) == model.network.shape(node.name)
    assert type(lower(model).network).__name__ == "IntegerNetwork"
    assert lower(model).network.digest() == network.digest()


def test_gains_of_lone_currents_are_powers_of_two_and_none_is_negative():
    network, report = lower(model_of(block()), fraction_bits=8)
    assert set(network.arrays["conv1"]["gain"]) == {256}
    assert (report["lif1"].fraction_bits, report["lif1"].gain) == ((8, 8), 0)
    for node in network.of(IntConv, IntLinear):
        assert (network.arrays[node.name]["gain"] >= 0).all()
    assert sum(report[name].flipped for name in ("conv1", "conv2", "conv3", "conv5")) > 3


def test_flipped_codes():
    network = tiny()
    model = tiny_model(network, bn_weight=[-1.0, 1.0])
    codes = lower(model).network.arrays["conv"]["codes"]
    straight = lower(tiny_model(network, bn_weight=[1.0, 1.0])).network.arrays["conv"]["codes"]
    np.testing.assert_array_equal(codes, straight * np.array([-1, 1], np.int8))


def test_weights_in_floating_point_become_eight_bits_and_the_report_says_so():
    network = block().change("conv3", quantizer=None)
    model = model_of(network)
    lowered = lower(model)
    assert lowered.report["conv3"].rounded
    assert not lowered.report["conv2"].rounded
    assert "conv3: weights trained in floating point are now 8-bit codes" in str(lowered.report)
    assert lowered.network.arrays["conv3"]["codes"].dtype == np.int16
    assert differences(model, lowered, images_of(network), quantizer=REAL_WEIGHTS) <= 1


def test_one_current_for_two_neurons():
    nodes = (
        Input("in", (5, 5, 2), 255),
        Conv("conv", "in", 4, quantizer=Quantizer(5, "mean")),
        LIF("lif1", ("conv",)),
        LIF("twin", ("conv",), threshold=2.0, beta=0.75),
        Sum("both", ("lif1", "twin")),
        Conv("more", "both", 4, quantizer=Quantizer(3, "mean")),
        LIF("lif2", ("more", "conv"), threshold=1.5),
        Linear("fc", "lif2", 2),
        Readout("out", "fc"),
    )
    network = Network(nodes, 4)
    model = model_of(network)
    lowered = lower(model)
    np.testing.assert_array_equal(lowered.report["lif1"].unit, lowered.report["twin"].unit)
    assert differences(model, lowered, images_of(network)) <= 1


@pytest.mark.parametrize("scale", [0.0, 1e-30, -1e-12, 1e-4])
@pytest.mark.parametrize("shift", [0.0, 0.6, 0.51, 1.0, -0.4, 1e9, -1e9])
def test_channels_that_hardly_depend_on_their_input(scale, shift):
    """A batch-norm scale of nearly nothing: bias and threshold are out of all proportion to the weights."""
    network = tiny()
    model = tiny_model(network, bn_weight=[scale, 1.0], bn_bias=[shift, 0.3])
    lowered = lower(model)
    x = images_of(network, 20)
    run = simulate(lowered.network, x, record="spikes")
    _, ref, before = trained.run(model, x)
    report = lowered.report["lif"]
    far = np.abs(before["lif"] - 1) > report.margin
    assert far[..., 0].all() or shift == 1
    np.testing.assert_array_equal(run.spikes["lif"][..., far.all((0, 1, 2, 3))], ref["lif"][..., far.all((0, 1, 2, 3))])
    assert report.margin[0] < 1e-5 * max(1, abs(shift))
    assert report.coarse == ((0,) if abs(scale) < 1e-4 or abs(shift) > 1e8 else ())
    assert (0 in report.firing) == (shift >= 1 and bool(run.spikes["lif"][..., 0].all()))
    assert (0 in report.dead) == (shift < 0.5)


def test_leaks_that_need_rounding():
    assert [leak(beta) for beta in (0.5, 0.25, 0.75, 1.0, 0.0)] == [(1, 1), (1, 2), (3, 2), (1, 0), (0, 0)]
    assert leak(0.9) == (1843, 11)
    report = lower(model_of(tiny(beta=0.9))).report
    assert report["lif"].beta_rounding == pytest.approx(abs(0.9 - 1843 / 2048))
    assert "beta 0.9 is 1843/2048, off by 9.8e-05" in str(report)


def wide(kernel):
    """Sums down to -65535 * 255 * kernel**2: no reset bounds the membrane."""
    nodes = (
        Input("in", (kernel, kernel, 1), 65535),
        Conv("conv", "in", 1, kernel, 1, 0, Quantizer(8, "max")),
        LIF("lif", ("conv",)),
        Linear("fc", "lif", 2, Quantizer(8, "max")),
        Readout("out", "fc"),
    )
    model = model_of(Network(nodes, 4))
    model.params["conv"]["weight"][:] = 1
    model.params["conv"]["bn_weight"][:] = -1
    return model


def test_fraction_bits_give_way_to_int32():
    lowered = lower(wide(4))
    assert lowered.report["lif"].fraction_bits == (2, 2)
    assert "lif: 2 fraction bits in some channels, so that all fits int32" in str(lowered.report)
    assert lower(wide(4), fraction_bits=2).report["lif"].fraction_bits == (2, 2)
    assert lower(wide(8)).report["lif"].fraction_bits == (0, 0)


def test_what_no_unit_can_hold_is_refused():
    with pytest.raises(LoweringError, match=r"lif: expected membranes of at most 2147483647, got up to \d+ .channel 0"):
        lower(wide(11))
    with pytest.raises(
        LoweringError, match=r"conv.weight: expected accumulators of at most .* magnitudes up to 65535 from"
    ):
        lower(wide(12))


def test_readout_bits_give_way_to_int32():
    nodes = (Input("in", (8, 8, 9), 255), Linear("fc", "in", 2, Quantizer(8, "max")), Readout("out", "fc"))
    network = Network(nodes, 2)
    lowered = lower(model := model_of(network))
    bits, largest = lowered.report.readout.fraction_bits, lowered.network.values["fc"].max_count
    assert bits < 12
    assert largest < 2**31 <= 2 * largest * 1.01
    x = images_of(network, 4)
    logits, *_ = trained.run(model, x)
    found = simulate(lowered.network, x).readout * lowered.network.readout.scale / 2
    assert np.abs(found - logits).max() <= lowered.report.readout.rounding + 1e-9


def test_a_readout_without_weights():
    model = model_of(tiny())
    model.params["fc"]["weight"][:] = 0
    assert lower(model).report.readout.rounding < 1e-6


@pytest.mark.parametrize("bits", [-1, 25, 8.0, True])
@pytest.mark.parametrize("place", ["fraction_bits", "readout_bits"])
def test_wrong_bits_are_refused(place, bits):
    with pytest.raises(ConfigError, match=f"{place}: expected an integer from 0 to 24"):
        lower(model_of(tiny()), **{place: bits})


def test_real_images_are_refused():
    network = tiny().change("in", peak=None)
    with pytest.raises(LoweringError, match=r"in\.peak: expected images of integers"):
        lower(model_of(network))


@pytest.mark.parametrize(
    ("name", "array", "error", "message"),
    [
        ("weight", np.full((1, 1, 2, 2), np.nan), NumericsError, "conv.weight: expected finite numbers"),
        (
            "weight",
            np.zeros((1, 1, 2, 3)),
            ShapeError,
            r"conv.weight: expected an array .1, 1, 2, 2., got .1, 1, 2, 3.",
        ),
        ("bn_bias", [np.inf, 0], NumericsError, "conv.bn_bias: expected finite numbers"),
        ("mean", [0, 0, 0], ShapeError, r"conv.mean: expected an array .2,., got .3,."),
        ("var", [1, -1], NumericsError, r"state.conv.var: expected numbers of at least 0, got -1.0"),
    ],
)
def test_wrong_parameters_are_refused(name, array, error, message):
    with pytest.raises(error, match=message):
        lower(tiny_model(tiny(), **{name: array}))


def test_a_missing_parameter_is_refused():
    model = model_of(tiny())
    del model.params["conv"]["bn_weight"]
    with pytest.raises(ShapeError, match=r"conv.bn_weight: expected an array .*, got nothing"):
        lower(model)


def test_the_report_as_json_and_as_text():
    model = model_of(block(beta=0.9))
    report = lower(model).report
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert list(data["neurons"]) == [node.name for node in model.network.of(LIF)]
    assert data["synapses"]["conv2"] == {"bits": 4, "flipped": report["conv2"].flipped, "rounded": False}
    assert data["neurons"]["lif3"]["coarse"] == [0, 1]
    assert data["neurons"]["lif2"]["leak"]["multiplier"] == 1843
    assert data["readout"]["fraction_bits"] == 12
    text = str(report)
    for node in model.network.of(LIF):
        assert f"\n{node.name}" in text
    assert "lif3: 2 channels hardly depend on their input" in text
    assert "codes changed sign in" in text
    assert max(len(line) for line in text.splitlines()) <= 120


class TestExactness:
    """With beta = 1/2 and integer inputs, biases and thresholds, the shift changes no spike: floors commute."""

    def spikes(self, frames, bias, threshold):
        """frames: [T], each a current X of one neuron, 0..255."""
        nodes = (
            IntInput("in", (1, 1, 1), 255),
            IntConv("conv", "in", 1, 1, 1, 0),
            IntLIF("lif", ("conv",)),
            IntLinear("fc", "lif", 1),
            IntReadout("out", "fc"),
        )
        one = np.ones(1, np.int32)
        arrays = {
            "conv": {"codes": np.ones((1, 1, 1, 1), np.int8), "gain": one},
            "lif": {"threshold": one * threshold, "bias": one * bias},
            "fc": {"codes": np.ones((1, 1), np.int8), "gain": one},
            "out": {"bias": one},
        }
        network = IntegerNetwork(nodes, arrays, len(frames))
        return simulate(network, np.array(frames).reshape(-1, 1, 1, 1, 1), record="spikes").spikes["lif"].ravel()

    @given(st.lists(st.integers(0, 255), min_size=1, max_size=12), st.integers(-200, 50), st.integers(1, 400))
    def test_floors_commute(self, frames, bias, threshold):
        potential, ref = Fraction(0), []
        for x in frames:
            potential = potential / 2 + x + bias
            ref.append(int(potential >= threshold))
            potential = Fraction(0) if ref[-1] else potential
        assert self.spikes(frames, bias, threshold).tolist() == ref

    @pytest.mark.parametrize("fraction_bits", [0, 1, 8])
    @pytest.mark.parametrize("seed", range(5))
    def test_a_lowered_layer_is_exact(self, fraction_bits, seed):
        """Codes, no batch norm, a threshold that is a whole number of steps: exactly the rational trajectory."""
        rng = np.random.default_rng(seed)
        nodes = (
            Input("in", (4, 4, 3), 1, 1.0, spikes=True),
            Conv("conv", "in", 8, quantizer=Quantizer(4, "one"), batch_norm=False),
            LIF("lif", ("conv",), threshold=float(rng.integers(1, 40)) / 15),
            Linear("fc", "lif", 2),
            Readout("out", "fc"),
        )
        network = Network(nodes, 8)
        model = model_of(network, seed)
        lowered = lower(model, fraction_bits=fraction_bits)
        x = rng.integers(0, 2, (8, 4, 4, 4, 3)).astype(np.uint8)
        run = simulate(lowered.network, x, record="spikes")
        codes = lowered.network.arrays["conv"]["codes"].astype(np.int64)
        acc = trained.convolve(x.reshape(-1, 4, 4, 3), codes, 1, 1).astype(np.int64).reshape(8, 4, 4, 4, 8)
        level = round(network["lif"].threshold * 15)
        doubled, level = acc * 2**8, level * 2**8
        potential = np.zeros(acc.shape[1:], np.int64)
        for t in range(8):
            potential = potential // 2 + doubled[t]
            fired = potential >= level
            np.testing.assert_array_equal(run.spikes["lif"][t], fired)
            potential[fired] = 0
        assert 0.01 < run.spikes["lif"].mean() < 0.9


def test_the_trainers_own_spikes_are_the_integer_ones():
    """Against the engine, which works in float32."""
    made = small.model()
    x = small.dataset().images
    lowered = lower(made)
    ours, theirs = forward(made, x, save_for_backward=True), simulate(lowered.network, x, record="spikes")
    differ = sum(int((ours.values[node.name] != theirs.spikes[node.name]).sum()) for node in made.network.of(LIF))
    assert differ <= 5
    found = theirs.readout * lowered.network.readout.scale / made.network.steps
    np.testing.assert_allclose(found, ours.logits.mean(0), atol=1e-4 if not differ else 0.5)
