"""Lists of spikes and packed weights, what the convolution kernel reads, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.kernels import events, packing

CHANNELS = [1, 3, 16, 63, 64, 65, 130]


def draw(height, width, channels, peak, images=3):
    rng = np.random.default_rng([height, width, channels, peak])
    shape = (images, height, width, channels)
    counts = rng.integers(0, peak + 1, shape) * (rng.random(shape) < 0.6)
    return counts.astype(np.uint8 if peak < 2**8 else np.uint16)


def pixels_of(images, index, peak):
    """`list_pixels` of one image, in arrays that are just long enough and have a mark behind."""
    _, height, width, channels = images.shape
    positions, starts = np.full(images[0].size * peak + 1, -1, np.int32), np.full(height * width + 2, -1, np.int32)
    begin = index * images[0].size
    events.list_pixels(images.reshape(-1), begin, peak, height * width, channels, positions, starts)
    assert starts[-1] == -1
    return positions, starts[:-1]


@pytest.mark.parametrize("peak", [1, 3, 16, 300])
@pytest.mark.parametrize("channels", CHANNELS)
def test_spikes_are_listed_pixel_by_pixel(channels, peak):
    images = draw(3, 2, channels, peak)
    for index, image in enumerate(images):
        positions, starts = pixels_of(images, index, peak)
        ref_positions, ref_starts = naive.pixels(image)
        np.testing.assert_array_equal(starts, ref_starts)
        np.testing.assert_array_equal(positions[: starts[-1]], ref_positions)
        assert (positions[starts[-1] :] == -1).all()


def test_an_image_that_is_full_or_empty():
    full = np.full((2, 4, 5, 70), 2, np.uint8)
    full[0] = 0
    positions, starts = pixels_of(full, 0, 2)
    assert (positions == -1).all()
    assert (starts == 0).all()
    positions, starts = pixels_of(full, 1, 2)
    np.testing.assert_array_equal(starts, np.arange(21) * 140)
    np.testing.assert_array_equal(positions[:-1], np.tile(np.repeat(np.arange(70), 2), 20) * events.LANES)


@pytest.mark.parametrize("peak", [1, 3])
@pytest.mark.parametrize(
    ("size", "kernel", "padding"), [((3, 4), 3, 1), ((4, 3), 2, 0), ((2, 5), 5, 4), ((3, 1), 1, 0)]
)
@pytest.mark.parametrize("channels", [1, 5, 20, 65])
@pytest.mark.parametrize("more", [0, 3])
def test_spikes_are_listed_column_by_column(more, channels, size, kernel, padding, peak):
    """Rows above and below the image hold nothing; 16 numbers are copied at a time, but never more than 16 too many."""
    height, width = size
    images = draw(height, width, channels, peak)
    positions, starts = pixels_of(images, 1, peak)
    positions = np.concatenate((positions, np.full(16, 7, np.int32)))
    room = kernel * width * channels * peak + 16
    for top in range(-padding, height + 2 * padding - kernel + 1):
        listed, ends = np.full(room + 1, -1, np.int32), np.full(width + 2 * padding + 2, -1, np.int32)
        sizes = (top, height, width, channels, kernel, kernel + more, padding)
        events.list_columns(positions, starts, *sizes, listed, ends)
        ref_listed, ref_ends = naive.columns(images[1], top, kernel, kernel + more, padding)
        np.testing.assert_array_equal(ends[:-1], ref_ends)
        np.testing.assert_array_equal(listed[: len(ref_listed)], ref_listed)
        assert (ends[-1], listed[-1]) == (-1, -1)


def unpacked(weights, packed):
    """The weights that a Packed stands for, [block, rows, 64], in whole or real numbers."""
    blocks = packed.rows.reshape(-1, len(weights), events.LANES)
    if weights.dtype.kind == "i":
        blocks = blocks.astype(np.int64)
        assert packed.often >= 1
        assert 8 * packed.often * blocks.max(initial=0) <= np.iinfo(packed.rows.dtype).max
        assert blocks.min(initial=0) >= 0
    return blocks * packed.gain + packed.offset


@pytest.mark.parametrize("outputs", [1, 3, 63, 64, 65, 100, 128, 130])
@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        *((np.arange(1 - 2**bits, 2**bits, 2), np.int16, np.uint8) for bits in range(1, 6)),
        *((np.arange(1 - 2**bits, 2**bits, 2), np.int16, np.uint16) for bits in range(6, 9)),
        (np.arange(1, 16, 2), np.int8, np.uint8),
        (np.arange(-15, 0, 2), np.int8, np.uint8),
        (np.arange(-15, 17), np.int8, np.uint8),
        (np.arange(-16, 17), np.int8, np.uint16),
        (np.arange(-128, 128), np.int8, np.uint16),
        (np.arange(-(2**15), 2**15), np.int16, np.int32),
        (np.array([2**27 - 1, -(2**27)]), np.int32, np.int32),
        (np.array([0]), np.int8, np.uint8),
        (np.array([0.1, -3e9, 1e-30]), np.float32, np.float32),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (f"{value[0]}..{value[-1]}"),
)
def test_packed_weights_stand_for_the_weights(values, dtype, kind, outputs):
    """In the narrowest type in which eight rows add up; in blocks that begin on a cache line."""
    weights = np.random.default_rng(outputs).choice(values, (7, outputs)).astype(dtype)
    weights[:3, 0] = values.min(), values.max(), values[1 % len(values)]
    packed = packing.pack(weights.reshape(7, 1, outputs))
    assert packed.rows.dtype == kind
    assert packed.rows.ctypes.data % 64 == 0
    found, ref = unpacked(weights, packed), np.array(naive.packed(weights), dtype if dtype == np.float32 else np.int64)
    lanes = min(outputs, events.LANES)
    np.testing.assert_array_equal(found[..., :lanes], ref[..., :lanes])
    assert not packed.rows.reshape(found.shape)[..., lanes:].any()


def test_codes_of_every_width_take_as_few_bytes_as_they_can():
    """W_int = (V + s) / 2 (Eq. 4) of b bits: 8*(2**b - 1) fits a byte up to 5 bits, more often for less."""
    found = {}
    for bits in range(1, 9):
        packed = packing.pack(np.arange(1 - 2**bits, 2**bits, 2)[:, None].astype(np.int16))
        found[bits] = (packed.rows.itemsize, packed.gain, packed.offset, packed.often)
    ref = {b: (1, 2, 1 - 2**b, 255 // (8 * (2**b - 1))) for b in range(1, 6)}
    assert found == ref | {b: (2, 2, 1 - 2**b, 65535 // (8 * (2**b - 1))) for b in range(6, 9)}


def test_weights_that_no_type_could_add_are_refused():
    with pytest.raises(OverflowError, match=r"below 2\*\*28"):
        packing.pack(np.array([[2**30], [-(2**30)]], np.int32))


@pytest.mark.parametrize(
    ("outputs", "stride", "width", "together"),
    [
        (3, 1, 8, 8),
        (3, 2, 7, 7),
        (3, 1, 43, 1),
        (3, 1, 42, 21),
        (16, 1, 8, 4),
        (32, 3, 6, 2),
        (33, 1, 8, 1),
        (64, 1, 4, 1),
    ],
)
@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_weights_of_windows_side_by_side(dtype, outputs, stride, width, together):
    """As many windows as fit in 64 channels and divide the width; each sees its own pixels, zeros elsewhere."""
    weights = np.random.default_rng(0).integers(-7, 8, (2, 2, 3, outputs)).astype(dtype)
    packed = packing.pack(weights, stride, width)
    assert packed.together == together
    across = 2 + (together - 1) * stride
    rows = packed.rows.reshape(2, across, 3, events.LANES)[..., : together * outputs].astype(np.int64)
    found = (rows * packed.gain + packed.offset).reshape(2, across, 3, together, outputs)
    for n in range(together):
        np.testing.assert_array_equal(found[:, n * stride : n * stride + 2, :, n], weights)
        assert not np.delete(found[:, :, :, n], range(n * stride, n * stride + 2), 1).any()


def test_weights_in_any_order_of_memory():
    weights = np.arange(-60, 60, dtype=np.int8).reshape(2, 3, 20)
    scattered = np.asfortranarray(weights)
    np.testing.assert_array_equal(packing.pack(scattered).rows, packing.pack(weights).rows)
    np.testing.assert_array_equal(packing.pack(weights[..., ::2]).rows, packing.pack(weights[..., ::2].copy()).rows)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("size", [1, 63, 1000])
def test_aligned_arrays_begin_on_a_cache_line(size, dtype):
    for _ in range(5):
        array = packing.aligned(size, dtype)
        assert (len(array), array.dtype, array.ctypes.data % 64) == (size, dtype, 0)
