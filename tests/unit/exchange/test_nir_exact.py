"""NIR files of integers: spikes that tie, many time steps, and vectors where NIR has maps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("nir")

import nir

import qpsnn_core as qp
from naive import nir as naive
from qpsnn_core.common.errors import UnsupportedError
from qpsnn_core.exchange.nir_export import save_nir
from qpsnn_core.exchange.nir_import import load_nir
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum

pytestmark = [pytest.mark.exchange, pytest.mark.filterwarnings("ignore::qpsnn_core.errors.QpsnnWarning")]


def tying(quantizer, beta, threshold, reset, seed):
    """A trained network whose membranes often are exactly at the threshold, or a rounding away from it."""
    neuron = LIF("like", ("x",), threshold, beta, reset=reset)
    nodes = (
        Input("image", (5, 5, 2), 1, 1.0),
        Conv("conv1", "image", 4, quantizer=quantizer, batch_norm=False),
        neuron.like("lif1", "conv1"),
        Conv("conv2", "lif1", 4, quantizer=quantizer, batch_norm=False),
        neuron.like("lif2", "conv2"),
        Linear("last", "lif2", 3),
        Readout("readout", "last"),
    )
    model, rng = qp.initialise(Network(nodes, 8), seed), np.random.default_rng(seed)
    for name in ("conv1", "conv2"):
        shape = model.params[name]["weight"].shape
        model.params[name]["weight"] = rng.choice(np.float32([-1, -0.4, -0.2, 0.1, 0.2, 0.4, 1]), shape)
    return model, rng.integers(0, 2, (16, 5, 5, 2)).astype(np.uint8)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("beta", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("quantizer", [Quantizer(2, "one"), Quantizer(4, "max", "layer")], ids=["one", "layer"])
def test_membranes_at_the_threshold_fire_in_our_own_model_of_the_file(tmp_path, quantizer, threshold, beta, reset):
    """Lowering multiplies by 2**16, and such a theta - 2**-k is theta in float32: before, up to 4% differed."""
    model, images = tying(quantizer, beta, threshold, reset, 0)
    lowered = qp.lower(model).network
    save_nir(tmp_path / "a.nir", lowered, exact=True)
    ref = simulate(lowered, images, record="spikes").spikes
    comp = qp.forward(load_nir(tmp_path / "a.nir"), images, save_for_backward=True).values
    for name in ("lif1", "lif2"):
        np.testing.assert_array_equal(comp[name], ref[name], err_msg=name)


def test_integers_are_divided_by_what_divides_a_channels(tmp_path):
    model, _ = tying(Quantizer(2, "one"), 0.5, 1.0, "zero", 0)
    lowered = qp.lower(model).network
    assert {int(gain) for gain in lowered.arrays["conv1"]["gain"]} == {2**16}
    save_nir(tmp_path / "a.nir", lowered, exact=True)
    graph = nir.read(tmp_path / "a.nir")
    codes = lowered.arrays["conv1"]["codes"].transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(graph.nodes["conv1"].weight, codes)
    assert set(graph.nodes["lif1"].v_threshold.reshape(-1)) == {3 - 2.0**-8}


def one(steps, theta, shift, reset="zero", gain=1):
    """One neuron that reads counts up to 255."""
    nodes = (
        IntInput("image", (1, 1, 1), 255),
        IntLinear("fc", "image", 1),
        IntLIF("lif", ("fc",), int(shift is not None), shift or 0, reset),
        IntLinear("last", "lif", 1),
        IntReadout("readout", "last"),
    )
    arrays = {
        "fc": {"codes": np.ones((1, 1), np.int8), "gain": np.full(1, gain, np.int32)},
        "lif": {"threshold": np.full(1, theta, np.int32), "bias": np.zeros(1, np.int32)},
        "last": {"codes": np.ones((1, 1), np.int8), "gain": np.ones(1, np.int32)},
        "readout": {"bias": np.zeros(1, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, steps)


@pytest.mark.parametrize("steps", [2, 30, 52, 53, 100, 500, 1100, 5000])
@pytest.mark.parametrize(
    ("shift", "reset"), [(1, "zero"), (1, "subtract"), (3, "zero"), (0, "subtract"), (None, "zero")]
)
def test_any_number_of_steps_leaves_the_threshold_a_float_below_theta(tmp_path, steps, shift, reset):
    """`theta - 2**-T` is theta itself in a float from T = 50 on: neurons that fire above it would lose every tie."""
    made = one(steps, 100, shift, reset)
    written = save_nir(tmp_path / "a.nir", made, exact=True)
    level = nir.read(tmp_path / "a.nir").nodes["lif"].v_threshold
    assert level.item() < 100
    assert Fraction(level.item()) >= 100 - Fraction(1, 2)
    if written.bits <= 53:
        spare = steps.bit_length() if reset == "subtract" and not shift else 1
        assert 100 - Fraction(level.item()) == Fraction(1, 2 ** ((shift or 0) * (steps - 1) + spare))
    frames = np.zeros((steps, 1, 1, 1, 1), np.uint8)
    frames[0] = 100
    for inclusive in (False, True):
        graph = nir.read(tmp_path / "a.nir")
        assert naive.run(graph, frames[:3, 0].astype(float), 1.0, inclusive)["lif"].reshape(-1)[0] == 1


IMAGE = Input("image", (4, 4, 2), 15)
VECTOR = (Linear("a", "image", 6), LIF("lif", ("a",), 0.5))
END = (LIF("m", ("c",), 0.5), Linear("last", "m", 3), Readout("o", "last"))
FLAT = {
    "conv": (IMAGE, *VECTOR, Conv("c", "lif", 4), *END),
    "conv of stride 2": (IMAGE, *VECTOR, Conv("c", "lif", 4, 5, 2, 2), *END),
    "conv of 1 x 1": (IMAGE, *VECTOR, Conv("c", "lif", 4, 1, 1, 0), *END),
    "conv at the end": (IMAGE, *VECTOR, Conv("c", "lif", 4), Readout("o", "c")),
    "shortcut": (
        *(IMAGE, *VECTOR, Conv("c", "lif", 8), Shortcut("s", "lif", 8), LIF("m", ("c", "s"), 0.5)),
        *(Linear("last", "m", 3), Readout("o", "last")),
    ),
    "mean of one": (IMAGE, *VECTOR, AvgPool("p", "lif", 1), Conv("c", "p", 4), *END),
    "largest of one": (IMAGE, *VECTOR, MaxPool("p", "lif", 3, 1, 1), Linear("c", "p", 4), *END),
    "sum with a map": (
        *(IMAGE, *VECTOR, Conv("b", "image", 6, 4, 1, 0), LIF("k", ("b",), 0.5), Sum("s", ("k", "lif"))),
        *(Linear("last", "s", 3), Readout("o", "last")),
    ),
    "currents of both": (
        *(IMAGE, Linear("a", "image", 6), Conv("b", "image", 6, 4, 1, 0), LIF("k", ("b", "a"), 0.5)),
        *(Conv("c", "k", 4), *END),
    ),
}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", FLAT)
def test_what_follows_a_linear_layer_goes_there_and_back(tmp_path, name, exact):
    """NIR has no node from a vector to a map; of one pixel, a convolution is a linear layer, and a pool is nothing."""
    model = qp.initialise(Network(FLAT[name], 3), 1)
    for arrays in model.params.values():
        if "bn_bias" in arrays:
            arrays["bn_bias"] = arrays["bn_bias"] + np.float32(0.4)  # so that all layers fire
    lowered = qp.lower(model).network
    images = np.random.default_rng(0).integers(0, 16, (8, 4, 4, 2)).astype(np.uint8)
    save_nir(tmp_path / "a.nir", lowered if exact else model, exact=exact)
    ref = qp.forward(model, images, save_for_backward=True)
    back = qp.forward(load_nir(tmp_path / "a.nir"), images, save_for_backward=True)
    for lif in model.network.neurons:
        np.testing.assert_array_equal(back.values[lif.name], ref.values[lif.name], err_msg=lif.name)
        assert 0 < ref.values[lif.name].mean() < 1
    if not exact:
        np.testing.assert_allclose(back.logits, ref.logits, atol=1e-6)
    graph = nir.read(tmp_path / "a.nir")
    frames = np.repeat(images[0].transpose(2, 0, 1)[None].astype(float), 3, 0) * (1 if exact else 1 / 255)
    comp = naive.run(graph, frames, 1.0 if exact else 1e-4, inclusive=not exact)
    for lif in model.network.neurons:
        np.testing.assert_array_equal(comp[lif.name].reshape(3, -1), ref.values[lif.name][:, 0].reshape(3, -1))


@pytest.mark.parametrize(
    ("layer", "size"), [(Conv("c", "lif", 4, 3, 1, 2), "3 x 3"), (MaxPool("c", "lif", 2, 1, 1), "2 x 2")]
)
def test_a_map_of_a_vector_is_refused_with_the_remedy(tmp_path, layer, size):
    after = (layer, *END) if isinstance(layer, Conv) else (layer, Linear("last", "c", 3), Readout("o", "last"))
    model = qp.initialise(Network((IMAGE, *VECTOR, *after), 3))
    with pytest.raises(UnsupportedError) as error:
        save_nir(tmp_path / "a.nir", model)
    assert str(error.value).startswith("nir: c")
    assert f"got {size}; make lif's layer a Conv whose kernel is its whole input" in str(error.value)
    assert not (tmp_path / "a.nir").exists()
