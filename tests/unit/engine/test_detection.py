"""From maps to boxes: against loops, the same for integers, in the pixels of the images; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from naive import detection as naive
from qpsnn_core.common.detection import DetectionHead
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.engine.detection import DetectionLimits, Detections, detect, joined
from qpsnn_datasets.detection.letterbox import Letterboxes

SIZE = 64


def head(decode="v5", classes=3):
    return DetectionHead(classes, (16, 32), (((10, 12), (30, 20)), ((40, 40),)), decode)


def drawn(of, seed=0, batch=2):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-96, 97, (batch, SIZE // stride, SIZE // stride, of.channels(level)))
        for level, stride in enumerate(of.strides)
    ]


def same(one, other):
    for name in ("boxes", "scores", "classes", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("decode", ["v3", "v5"])
@pytest.mark.parametrize("classes", [1, 3])
def test_boxes_scores_and_classes(decode, classes):
    of = head(decode, classes)
    maps = [map_ / 32 for map_ in drawn(of)]
    comp = detect(maps, of, limits=DetectionLimits(confidence=0.2, overlap=0.4, most=20))
    assert len(comp) == 2
    for image in range(2):
        ref = naive.detect([map_[image] for map_ in maps], of, 0.2, 0.4, 20)
        rows = comp.of(image)
        assert 3 < len(ref) <= 20
        np.testing.assert_allclose(comp.scores[rows], [one[0] for one in ref], rtol=1e-6)
        np.testing.assert_array_equal(comp.classes[rows], [one[1] for one in ref])
        np.testing.assert_allclose(comp.boxes[rows], np.clip([one[2] for one in ref], 0, SIZE), rtol=1e-5, atol=1e-5)


def test_integers_and_the_real_numbers_that_they_stand_for_give_the_same_bits():
    of = head()
    maps = drawn(of)
    units = [0.03, 0.05]
    comp = detect(maps, of, units=units)
    assert len(comp.scores) > 50
    same(comp, detect([map_ * unit for map_, unit in zip(maps, units, strict=True)], of))
    same(comp, detect([map_.astype(np.int32) for map_ in maps], of, units=units))
    same(comp, joined([detect([map_[k : k + 1] for map_ in maps], of, units=units) for k in range(2)]))


def test_boxes_in_the_pixels_of_the_images():
    of = head()
    maps = [map_ / 32 for map_ in drawn(of)]
    plain = detect(maps, of)
    letterboxes = Letterboxes(np.array([[100, 200], [64, 64]]), np.array([[0, 16, 64, 32], [0, 0, 64, 64]]))
    comp = detect(maps, of, letterboxes=letterboxes)
    np.testing.assert_array_equal(comp.boxes[comp.of(1)], plain.boxes[plain.of(1)])
    edges = plain.boxes[plain.of(0)]
    ref = (edges - [0, 16, 0, 16]) * 200 / 64
    inside = ((edges > 0) & (edges < SIZE)).all(1) & ((ref > 0) & (ref < [200, 100, 200, 100])).all(1)
    assert inside.sum() > 3
    np.testing.assert_allclose(comp.boxes[comp.of(0)][inside], ref[inside], rtol=1e-5)
    assert (comp.boxes[comp.of(0)].max(0) <= [200, 100, 200, 100]).all()


def test_one_class_of_each_box():
    of = head()
    maps = [map_ / 32 for map_ in drawn(of)]
    every = detect(maps, of, limits=DetectionLimits(overlap=1.0, most=10_000))
    alone = detect(maps, of, limits=DetectionLimits(overlap=1.0, most=10_000, several=False))
    assert len(every.scores) > 2 * len(alone.scores)
    for image in range(2):
        boxes, rows = every.boxes[every.of(image)], alone.of(image)
        for box, score in zip(alone.boxes[rows], alone.scores[rows], strict=True):
            assert every.scores[every.of(image)][(boxes == box).all(1)].max() == score


def test_nothing_is_found():
    of = head()
    comp = detect([np.full(map_.shape, -50.0) for map_ in drawn(of)], of)
    assert comp.boxes.shape == (0, 4)
    assert comp.offsets.tolist() == [0, 0, 0]


def test_what_is_refused():
    of = head()
    maps = drawn(of)
    real = [map_ / 32 for map_ in maps]

    def refused(match, maps, **options):
        with pytest.raises(DataError, match=match):
            detect(maps, of, **options)

    refused(r"units: expected the real number of a unit, as maps\[0\] is of integers", maps)
    refused("units: expected 2, one for each map, got 1", maps, units=[1.0])
    refused(r"units\[1\]: expected a positive number, got 0", maps, units=[1.0, 0.0])
    refused("maps: expected 2, one for each stride, got 1", real[:1])
    refused(r"maps\[1\]: expected \[2, H, W, 8\], got shape \[2, 2, 2, 7\]", [real[0], real[1][..., :-1]])
    refused(
        r"maps\[1\]: rows: expected 2, as the first map and the strides say, got 4", [real[0], np.zeros((2, 4, 4, 8))]
    )
    refused(r"maps\[0\]: expected finite numbers", [np.full_like(real[0], np.inf), real[1]])
    with pytest.raises(ConfigError, match=r"limits\.confidence: expected a number from 0 to 1, got 2"):
        DetectionLimits(confidence=2)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"boxes": np.zeros((2, 4))}, r"detections\.boxes: expected float32 \[2, 4\], got float64 \[2, 4\]"),
        ({"scores": np.array([1, np.nan], np.float32)}, r"detections\.scores: expected finite numbers"),
        ({"offsets": np.array([0, 3])}, r"detections\.offsets: expected rising numbers from 0 to 2, got 0 to 3"),
        ({"offsets": np.array([0, 2, 1, 2])}, r"detections\.offsets: expected rising numbers"),
    ],
)
def test_detections_that_are_wrong(change, match):
    good = {
        "boxes": np.zeros((2, 4), np.float32),
        "scores": np.ones(2, np.float32),
        "classes": np.zeros(2, np.int64),
        "offsets": np.array([0, 2]),
    }
    with pytest.raises(DataError, match=match):
        Detections(**{**good, **change})
