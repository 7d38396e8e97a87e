"""The first convolution against loops: exact for whole numbers, within the rounding of float32 for real ones."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from generators.convolutions import GEOMETRIES, weights

from naive import conv as naive
from qpsnn_core.kernels.conv.gemm import WIDTH
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry
from qpsnn_core.kernels.conv.image import fill_lines, image_forward, image_gradient, panels

OUTPUTS = [1, 3, 15, 16, 32, 33, 63, 64, 65, 100, 130]


def run(images, weight, stride, padding, dtype, *, spans=None, fill=77):
    """The kernel's sums, [M, H', W', C_out]; chunks run last to first."""
    kernel, _, _, outputs = weight.shape
    count, height, width = (len(images), *(naive.out_size(edge, kernel, stride, padding) for edge in images.shape[1:3]))
    total = np.full(count * height * width * outputs, fill, dtype)
    sizes = ConvGeometry.of(images.shape[1:], outputs, kernel, stride, padding)
    for start, stop in spans or ((1, count), (0, 1)):
        image_forward(start, stop, images.reshape(-1), panels(weight), total, sizes)
    return total.reshape(count, height, width, outputs)


def draw(size, channels, dtype=np.uint8, images=3):
    rng = np.random.default_rng([*size, channels])
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1, (images, *size, channels)).astype(dtype)
    low, high = max(np.iinfo(dtype).min, -4000), min(np.iinfo(dtype).max, 4000)
    return rng.integers(low, high + 1, (images, *size, channels)).astype(dtype)


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]}x{g[1]}-{g[2]},k{g[3]}s{g[4]}p{g[5]}")
def geometry(request):
    return request.param


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, np.int16])
def test_whole_numbers_are_exact(geometry, dtype):
    size, inputs, outputs, kernel, stride, padding = geometry
    images = draw(size, inputs, dtype)
    weight = weights(
        8 if np.dtype(dtype).itemsize == 1 else 4, (kernel, kernel, inputs, outputs), np.random.default_rng(0)
    )
    ref = naive.forward(images, weight, stride, padding)
    assert np.abs(naive.forward(np.abs(images.astype(int)), np.abs(weight), stride, padding)).max() < 2**24
    for total in (np.int32, np.float32):
        np.testing.assert_array_equal(run(images, weight, stride, padding, total), ref)


def test_real_numbers_are_rounded_once_a_term(geometry):
    size, inputs, outputs, kernel, stride, padding = geometry
    images = draw(size, inputs, np.float32)
    weight = weights("float", (kernel, kernel, inputs, outputs), np.random.default_rng(0))
    comp = run(images, weight, stride, padding, np.float32)
    terms = naive.forward(np.abs(images), np.abs(weight), stride, padding)
    bound = 2.0**-23 * terms * (kernel**2 * inputs + 1) + 1e-30
    np.testing.assert_array_less(np.abs(comp - naive.forward(images, weight, stride, padding)), bound)


@pytest.mark.parametrize("width", [1, 5, 6, 7, 13])
@pytest.mark.parametrize("stride", [1, 2])
def test_any_number_of_windows(width, stride):
    """Six at a time, of which the last ones may be the same."""
    images, weight = draw((2, width), 2), weights(8, (3, 3, 2, 5), np.random.default_rng(0))
    ref = naive.forward(images, weight, stride, 1)
    np.testing.assert_array_equal(run(images, weight, stride, 1, np.int32), ref)


def test_lines_are_rows_with_zeros_around_them():
    image, lines = np.arange(1, 13, dtype=np.uint16), np.full(3 * 8 + 1, 7, np.float32)
    padded = np.pad(image.reshape(3, 4), ((2, 2), (2, 2)))
    for top in range(-2, 3):
        lines[:-1] = 0
        fill_lines(image, 0, top, 3, 4, 3, 2, lines)
        np.testing.assert_array_equal(lines[:-1].reshape(3, 8), padded[top + 2 : top + 5])
        assert lines[-1] == 7


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("stride", [1, 2])
def test_any_number_of_output_channels(outputs, stride):
    images = draw((3, 4), 2)
    weight = weights(8, (3, 3, 2, outputs), np.random.default_rng(0))
    ref = naive.forward(images, weight, stride, 1)
    np.testing.assert_array_equal(run(images, weight, stride, 1, np.int32), ref)
    for span in ((0, 1), (1, 2), (2, 3)):
        part = run(images, weight, stride, 1, np.int32, spans=[span], fill=-999)
        np.testing.assert_array_equal(part[slice(*span)], ref[slice(*span)])
        assert (np.delete(part, span[0], 0) == -999).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("count", "most"),
    [(259, 255), pytest.param(65793, 1, marks=pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="many steps"))],
)
def test_a_sum_may_reach_the_last_exact_integer(count, most, sign):
    """255 times 258 weights of 255 and one of 3 are 2**24 - 1, and so are 255 times 65793 ones."""
    weight = np.full((1, 1, count, 1), sign * most, np.float32)
    weight[0, 0, 0, 0] = sign * (65793 - most * (count - 1))
    comp = np.zeros(1, np.int32)
    image_forward(0, 1, np.full(count, 255, np.uint8), panels(weight), comp, ConvGeometry.of((1, 1, count), 1, 1))
    assert comp.item() == sign * (2**24 - 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float32])
def test_the_gradient_of_its_weights(geometry, dtype):
    """Added to what is there, six taps at a time; batch norm's backward is taken on the way."""
    size, inputs, outputs, kernel, stride, padding = geometry
    rng = np.random.default_rng(0)
    images = draw(size, inputs, dtype)
    count, height, width = (len(images), *(naive.out_size(edge, kernel, stride, padding) for edge in size))
    gradient = rng.normal(0, 1, (count * height * width, outputs)).astype(np.float32)
    total = rng.integers(-999, 1000, gradient.shape).astype(np.int32)
    factors = rng.normal(0, 1, (3, outputs)).astype(np.float32)
    factors[1] /= 100
    taps, wide = kernel * kernel * inputs, -(-outputs // WIDTH) * WIDTH
    out = np.ones((-(-taps // 6) * 6, wide), np.float32)
    sizes = ConvGeometry.of((*size, inputs), outputs, kernel, stride, padding)
    given = AccGradient(gradient, total, factors)
    for start, stop in ((1, count), (0, 1)):
        image_gradient(start, stop, images.reshape(-1), given, sizes, wide, out.reshape(-1))
    back = factors[0].astype(float) * gradient + factors[1].astype(float) * total + factors[2]
    back = back.reshape(count, height, width, outputs)
    ref = naive.weight_gradient(images, back, kernel, stride, padding).reshape(taps, outputs)
    magnitudes = np.abs(images.astype(float))
    terms = naive.weight_gradient(magnitudes, np.abs(back) + 30, kernel, stride, padding).reshape(taps, outputs)
    bound = 2.0**-24 * (terms + 1) * (count * height * width + 8)
    np.testing.assert_array_less(np.abs(out[:taps, :outputs] - 1 - ref), bound)
    assert (out[:, outputs:] == 1).all()
