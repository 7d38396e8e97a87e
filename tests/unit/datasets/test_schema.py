"""A dataset is checked when it is made and split in proportion, the same on every machine."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.common.errors import ConfigError, DataError, LabelError
from qpsnn_datasets import Dataset, Split, to_uint8
from qpsnn_datasets.seeding import LIMIT, SHUFFLE, SPLIT, permutation, stratified


def made(n=10, classes=3, name="made", steps=()):
    """Samples that tell their own number: every pixel of sample k is k."""
    images = np.empty((n, *steps, 4, 4, 2), dtype=np.uint8)
    images[:] = np.arange(n).reshape(n, *(1,) * (images.ndim - 1))
    return Dataset(images, np.arange(n) % classes, tuple("abcdefghij"[:classes]), name)


def test_a_dataset_keeps_what_it_was_given():
    data = made(steps=(5,))
    assert len(data) == 10
    assert data.sample_shape == (5, 4, 4, 2)
    assert data.labels.dtype == np.int64
    assert repr(data) == "Dataset('made', images=(10, 5, 4, 4, 2), each 5 frames of 4 x 4 x 2, classes=3)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"


def test_labels_of_any_integer_type_become_int64_and_views_become_contiguous():
    images = np.zeros((2, 3, 4, 5), dtype=np.uint8).transpose(0, 2, 3, 1)
    data = Dataset(images, np.array([0, 1], dtype=">u2"), ("a", "b"), "made")
    assert data.labels.dtype == np.int64
    assert data.images.flags.c_contiguous


OK_IMAGES, OK_LABELS = np.zeros((2, 4, 4, 1), dtype=np.uint8), np.array([0, 1])


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"images": OK_IMAGES[0]}, DataError, r"x.images: expected \[N, H, W, C\] or .*, got shape \[4, 4, 1\]"),
        ({"images": OK_IMAGES.astype(np.float32)}, DataError, "x.images: expected uint8.* got float32"),
        ({"images": np.full((2, 4, 4, 1), np.nan)}, DataError, "x.images: .* got float64 with 32 NaN"),
        ({"images": OK_IMAGES.tolist()}, DataError, "x.images: expected a NumPy array, got list"),
        ({"images": OK_IMAGES[:0], "labels": OK_LABELS[:0]}, DataError, "x.images: expected at least one image"),
        ({"images": OK_IMAGES[:, :0]}, DataError, "x.images: expected at least one image"),
        ({"labels": np.array([0, 2])}, LabelError, r"x.labels\[1\]: expected 0 to 1, got 2"),
        ({"labels": np.array([-1, 0])}, LabelError, r"x.labels\[0\]: expected 0 to 1, got -1"),
        ({"labels": np.array([0, 2**64 - 1], np.uint64)}, LabelError, r"x.labels\[1\]: .* got 18446744073709551615"),
        ({"labels": np.array([0.0, 1.0])}, DataError, "x.labels: expected integers, got float64"),
        ({"labels": np.array([[0], [1]])}, DataError, r"x.labels: expected \[N\], got shape \[2, 1\]"),
        ({"labels": [0, 1]}, DataError, "x.labels: expected a NumPy array, got list"),
        ({"labels": np.array([0])}, DataError, "x.labels: expected one label for each of 2 images, got 1 labels"),
        ({"classes": ()}, DataError, "x.classes: expected distinct names, at least one"),
        ({"classes": ("a", "a")}, DataError, "x.classes: expected distinct names"),
        ({"classes": "ab"}, DataError, "x.classes: expected a tuple of strings"),
        ({"classes": (0, 1)}, DataError, "x.classes: expected a tuple of strings"),
        ({"classes": None}, DataError, "x.classes: expected a tuple of strings"),
        ({"name": None}, DataError, "name: expected a string, got NoneType"),
    ],
)
def test_a_wrong_dataset_is_refused_by_the_name_of_its_field(changed, error, message):
    with pytest.raises(error, match=message):
        Dataset(**{"images": OK_IMAGES, "labels": OK_LABELS, "classes": ("a", "b"), "name": "x", **changed})


def test_take_by_numbers_or_mask_copies_in_that_order():
    data = made()
    taken = data.take([7, 0, -1])
    assert taken.images[:, 0, 0, 0].tolist() == [7, 0, 9]
    assert not np.shares_memory(taken.images, data.images)
    assert data.take(data.labels == 1).images[:, 0, 0, 0].tolist() == [1, 4, 7]


@pytest.mark.parametrize("indices", [[10], [-11], [0.5], [[0]], 3, [True]])
def test_take_of_what_is_not_there_is_refused(indices):
    with pytest.raises(DataError, match=r"made\.take\.indices"):
        made().take(indices)


def test_take_of_nothing_is_refused_as_empty():
    with pytest.raises(DataError, match="at least one image"):
        made().take(np.array([], dtype=np.int64))


@given(n=st.integers(2, 60), classes=st.integers(1, 5), fraction=st.floats(0.05, 0.95), seed=st.integers(0, 2**70))
def test_a_split_is_disjoint_complete_proportional_and_repeatable(n, classes, fraction, seed):
    data = made(n, classes)
    if not 0 < round(fraction * n) < n:
        with pytest.raises(ConfigError, match="no part is empty"):
            data.split(fraction, seed)
        return
    parts = data.split(fraction, seed)
    assert isinstance(parts, Split)
    in_train, in_test = (part.images[:, 0, 0, 0].tolist() for part in parts)
    assert sorted(in_train + in_test) == list(range(n))
    assert in_train == sorted(in_train)
    assert in_test == sorted(in_test)
    assert len(in_test) == round(fraction * n)
    shares = np.bincount(data.labels, minlength=classes) * len(in_test) / n
    assert (np.abs(np.bincount(parts.test.labels, minlength=classes) - shares) < 1).all()
    np.testing.assert_array_equal(parts.test.images, data.split(fraction, seed).test.images)


@pytest.mark.parametrize("fraction", [0, 1, 1.0, -0.1, float("nan"), True, "half"])
def test_a_wrong_fraction_is_refused(fraction):
    with pytest.raises(ConfigError, match=r"made\.split\.fraction"):
        made().split(fraction, 0)


def test_a_negative_or_fractional_seed_is_refused():
    for seed in (-1, 0.5, None):
        with pytest.raises(ConfigError, match="seed"):
            made().split(0.5, seed)


def test_a_count_out_of_range_is_refused():
    with pytest.raises(ConfigError, match="count"):
        stratified(made().labels, 11, 0, SPLIT)


def test_streams_that_share_a_seed_do_not_meet():
    orders = [permutation(50, 7, *key).tolist() for key in ((SPLIT,), (LIMIT,), (SHUFFLE, 0), (SHUFFLE, 1))]
    assert len({tuple(order) for order in orders}) == 4


def test_the_bits_of_an_order_are_these_on_every_numpy():
    assert permutation(10, 0, SHUFFLE, 0).tolist() == [6, 4, 8, 9, 1, 3, 2, 7, 5, 0]


def test_floats_become_uint8_rounded_to_nearest():
    given_ = np.array([0.0, 0.001, 0.5, 0.999, 1.0], dtype=np.float32)
    assert to_uint8(given_).tolist() == [0, 0, 128, 255, 255]
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8((every / 255).astype(np.float32)), every)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.array([0.0, np.nan]), "expected floats in 0..1, got 1 NaN"),
        (np.array([np.inf]), "1 NaN or infinite"),
        (np.array([1.5]), "got 1.5 to 1.5"),
        (np.array([-0.25, 1]), "got -0.25 to 1.0"),
        (np.array([1]), "got int64"),
        ([0.5], "got list"),
    ],
)
def test_other_floats_than_0_to_1_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        to_uint8(images)
