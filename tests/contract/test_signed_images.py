"""Signed images in every room: the same spikes from training to C and Lava, or a refusal by the node's name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from alike import assert_equal
from compiled import UNOPTIMIZED, needs_cc
from generators.all_kinds import model_of
from generators.integer_networks import random_integer_network

import qpsnn_backends
import qpsnn_core as qp
from naive import integer as naive
from naive import trained
from qpsnn_backends.c.vectors import noise
from qpsnn_backends.loihi.report import report
from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError, UnsupportedError
from qpsnn_core.exchange.netx import save_netx
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntMaxPool, IntReadout, IntSum
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Sum

CHIPS = ("loihi1", "loihi2")

RANGES = ((-128, 127), (-127, 127), (-1, 1), (-3, 200), (-300, 32767), (-(2**15), 5))


def network(low=-128, peak=127, kernel=3, bits=8) -> Network:
    """The image goes into a Conv and a Linear; sums of spikes, which C multiplies as it does images, into a Conv."""
    first, inner = Quantizer(bits, gamma="max"), Quantizer(4)
    nodes = (
        Input("image", (6, 5, 2), peak, 1 / max(peak, -low), low=low),
        Conv("conv1", "image", 4, kernel, padding=kernel // 2, quantizer=first, bias=True),
        LIF("lif1", ("conv1",)),
        Conv("conv2", "image", 4, 3, quantizer=inner),
        LIF("lif2", ("conv2",)),
        Sum("sum", ("lif1", "lif2")),
        Conv("conv3", "sum", 4, quantizer=first),
        LIF("lif3", ("conv3",)),
        MaxPool("max", "lif3"),
        AvgPool("average", "max", 2),
        Linear("linear", "average", 5, quantizer=inner, batch_norm=True),
        Linear("wide", "image", 5, quantizer=first, batch_norm=True),
        LIF("lif4", ("linear", "wide")),
        Linear("fc", "lif4", 3, quantizer=Quantizer(8, gamma="max", granularity="layer")),
        Readout("out", "fc"),
    )
    return Network(nodes, 3)


def images_of(node, frames=(), batch=5, seed=0):
    """Noise of both signs, all of the least, all of the largest."""
    drawn = np.random.default_rng(seed).integers(node.low, node.peak + 1, (*frames, batch, *node.shape))
    drawn[..., 0, :, :, :], drawn[..., 1, :, :, :] = node.low, node.peak
    return drawn.astype(np.int8 if node.low >= -128 and node.peak < 128 else np.int16)


def fires(spikes):
    """Neither never nor always."""
    return all(0 < one.mean() < 1 for one in spikes.values())


@pytest.mark.parametrize(("low", "peak"), RANGES)
def test_training_lowering_and_the_exact_simulator_fire_alike(low, peak):
    """As loops do, of a still image and of frames; the twins do not know what is signed."""
    model = model_of(network(low, peak))
    integers = qp.lower(model).network
    assert (integers.input.low, integers.input.peak) == (low, peak)
    assert integers.input.scale == model.network.input.scale
    for frames in ((), (3,)):
        images = images_of(model.network.input, frames)
        comp = qp.simulate(integers, images, record="all")
        readout, spikes, membranes = naive.run(integers, images)
        np.testing.assert_array_equal(comp.readout, readout)
        done = qp.forward(model, images, save_for_backward=True)
        real = trained.run(model, images)[1]
        for name, one in comp.spikes.items():
            np.testing.assert_array_equal(one, spikes[name])
            np.testing.assert_array_equal(comp.membranes[name], membranes[name])
            np.testing.assert_array_equal(one, done.values[name])
            np.testing.assert_array_equal(one, real[name])
        assert set(comp.counts) == {"lif1", "lif2", "sum", "lif3", "max", "average", "lif4"}
        bound = integers.values["conv1"].interval
        assert (bound.low <= 0).all()
        assert (bound.high >= 0).all()


def test_noise_of_both_signs_makes_neurons_fire():
    """So that the tests above compare something."""
    model = model_of(network())
    assert fires(qp.simulate(qp.lower(model).network, images_of(model.network.input, batch=20), record="spikes").spikes)


@pytest.mark.parametrize(("low", "peak"), [(-128, 127), (-1, 1), (-300, 999)])
def test_bounds_hold_and_are_reached(low, peak):
    """Each channel's images that suit it, without padding, give the ends of its interval."""
    net = IntegerNetwork(
        (
            IntInput("in", (1, 1, 4), peak, low),
            IntLinear("fc", "in", 3),
            IntReadout("out", "fc"),
        ),
        {
            "fc": {
                "codes": np.array([[3, -1, 1], [-5, -1, 1], [7, -1, 1], [-9, -1, 1]], np.int8),
                "gain": np.array([1, 2, 3], np.int32),
            },
            "out": {"bias": np.zeros(3, np.int32)},
        },
        1,
    )
    low_end, high_end = net.values["fc"].interval
    codes = net.arrays["fc"]["codes"].astype(np.int64)
    for c in range(3):
        for end, chosen in ((high_end, codes[:, c] > 0), (low_end, codes[:, c] < 0)):
            image = np.where(chosen, peak, low).reshape(1, 1, 1, 4)
            assert qp.simulate(net, image).readout[0, c] == end[c]


