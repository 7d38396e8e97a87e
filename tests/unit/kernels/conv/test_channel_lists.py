"""Lists of spikes by channel, against loops."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from generators.weight_gradients import Case

from naive import conv as naive
from qpsnn_core.engine.layers.conv_gradients import room_of
from qpsnn_core.kernels.conv import channel_lists as kernels
from qpsnn_core.kernels.conv import weight_gradient
from qpsnn_core.kernels.parts import parts_of
from qpsnn_core.kernels.threads import chunks


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("cached", [1, 2**12, weight_gradient.CACHED])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("max_count", [1, 3, 300])
@pytest.mark.parametrize(("channels", "stride"), [(3, 1), (3, 2), (65, 1), (130, 2)])
def test_spikes_are_listed_by_channel(channels, stride, max_count, steps, cached, parts):
    """Those of each table and key in its own room, from its beginning on; chunks do not meet."""
    with mock.patch.object(weight_gradient, "CACHED", cached):
        case = Case((5, 4), channels, 5, 3, stride, 1, max_count=max_count, steps=steps, batch=3)
        shape = case.layout()
    keys = stride * stride * channels
    pixels, spots, room = room_of(case.sizes(), shape)
    units, _ = kernels.tables_of(shape, parts_of(3, parts))
    tables = len(units) - 1
    counts = np.zeros(tables * keys, np.int32)
    places = np.full(tables * keys * room + 3, 7777, np.uint16)
    source = kernels.SpikeSource(case.spikes.reshape(-1), pixels, spots, stride * 4, 20, channels)
    for start, stop in reversed(chunks(tables, 1, 3)):
        own = (counts[start * keys : stop * keys], places[start * keys * room : stop * keys * room])
        kernels.list_channels(start, stop, start, source, shape, units, *own)
    ref = naive.places(case.spikes, stride, shape, units[:-1].tolist())
    listed = places[:-3].reshape(tables, keys, room)
    for table, key in np.ndindex(tables, keys):
        own = listed[table, key, : counts[table * keys + key]].tolist()
        wanted = ref.get((table, key), [])
        assert (own if max_count == 1 else sorted(own)) == (wanted if max_count == 1 else sorted(wanted))
    assert (places[-3:] == 7777).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 6)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_pixels_by_class(size, stride):
    case = Case(size, 2, 2, 1, stride)
    shape = case.layout()
    pixels, spots, _ = room_of(case.sizes(), shape)
    assert pixels.shape[1] % 16 == 0
    for k, wanted in enumerate(naive.by_class(shape.band * stride, size[1], stride, shape)):
        own = zip(pixels[k].tolist(), spots.reshape(pixels.shape)[k].tolist(), strict=True)
        assert [pair for pair in own if pair[0] >= 0] == wanted


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 64, 70])
def test_sets_of_steps_are_gathered(channels, steps):
    """Those of the last pixel with zeros where the array ends."""
    spikes = np.random.default_rng(0).integers(0, 2, (steps, 9, channels), np.uint8)
    pixels = np.array([-1, 3, 8, 0, *[5] * 11, -1])
    rows = np.full(16 * 64, 7, np.uint8)
    kernels.gather(spikes.reshape(-1), pixels, 0, channels, steps, 9 * channels, rows)
    count = min(channels, 64)
    ref = naive.gathered(spikes[:, :, :count], pixels)
    np.testing.assert_array_equal(rows.reshape(16, 64)[:, :count], ref)


def test_rows_are_turned_round():
    rows = np.random.default_rng(0).integers(0, 256, (16, 64)).astype(np.uint8)
    turned = rows.reshape(-1).copy()
    kernels.turn_round(turned, np.empty(1024, np.uint8))
    np.testing.assert_array_equal(turned.reshape(64, 16), naive.turned(rows))


def test_wide_images_have_wider_places():
    """Places beyond 2**16."""
    Case((1, 8000), 1, 2, 3, 1, 1, steps=2, batch=1).compare()
