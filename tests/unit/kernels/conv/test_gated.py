"""The gated convolution, and the sums that gates need, against loops: bit for bit on integers."""

from __future__ import annotations

import numpy as np
import pytest
from generators.convolutions import weights

from naive import gates as naive
from qpsnn_core.kernels.conv import gated
from qpsnn_core.kernels.conv.gates import gated_conv, open_masks
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.integers import PRODUCT, Product
from qpsnn_core.kernels.conv.packing import pack
from qpsnn_core.kernels.conv.place_sums import place_products, place_sums

CASES = [(3, 65, 1, 1), (5, 130, 1, 1), (2, 8, 2, 2), (4, 64, 1, 3)]
"""Channels in and out, stride, largest count: blocks of 64 and 128, several windows to a row, counts."""


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """Counts, weights, all masks, and the twin's sums."""
    inputs, outputs, stride, largest = request.param
    rng = np.random.default_rng(outputs)
    counts = (rng.integers(0, largest + 1, (3, 5, 4, inputs)) * (rng.random((3, 5, 4, inputs)) < 0.5)).astype(np.uint8)
    codes = weights("int8", (3, 3, inputs, outputs), rng)
    sizes = ConvGeometry.of((5, 4, inputs), outputs, 3, stride, 1)
    places, opened, pixels, channels = (
        (rng.random((3, *shape)) < 0.6).astype(np.uint8)
        for shape in ((sizes.out_height, sizes.out_width), (outputs,), (5, 4), (inputs,))
    )
    places[1], places[2, 0], opened[0, :64], opened[2], channels[1] = 1, 0, 0, 1, 1
    read = counts * pixels[..., None] * channels[:, None, None]
    ref = naive.forward(read, codes, stride, 1, places, opened)
    masks = gated.OpenMasks(*(mask.reshape(-1) for mask in (places, opened, pixels, channels)))
    return counts, codes, sizes, largest, masks, ref


def test_closed_windows_and_channels_are_zero_and_all_others_are_right(case):
    counts, codes, sizes, largest, masks, ref = case
    total = np.full(ref.size, 77, np.int32)
    packed = pack(codes, sizes.stride, sizes.out_width)
    for start, stop in ((1, 3), (0, 1)):
        gated.gated_forward(start, stop, counts.reshape(-1), largest, packed, total, sizes, masks)
    np.testing.assert_array_equal(total.reshape(ref.shape), ref)


@pytest.mark.parametrize("choice", ["gather", "dense"])
def test_an_empty_mask_opens_all(monkeypatch, case, choice):
    monkeypatch.setenv(PRODUCT, choice)
    counts, codes, sizes, largest, masks, ref = case
    nothing = np.empty(0, np.uint8)
    for some in (("places", "channels"), ("outputs", "pixels"), ("outputs", "channels")):
        kept = {name: getattr(masks, name) if name in some else nothing for name in masks._fields}
        all_ones = {name: np.ones_like(getattr(masks, name)) for name in masks._fields}
        total, want = np.full(ref.size, 77, np.int32), np.full(ref.size, 55, np.int32)
        product = Product(codes, largest, sizes)
        gated_conv(product, counts.reshape(-1), total, gated.OpenMasks(**kept))
        gated_conv(product, counts.reshape(-1), want, gated.OpenMasks(**{**all_ones, **{n: kept[n] for n in some}}))
        np.testing.assert_array_equal(total, want)


@pytest.mark.parametrize("choice", ["gather", "dense"])
def test_both_routes_give_the_same(monkeypatch, case, choice):
    monkeypatch.setenv(PRODUCT, choice)
    counts, codes, sizes, largest, masks, ref = case
    for kept in (None, {}):
        total = np.full(ref.size, 77, np.int32)
        gated_conv(Product(codes, largest, sizes), counts.reshape(-1), total, masks, kept)
        np.testing.assert_array_equal(total.reshape(ref.shape), ref)


def test_a_mask_of_one_step_serves_all(case):
    *_, sizes, _, masks, _ = case
    places = masks.places.reshape(1, 3, sizes.out_height, sizes.out_width, 1)
    channels = masks.channels.reshape(1, 3, 1, 1, sizes.channels)
    found = open_masks(2, (places, False), (channels, True))
    np.testing.assert_array_equal(found.places, np.tile(masks.places, 2))
    np.testing.assert_array_equal(found.channels, np.tile(masks.channels, 2))
    assert (found.outputs.size, found.pixels.size) == (0, 0)


def test_whether_any_is_open():
    mask = np.array([0, 0, 1, 0], np.uint8)
    for begin, end in ((0, 2), (0, 3), (2, 3), (3, 4), (2, 2)):
        assert gated.any_open(mask, begin, end) == naive.any_open(mask, begin, end)
        assert gated.all_open(1 - mask, begin, end) != naive.any_open(mask, begin, end)
    nothing = np.empty(0, np.uint8)
    assert gated.any_open(nothing, 0, 3)
    assert gated.all_open(nothing, 0, 3)
    assert [gated.open_at(mask, place) for place in range(4)] == [False, False, True, False]
    assert gated.open_at(nothing, 2)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_sums_over_places_and_channels(dtype):
    rng = np.random.default_rng(3)
    values = (rng.normal(0, 40, (3, 5, 7))).astype(dtype)
    first = rng.normal(0, 1, (15, 7)).astype(np.float32)
    total, products = np.full((3, 7), 9.0), np.zeros(15, np.float32)
    for start, stop in ((1, 3), (0, 1)):
        place_sums(start, stop, values.reshape(-1, 7), 5, total)
    for start, stop in ((4, 15), (0, 4)):
        place_products(start, stop, first, values.reshape(-1, 7), products)
    np.testing.assert_array_equal(total, naive.place_sums(values))
    np.testing.assert_array_equal(products, naive.place_products(first, values.reshape(-1, 7)))
