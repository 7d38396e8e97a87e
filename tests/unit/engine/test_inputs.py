"""What the engine takes and what it refuses: each error is typed and names the node."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, NumericsError, ShapeError
from qpsnn_core.engine import passes
from qpsnn_core.engine.layers.quantized_weights import Weights, accumulator, product_type
from qpsnn_core.kernels.exact_types import count_type
from qpsnn_core.network import LIF, Conv, Input, Linear, Network, Quantizer, Readout
from qpsnn_core.quantization.rescaw import quantize

FOUR_BITS = Quantizer(4, "mean")
PIXELS = Input("image", (3, 4, 2), peak=20)
REAL = Input("image", (3, 4, 2), peak=None)


def small(source, quantizer=FOUR_BITS):
    nodes = (
        source,
        Conv("conv1", "image", 3, quantizer=quantizer),
        LIF("lif1", ("conv1",)),
        Linear("linear", "lif1", 2, quantizer=quantizer),
        Readout("readout", "linear"),
    )
    return passes.initialise(Network(nodes, 3))


def refused(source, images, error, message, quantizer=FOUR_BITS):
    with pytest.raises(error, match=message):
        passes.forward(small(source, quantizer), images)


class TestWhatIsRefused:
    """The error is of the right kind, names the node, and says what was expected and what came."""

    @pytest.mark.parametrize(
        "shape", [(3, 4, 2), (1, 4, 3, 2), (1, 3, 4, 1), (1, 2, 4, 2), (2,), (1, 1, 1, 3, 4, 2), ()]
    )
    def test_another_shape(self, shape):
        message = r"^image: images: expected \[B, 3, 4, 2\] or \[T, B, ...\], got \["
        refused(PIXELS, np.zeros(shape, np.uint8), ShapeError, message)

    @pytest.mark.parametrize("steps", [1, 2, 4])
    def test_another_number_of_steps(self, steps):
        message = f"^image: images: expected 3 steps, got {steps}$"
        refused(PIXELS, np.zeros((steps, 1, 3, 4, 2), np.uint8), ShapeError, message)

    @pytest.mark.parametrize("shape", [(0, 3, 4, 2), (3, 0, 3, 4, 2)])
    def test_no_images(self, shape):
        refused(PIXELS, np.zeros(shape, np.uint8), DataError, "^image: images: expected at least one image, got none$")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_numbers_that_are_none(self, value):
        images = np.zeros((2, 3, 4, 2), np.float32)
        images[1, 2, 3, 1] = value
        for source in (REAL, PIXELS):
            refused(source, images, NumericsError, "^image: images: expected finite numbers, got NaN or infinity$")

    def test_a_number_that_float32_does_not_hold(self):
        images = np.full((1, 3, 4, 2), 1e39)
        refused(REAL, images, NumericsError, "^image: images: expected finite numbers, got NaN or infinity$")

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, bool, complex, "U1", object])
    def test_other_kinds_of_number_for_integers(self, dtype):
        refused(PIXELS, np.zeros((1, 3, 4, 2), dtype), DataError, r"^image: images: expected integers 0..20, got ")

    @pytest.mark.parametrize("dtype", [complex, "U1", object])
    def test_other_kinds_of_number_for_real_ones(self, dtype):
        refused(REAL, np.zeros((1, 3, 4, 2), dtype), DataError, "^image: images: expected real numbers, got ")

    @pytest.mark.parametrize(("value", "dtype"), [(-1, np.int8), (21, np.uint8), (2**40, np.int64), (2**63, np.uint64)])
    def test_integers_out_of_range(self, value, dtype):
        images = np.zeros((1, 3, 4, 2), dtype)
        images[0, 0, 0, 0] = value
        low = min(value, 0)
        high = max(value, 0)
        refused(PIXELS, images, DataError, rf"^image: images: expected integers 0..20, got {low}..{high}$")

    @pytest.mark.parametrize("quantizer", [None, Quantizer(4, "mean")])
    @pytest.mark.parametrize("node", ["conv1", "linear"])
    def test_weights_that_are_no_numbers(self, node, quantizer):
        model = small(PIXELS, quantizer)
        model.params[node]["weight"].flat[3] = np.nan
        with pytest.raises(NumericsError, match=f"^{node}.weight: expected finite numbers, got NaN or infinity$"):
            passes.forward(model, np.zeros((1, 3, 4, 2), np.uint8))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("name", ["bn_weight", "bn_bias", "bias", "mean", "var"])
    def test_other_arrays_that_are_no_numbers(self, name, value):
        """A membrane that is NaN never fires: without this, the network would only be silent."""
        net = small(PIXELS).network.change("conv1", bias=True)
        model = passes.initialise(net)
        (model.state if name in ("mean", "var") else model.params)["conv1"][name][1] = value
        with pytest.raises(NumericsError, match=f"^conv1.{name}: expected finite numbers, got NaN or infinity$"):
            passes.forward(model, np.zeros((1, 3, 4, 2), np.uint8))

    def test_a_variance_below_zero(self):
        model = small(PIXELS)
        model.state["conv1"]["var"][2] = -0.5
        with pytest.raises(NumericsError, match=r"^conv1.var: expected numbers of at least 0, got -0.5$"):
            passes.forward(model, np.zeros((1, 3, 4, 2), np.uint8))

    @pytest.mark.parametrize("spikes", [True, False])
    def test_sums_that_int32_does_not_hold(self, spikes):
        source = Input("image", (3, 4, 2), peak=2**24, spikes=spikes)
        message = r"^conv1.weight: expected sums of \|codes\| times the input's largest count below 2\*\*31, got "
        refused(source, np.zeros((1, 3, 4, 2), np.uint8), NumericsError, message, Quantizer(8, "mean"))

    def test_backward_of_a_pass_that_was_not_kept(self):
        model = small(PIXELS)
        done = passes.forward(model, np.zeros((1, 3, 4, 2), np.uint8))
        message = "^backward: expected a pass made with save_for_backward=True, got one without caches$"
        with pytest.raises(ConfigError, match=message):
            passes.backward(model, done, np.zeros_like(done.logits))

    @pytest.mark.parametrize("shape", [(3, 2), (3, 1, 3), (1, 1, 2)])
    def test_a_gradient_of_another_shape(self, shape):
        model = small(PIXELS)
        done = passes.forward(model, np.zeros((1, 3, 4, 2), np.uint8), save_for_backward=True)
        with pytest.raises(ShapeError, match=r"^readout: gradient: expected \[3, 1, 2\], got \["):
            passes.backward(model, done, np.zeros(shape, np.float32))


class TestWhatIsTaken:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint16, np.int64, np.uint64])
    def test_any_integers_in_range(self, dtype):
        images = np.arange(24).reshape(1, 3, 4, 2) % 21
        ref = passes.forward(small(PIXELS), images.astype(np.uint8)).logits
        np.testing.assert_array_equal(passes.forward(small(PIXELS), images.astype(dtype)).logits, ref)

    @pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.uint8, np.int64, bool])
    def test_any_numbers_as_real_ones(self, dtype):
        images = (np.arange(24).reshape(1, 3, 4, 2) % 2).astype(dtype)
        ref = passes.forward(small(REAL), images.astype(np.float32)).logits
        np.testing.assert_array_equal(passes.forward(small(REAL), images).logits, ref)

    @pytest.mark.parametrize("peak", [255, 256, 65535, 65536])
    @pytest.mark.parametrize("spikes", [True, False])
    def test_peaks_around_the_bounds_of_types(self, peak, spikes):
        """Counts of `peak` times codes, in Python integers."""
        model = small(Input("image", (3, 4, 2), peak=peak, scale=1.0, spikes=spikes))
        images = np.zeros((1, 3, 4, 2), np.uint32)
        images[0, 1, 1] = peak, peak - 1
        done = passes.forward(model, images, save_for_backward=True)
        codes = quantize(model.params["conv1"]["weight"], FOUR_BITS).codes
        ref = [sum(int(codes[1, 1, i, o]) * (peak, peak - 1)[i] for i in range(2)) for o in range(3)]
        assert [int(value) for value in done.values["conv1"].acc[0, 0, 1, 1]] == ref

    def test_an_image_in_any_memory_order(self):
        images = np.random.default_rng(0).integers(0, 21, (2, 3, 4, 2)).astype(np.uint8)
        ref = passes.forward(small(PIXELS), images).logits
        twice = np.repeat(images, 2, axis=1)[:, ::2]
        for other in (np.asfortranarray(images), images[:, ::-1][:, ::-1], twice):
            np.testing.assert_array_equal(passes.forward(small(PIXELS), other).logits, ref)


@pytest.mark.parametrize(("largest", "chosen"), [(2**15 - 1, np.int16), (2**15, np.int32), (2**31 - 1, np.int32)])
@pytest.mark.parametrize("peak", [1, None])
def test_the_narrowest_accumulator_that_holds_every_sum(largest, chosen, peak):
    used = Weights(np.ones((1, 1), np.int8), np.ones(1, np.float32), np.ones(1, np.float32), largest)
    assert accumulator(used, peak) == chosen
    if largest % 2 == 0:
        assert accumulator(used._replace(bound=largest // 2), 2) == chosen


def test_types_change_where_sums_stop_fitting():
    used = Weights(np.ones((1, 1), np.int8), np.ones(1, np.float32), np.ones(1, np.float32), 2**24 - 1)
    assert (product_type(used, 1), product_type(used._replace(bound=2**24), 1)) == (np.float32, np.float64)
    assert product_type(used._replace(bound=2**30), None) == np.float32
    for kind in (accumulator, product_type):
        with pytest.raises(NumericsError, match=r"below 2\*\*31, got 2147483648$"):
            kind(used._replace(bound=2**30), 2)
    assert [count_type(2**8 - 1), count_type(2**8)] == [np.uint8, np.uint16]
    assert [count_type(2**16 - 1), count_type(2**16)] == [np.uint16, np.uint32]


@pytest.mark.parametrize("peak", [255, 257, 2048])
@pytest.mark.parametrize("kind", [Conv, Linear])
@pytest.mark.parametrize("spikes", [True, False])
def test_sums_are_exact_on_both_sides_of_24_bits(spikes, kind, peak):
    """256 codes of 255 times 257 counts are 2**24 - 256: float32 still holds every sum. With 2048 it does not."""
    source = Input("image", (16, 16, 1), peak=peak, scale=1.0, spikes=spikes)
    eight = Quantizer(8, gamma="max")
    node = Linear("node", "image", 2, eight) if kind is Linear else Conv("node", "image", 2, 16, 1, 0, eight)
    model = passes.initialise(Network((source, node, Readout("readout", "node")), 1))
    model.params["node"]["weight"][..., 0] = 1
    model.params["node"]["weight"].reshape(-1, 2)[:-1, 1] = -1
    model.params["node"]["weight"].reshape(-1, 2)[-1, 1] = 1
    images = np.full((1, 16, 16, 1), peak, np.uint16)
    images[0, 3, 4] -= 1
    acc = passes.forward(model, images, save_for_backward=True).values["node"].acc
    assert acc.ravel().tolist() == [255 * (256 * peak - 1), 255 * (1 - 254 * peak)]
