"""The Lava backend on Lava's own neurons and synapses: the same spikes and readouts, or refused with figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generators import random_integer_network
from generators.chains import chain

import qpsnn_backends
from qpsnn_backends.lava import limits, stock
from qpsnn_backends.lava.backend import LavaBackend
from qpsnn_core.common.errors import UnsupportedError
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntConv, IntInput, IntLIF, IntLinear, IntReadout
from qpsnn_core.integer.simulate import simulate

ALTERNATING = np.tile([127, -127, 127, -127, 127, -127, 127], (3, 1)).T.astype(np.int8)


LARGE = np.full((3, 3, 2, 4), [28, -28, 1, 28], np.int8)
"""Of inputs up to 255 they make currents up to 128,520; Lava's LIF holds 131,071."""


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(limits, "check_installed", lambda: None)


def images(network, samples, seed=0, frames=True):
    shape = (*((network.steps,) if frames else ()), samples, *network.input.shape)
    return np.random.default_rng(seed).integers(0, network.input.peak + 1, shape).astype(np.uint8)


@pytest.mark.lava
@pytest.mark.parametrize(
    ("seed", "steps", "peak", "frames", "changes"),
    [
        (1, 3, 1, True, {}),
        (2, 1, 255, False, {"lif1__bias": np.array([2000, -4095, 4095, 9], np.int32)}),
        (3, 6, 15, False, {"last__gain": np.array([40, -3000, 7], np.int32)}),
        (6, 1, 255, False, {"conv1__codes": LARGE, "lif1__threshold": np.array([64_000, 1, 9, 64_900], np.int32)}),
        (4, 4, 3, True, {"fc__gain": np.array([1, 6, -3, 1, 2, 5, 9], np.int32)}),
    ],
)
def test_lavas_own_processes_give_the_same_bits(seed, steps, peak, frames, changes):
    network = chain(seed, steps, peak, **changes)
    given = images(network, 4, seed, frames)
    ref = simulate(network, given, record="spikes")
    comp = qpsnn_backends.get("lava", stock=True).run(network, given, record="spikes")
    assert list(comp.spikes) == list(ref.spikes)
    for name, spikes in ref.spikes.items():
        np.testing.assert_array_equal(comp.spikes[name], spikes, name, strict=True)
        assert 0 < spikes.mean() < 1
    np.testing.assert_array_equal(comp.readout, ref.readout, strict=True)


def ends(last):
    """Images into a Linear, T = 3; the readout's currents from a Linear or from a Conv as large as the map."""
    rng = np.random.default_rng(7)

    def codes(most, *shape):
        return rng.integers(-most, most + 1, shape).astype(np.int16)

    first = IntConv("first", "in", 3, 2, 1, 0) if last == "conv" else IntLinear("first", "in", 5)
    second = IntConv("second", "lif", 4, 2, 1, 0) if last == "conv" else IntLinear("second", "lif", 4)
    shapes = ((2, 2, 2, 3), (2, 2, 3, 4)) if last == "conv" else ((18, 5), (5, 4))
    channels = shapes[0][-1]
    arrays = {
        "first": {"codes": codes(3, *shapes[0]), "gain": np.ones(channels, np.int32)},
        "lif": {
            "threshold": rng.integers(50, 400, channels).astype(np.int32),
            "bias": codes(90, channels).astype(np.int32),
        },
        "second": {"codes": codes(255, *shapes[1]), "gain": np.array([1, -700, 30, 5], np.int32)},
        "out": {"bias": np.array([4000, -9, 70_000, 0], np.int32)},
    }
    nodes = (IntInput("in", (3, 3, 2), 200), first, IntLIF("lif", ("first",)), second, IntReadout("out", "second"))
    return IntegerNetwork(nodes, arrays, 3)


@pytest.mark.lava
@pytest.mark.parametrize("last", ["linear", "conv"])
def test_images_into_a_linear_and_a_convolution_as_readout(last):
    network = ends(last)
    given = images(network, 5)
    ref = simulate(network, given, record="spikes")
    comp = qpsnn_backends.get("lava", stock=True).run(network, given)
    np.testing.assert_array_equal(comp.spikes["lif"], ref.spikes["lif"], strict=True)
    np.testing.assert_array_equal(comp.readout, ref.readout, strict=True)
    assert 0 < ref.spikes["lif"].mean() < 1


@pytest.mark.lava
def test_without_records_the_readout_is_the_same():
    network = chain(5, 2, 1)
    given = images(network, 2)
    comp = qpsnn_backends.get("lava", stock=True).run(network, given, record="none")
    assert comp.spikes == {}
    np.testing.assert_array_equal(comp.readout, simulate(network, given).readout, strict=True)


@pytest.mark.parametrize("width", [1, 7, 8, 12, 20, 31])
def test_the_digits_of_weights_add_up_and_fit(width):
    rng = np.random.default_rng(width)
    weights = rng.integers(-(2**width), 2**width + 1, (5, 9))
    weights[0, 0] = 2**width
    found = list(stock.digits(weights))
    assert (sum(digit << exponent for exponent, digit in found) == weights).all()
    assert all(digit.min() >= -128 and digit.max() <= 127 for _, digit in found)
    assert len(found) <= (width + 1) // 8 + 1


