"""Batches cover every sample once, and any of them can be made again on its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.common.errors import ConfigError
from qpsnn_datasets import Augment, Dataset, batch_count, batches, epoch_order


def made(n=10, classes=3, name="made", steps=()):
    """Samples that tell their own number: every pixel of sample k is k."""
    images = np.empty((n, *steps, 4, 4, 2), dtype=np.uint8)
    images[:] = np.arange(n).reshape(n, *(1,) * (images.ndim - 1))
    return Dataset(images, np.arange(n) % classes, tuple("abcdefghij"[:classes]), name)


def numbers(stream):
    return [images[:, 0, 0, 0].tolist() for images, _ in stream]


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.none() | st.integers(0, 2**70), epoch=st.integers(0, 9))
def test_batches_cover_every_sample_exactly_once(n, size, seed, epoch):
    got = numbers(batches(made(n), size, seed=seed, epoch=epoch))
    assert len(got) == batch_count(n, size)
    assert all(len(batch) == size for batch in got[:-1])
    flat = [k for batch in got for k in batch]
    assert sorted(flat) == list(range(n))
    assert flat == epoch_order(n, seed, epoch).tolist()
    if seed is None:
        assert flat == list(range(n))


@given(n=st.integers(1, 40), size=st.integers(1, 12), seed=st.integers(0, 2**70), data=st.data())
def test_resuming_in_an_epoch_gives_the_batches_that_were_left(n, size, seed, data):
    augment, epoch = Augment(crop=1, flip=True, cutout=2), data.draw(st.integers(0, 3))
    start = data.draw(st.integers(0, batch_count(n, size)))
    settings = {"seed": seed, "epoch": epoch, "augment": augment}
    ref = list(batches(made(n), size, **settings))[start:]
    comp = list(batches(made(n), size, start=start, **settings))
    assert len(comp) == len(ref)
    for one, other in zip(comp, ref, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_labels_stay_with_their_images():
    for images, labels in batches(made(40), 7, seed=3, epoch=2):
        assert images.dtype == np.uint8
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(images[:, 0, 0, 0] % 3, labels)


def test_each_epoch_and_each_seed_has_its_own_order_and_changes():
    orders = {str(numbers(batches(made(40), 40, seed=s, epoch=e))) for s in range(3) for e in range(3)}
    assert len(orders) == 9
    still = Dataset(np.full((8, 6, 6, 1), 255, np.uint8), np.zeros(8, int), ("a",), "still")
    holes = [
        images.tobytes()
        for e in range(2)
        for images, _ in batches(still, 4, seed=0, epoch=e, augment=Augment(cutout=2))
    ]
    assert len(set(holes)) == 4


def test_short_batches_can_be_dropped():
    assert [len(batch) for batch in numbers(batches(made(10), 4, drop_last=True))] == [4, 4]
    assert batch_count(10, 4, drop_last=True) == 2
    with pytest.raises(ConfigError, match="batch size: expected at most 10"):
        batches(made(10), 11, drop_last=True)


def test_a_batch_is_a_copy():
    data = made()
    for images, labels in batches(data, 4):
        images[:] = 99
        labels[:] = 0
    assert data.images.max() == 9
    assert data.labels.max() == 2


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"size": 0}, "batch size"),
        ({"size": 2.0}, "batch size"),
        ({"size": True}, "batch size"),
        ({"seed": -1}, "seed"),
        ({"seed": 0, "epoch": -1}, "epoch"),
        ({"start": -1}, "start"),
        ({"start": 6}, "start: expected 0 to 5"),
        ({"augment": Augment(flip=True)}, "seed"),
    ],
)
def test_wrong_settings_are_refused_at_the_call(arguments, place):
    with pytest.raises(ConfigError, match=place):
        batches(made(), **{"size": 2, **arguments})


def test_an_augment_that_changes_nothing_needs_no_seed():
    assert numbers(batches(made(), 5, augment=Augment())) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
