"""Letterboxes and random changes: boxes move with the pixels that they were drawn around."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qpsnn_core.common.errors import ConfigError, DataError, LabelError
from qpsnn_core.training.history import digest
from qpsnn_datasets.detection import YOLO, DetectionAugment, detection_batches, with_boxes
from qpsnn_datasets.detection.augment import Sample, clipped, coloured, flipped, mosaic, moved, plain_sample
from qpsnn_datasets.detection.boxes import Boxes
from qpsnn_datasets.detection.letterbox import GREY, Letterboxes, inner_of, letterboxed

SIZE = 32
PAINT = 250


def painted(images=5, steps=0, seed=0):
    """Noise below 200, with a filled rectangle of PAINT in each of two boxes; letterboxes of 32 x 24 in 32 x 32."""
    rng = np.random.default_rng(seed)
    shape = (images, *([steps] if steps else []), SIZE, SIZE, 2 if steps else 3)
    pixels = rng.integers(0, 200, shape, dtype=np.uint8)
    edges = []
    for image in range(images):
        for left in (1, 17):
            x, y = left + rng.integers(0, 4), 5 + rng.integers(0, 8)
            right, bottom = x + rng.integers(4, 11), y + rng.integers(4, 11)
            pixels[image, ..., y:bottom, x:right, :] = PAINT
            edges.append([x, y - 4, right, bottom - 4])  # in pixels of the image, which lies 4 rows lower
    count = len(edges)
    boxes = Boxes(
        np.array(edges, np.float64),
        np.arange(count) % 3,
        np.arange(0, count + 1, 2),
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
        np.ones(count),
    )
    letterboxes = Letterboxes(np.tile([24, 32], (images, 1)), np.tile([0, 4, 32, 24], (images, 1)))
    return with_boxes(pixels, boxes, letterboxes, ("a", "b", "c"), name="painted")


def surrounds(sample: Sample, slack: float = 1.0):
    """Inside every box all is paint. Gives the paint that lies in no box; both but for `slack` pixels at the edges."""
    paint = (sample.images >= PAINT - 1).all(-1)
    paint = paint.all(0) if paint.ndim == 3 else paint
    rows, columns = (np.arange(side) + 0.5 for side in paint.shape)
    covered = np.zeros(paint.shape, np.bool_)
    for left, top, right, bottom in sample.edges:
        inside = ((rows > top + slack) & (rows < bottom - slack))[:, np.newaxis]
        inside = inside & (columns > left + slack) & (columns < right - slack)
        assert paint[inside].all()
        around = ((rows > top - slack) & (rows < bottom + slack))[:, np.newaxis]
        covered |= around & (columns > left - slack) & (columns < right + slack)
    return paint & ~covered


def test_the_drawing_itself():
    for index in range(5):
        assert not surrounds(plain_sample(painted(), index), 0).any()


def test_flip():
    sample = plain_sample(painted(), 1)
    comp = flipped(sample)
    assert not surrounds(comp, 0).any()
    again = flipped(comp)
    np.testing.assert_array_equal(again.images, sample.images)
    np.testing.assert_array_equal(again.edges, sample.edges)


@settings(max_examples=40)
@given(scale=st.floats(0.6, 1.6), across=st.floats(-0.2, 0.2), down=st.floats(-0.2, 0.2), steps=st.sampled_from([0, 2]))
def test_scale_and_shift(scale, across, down, steps):
    sample = plain_sample(painted(steps=steps), 2)
    comp = moved(sample, (SIZE, SIZE), scale, np.array([across, down]))
    assert comp.images.shape == sample.images.shape
    outside = surrounds(comp)
    _, kept = clipped(
        sample.edges * scale + SIZE * (0.5 + np.array([across, down] * 2)) - scale * SIZE / 2, (SIZE, SIZE)
    )
    assert len(comp.edges) == len(comp.classes) == len(kept)
    if len(kept) == len(sample.edges):
        assert not outside.any()


@settings(max_examples=40)
@given(
    across=st.floats(0, 0.999), down=st.floats(0, 0.999), indices=st.lists(st.integers(0, 4), min_size=4, max_size=4)
)
def test_mosaic(across, down, indices):
    dataset = painted()
    comp = mosaic(dataset, indices, np.array([down, across]))
    assert comp.images.shape == (2 * SIZE, 2 * SIZE, 3)
    outside = surrounds(comp, 0)
    if len(comp.edges) == 8:
        assert not outside.any()
    assert len(comp.edges) >= 2
    x, y = int(SIZE / 2 + across * SIZE), int(SIZE / 2 + down * SIZE)
    tile = dataset.images[indices[3], 4:28]  # the image without the letterbox's border
    rows, columns = min(24, 2 * SIZE - y), min(32, 2 * SIZE - x)
    np.testing.assert_array_equal(comp.images[y : y + rows, x : x + columns], tile[:rows, :columns])


def test_all_changes_follow_from_seed_epoch_and_index():
    dataset = painted()
    comp = YOLO(dataset, 3, 7, 2)
    for one in (YOLO(dataset, 3, 7, 2), YOLO(painted(), 3, 7, 2)):
        for found, ref in zip(one, comp, strict=True):
            np.testing.assert_array_equal(found, ref)
    for key in ((3, 8, 2), (3, 7, 3), (2, 7, 2)):
        assert (YOLO(dataset, *key).images != comp.images).any()
    assert comp.images.shape == (SIZE, SIZE, 3)
    assert comp.edges.min() >= 0
    assert comp.edges.max() <= SIZE


def test_each_change_draws_on_its_own():
    """Another change beside it does not alter what a change draws."""
    dataset = painted()
    both = DetectionAugment(flip=1.0, value=0.3)(dataset, 0, 5, 0)
    alone = DetectionAugment(value=0.3)(dataset, 0, 5, 0)
    np.testing.assert_array_equal(flipped(alone).images, both.images)


def test_what_was_cut_too_much_is_dropped():
    edges = np.array([[-10, 0, 2.5, 10], [-20, 0, 2.1, 10], [0, 0, 2, 10], [0, 0, 30, 2.5], [-100, 3, 200, 5.5]])
    cut, kept = clipped(edges, (20, 400))
    assert kept.tolist() == [0, 3, 4]  # 1 has 9.5% left; 2 is too narrow
    assert cut.tolist() == [[0, 0, 2.5, 10], [0, 0, 30, 2.5], [0, 3, 200, 5.5]]
    assert len(clipped(np.array([[0, 0, 300, 2.5]]), (20, 400))[1]) == 0  # 120 times as long as wide


def test_colours_of_what_has_none():
    with pytest.raises(DataError, match=r"augment\.hue, saturation, value: expected images \[H, W, 3\], in colour"):
        coloured(plain_sample(painted(steps=2), 0), np.ones(3))
    with pytest.raises(DataError, match="in colour"):
        YOLO(painted(steps=2), 0, 0, 0)
    assert DetectionAugment(mosaic=1.0, scale=0.2, flip=1.0)(painted(steps=2), 0, 0, 0).images.shape == (
        2,
        SIZE,
        SIZE,
        2,
    )


@pytest.mark.parametrize(("name", "value"), [("mosaic", 1.5), ("flip", True), ("scale", 0.95), ("hue", -0.1)])
def test_a_change_that_is_wrong(name, value):
    with pytest.raises(ConfigError, match=rf"augment\.{name}: expected a number from 0 to"):
        DetectionAugment(**{name: value})


def test_batches():
    dataset = painted()
    plain = list(detection_batches(dataset, 2))
    assert [len(one.images) for one in plain] == [2, 2, 1]
    np.testing.assert_array_equal(plain[1].images, dataset.images[2:4])
    np.testing.assert_array_equal(plain[1].targets.boxes, dataset.targets(np.array([2, 3])).boxes)
    assert plain[1].targets.offsets.tolist() == [0, 2, 4]
    seeded = list(detection_batches(dataset, 2, seed=3, epoch=1, augment=YOLO))
    resumed = list(detection_batches(dataset, 2, seed=3, epoch=1, augment=YOLO, start=1))
    np.testing.assert_array_equal(
        np.concatenate([one.images for one in seeded[1:]]), [i for b in resumed for i in b.images]
    )
    assert sorted(np.concatenate([one.indices for one in seeded])) == list(range(5))
    for one in seeded:
        np.testing.assert_array_equal(one.images[0], YOLO(dataset, int(one.indices[0]), 3, 1).images)
    with pytest.raises(ConfigError, match="seed: expected a seed, as the images are to be changed at random, got None"):
        detection_batches(dataset, 2, augment=YOLO)
    with pytest.raises(ConfigError, match="start: expected 0 to 3, the number of batches, got 4"):
        detection_batches(dataset, 2, start=4)


@settings(max_examples=60)
@given(height=st.integers(1, 700), width=st.integers(1, 700), size=st.tuples(st.integers(8, 64), st.integers(8, 64)))
def test_letterboxes_there_and_back(height, width, size):
    left, top, columns, rows = inner_of((height, width), size)
    assert left >= 0
    assert top >= 0
    assert (columns == size[1]) or (rows == size[0])
    assert left + columns <= size[1]
    assert top + rows <= size[0]
    boxes = Letterboxes(np.array([[height, width]]), np.array([[left, top, columns, rows]]))
    edges = np.array([[0, 0, width, height], [width / 3, height / 4, width / 2, height / 2]], np.float64)
    there = boxes.there(0, edges)
    np.testing.assert_allclose(there[0], [left, top, left + columns, top + rows])
    np.testing.assert_allclose(boxes.back(0, there), edges, atol=1e-9)


def test_a_pixel_at_a_boxs_corner_lies_there_in_the_letterbox():
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[10:20, 30:60] = 255
    out, inner = letterboxed(image, image.fromarray(pixels), (32, 32))
    assert inner == (0, 8, 32, 16)
    assert (out[:8] == GREY).all()
    assert (out[24:] == GREY).all()
    edges = Letterboxes(np.array([[40, 80]]), np.array([inner])).there(0, np.array([[30.0, 10, 60, 20]]))
    assert edges.tolist() == [[12, 12, 24, 16]]
    assert (out[13:15, 13:23] == 255).all()  # but for the edges, which the smaller image blurs
    assert not out[9:11, 1:31].any()


def test_sets():
    dataset = painted()
    assert repr(dataset) == "DetectionDataset('painted', images=(5, 32, 32, 3), boxes=10, classes=3)"
    assert dataset.image_shape == (32, 32, 3)
    some = dataset.take(np.array([3, 1]))
    assert some.files == ("3", "1")
    np.testing.assert_array_equal(some.edges(1), dataset.edges(1))
    np.testing.assert_array_equal(some.boxes.classes, dataset.boxes.classes[[6, 7, 2, 3]])
    assert dataset.sides().shape == (10, 2)
    assert (dataset.sides() >= 4).all()
    train, test = dataset.split(0.4, 1)
    assert (len(train), len(test)) == (3, 2)
    np.testing.assert_array_equal(test.boxes.edges, dataset.take([int(one) for one in test.files]).boxes.edges)
    np.testing.assert_array_equal(dataset.take([-1]).edges(0), dataset.edges(4))
    assert dataset.labels.tolist() == [2] * 5
    with pytest.raises(DataError, match=r"painted\.take\.indices: expected -5 to 4, got 5 to 5"):
        dataset.take(np.array([5]))
    with pytest.raises(LabelError, match=r"painted\.boxes\.classes\[1\]: expected 0 to 0, got 1"):
        replace(dataset, classes=("a",))
    with pytest.raises(DataError, match=r"painted\.images: expected uint8, got int8"):
        replace(dataset, images=dataset.images.view(np.int8))
    with pytest.raises(DataError, match=r"painted\.boxes: expected of 4 images, got of 5"):
        replace(dataset, images=dataset.images[:4])
    with pytest.raises(ConfigError, match=r"painted\.decode: expected one of v3, v5, got 'v4'"):
        replace(dataset, decode="v4")


def test_the_digest_knows_all_that_belongs_to_boxes():
    dataset = painted()
    boxes = dataset.boxes
    others = [
        replace(dataset, boxes=replace(boxes, edges=boxes.edges * 1.01)),
        replace(dataset, boxes=replace(boxes, difficult=~boxes.difficult)),
        replace(dataset, letterboxes=Letterboxes(dataset.letterboxes.sizes + 1, dataset.letterboxes.inner)),
        replace(dataset, anchors=((1.0, 2.0),)),
        replace(dataset, decode="v3"),
    ]
    assert len({digest(dataset), digest(painted()), *map(digest, others)}) == 6


def test_a_set_with_boxes_is_not_saved_as_one_with_labels(tmp_path):
    with pytest.raises(DataError, match="save: expected a set without boxes"):
        painted().save(tmp_path / "set.h5")
    assert list(tmp_path.iterdir()) == []