def test_weights_with_a_common_power_of_two_and_no_weights_take_one_dense():
    ((exponent, digit),) = stock.digits(np.array([[-127 * 16, 48]]))
    assert (exponent, digit.tolist()) == (4, [[-127, 3]])
    ((_, digit),) = stock.digits(np.zeros((2, 3), np.int64))
    assert not digit.any()


def test_integers_are_scaled_and_laid_out_for_lavas_own_processes():
    network = chain(0, 3, last__gain=np.array([4, 300, -8], np.int32))
    wiring, arrays = stock.plan(network)
    parts = {part.name: part for part in wiring}
    assert list(parts) == [
        *("input", "conv1", "lif1", "lif1+record", "conv2", "lif2", "lif2+record"),
        *("fc", "lif3", "lif3+record", "last", "last#1", "readout"),
    ]
    codes, gain = (network.arrays["conv1"][name].astype(int) for name in ("codes", "gain"))
    assert arrays["conv1.weight"][1, 2, 0, 0] == 4 * codes[2, 0, 0, 1] * gain[1]
    assert (arrays["lif1.vth"] == 4 * network.arrays["lif1"]["threshold"] - 1).all()
    assert parts["lif1"].settings == {"bias_exp": 8}
    assert (parts["fc"].settings["weight_exp"], abs(arrays["fc.weight"]).max()) == (1, 30)
    assert parts["readout"].reads == ("last", "last#1")
    assert (parts["last"].settings["weight_exp"], parts["last#1"].settings["weight_exp"]) == (1, 9)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lif1__threshold": np.full(4, 2**15 + 1, np.int32)}, r"lif1.threshold: expected at most 131071 .* 131075"),
        ({"lif2__bias": np.full(5, 4096, np.int32)}, r"lif2.bias: expected at most 4095 .* got 4096"),
        ({"conv1__gain": np.full(4, 400, np.int32)}, r"lif1.state: expected at most 131071 .*2\*\*2\), got \d+"),
        ({"steps": 30}, r"lif1.shift: expected at most 17 bits of leaks in 30 steps .*, got 29"),
        ({"steps": 20_000}, r"got 19999"),
        ({"leak": (3, 2)}, r"lif1: expected a leak of 1/2, got 3/4"),
        ({"leak": (1, 0)}, r"lif1: expected a leak of 1/2, got 1/1"),
        (
            {"last__gain": np.array([2**22, 1, 1], np.int32), "last__codes": ALTERNATING},
            r"last.weight: expected at most 2147483647 \(sums of Lava's own Dense\), got 2147483648",
        ),
    ],
)
def test_what_the_stock_processes_cannot_hold_is_refused_by_name(changes, message):
    changes = {"steps": 3, **changes}
    with pytest.raises(UnsupportedError, match=message) as error:
        LavaBackend(stock=True).check(chain(**changes))
    assert str(error.value).startswith("lava: stock: ")


@pytest.mark.usefixtures("installed")
def test_what_fits_exactly_is_not_refused():
    LavaBackend(stock=True).check(chain(0, 3, lif1__threshold=np.full(4, 2**15, np.int32)))
    LavaBackend(stock=True).check(chain(0, 3, lif2__bias=np.full(5, -4095, np.int32)))


@pytest.mark.usefixtures("installed")
def test_pools_sums_and_branches_are_refused_by_name():
    refused = set()
    for seed in range(60):
        network, _ = random_integer_network(seed)
        kinds = {type(node).__name__ for node in network}
        if kinds & {"IntMaxPool", "IntSumPool", "IntShortcut", "IntSum"}:
            with pytest.raises(UnsupportedError, match="lava: stock: ") as error:
                LavaBackend(stock=True).check(network)
            refused |= {kind for kind in kinds if f" takes no {kind}: " in str(error.value)}
    assert {"IntMaxPool", "IntSumPool", "IntShortcut"} <= refused


@pytest.mark.usefixtures("installed")
def test_a_reset_by_subtraction_is_refused_with_the_reason():
    network = chain(0, 3)
    nodes = tuple(replace(node, reset="subtract") if node.name == "lif2" else node for node in network.nodes)
    with pytest.raises(
        UnsupportedError, match=r"^lif2.reset: lava: stock: Lava's own LIF takes no 'subtract': .* to 0$"
    ):
        LavaBackend(stock=True).check(IntegerNetwork(nodes, network.arrays, 3))


@pytest.mark.usefixtures("installed")
def test_a_stride_that_lavas_convolution_cannot_hold_is_refused():
    network = chain(0, 3)
    nodes = tuple(replace(node, stride=128) if node.name == "conv1" else node for node in network.nodes)
    codes = np.ones((1, 1, 4, 5), np.int8)
    nodes = tuple(replace(node, kernel=1) if node.name == "conv2" else node for node in nodes)
    arrays = {**network.arrays, "conv2": {**network.arrays["conv2"], "codes": codes}}
    arrays["fc"] = {**arrays["fc"], "codes": np.ones((5, 7), np.int8)}
    with pytest.raises(UnsupportedError, match=r"conv1.stride: expected at most 127 \(Lava's own Conv\), got 128"):
        LavaBackend(stock=True).check(IntegerNetwork(nodes, arrays, 3))


@pytest.mark.usefixtures("installed")
def test_membranes_are_refused_before_anything_starts():
    network = chain(0, 3)
    with pytest.raises(UnsupportedError, match=r"record: expected 'none' or 'spikes' .*, got 'all'"):
        LavaBackend(stock=True).run(network, images(network, 1), record="all")
