"""The product by tables against loops: bit for bit, for every digit and geometry.

Images are run last to first, so that one that wrote past its end would spoil the next.
"""

from __future__ import annotations

import numpy as np
import pytest
from generators.convolutions import GEOMETRIES, weights

from naive import conv as naive
from qpsnn_core.kernels.conv import tables
from qpsnn_core.kernels.conv.geometry import ConvGeometry
from qpsnn_core.kernels.conv.table_products import fill_planes, table_forward
from qpsnn_core.kernels.exact_types import sum_type


def run(spikes, codes, stride=1, padding=0, *, dtype=np.int32, **changed):
    kernel, _, _, outputs = codes.shape
    geometry = ConvGeometry.of(spikes.shape[1:], outputs, kernel, stride, padding)
    shape = len(spikes), geometry.out_height, geometry.out_width, outputs
    total = np.full(int(np.prod(shape)) + 1, 77, dtype)
    packed = tables.pack_tables(codes, geometry)._replace(**changed)
    for start, stop in ((1, len(spikes)), (0, 1)):
        table_forward(start, stop, spikes.reshape(-1), 1, packed, total, geometry)
    assert total[-1] == 77
    return total[:-1].reshape(shape)


def case(geometry, kind, images=3, outputs=None):
    size, inputs, outputs_, kernel, stride, padding = geometry
    rng = np.random.default_rng([*size, inputs, kernel, stride, padding])
    spikes = (rng.random((images, *size, inputs)) < 0.6).astype(np.uint8)
    spikes.flat[-1] = 1
    return spikes, weights(kind, (kernel, kernel, inputs, outputs or outputs_), rng), stride, padding


def compare(spikes, codes, stride, padding, **changed):
    ref = naive.forward(spikes, codes, stride, padding)
    dtype = sum_type(int(np.abs(ref).max()))
    np.testing.assert_array_equal(run(spikes, codes, stride, padding, dtype=dtype, **changed), ref)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_spikes_and_codes_of_four_bits(geometry):
    compare(*case(geometry, 4))


@pytest.mark.parametrize("outputs", [1, 2, 15, 16, 17, 33])
def test_numbers_of_output_channels(outputs):
    compare(*case(((3, 4), 5, 0, 2, 1, 1), 4, outputs=outputs))


@pytest.mark.parametrize("inputs", [1, 5, 6, 7, 12, 61, 65, 130])
def test_numbers_of_input_channels(inputs):
    """An index more or less, a word of indices more or less, and channels that do not fill an index."""
    compare(*case(((2, 2), inputs, 2, 1, 1, 0), 4))


@pytest.mark.parametrize("kind", [1, 5, 8, "int8", "int16"])
def test_codes_of_many_digits(kind):
    compare(*case(((3, 4), 7, 2, 2, 1, 1), kind))


@pytest.mark.parametrize(("width", "images"), [(1, 1), (1, 70), (3, 20), (33, 2), (64, 1)])
def test_lanes_and_images(width, images):
    """Fewer windows than lanes, more images than alternate, a last group that is smaller, rows of several vectors."""
    compare(*case(((1, width), 2, 3, 1, 1, 0), 4, images=images))


@pytest.mark.parametrize("sign", [1, -1])
def test_nothing_wraps_within_bytes_or_sixteen_bits(sign):
    """All weights the largest: spans and stretches are as short as sums demand, and sums beyond 16 bits come out."""
    codes = np.full((1, 1, 700, 2), sign * 40 * 16, np.int16)
    spikes = np.ones((2, 1, 1, 700), np.uint8)
    packed = tables.pack_tables(codes, ConvGeometry.of((2, 2, 2), 2, 1))
    assert (packed.digits, packed.span) == (2, 255 // (40 * tables.BITS))
    assert packed.stretch * 40 * tables.BITS < 2**16 or packed.stretch >= 700 // tables.BITS
    assert (run(spikes, codes) == sign * 40 * 16 * 700).all()


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("kind", [4, 8])
def test_stretches_are_added(kind, dtype):
    """As short as can be, where longer ones would do: with one digit and with two."""
    spikes, codes, stride, padding = case(((2, 3), 20, 3, 1, 1, 0), kind)
    ref = naive.forward(spikes, codes, stride, padding)
    for span, stretch in ((1, 1), (1, 2), (2, 2)):
        found = run(spikes, codes, stride, padding, dtype=dtype, span=span, stretch=stretch)
        np.testing.assert_array_equal(found, ref)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("inputs", [3, 70])
def test_planes(stride, padding, inputs):
    rng = np.random.default_rng(0)
    spikes = (rng.random((5, 4, 7, inputs)) < 0.5).astype(np.uint8)
    geometry = ConvGeometry.of((4, 7, inputs), 1, 3, stride, padding)
    ref = naive.planes(spikes[1:4], stride, padding, 4, tables.BITS)
    columns, apart = ref.shape[3], int(np.prod(ref.shape[1:]))
    found, words = np.zeros(ref.size, np.uint8), np.zeros(int(np.prod(ref.shape[2:])) + 64, np.int64)
    fill_planes(spikes.reshape(-1), 1, 3, 4, geometry, columns, apart, words, found)
    np.testing.assert_array_equal(found, ref.reshape(-1))
