"""Neuromorphic Data Augmentation: each change against its definition, and against Pillow where that has one."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.experiments.stages import augmentation
from qpsnn_core.recipes.data import DataConfig
from qpsnn_datasets import Augment, nda
from qpsnn_datasets.nda import roll, rotate, shear

IMAGE = pytest.importorskip("PIL.Image", reason="the [data] extra is not installed (Pillow)")


class Given:
    """A generator that gives these angles, in degrees."""

    def __init__(self, *degrees):
        self.degrees = np.radians(degrees)

    def uniform(self, low, high, count):
        assert np.all((np.radians(low) <= self.degrees) & (self.degrees <= np.radians(high)))
        assert count == len(self.degrees)
        return np.degrees(self.degrees)


def frames(samples=1, steps=2, height=11, width=14, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 256, (samples, steps, height, width, channels)).astype(np.uint8)


def by_loops(sample, source):
    """Every pixel from the nearest to `source(y, x)`, both from the centre; 0 from beyond the border."""
    _, height, width, _ = sample.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    out = np.zeros_like(sample)
    for y in range(height):
        for x in range(width):
            from_y, from_x = source(y - middle_y, x - middle_x)
            row, column = round(from_y + middle_y), round(from_x + middle_x)
            if 0 <= row < height and 0 <= column < width:
                out[:, y, x] = sample[:, row, column]
    return out


@pytest.mark.parametrize("degrees", [-30, -7.5, 0, 12, 44])
def test_rotate_turns_about_the_centre(degrees):
    given = frames()
    comp = rotate(given, 45, Given(degrees))
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    np.testing.assert_array_equal(comp[0], by_loops(given[0], lambda y, x: (cos * y - sin * x, sin * y + cos * x)))
    for t in range(2):
        for c in range(2):
            ref = np.asarray(IMAGE.fromarray(given[0, t, :, :, c]).rotate(-degrees, IMAGE.Resampling.NEAREST))
            np.testing.assert_array_equal(comp[0, t, :, :, c], ref)


@pytest.mark.parametrize("degrees", [-30, -7.5, 0, 12, 44])
def test_shear_moves_each_row_by_its_distance_from_the_middle(degrees):
    given = frames()
    comp = shear(given, 45, Given(degrees))
    slope = math.tan(math.radians(degrees))
    np.testing.assert_array_equal(comp[0], by_loops(given[0], lambda y, x: (y, x + slope * y)))
    settings = (1, slope, -slope * 11 / 2, 0, 1, 0)
    for t in range(2):
        image = IMAGE.fromarray(given[0, t, :, :, 1])
        ref = image.transform((14, 11), IMAGE.Transform.AFFINE, settings, IMAGE.Resampling.NEAREST)
        np.testing.assert_array_equal(comp[0, t, :, :, 1], np.asarray(ref))


def test_roll_goes_around_the_border_up_to_its_most():
    given = frames(samples=400, steps=1, height=8, width=8)
    comp = roll(given, 3, np.random.default_rng(0))
    moves = set()
    for before, after in zip(given, comp, strict=True):
        ways = [
            (down, across)
            for down in range(-3, 4)
            for across in range(-3, 4)
            if all((after[0, (y + down) % 8, (x + across) % 8] == before[0, y, x]).all() for y, x in np.ndindex(8, 8))
        ]
        assert len(ways) == 1
        moves |= set(ways)
    assert len(moves) == 49


def test_all_frames_of_a_sample_change_alike_and_samples_differ():
    given = np.repeat(np.repeat(frames(steps=1), 3, axis=1), 20, axis=0)
    comp = nda(given, 2, np.random.default_rng(1))
    assert (comp == comp[:, :1]).all()
    assert len({sample.tobytes() for sample in comp}) > 15
    np.testing.assert_array_equal(comp, nda(given, 2, np.random.default_rng(1)))


def test_half_are_mirrored_and_a_quarter_each_rolled_turned_cut_and_sheared(monkeypatch):
    """What is left of each kind once the other changes do nothing; 400 samples, within 5 deviations."""
    given, module = frames(samples=400, steps=1, height=9, width=9), import_module("qpsnn_datasets.nda")
    counts, asked = {}, {}
    for name in ("roll", "rotate", "shear", "cutout"):

        def seen(chosen, most, rng, name=name):
            counts[name], asked[name] = len(chosen), most
            return chosen

        monkeypatch.setattr(module, name, seen)
    comp = module.nda(given, 2, np.random.default_rng(0))
    assert sum(counts.values()) == 400
    assert all(57 < count < 143 for count in counts.values()), counts
    assert asked == {"roll": 5, "rotate": 30, "cutout": 16, "shear": 30}
    mirrored = [(after == before[:, :, ::-1]).all() for before, after in zip(given, comp, strict=True)]
    assert 150 < sum(mirrored) < 250
    assert all(m or (a == b).all() for m, a, b in zip(mirrored, comp, given, strict=True))


def test_a_recipe_can_ask_for_it():
    augment = augmentation(DataConfig("digits-events", nda=2))
    assert augment == Augment(nda=2)
    assert augment
    given = frames(samples=8)
    np.testing.assert_array_equal(augment(given, np.random.default_rng(3)), nda(given, 2, np.random.default_rng(3)))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nda(frames()[0], 1, np.random.default_rng(0)), DataError, r"frames: expected \[B, T, H, W, C\]"),
        (lambda: nda(frames(), 0, np.random.default_rng(0)), ConfigError, r"nda\.magnitude"),
        (lambda: nda(frames(), 4, np.random.default_rng(0)), ConfigError, r"nda\.magnitude: expected 1 to 3, got 4"),
        (lambda: Augment(nda=4), ConfigError, r"augment\.nda: expected 0 to 3, got 4"),
        (lambda: DataConfig(nda=-1), ConfigError, r"DataConfig\.nda"),
    ],
)
def test_what_is_wrong_is_named(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
