"""Lists of spikes and packed weights, what the convolution kernel reads, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from naive import conv as naive
from qpsnn_core.kernels.conv import packing, spike_lists
from qpsnn_core.kernels.conv.geometry import ConvGeometry

CHANNELS = [1, 3, 16, 63, 64, 65, 130]


def draw(height, width, channels, max_count, images=3):
    rng = np.random.default_rng([height, width, channels, max_count])
    shape = (images, height, width, channels)
    counts = rng.integers(0, max_count + 1, shape) * (rng.random(shape) < 0.6)
    return counts.astype(np.uint8 if max_count < 2**8 else np.uint16)


LADDER = (np.arange(16) * spike_lists.LANES).astype(np.int32)


def columns_of(images, index, max_count, top, kernel, across, padding, begin=0):
    """`list_columns` of one image, in arrays that are as long as they must be and have a mark behind."""
    _, height, width, channels = images.shape
    room = begin + (kernel * channels * max_count + spike_lists.GROUP) * width + 16
    listed, edge = np.full(room + 1, -1, np.int32), width + 2 * padding + 2
    ends, counted = np.full(edge, -1, np.int32), np.full(edge, -1, np.int32)
    sizes = ConvGeometry.of((height, width, channels), 1, kernel, 1, padding)
    lists = spike_lists.ColumnLists(listed, ends, counted, LADDER)
    first = index * images[0].size
    n = spike_lists.list_columns(images.reshape(-1), first, max_count, top, sizes, across, lists, begin)
    assert (listed[-1], ends[-1], counted[-1], ends[-2]) == (-1, -1, -1, n)
    assert (listed[:begin] == -1).all()
    return listed[begin:n], ends[:-1] - begin, counted[:-1]


@pytest.mark.parametrize("max_count", [1, 3, 300])
@pytest.mark.parametrize(
    ("size", "kernel", "padding"), [((3, 4), 3, 1), ((4, 3), 2, 0), ((2, 5), 5, 4), ((3, 1), 1, 0)]
)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("more", [0, 3])
def test_spikes_are_listed_column_by_column(more, channels, size, kernel, padding, max_count):
    """Rows above and below the image hold nothing; 16 numbers are written at a time, never more than 16 too many."""
    height, width = size
    images = draw(height, width, channels, max_count)
    for top in range(-padding, height + 2 * padding - kernel + 1):
        found = columns_of(images, 1, max_count, top, kernel, kernel + more, padding, begin=max(0, top))
        for comp, ref in zip(found, naive.columns(images[1], top, kernel, kernel + more, padding), strict=True):
            np.testing.assert_array_equal(comp, ref)


@pytest.mark.parametrize("channels", [4, 70])
def test_an_image_that_is_full_or_empty(channels):
    full = np.ones((2, 3, 5, channels), np.uint8)
    full[0] = 0
    listed, ends, counted = columns_of(full, 0, 1, 0, 3, 3, 0)
    assert (len(listed), set(ends), set(counted)) == (0, {0}, {0})
    listed, ends, counted = columns_of(full, 1, 1, 0, 3, 3, 0)
    rows = [(ky * 3 + x) * channels + c for x in range(5) for ky in range(3) for c in range(channels)]
    filled = [x * channels + 9 * channels for x in range(5)]
    per = -(-3 * channels // spike_lists.GROUP) * spike_lists.GROUP
    assert counted.tolist() == [3 * channels * x for x in range(6)]
    assert ends.tolist() == [per * x for x in range(6)]
    for x in range(5):
        own = (listed[per * x : per * (x + 1)] // spike_lists.LANES).tolist()
        assert own == rows[3 * channels * x : 3 * channels * (x + 1)] + [filled[x]] * (per - 3 * channels)


def unpacked(weights, packed):
    """The weights of PackedWeights, [block, rows, 64 or 128], in whole or real numbers, without its zeros."""
    zeros = (weights.shape[1] - 1) * weights.shape[2] + 1
    rows = weights.size // weights.shape[-1]
    blocks = packed.rows.reshape(-1, rows + zeros, spike_lists.LANES)
    assert not blocks[:, rows:].any()
    blocks = blocks[:, :rows]
    if packed.two_per_byte:
        blocks = np.concatenate((blocks & 15, blocks >> 4), 2)
    if weights.dtype.kind == "i":
        assert packed.groups_per_widen >= 1
        assert (
            spike_lists.GROUP * packed.groups_per_widen * int(blocks.max(initial=0)) <= np.iinfo(packed.rows.dtype).max
        )
        assert blocks.min(initial=0) >= 0
        blocks = blocks.astype(np.int64)
    return blocks * packed.gain + packed.offset


@pytest.mark.parametrize("outputs", [1, 3, 63, 64, 65, 100, 128, 130])
@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        *((np.arange(1 - 2**bits, 2**bits, 2), np.int16, np.uint8) for bits in range(1, 6)),
        (np.arange(1 - 2**6, 2**6, 2), np.int16, np.uint8),
        *((np.arange(1 - 2**bits, 2**bits, 2), np.int16, np.uint16) for bits in range(7, 9)),
        (np.arange(1, 16, 2), np.int8, np.uint8),
        (np.arange(-15, 0, 2), np.int8, np.uint8),
        (np.arange(-15, 17), np.int8, np.uint8),
        (np.arange(-16, 17), np.int8, np.uint8),
        (np.arange(-128, 128), np.int8, np.uint16),
        (np.arange(-(2**15), 2**15), np.int16, np.int32),
        (np.array([2**27 - 1, -(2**27)]), np.int32, np.int32),
        (np.array([0]), np.int8, np.uint8),
        (np.array([0.1, -3e9, 1e-30]), np.float32, np.float32),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (f"{value[0]}..{value[-1]}"),
)
def test_packed_weights_stand_for_the_weights(values, dtype, kind, outputs):
    """In the narrowest type in which a group of rows adds up; in blocks that begin on a cache line."""
    weights = np.random.default_rng(outputs).choice(values, (1, 1, 7, outputs)).astype(dtype)
    weights[0, 0, :3, 0] = values.min(), values.max(), values[1 % len(values)]
    packed = packing.pack(weights)
    wide = spike_lists.LANES * (2 if packed.two_per_byte else 1)
    assert bool(packed.two_per_byte) == (outputs >= 128 and packed.gain * 16 > values.max() - values.min())
    assert packed.rows.dtype == kind
    assert packed.rows.ctypes.data % 64 == 0
    ref = np.array(naive.packed(weights[0, 0], wide), dtype if dtype == np.float32 else np.int64)
    lanes = min(outputs, wide)
    found = unpacked(weights, packed)
    np.testing.assert_array_equal(found[..., :lanes], ref[..., :lanes])
    assert lanes == wide or not packed.rows.reshape(len(found), -1, wide)[..., lanes:].any()


@pytest.mark.parametrize("outputs", [1, 128])
def test_codes_of_every_width_take_as_few_bytes_as_they_can(outputs):
    """W_int = (V + s) / 2 (Eq. 4) of b bits: 4*(2**b - 1) fits a byte up to 6 bits; half of one, up to 4."""
    found = {}
    for bits in range(1, 9):
        codes = np.arange(1 - 2**bits, 2**bits, 2, np.int16)
        packed = packing.pack(np.repeat(codes[None, None, :, None], outputs, 3))
        found[bits] = (packed.rows.itemsize, packed.gain, packed.offset, packed.groups_per_widen, packed.two_per_byte)
    ref = {b: (1, 2, 1 - 2**b, 255 // (4 * (2**b - 1)), True if b < 5 and outputs > 1 else None) for b in range(1, 7)}
    assert found == ref | {b: (2, 2, 1 - 2**b, 65535 // (4 * (2**b - 1)), None) for b in range(7, 9)}


@pytest.mark.parametrize("outputs", [3, 70, 130])
def test_what_is_known_of_codes_need_not_be_looked_for(outputs):
    """The same rows; and of codes that do not reach their ends, the same weights."""
    rng = np.random.default_rng(0)
    for bits, limit in ((4, 15), (4, 7), (8, 255)):
        codes = (2 * rng.integers(0, limit + 1, (3, 3, 2, outputs)) - limit).astype(np.int16)
        codes[0, 0, :, 0] = -limit, limit
        for width in (1, 8):
            known, found = packing.pack(codes, 1, width, 2**bits - 1), packing.pack(codes, 1, width)
            if limit == 2**bits - 1:
                np.testing.assert_array_equal(known.rows, found.rows)
                assert known[1:] == found[1:]
            if known.windows_per_row == 1:
                own = (unpacked(codes, packed)[..., :outputs] for packed in (known, found))
                np.testing.assert_array_equal(*own)


def test_weights_that_no_type_could_add_are_refused():
    with pytest.raises(OverflowError, match=r"below 2\*\*28"):
        packing.pack(np.array([2**30, -(2**30)], np.int32).reshape(1, 1, 2, 1))


@pytest.mark.parametrize(
    ("outputs", "stride", "width", "windows_per_row"),
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
def test_weights_of_windows_side_by_side(dtype, outputs, stride, width, windows_per_row):
    """As many windows as fit in 64 channels and divide the width; each sees its own pixels, zeros elsewhere."""
    weights = np.random.default_rng(0).integers(-7, 8, (2, 2, 3, outputs)).astype(dtype)
    packed = packing.pack(weights, stride, width)
    assert packed.windows_per_row == windows_per_row
    across = 2 + (windows_per_row - 1) * stride
    rows = unpacked(np.zeros((2, across, 3, windows_per_row * outputs), dtype), packed)[
        0, :, : windows_per_row * outputs
    ]
    found = rows.reshape(2, across, 3, windows_per_row, outputs)
    for n in range(windows_per_row):
        np.testing.assert_array_equal(found[:, n * stride : n * stride + 2, :, n], weights)
        assert not np.delete(found[:, :, :, n], range(n * stride, n * stride + 2), 1).any()


def test_weights_in_any_order_of_memory():
    weights = np.arange(-60, 60, dtype=np.int8).reshape(1, 2, 3, 20)
    scattered = np.asfortranarray(weights)
    np.testing.assert_array_equal(packing.pack(scattered).rows, packing.pack(weights).rows)
    np.testing.assert_array_equal(packing.pack(weights[..., ::2]).rows, packing.pack(weights[..., ::2].copy()).rows)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("size", [1, 63, 1000])
def test_aligned_arrays_begin_on_a_cache_line(size, dtype):
    for _ in range(5):
        array = packing.aligned(size, dtype)
        assert (len(array), array.dtype, array.ctypes.data % 64) == (size, dtype, 0)
