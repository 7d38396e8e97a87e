"""Random changes: equal to their twins, of the same shape, alike for all frames, and a function of the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naive import transforms as naive
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_datasets import Augment, cutout, random_crop, random_flip, resized_crop


@st.composite
def frames(draw):
    """uint8 [B, T, H, W, C], no pixel 0, so that a zero can only come from padding or a hole."""
    shape = [draw(st.integers(1, most)) for most in (4, 3, 6, 7, 3)]
    return np.random.default_rng(draw(st.integers(0, 99))).integers(1, 256, size=shape, dtype=np.uint8)


SEEDS = st.integers(0, 2**32)
CHANGES = {
    "crop": (lambda x, n, rng: random_crop(x, n, rng), naive.random_crop),
    "flip": (lambda x, n, rng: random_flip(x, rng), lambda x, n, rng: naive.random_flip(x, rng)),
    "cutout": (lambda x, n, rng: cutout(x, n, rng), naive.cutout),
    "resized_crop": (
        lambda x, n, rng: resized_crop(x, (n + 1) / 9, rng),
        lambda x, n, rng: naive.resized_crop(x, (n + 1) / 9, rng),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@given(images=frames(), size=st.integers(0, 8), seed=SEEDS)
def test_equals_its_loops_only_twin_and_leaves_its_input_alone(change, images, size, seed):
    fast, slow = CHANGES[change]
    before = images.copy()
    comp = fast(images, size, np.random.default_rng(seed))
    ref = slow(images, size, np.random.default_rng(seed))
    np.testing.assert_array_equal(comp, ref)
    np.testing.assert_array_equal(images, before)
    assert comp.dtype == np.uint8
    assert comp.flags.c_contiguous
    assert not np.shares_memory(comp, images)


@pytest.mark.parametrize("change", ["crop", "flip", "cutout"])
@given(images=frames(), size=st.integers(0, 8), seed=SEEDS)
def test_images_are_changed_as_frames_of_one_step_are(change, images, size, seed):
    fast, _ = CHANGES[change]
    comp = fast(images[:, 0], size, np.random.default_rng(seed))
    ref = fast(images[:, :1], size, np.random.default_rng(seed))
    assert comp.shape == images[:, 0].shape
    np.testing.assert_array_equal(comp, ref[:, 0])


@pytest.mark.parametrize("change", CHANGES)
@given(images=frames(), size=st.integers(0, 8), seed=SEEDS)
def test_all_frames_of_a_sample_change_alike(change, images, size, seed):
    fast, _ = CHANGES[change]
    still = np.repeat(images[:, :1], 3, axis=1)
    out = fast(still, size, np.random.default_rng(seed))
    np.testing.assert_array_equal(out, np.repeat(out[:, :1], 3, axis=1))


@given(images=frames(), padding=st.integers(0, 8), seed=SEEDS)
def test_a_crop_is_a_window_of_the_padded_image(images, padding, seed):
    out = random_crop(images, padding, np.random.default_rng(seed))
    batch, _, height, width, _ = images.shape
    margin = (padding, padding)
    padded = np.pad(images, ((0, 0), (0, 0), margin, margin, (0, 0)))
    offsets = range(2 * padding + 1)
    for b in range(batch):
        windows = (padded[b, :, y : y + height, x : x + width] for y in offsets for x in offsets)
        assert any(np.array_equal(out[b], window) for window in windows)


@given(images=frames(), seed=SEEDS)
def test_flipping_twice_with_the_same_draws_is_the_identity(images, seed):
    once = random_flip(images, np.random.default_rng(seed))
    np.testing.assert_array_equal(random_flip(once, np.random.default_rng(seed)), images)


@given(images=frames(), size=st.integers(0, 8), seed=SEEDS)
def test_a_hole_is_one_rectangle_no_larger_than_asked(images, size, seed):
    out = cutout(images, size, np.random.default_rng(seed))
    np.testing.assert_array_equal(out[out != 0], images[out != 0])
    for hole in (out == 0).all(axis=(1, 4)):
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns)
        assert len(rows) <= size
        assert len(columns) <= size
        assert (len(rows) > 0) == (size > 0)


@given(
    images=frames(),
    seed=SEEDS,
    crop=st.integers(0, 3),
    flip=st.booleans(),
    hole=st.integers(0, 3),
    share=st.sampled_from([0.0, 0.5]),
)
def test_augment_is_stretching_then_crop_then_flip_then_hole(images, seed, crop, flip, hole, share):
    rng, ref = np.random.default_rng(seed), images
    if share:
        ref = resized_crop(ref, share, rng)
    if crop:
        ref = random_crop(ref, crop, rng)
    if flip:
        ref = random_flip(ref, rng)
    if hole:
        ref = cutout(ref, hole, rng)
    augment = Augment(crop, flip, hole, resized_crop=share)
    np.testing.assert_array_equal(augment(images, np.random.default_rng(seed)), ref)
    assert bool(augment) == bool(crop or flip or hole or share)


def test_every_offset_of_a_crop_and_both_sides_of_a_flip_occur():
    images = np.zeros((500, 3, 3, 1), dtype=np.uint8)
    images[:, 1, 1] = 9
    out = random_crop(images, 1, np.random.default_rng(0))
    assert {tuple(place) for place in np.argwhere(out)[:, 1:3]} == {(y, x) for y in range(3) for x in range(3)}
    images[:] = np.array([1, 2, 3], dtype=np.uint8)[:, np.newaxis]
    flipped = (random_flip(images, np.random.default_rng(0))[:, 0, 0, 0] == 3).mean()
    assert 0.4 < flipped < 0.6


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"crop": -1}, "augment.crop"),
        ({"cutout": 2.5}, "augment.cutout"),
        ({"flip": 1}, "augment.flip"),
        ({"resized_crop": 1.5}, r"augment\.resized_crop: expected a number from 0 to 1, got 1\.5"),
    ],
)
def test_a_wrong_augment_is_refused_by_name(fields, place):
    with pytest.raises(ConfigError, match=place):
        Augment(**fields)


@pytest.mark.parametrize("images", [np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 1), np.float32)])
def test_other_arrays_than_uint8_batches_are_refused(images):
    rng = np.random.default_rng(0)
    for change in (lambda x: random_crop(x, 1, rng), lambda x: random_flip(x, rng), lambda x: cutout(x, 1, rng)):
        with pytest.raises(DataError, match="images: expected"):
            change(images)