def test_gradients_are_those_of_real_numbers():
    """An unsigned network with the same numbers as real images gives the same gradients of its weights."""
    signed = model_of(network())
    real = signed._replace(network=signed.network.change("image", peak=None, low=0))
    images = images_of(signed.network.input)
    scale = np.float32(signed.network.input.scale)
    found = []
    for model, given in ((signed, images), (real, images * scale)):
        done = qp.forward(model, given, train=True, save_for_backward=True)
        found.append(qp.backward(model, done, np.full_like(done.logits, 0.25)))
    for name in ("conv1", "conv2", "wide"):
        np.testing.assert_allclose(found[0][name]["weight"], found[1][name]["weight"], rtol=2e-3, atol=1e-5)
    assert np.abs(found[0]["conv1"]["weight"]).max() > 0


def random_signed(seed):
    """A random network whose images are signed, where only synapses with codes read them; those images."""
    drawn = random_integer_network(seed)[0]
    if not {type(node) for node in drawn.consumers(drawn.input.name)} <= {IntConv, IntLinear}:
        return None
    peak = drawn.input.peak if drawn.input.peak < 255 else 127
    given = replace(drawn.input, peak=peak, low=-peak - seed % 2)
    try:
        made = IntegerNetwork((given, *drawn.nodes[1:]), drawn.arrays, drawn.steps)
    except NumericsError:  # sums of both signs leave int32
        return None
    return made, images_of(given, (drawn.steps,) if seed % 3 else (), 2, seed)


RANDOM = [found for found in map(random_signed, range(40)) if found]


def test_there_are_random_networks_of_every_kind():
    assert len(RANDOM) >= 12
    assert {net.input.peak for net, _ in RANDOM} == {1, 3, 127}


@pytest.mark.parametrize("case", range(len(RANDOM)))
def test_random_networks_fire_as_loops_do(case):
    net, images = RANDOM[case]
    readout, spikes, membranes = naive.run(net, images)
    comp = qp.simulate(net, images, record="all")
    np.testing.assert_array_equal(comp.readout, readout)
    for name, one in spikes.items():
        np.testing.assert_array_equal(comp.spikes[name], one)
        np.testing.assert_array_equal(comp.membranes[name], membranes[name])


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("case", range(0, len(RANDOM), 3))
def test_c_gives_the_bits_of_random_networks(case):
    net, images = RANDOM[case]
    backend = qpsnn_backends.get("c", flags=UNOPTIMIZED)
    assert_equal(qpsnn_backends.get("exact").run(net, images, "all"), backend.run(net, images, "all"))


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize(("low", "peak"), RANGES)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_c_gives_the_same_bits(low, peak, bits):
    integers = qp.lower(model_of(network(low, peak, 5 if bits == 2 else 3, bits))).network
    images = noise(integers, 8) if bits == 8 else images_of(integers.input)
    assert images.min() == low
    backend = qpsnn_backends.get("c", flags=UNOPTIMIZED)
    assert_equal(qpsnn_backends.get("exact").run(integers, images, "all"), backend.run(integers, images, "all"))


