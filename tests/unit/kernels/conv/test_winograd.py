"""Input gradients: Winograd's transforms against their matrices, `col2im` against loops, both against definitions."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from generators.convolutions import GEOMETRIES, weights

from naive import conv as naive
from naive import winograd as by_matrices
from qpsnn_core.engine.layers import conv_gradients as gradients
from qpsnn_core.kernels.conv import winograd
from qpsnn_core.kernels.conv.gemm import WIDTH
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry, Matrices
from qpsnn_core.kernels.conv.input_gradient import col2im, tap_inside
from qpsnn_core.kernels.simd.vector import load16, store
from qpsnn_core.network import Conv, ValueSpec

F = np.float32
LIMIT = 2e-5
"""Of Winograd's sums, as a part of the largest: its transforms grow numbers a hundredfold and cancel them again."""


@numba.njit(error_model="numpy")
def lines(taken, gradients, weights, back):
    """Each line transform of 16 lines of numbers, `[6, 16]`."""
    a, b, c = load16(taken, 0), load16(taken, 16), load16(taken, 32)
    d, e, f = load16(taken, 48), load16(taken, 64), load16(taken, 80)
    g, h, i, j, k, m = winograd.gradient_line(a, b, c, d, e, f, taken)
    store(gradients, 0, g)
    store(gradients, 16, h)
    store(gradients, 32, i)
    store(gradients, 48, j)
    store(gradients, 64, k)
    store(gradients, 80, m)
    g, h, i, j, k, m = winograd.weight_line(a, b, c, taken)
    store(weights, 0, g)
    store(weights, 16, h)
    store(weights, 32, i)
    store(weights, 48, j)
    store(weights, 64, k)
    store(weights, 80, m)
    g, h, i, j = winograd.back_line(a, b, c, d, e, f, taken)
    store(back, 0, g)
    store(back, 16, h)
    store(back, 32, i)
    store(back, 48, j)


def test_each_line_is_its_matrix():
    """Whole numbers are exact; thirds are not: a few roundings of the largest term."""
    taken = np.random.default_rng(0).integers(-99, 100, (6, 16)).astype(F)
    taken[:, :6] = np.eye(6)
    found = [np.full((rows, 16), np.nan, F) for rows in (6, 6, 4)]
    lines(taken.reshape(-1), *(array.reshape(-1) for array in found))
    for lane in range(16):
        own = taken[:, lane].tolist()
        np.testing.assert_array_equal(found[0][:, lane], by_matrices.line(by_matrices.B, own))
        np.testing.assert_array_equal(found[2][:, lane], by_matrices.line(by_matrices.A, own))
        ref = by_matrices.line(by_matrices.G, own[:3])
        np.testing.assert_allclose(found[1][:, lane], ref, rtol=0, atol=2.0**-22 * np.abs(own).max())


def test_the_matrices_make_a_convolution():
    """`A'[(GgG') * (B'dB)]A`: the twin itself, on one tile."""
    rng = np.random.default_rng(0)
    tile, kernel = rng.normal(0, 1, (6, 6)), rng.normal(0, 1, (3, 3))
    product = by_matrices.both(by_matrices.B, tile) * by_matrices.both(by_matrices.G, kernel)
    ref = [[(tile[y : y + 3, x : x + 3] * kernel).sum() for x in range(4)] for y in range(4)]
    np.testing.assert_allclose(by_matrices.both(by_matrices.A, product), ref, rtol=0, atol=1e-12)


