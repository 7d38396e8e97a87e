"""RandAugment: which operations are drawn, and how strong they are; random erasing against loops."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from naive import transforms as naive
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments.stages import augmentation
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import Augment, randaugment, random_erasing


class TestRandAugment:
    @pytest.fixture(autouse=True)
    def _pillow(self):
        pytest.importorskip("PIL", reason="the [data] extra is not installed (Pillow)")

    def test_operations_are_drawn_evenly_each_at_the_magnitude(self, monkeypatch):
        seen = []

        def operations(place):
            from PIL import Image

            return Image, {name: noted(name) for name in names}

        def noted(name):
            return lambda image, magnitude, sign: seen.append((name, magnitude, sign)) or image

        from qpsnn_datasets import randaugment as module  # the function hides the module's name
        from qpsnn_datasets.autoaugment import operations_of

        names = operations_of("test")[1]
        monkeypatch.setitem(module.__globals__, "operations_of", operations)
        images = np.zeros((1400, 4, 4, 3), np.uint8)
        np.testing.assert_array_equal(randaugment(images, 2, 5, np.random.default_rng(0)), images)
        assert {magnitude for _, magnitude, _ in seen} == {4.5}
        counts = Counter(name for name, _, _ in seen)
        assert "invert" not in counts
        assert len(counts) == 13  # and the identity
        assert all(140 < count < 260 for count in counts.values())
        assert 2800 - 260 < len(seen) < 2800 - 140
        assert abs(np.mean([sign for _, _, sign in seen])) < 0.1

    def test_the_strongest_is_autoaugments_strongest(self):
        """At magnitude 10, whatever AutoAugment does at 9: a solarized image is inverted, of a few draws one is."""
        images = np.random.default_rng(1).integers(0, 255, (60, 8, 8, 3)).astype(np.uint8)
        out = randaugment(images, 1, 10, np.random.default_rng(2))
        assert (out == 255 - images).all((1, 2, 3)).any()
        assert (out == images).all((1, 2, 3)).any()  # the identity

    def test_the_same_draws_give_the_same_images(self):
        images = np.random.default_rng(1).integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
        ref = randaugment(images, 2, 9, np.random.default_rng(3))
        augment = augmentation(DataConfig("cifar10", "x", randaugment=2))
        assert augment == Augment(randaugment=2, magnitude=9)
        np.testing.assert_array_equal(augment(images, np.random.default_rng(3)), ref)

    @pytest.mark.parametrize(
        ("images", "count", "magnitude", "message"),
        [
            (np.zeros((1, 4, 4, 1), np.uint8), 1, 9, r"randaugment\.images: expected \[B, H, W, 3\], in colour"),
            (np.zeros((1, 4, 4, 3), np.uint8), 0, 9, r"randaugment\.count: expected a whole number of at least 1"),
            (np.zeros((1, 4, 4, 3), np.uint8), 1, 11, r"randaugment\.magnitude: expected 0 to 10, got 11"),
        ],
    )
    def test_what_cannot_be_is_refused(self, images, count, magnitude, message):
        with pytest.raises((ConfigError, DataError), match=message):
            randaugment(images, count, magnitude, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(30, 9, 7, 2), (20, 2, 5, 12, 1)])
@pytest.mark.parametrize("chance", [0.0, 0.4, 1.0])
def test_erasing_is_that_of_loops(shape, chance):
    images = np.random.default_rng(0).integers(1, 256, shape).astype(np.uint8)
    kept = images.copy()
    out = random_erasing(images, chance, np.random.default_rng(5))
    frames = images if images.ndim == 5 else images[:, None]
    ref = naive.random_erasing(frames, chance, np.random.default_rng(5))
    np.testing.assert_array_equal(out, ref.reshape(shape))
    np.testing.assert_array_equal(images, kept)
    erased = (out != images).reshape(len(images), -1).any(1).mean()
    assert abs(erased - chance) < 0.25


def test_of_large_images_the_area_is_that_asked_for():
    images = np.ones((400, 60, 60, 1), np.uint8)
    shares = (random_erasing(images, 1.0, np.random.default_rng(1)) == 0).mean((1, 2, 3))
    assert shares.min() > 0.015
    assert shares.max() < 0.35
    assert abs(shares.mean() - (0.02 + 1 / 3) / 2) < 0.02


def test_a_recipe_can_ask_for_erasing():
    assert augmentation(DataConfig("digits", erasing=0.25)) == Augment(erasing=0.25)
    assert Augment(erasing=0.25)
    assert not Augment(magnitude=3)
    for chance in (-0.1, 1.1, math.nan, True):
        with pytest.raises(ConfigError, match="erasing: expected"):
            random_erasing(np.zeros((1, 4, 4, 1), np.uint8), chance, np.random.default_rng(0))
        with pytest.raises(ConfigError, match=r"data\.erasing|erasing: expected"):
            DataConfig("digits", erasing=chance)
    for fields in ({"randaugment": -1}, {"magnitude": 11}):
        with pytest.raises(ConfigError):
            DataConfig("digits", **fields)
        with pytest.raises(ConfigError):
            Augment(**fields)
