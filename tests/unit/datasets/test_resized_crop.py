"""Random resized crop: which part is cut out, against its definition; how it is stretched, against Pillow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments.stages import augmentation
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import Augment, resized_crop


def boxes(share, height=60, width=50, samples=2000):
    """Top, left, height and width of each part, told by frames whose pixels hold their own row and column."""
    places = np.moveaxis(np.indices((height, width)), 0, -1).astype(np.uint8)
    out = resized_crop(np.repeat(places[np.newaxis, np.newaxis], samples, 0), share, np.random.default_rng(4))
    first, last = out[:, 0, 0, 0].astype(int), out[:, 0, -1, -1].astype(int)
    return np.column_stack([first, last - first + 1])


def smallest_quarter(share, height=60, width=50):
    """How many of the parts that fit have an area of the lowest quarter, area and log(shape) being even: on a grid."""
    even = (np.arange(400) + 0.5) / 400
    area = (share + (1 - share) * even)[:, np.newaxis] * height * width
    shape = np.exp(math.log(3 / 4) + even * (math.log(4 / 3) - math.log(3 / 4)))
    fits = ((np.sqrt(area * shape) <= width + 0.5) & (np.sqrt(area / shape) <= height + 0.5)).sum(1)
    return fits[:100].sum() / fits.sum()


@pytest.mark.parametrize("share", [0.08, 0.7])
def test_area_and_shape_are_those_asked_for_and_the_place_is_anywhere(share):
    """A side is rounded by at most half a pixel."""
    parts = boxes(share)
    rows, columns = parts[:, 2], parts[:, 3]
    assert ((rows + 0.5) * (columns + 0.5) >= share * 3000).all()
    assert ((columns + 0.5) / (rows - 0.5) >= 3 / 4).all()
    assert ((columns - 0.5) / (rows + 0.5) <= 4 / 3).all()
    small = rows * columns < (share + (1 - share) / 4) * 3000
    assert abs(small.mean() - smallest_quarter(share)) < 0.05  # five deviations
    free = rows * columns < 1500  # where every shape fits
    assert share > 0.5 or abs(np.sign(columns - rows)[free].mean()) < 0.1
    slack = np.array([60, 50]) - parts[:, 2:]
    for top, room in zip(parts[:, :2].T, slack.T, strict=True):
        where = top[room > 3] / room[room > 3]
        assert (where.min(), where.max()) == (0, 1)
        assert 0.45 < where.mean() < 0.55


def test_a_part_that_never_fits_is_the_largest_in_the_middle():
    """All of the area, at another shape than the image's, does not fit."""
    assert (boxes(1.0, height=20, width=60, samples=5) == (0, 16, 20, 27)).all()
    assert (boxes(1.0, height=60, width=20, samples=5) == (16, 0, 27, 20)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_stretched_as_pillow_does(channels):
    """To one grey level: Pillow weighs in fixed point."""
    pillow = pytest.importorskip("PIL.Image", reason="the [data] extra is not installed (Pillow)")
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (40, 24, 30, channels)).astype(np.uint8)
    comp = resized_crop(images, 0.3, np.random.default_rng(4))
    places = np.moveaxis(np.indices((24, 30)), 0, -1).astype(np.uint8)
    marked = resized_crop(np.repeat(places[np.newaxis, np.newaxis], 40, 0), 0.3, np.random.default_rng(4))
    for image, stretched, place in zip(images, comp, marked, strict=True):
        (top, left), (bottom, right) = place[0, 0, 0].tolist(), place[0, -1, -1].tolist()
        for c in range(channels):
            part = pillow.fromarray(image[top : bottom + 1, left : right + 1, c])
            ref = np.asarray(part.resize((30, 24), pillow.Resampling.BILINEAR)).astype(int)
            assert np.abs(stretched[..., c] - ref).max() <= 1


def test_a_recipe_can_ask_for_it():
    augment = augmentation(DataConfig("digits-events", resized_crop=0.7))
    assert augment == Augment(resized_crop=0.7)
    assert augment
    given = np.random.default_rng(0).integers(0, 256, (8, 3, 12, 12, 2)).astype(np.uint8)
    ref = resized_crop(given, 0.7, np.random.default_rng(3))
    np.testing.assert_array_equal(augment(given, np.random.default_rng(3)), ref)
    assert not np.array_equal(ref, given)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, math.nan, True, "0.7"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="resized_crop: expected a number"):
        resized_crop(np.zeros((1, 4, 4, 1), np.uint8), share, np.random.default_rng(0))


def test_other_arrays_are_refused():
    with pytest.raises(DataError, match="images: expected uint8"):
        resized_crop(np.zeros((1, 4, 4, 1)), 0.5, np.random.default_rng(0))