SIZES = [(1, 1), (3, 3), (4, 4), (4, 5), (5, 7), (8, 9)]
CHANNELS = [1, 3, 16, 17, 33]


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_of_gradients(size, channels):
    """Whole numbers, exact; rows end in zeros, and what lies between the matrices is left alone."""
    rng = np.random.default_rng([*size, channels])
    shape = (3, *size, channels)
    gradient, acc = rng.integers(-9, 10, shape).astype(F), rng.integers(-9, 10, shape).astype(np.int16)
    factors = rng.integers(-3, 4, (3, channels)).astype(F)
    flat = (gradient.reshape(-1, channels), acc.reshape(-1, channels), factors)
    ref = by_matrices.tiles(by_matrices.backward(*flat).reshape(shape)[1:])
    pitch = -(-channels // 16) * 16
    apart = ref.shape[1] * pitch + 16
    out = np.full(36 * apart, 77, F)
    winograd.gradient_tiles(1, 3, AccGradient(*flat), *size, Matrices(out, apart, pitch))
    out = out.reshape(36, apart)
    found = out[:, :-16].reshape(36, -1, pitch)
    np.testing.assert_array_equal(found[:, :, :channels], ref)
    assert not found[:, :, channels:].any()
    assert (out[:, -16:] == 77).all()


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 5), (16, 2), (17, 3), (5, 33), (33, 2), (70, 3)])
@pytest.mark.parametrize("kind", [4, 8, "float"], ids=str)
def test_points_of_weights(kind, inputs, outputs):
    """Two roundings per line and of the constants: 2**-20 of the largest weight; panels, the last ones first."""
    weight = weights(kind, (3, 3, inputs, outputs), np.random.default_rng(inputs))
    apart, panels = outputs * WIDTH + 16, -(-inputs // WIDTH)
    out = np.full((panels, 36 * apart), 77, F)
    flat = weight.reshape(-1)
    for start, stop in ((1, panels), (0, 1)):
        winograd.weight_points(start, stop, flat, inputs, outputs, apart, out[start:stop].reshape(-1))
    out = out.reshape(panels, 36, apart)
    found = out[:, :, :-16].reshape(panels, 36, outputs, WIDTH).transpose(1, 2, 0, 3).reshape(36, outputs, -1)
    ref = by_matrices.points(weight.astype(float))
    np.testing.assert_allclose(found[:, :, :inputs], ref, rtol=0, atol=2.0**-20 * np.abs(weight).max())
    assert not found[:, :, inputs:].any()
    assert (out[:, :, -16:] == 77).all()


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_back(size, channels):
    """Whole numbers, exact; the images before and after are left alone."""
    tiles = 2 * -(-size[0] // 4) * -(-size[1] // 4)
    pitch = -(-channels // 16) * 16 + 16
    apart = tiles * pitch + 16
    products = np.random.default_rng(channels).integers(-99, 100, (36, apart)).astype(F)
    out = np.full((4, *size, channels), 77, F)
    given = Matrices(products.reshape(-1), apart, pitch)
    winograd.tiles_back(1, 3, given, *size, out.reshape(-1, channels))
    ref = by_matrices.back(products[:, :-16].reshape(36, tiles, pitch)[:, :, :channels], (2, *size, channels))
    np.testing.assert_array_equal(out[1:3], ref)
    assert (out[[0, 3]] == 77).all()


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 33])
def test_rows_of_batch_norms_backward(channels):
    """Of some rows, each made up to 16 numbers by zeros; two roundings a number."""
    rng = np.random.default_rng(channels)
    gradient, total = rng.normal(0, 1, (7, channels)).astype(F), rng.integers(-9, 10, (7, channels)).astype(np.int16)
    factors, wide = rng.normal(0, 1, (3, channels)).astype(F), -(-channels // 16) * 16
    out = np.full((4, wide + 3), 77, F)
    winograd.back_rows(AccGradient(gradient, total, factors), 2, 4, wide + 3, out.reshape(-1))
    ref = by_matrices.backward(gradient[2:6], total[2:6], factors)
    np.testing.assert_allclose(out[:, :channels], ref, rtol=0, atol=1e-5)
    assert not out[:, channels:wide].any()
    assert (out[:, wide:] == 77).all()


@pytest.fixture(params=GEOMETRIES, ids=lambda g: f"{g[0][0]}x{g[0][1]}x{g[1]}-{g[2]},k{g[3]}s{g[4]}p{g[5]}")
def geometry(request):
    return request.param


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 33])
def test_fold(geometry, channels):
    size, _, _, kernel, stride, padding = geometry
    out = [naive.out_size(edge, kernel, stride, padding) for edge in size]
    taps = kernel * kernel * channels
    products = np.random.default_rng(channels).integers(-9, 10, (2, *out, taps + 5)).astype(F)
    ref = naive.col2im(
        products[..., :taps].reshape(2, *out, kernel, kernel, channels), (2, *size, channels), stride, padding
    )
    comp = np.full((4, *size, channels), 77, F)
    sizes = ConvGeometry.of((*size, channels), 1, kernel, stride, padding)
    col2im(1, 3, products.reshape(-1), taps + 5, comp.reshape(-1), sizes)
    np.testing.assert_array_equal(comp[1:3], ref)
    assert (comp[[0, 3]] == 77).all()


def compare(size, inputs, outputs, kernel, stride, padding, *, images=2, kind=4):
    """(input gradient, its twin) of real gradients, and the largest number in the sums of the twin."""
    rng = np.random.default_rng([*size, inputs, outputs, kernel])
    node, value = Conv("n", "x", outputs, kernel, stride, padding), ValueSpec("spikes", (*size, inputs), 1)
    codes = weights(kind, (kernel, kernel, inputs, outputs), rng)
    shape = (images, *node.output(value).shape)
    gradient, acc = rng.normal(0, 1, shape).astype(F), rng.integers(-9, 10, shape).astype(np.int16)
    factors = rng.normal(0, [[1], [0.1], [0.1]], (3, outputs)).astype(F)
    given = AccGradient(gradient.reshape(-1, outputs), acc.reshape(-1, outputs), factors)
    comp = gradients.input_gradient(gradients.geometry_of(node, value), codes, given)
    wide = factors.astype(float)
    back = wide[0] * gradient + wide[1] * acc + wide[2]
    ref = naive.input_gradient(codes, back, (images, *size, inputs), stride, padding)
    largest = np.abs(ref).max()
    return np.abs(comp.reshape(ref.shape) - ref).max() / largest if largest else np.abs(comp).max()


