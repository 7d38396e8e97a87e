"""Codings of images as spikes: by loops, from their counters, and through a network to integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qpsnn_core as qp
from naive import fixed_point
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.layers import LIF, Conv, Input, Linear
from qpsnn_datasets import Dataset, Split
from qpsnn_datasets.coding import STREAM

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (5, 3, 4, 2)).astype(np.uint8)
IMAGES[0, 0, 0], IMAGES[0, 1, 1] = 0, 255


def test_rate_coding_by_loops():
    spikes = qp.encode(IMAGES, "poisson", steps=6, seed=9)
    assert (spikes.shape, spikes.dtype) == ((5, 6, 3, 4, 2), np.uint8)
    for n, t in np.ndindex(5, 6):
        key = fixed_point.word(n, 9, STREAM)
        words = np.array([fixed_point.word(t, i, key) for i in range(24)]).reshape(3, 4, 2)
        np.testing.assert_array_equal(spikes[n, t], words * 255 < IMAGES[n].astype(np.int64) << 32)
    assert not spikes[0, :, 0, 0].any()
    assert spikes[0, :, 1, 1].all()
    many = qp.encode(IMAGES, "poisson", steps=4000, seed=0)
    np.testing.assert_allclose(many.mean(1), IMAGES / 255, atol=0.05)
    np.testing.assert_array_equal(qp.encode(IMAGES[:2], "poisson", steps=6, seed=9), spikes[:2])


def test_each_part_has_draws_of_its_own_and_a_part_alone_has_the_same():
    """The same image at the same place in train, test and validation."""
    one = Dataset(IMAGES, np.arange(5) % 3, ("a", "b", "c"), "noise")
    parts = Split(one, replace(one, name="noise.test"), replace(one, name="noise.validation"))
    coded = qp.encode(parts, "poisson", steps=6, seed=9)
    found = [part.images for part in (coded.train, coded.test, coded.validation)]
    np.testing.assert_array_equal(found[0], qp.encode(IMAGES, "poisson", steps=6, seed=9))
    assert all((found[k] != found[k - 1]).any() for k in range(3))
    np.testing.assert_array_equal(qp.encode(parts.test, "poisson", steps=6, seed=9).images, found[1])
    np.testing.assert_array_equal(qp.encode(parts.validation, "poisson", steps=6, seed=9).images, found[2])


def test_a_seed_counts_whole():
    draws = [
        qp.encode(IMAGES, "poisson", steps=6, seed=seed).tobytes() for seed in (9, 2**32 + 9, 2**33 + 9, 2**64 + 9)
    ]
    assert len(set(draws)) == 4


def test_direct_coding_is_none_and_an_origin_names_the_coding():
    assert qp.encode(IMAGES, "direct") is IMAGES
    origin = {"name": "digits", "path": "", "limit": 0}
    one = Dataset(IMAGES, np.arange(5) % 3, ("a", "b", "c"), "noise.train", origin=origin)
    assert qp.encode(one, "direct") is one
    coded = qp.encode(one, "poisson", steps=2, seed=3)
    assert coded.origin == {**origin, "coding": "poisson", "coding_seed": 3}
    assert qp.recipe_from_dict({"data": dict(coded.origin)}).data.coded == {"seed": 3}
    with pytest.raises(
        DataError, match=r"^noise\.train\.images: expected images that are not coded yet, got 'poisson'"
    ):
        qp.encode(coded, "latency", steps=2)


def test_the_brighter_the_earlier():
    spikes = qp.encode(IMAGES, "latency", steps=5)
    for n, y, x, c in np.ndindex(IMAGES.shape):
        value = int(IMAGES[n, y, x, c])
        late = round((1 - value / 255) * 4 + 1e-9)
        np.testing.assert_array_equal(np.flatnonzero(spikes[n, :, y, x, c]), [late] if value else [])


def test_changes_since_the_last_spike():
    series = np.array([10, 12, 14, 15, 15, 11, 2, 1, 1, 6], np.uint8).reshape(1, -1, 1, 1, 1)
    spikes = qp.encode(series, "delta", threshold=4)[0, :, 0, 0]
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 0]), [6])
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 1]), [2, 9])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coding": "burst"}, r"^encode\.coding: expected one of direct, poisson, latency, delta, got 'burst'"),
        ({"coding": "poisson", "steps": 4}, r"^encode\.seed: expected a number, for 'poisson', got None$"),
        (
            {"coding": "latency", "steps": 4, "seed": 1},
            r"^encode\.seed: expected nothing, as 'latency' has none, got 1$",
        ),
        ({"coding": "latency", "steps": 10**13}, r"^encode\.steps: expected at most the .* GB that this machine has"),
        ({"coding": "latency", "steps": 0}, r"^encode\.steps: expected .* at least 1, got 0$"),
    ],
)
def test_options_that_are_missing_or_too_many_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        qp.encode(IMAGES, **options)


@pytest.mark.parametrize("images", [IMAGES.astype(np.int16), IMAGES[:, None], IMAGES[..., 0]])
def test_images_that_are_none_are_refused(images):
    with pytest.raises(DataError, match=r"^images: expected uint8 images"):
        qp.encode(images, "latency", steps=3)


def test_a_network_reads_them_as_its_integers_do():
    data = Dataset(IMAGES, np.arange(5) % 3, ("a", "b", "c"), "noise").split(0.4, 0)
    coded = qp.encode(data, "poisson", steps=4, seed=0)
    assert coded.train.images.shape == (3, 4, 3, 4, 2)
    with pytest.raises(DataError, match=r"^noise\.images: expected a series"):
        qp.encode(data.train, "delta", threshold=3)
    network = qp.sequential(
        Input((3, 4, 2), peak=1, scale=1.0, spikes=True), [Conv(6), LIF(threshold=0.4), Linear(3)], steps=4
    )
    model = qp.train(network, coded, qp.TrainConfig(epochs=1, batch=3)).model
    trained, integers = (qp.evaluate(one, coded.train) for one in (model, qp.lower(model).network))
    np.testing.assert_array_equal(trained.predictions, integers.predictions)
    np.testing.assert_array_equal(trained.spikes["lif1"], integers.spikes["lif1"])