@pytest.mark.lava
@pytest.mark.parametrize(("low", "peak"), [(-128, 127), (-1, 1)])
def test_lava_gives_the_same_bits(low, peak):
    """A range of -1..1 must not become Lava's spikes, which are 0 or 1."""
    integers = qp.lower(model_of(network(low, peak))).network
    images = images_of(integers.input)
    assert_equal(
        qpsnn_backends.get("exact").run(integers, images, "all"),
        qpsnn_backends.get("lava").run(integers, images, "all"),
    )


def chain(low=-8, peak=7):
    """A Linear and a LIF that Lava's own processes compute, too."""
    arrays = {
        "fc": {"codes": np.array([[1, -3], [5, 7], [-3, 1]], np.int8), "gain": np.ones(2, np.int32)},
        "lif": {"threshold": np.full(2, 9, np.int32), "bias": np.zeros(2, np.int32)},
        "last": {"codes": np.array([[1, -1], [-1, 1]], np.int8), "gain": np.ones(2, np.int32)},
        "out": {"bias": np.zeros(2, np.int32)},
    }
    nodes = (
        IntInput("in", (1, 1, 3), peak, low, 0.5),
        IntLinear("fc", "in", 2),
        IntLIF("lif", ("fc",)),
        IntLinear("last", "lif", 2),
        IntReadout("out", "last"),
    )
    return IntegerNetwork(nodes, arrays, 2)


@pytest.mark.lava
@pytest.mark.parametrize("low", [-8, -1])
def test_lavas_own_processes_take_signed_messages(low):
    net = chain(low, 7 if low < -1 else 1)
    images = images_of(net.input, batch=12)
    ref = qpsnn_backends.get("exact").run(net, images, "spikes")
    assert_equal(ref, qpsnn_backends.get("lava", stock=True).run(net, images, "spikes"))
    assert low == -1 or fires(ref.spikes)


def test_files_keep_range_and_scale(tmp_path):
    net = chain()
    qp.save_integer(tmp_path / "n.h5", net)
    again = qp.load_integer(tmp_path / "n.h5")
    assert again.input == net.input
    assert again.input.range.quantize(np.array([0.8, -99.0])).tolist() == [2, -8]
    assert again.digest() == net.digest()
    model = model_of(network())
    qp.save_checkpoint(tmp_path / "c.h5", model)
    assert qp.load_model(tmp_path / "c.h5").network == model.network


def test_an_unsigned_network_is_written_as_it_was():
    """The text, and with it the digest, of older networks."""
    assert '"low"' not in network(0, 255).to_json()
    assert '"low"' in network().to_json()
    plain = chain(0, 7)
    text = IntegerNetwork((replace(plain.input, scale=0.0), *plain.nodes[1:]), plain.arrays, 2).nodes_json()
    assert '"low"' not in text
    assert '"scale"' not in text.split('"IntReadout"')[0].split('"IntInput"')[-1][:80]


def test_what_counts_spikes_does_not_read_signed_images():
    image = IntInput("in", (4, 4, 1), 7, -8), IntMaxPool("pool", "in", 1, 1)
    both = (*image, IntSum("both", ("in", "pool")), IntLinear("fc", "both", 1))
    arrays = {
        "fc": {"codes": np.ones((16, 1), np.int8), "gain": np.ones(1, np.int32)},
        "out": {"bias": np.zeros(1, np.int32)},
    }
    with pytest.raises(ShapeError, match=r"both \(from in\): expected counts or current, got 'signed'"):
        IntegerNetwork((*both, IntReadout("out", "fc")), arrays, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 1}, "image.low: expected an integer from -32768 to 0, got 1"),
        ({"low": -(2**15) - 1}, "image.low: expected an integer from -32768 to 0"),
        ({"low": -1, "peak": 2**15}, "image.peak: expected an integer of at most 32767"),
        ({"low": -1, "peak": None}, "image.peak: expected an integer of at most 32767"),
        ({"low": -1, "spikes": True}, "image.low: expected 0, as counts of events are never negative"),
    ],
)
def test_ranges_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Input("image", (4, 4, 1), **options)


