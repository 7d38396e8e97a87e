"""AutoAugment's policy: each operation against its definition, probabilities by counting, draws by their seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("PIL")

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_datasets import Augment
from qpsnn_datasets import autoaugment as change
from qpsnn_datasets.autoaugment import POLICY, operations_of


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def done(name, image, magnitude, sign=1):
    pillow, operations = operations_of("autoaugment")
    return np.asarray(operations[name](pillow.fromarray(image), magnitude, sign))


def moved(image, matrix):
    """Pixel (x, y) comes from `(a x + b y + c, d x + e y + f)` of pixel centres, nearest; grey beyond the border."""
    a, b, c, d, e, f = matrix
    out = np.full_like(image, 128)
    for y, x in np.ndindex(32, 32):
        column = np.floor(a * (x + 0.5) + b * (y + 0.5) + c)
        row = np.floor(d * (x + 0.5) + e * (y + 0.5) + f)
        if 0 <= row < 32 and 0 <= column < 32:
            out[y, x] = image[int(row), int(column)]
    return out


def test_the_policy_is_25_pairs_of_known_operations():
    _, operations = operations_of("autoaugment")
    assert len(POLICY) == 25
    steps = [step for pair in POLICY for step in pair]
    assert {name for name, _, _ in steps} <= set(operations)
    assert all(0 <= chance <= 1 and 0 <= magnitude <= 9 for _, chance, magnitude in steps)
    assert [name for name, _ in Counter(name for name, _, _ in steps).most_common(2)] == ["equalize", "auto_contrast"]


@pytest.mark.parametrize("magnitude", [0, 3, 9])
@pytest.mark.parametrize("sign", [-1, 1])
def test_what_moves_pixels(image, magnitude, sign):
    shear, shift = sign * 0.3 * magnitude / 9, sign * round(150 / 331 * 32 * magnitude / 9)
    matrices = {
        "shear_x": (1, shear, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, 0),
        "translate_x": (1, 0, shift, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, shift),
    }
    for name, matrix in matrices.items():
        differ = (done(name, image, magnitude, sign) != moved(image, matrix)).any(-1).mean()
        assert differ < (0.02 if name.startswith("shear") else 1e-9), name
    assert pytest.approx(abs(round(150 / 331 * 32)), abs=0.6) == 0.45 * 32


@pytest.mark.parametrize("sign", [-1, 1])
def test_rotation_goes_around_the_centre(image, sign):
    """Counter-clockwise for a positive sign; magnitude 0 leaves the image."""
    np.testing.assert_array_equal(done("rotate", image, 0), image)
    spot = np.zeros((32, 32, 3), np.uint8)
    spot[15:17, 27:29] = 255
    rows, columns = np.nonzero(done("rotate", spot, 9, sign)[:, :, 0] > 200)
    angle = np.degrees(np.arctan2(15.5 - rows.mean(), columns.mean() - 15.5))
    assert angle == pytest.approx(30 * sign, abs=3)


@pytest.mark.parametrize("magnitude", [0, 2, 5, 9])
def test_what_changes_values(image, magnitude):
    np.testing.assert_array_equal(done("invert", image, magnitude), 255 - image)
    threshold = 256 - round(256 * magnitude / 9)
    np.testing.assert_array_equal(done("solarize", image, magnitude), np.where(image < threshold, image, 255 - image))
    mask = 256 - 2 ** round(4 * magnitude / 9)
    np.testing.assert_array_equal(done("posterize", image, magnitude), image & mask)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("magnitude", [0, 6, 9])
def test_what_blends(image, magnitude, sign):
    """`other + factor * (image - other)`, with a factor from 0.1 to 1.9; other: black, mean grey, grey image."""
    factor = 1 + sign * 0.1 * magnitude
    grey = (image.astype(int) @ np.array([19595, 38470, 7471]) + 0x8000) >> 16
    others = {
        "brightness": np.zeros_like(image),
        "contrast": np.full_like(image, int(grey.mean() + 0.5)),
        "color": grey[:, :, None].repeat(3, 2),
    }
    for name, other in others.items():
        ref = np.clip(other + factor * (image.astype(float) - other), 0, 255)
        np.testing.assert_allclose(done(name, image, magnitude, sign), ref, atol=1.01)
    edges = done("sharpness", image, magnitude, sign).astype(float)
    roughness = [np.abs(np.diff(each.astype(float), axis=0)).mean() for each in (image, edges)]
    assert magnitude == 0 or (roughness[1] > roughness[0]) == (sign > 0)


def test_what_stretches(image):
    dull = (image // 4 + 90).astype(np.uint8)
    for name in ("auto_contrast", "equalize"):
        wide = done(name, dull, 5)
        assert wide.min() == 0
        assert wide.max() >= 254


def test_the_same_seed_the_same_images_and_each_its_own():
    images = np.random.default_rng(1).integers(0, 256, (300, 32, 32, 3), np.uint8)
    kept = images.copy()
    one, again = (change(images, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(images, kept)
    assert one.dtype == np.uint8
    assert not np.array_equal(one, change(images, np.random.default_rng(8)))


def test_how_many_stay_as_they_are():
    """`prod (1 - p)` of a pair, its mean over the pairs: as often as counted."""
    images = np.random.default_rng(1).integers(1, 255, (4000, 16, 16, 3), np.uint8)
    stay = np.mean([(1 - a[1]) * (1 - b[1]) for a, b in POLICY])
    changed = (change(images, np.random.default_rng(0)) != images).any((1, 2, 3)).mean()
    assert changed <= 1 - stay + 0.02
    assert changed > 0.7 * (1 - stay)


def test_in_augment():
    images = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8)
    augment = Augment(autoaugment=True)
    assert augment
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(augment(images, np.random.default_rng(3)), change(images, rng))
    with pytest.raises(ConfigError, match=r"augment\.autoaugment: expected true or false"):
        Augment(autoaugment=1)
    with pytest.raises(DataError, match="in colour"):
        change(images[..., :1], rng)