@pytest.mark.parametrize("kind", [2, 4, 8, "float"], ids=str)
def test_input_gradients_of_every_geometry(geometry, kind):
    assert compare(*geometry, kind=kind) < LIMIT


@pytest.mark.parametrize("few", [0, gradients.FEW], ids=["many", "few"])
@pytest.mark.parametrize("kind", [4, 8, "float"], ids=str)
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 64), (64, 3), (17, 33), (33, 17)])
@pytest.mark.parametrize("size", [(3, 3), (4, 5)], ids=str)
def test_input_gradients_by_tiles(monkeypatch, size, inputs, outputs, kind, few):
    """Few weights are transformed once, many for each group of images."""
    monkeypatch.setattr(gradients, "FEW", few)
    assert compare(size, inputs, outputs, 3, 1, 1, images=1, kind=kind) < LIMIT


@pytest.mark.parametrize("few", [0, gradients.FEW], ids=["many", "few"])
@pytest.mark.parametrize("group", [1, 12, 1000])
def test_several_groups_of_images(monkeypatch, group, few):
    """As many as make up so many tiles or windows; the last group is smaller."""
    for name, value in (("FEW", few), ("TILES", group), ("MANY", group), ("WINDOWS", 2000 * group)):
        monkeypatch.setattr(gradients, name, value)
    assert compare((5, 4), 3, 35, 3, 1, 1, images=3) < LIMIT
    assert compare((5, 4), 35, 5, 3, 1, 1, images=3) < LIMIT
    assert compare((5, 4), 3, 5, 2, 2, 1, images=3) < LIMIT


@pytest.mark.parametrize("inputs", [WIDTH, 2 * WIDTH, WIDTH + 1])
@pytest.mark.parametrize("images", [1, 7])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((2, 2), 3, 1, 1), ((2, 1), 3, 1, 1), ((4, 3), 3, 2, 1), ((2, 2), 5, 1, 2)],
)
def test_maps_of_a_few_pixels(size, kernel, stride, padding, images, inputs):
    """Taps outside of the map are not multiplied where panels are whole taps."""
    assert compare(size, inputs, 17, kernel, stride, padding, images=images) < LIMIT


def uninitialised(shape, dtype):
    """What memory may hold: numbers of which some are signalling NaN, to convert which is invalid."""
    return np.full(shape, 0x7FA00000, np.uint32).view(dtype) if dtype == np.float32 else np.empty(shape, dtype)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("few", [0, gradients.FEW], ids=["many", "few"])
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    ("size", "inputs", "kernel", "stride", "padding"),
    [((3, 3), 17, 3, 1, 1), ((2, 2), WIDTH, 3, 1, 1), ((3, 3), 5, 2, 2, 1), ((2, 1), 5, 5, 1, 2), ((1, 1), 5, 1, 1, 0)],
)
def test_rows_that_are_not_there_are_no_numbers_of_before(
    monkeypatch, size, inputs, kernel, stride, padding, images, few
):
    """Products take six rows at a time; of fewer tiles the others must not be what memory happens to hold."""
    monkeypatch.setattr(gradients, "FEW", few)
    monkeypatch.setattr(gradients, "empty", uninitialised)
    monkeypatch.setattr(gradients, "scratch", lambda name, shape, dtype: uninitialised(shape, dtype))
    assert compare(size, inputs, 17, kernel, stride, padding, images=images) < LIMIT


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (2, 2, 0)])
def test_which_taps_lie_inside(size, stride, padding):
    height, width, across = 4, 3, naive.out_size(3, size, stride, padding)
    sizes = ConvGeometry.of((height, width, 1), 1, size, stride, padding)
    found = {
        (q // across, q % across, tap // size, tap % size)
        for q in range(naive.out_size(4, size, stride, padding) * across)
        for tap in range(size * size)
        if tap_inside(q, tap, sizes)
    }
    assert found == {place[1:5] for place in naive.taps((1, height, width), size, stride, padding)}


def test_the_limit_is_of_rounding_and_not_of_a_fault(monkeypatch):
    """A negative control: a weight's point that is off by a thousandth is over the limit."""
    right = gradients._points

    def wrong(weights, channels, outputs, apart):
        points = right(weights, channels, outputs, apart)
        points.reshape(-1, 36, apart)[:, 7] *= 1 + 1e-3
        return points

    monkeypatch.setattr(gradients, "_points", wrong)
    assert compare((5, 7), 3, 5, 3, 1, 1) > LIMIT