@pytest.mark.parametrize("value", [-5, 8])
def test_images_beyond_the_range_are_refused(value):
    net, images = chain(-4, 7), np.full((1, 1, 1, 3), value, np.int8)
    with pytest.raises(DataError, match=rf"in: images: expected integers -4..7, got {value}..{value}"):
        qp.simulate(net, images)


def test_lift_keeps_range_and_scale():
    from qpsnn_core.exchange import lift

    made = lift._input(chain().input, chain(), events=False)
    assert (made.low, made.peak, made.scale) == (-8, 7, 0.5)


def test_netx_refuses_what_its_first_layer_was_not_made_for(tmp_path):
    with pytest.raises(UnsupportedError, match=r"netx: in.low: expected 0, .* got -8"):
        save_netx(tmp_path / "n.net", chain())
    assert not list(tmp_path.iterdir())
    assert save_netx(tmp_path / "n.net", chain(), host_first=True)


def test_a_stream_of_events_is_not_for_signed_images():
    made = qp.lower(model_of(network())).network
    with pytest.raises(ConfigError, match=r"image\.low: expected 0, a network for counts of events.* got -128"):
        next(qp.stream(made, [], 1000))


def test_integers_of_signed_frames_become_a_model_of_signed_frames():
    nodes = network().nodes
    model = model_of(Network((*nodes[:3], *LAST), 3))
    lowered = qp.lower(model).network
    frames = images_of(model.network.input, (3,), 24).swapaxes(0, 1)
    lifted = qp.lift(lowered, frames)
    assert lifted.network.input == model.network.input
    ref = qp.simulate(lowered, frames.swapaxes(0, 1), record="spikes").spikes["lif1"]
    comp = qp.forward(lifted, frames.swapaxes(0, 1), save_for_backward=True).values["lif1"]
    assert (comp != ref).mean() < 0.001


@pytest.mark.parametrize("peak", [1, 7])
def test_loihi_1_leaves_signed_images_to_the_host(peak):
    """Its spikes carry no sign; Loihi 2's carry a number."""
    net = chain(-1, peak)
    run = qp.simulate(net, images_of(net.input))
    layers = {chip: {one.name: one.cores for one in report(net, chip, run.counts, 5).layers} for chip in CHIPS}
    assert layers["loihi1"]["lif"] == 0
    assert layers["loihi2"]["lif"] > 0


@pytest.mark.exchange
def test_nir_keeps_the_range(tmp_path):
    """The metadata say it; NIR's equations, which know real numbers, give the spikes."""
    pytest.importorskip("nir")
    import nir

    from naive import nir as by_loops
    from qpsnn_core.exchange.nir_export import save_nir
    from qpsnn_core.exchange.nir_import import load_nir

    nodes = network().nodes
    model = model_of(Network((*nodes[:3], *LAST), 3))
    images = images_of(model.network.input, batch=8)
    ref = qp.forward(model, images, save_for_backward=True)
    written = save_nir(tmp_path / "a.nir", model)
    graph = nir.read(tmp_path / "a.nir")
    spikes = ref.values["lif1"]
    for b in range(len(images)):
        still = np.repeat(images[b : b + 1].transpose(0, 3, 1, 2), 3, 0) * model.network.input.scale
        comp = by_loops.run(graph, still, written.dt, inclusive=True)["lif1"]
        np.testing.assert_array_equal(comp, spikes[:, b].transpose(0, 3, 1, 2))
    assert fires({"lif1": spikes})
    back = load_nir(tmp_path / "a.nir")
    assert (back.network.input.low, back.network.input.peak) == (-128, 127)
    assert (qp.forward(back, images, save_for_backward=True).values["lif1"] == spikes).all()
    save_nir(tmp_path / "i.nir", qp.lower(model).network, exact=True)
    integers = load_nir(tmp_path / "i.nir")
    assert integers.network.input == replace(model.network.input, name=integers.network.input.name)
    comp = qp.forward(integers, images, save_for_backward=True).values["lif1"]
    assert (comp != spikes).mean() < 0.001


LAST = (Linear("fc", "lif1", 3, quantizer=Quantizer(8, gamma="max", granularity="layer")), Readout("out", "fc"))
