"""Mixup: shares of the right distribution, batches against loops, and the same bits for one place of a run."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_datasets import mixed
from qpsnn_datasets.mixup import UNITS, drawn
from qpsnn_datasets.seeding import bit_stream

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("kind", "low", "high"), [(np.uint8, 0, 256), (np.int8, -128, 128)])
def test_each_pixel_is_the_rounded_mean_of_two(kind, low, high):
    images = RNG.integers(low, high, (6, 3, 4, 2)).astype(kind)
    labels = np.arange(6)
    found = mixed(images, labels, 1.0, 3, 1, 2)
    assert (found.images.dtype, found.labels.tolist()) == (kind, labels.tolist())
    assert sorted(found.others) == labels.tolist()
    assert 0.5 <= found.share <= 1
    assert found.share * UNITS == int(found.share * UNITS)
    for index in np.ndindex(images.shape):
        other = (found.others[index[0]], *index[1:])
        exact = found.share * int(images[index]) + (1 - found.share) * int(images[other])
        assert found.images[index] == np.floor(exact + 0.5)


def test_rows_of_labels_go_with_their_images():
    labels = RNG.normal(size=(5, 2))
    found = mixed(RNG.integers(0, 9, (5, 1, 1, 1)).astype(np.uint8), labels, 0.4, 0, 0, 0)
    assert sorted(map(tuple, found.others)) == sorted(map(tuple, labels))


def test_a_place_of_a_run_has_its_own_bits():
    images = RNG.integers(0, 256, (8, 2, 2, 1)).astype(np.uint8)

    def at(*place):
        found = mixed(images, np.arange(8), 0.7, *place)
        return found.share, tuple(found.others)

    assert at(1, 2, 3) == at(1, 2, 3)
    assert len({at(*place) for place in [(1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0)]}) == 4


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_beta(alpha):
    """Of Beta(a, a): `E (2x - 1)**2 = 1 / (2a + 1)`, which does not see which share is the larger."""
    stream = bit_stream(0, 99)
    shares = np.array([drawn(alpha, stream) for _ in range(300)])
    assert shares.min() >= 0.5
    assert np.square(2 * shares - 1).mean() == pytest.approx(1 / (2 * alpha + 1), rel=0.15)


def test_the_draws_are_recorded():
    """Their bits are part of what a run is."""
    stream = bit_stream(7, 8)
    assert [drawn(0.4, stream).hex() for _ in range(3)] == RECORDED


RECORDED = ["0x1.ffd34ac6d6e94p-1", "0x1.f44de5bf61927p-1", "0x1.24087d9f74116p-1"]
