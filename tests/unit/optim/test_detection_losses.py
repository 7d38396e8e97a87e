"""The loss of a detector: against loops, finite differences and PyTorch's autograd; and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from naive import detection as naive
from qpsnn_core.common.detection import BoxTargets, DetectionHead
from qpsnn_core.common.errors import ConfigError, DataError, LabelError, NumericsError
from qpsnn_core.optim.anchor_matching import match_anchors
from qpsnn_core.optim.box_overlaps import ciou, giou, iou
from qpsnn_core.optim.detection_losses import DetectionGains, detection_loss

GOLDEN = Path(__file__).parents[2] / "golden" / "detection_losses.json"
SIZE = 32
GAINS = DetectionGains(0.3, 0.7, 0.4)


def head(decode="v5", classes=2):
    return DetectionHead(classes, (8, 16), (((6, 8), (20, 12)), ((14, 30),)), decode)


def sample(of, seed=0, batch=3):
    """Maps, and boxes of the first and the last image: at the border, on lines between cells, one within another."""
    rng = np.random.default_rng(seed)
    maps = [
        rng.normal(size=(batch, SIZE // stride, SIZE // stride, of.channels(level))).astype(np.float32)
        for level, stride in enumerate(of.strides)
    ]
    boxes = [[0, 0, 7, 9], [9, 9, 22, 25], [12, 12, 20, 20], [25.5, 3, 32, 12.25], [3, 20, 9, 32]]
    targets = BoxTargets(np.array(boxes, np.float32), rng.integers(0, of.classes, 5), np.array([0, 3, 3, 5]))
    return maps, targets


@pytest.mark.parametrize("decode", ["v3", "v5"])
@pytest.mark.parametrize("classes", [1, 2])
def test_value_and_gradient(decode, classes):
    of = head(decode, classes)
    maps, targets = sample(of)
    comp, gradients = detection_loss(maps, targets, of, GAINS)
    ref, weights = naive.loss(maps, targets, of, GAINS)
    assert comp[:4] == pytest.approx(ref, rel=1e-12)
    assert comp.total == pytest.approx((comp.box + comp.objectness + comp.classes) * 3, rel=1e-14)
    assert (comp.classes == 0) == (classes == 1)
    assert comp.matches > 10
    step = 1e-5
    rng = np.random.default_rng(1)
    for level, map_ in enumerate(maps):
        assert gradients[level].shape == map_.shape
        assert gradients[level].dtype == np.float32
        found = match_anchors(targets, of, level, *map_.shape[1:3])
        numbers = 5 + classes
        at = [
            (i, r, c, a * numbers + k)
            for i, r, c, a in zip(found.image, found.row, found.column, found.anchor, strict=True)
            for k in range(numbers)
        ]
        at += [tuple(rng.integers(0, side) for side in map_.shape) for _ in range(5)]
        for index in {at[k] for k in rng.choice(len(at), 20, replace=False)}:
            values = []
            for sign in (1, -1):
                moved = [one.astype(np.float64) for one in maps]
                moved[level][index] += sign * step
                values.append(naive.loss(moved, targets, of, GAINS, weights)[0][0])
            slope = (values[0] - values[1]) / (2 * step)
            assert gradients[level][index] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_pytorch_gives_the_same():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    anchors = tuple(tuple(tuple(pair) for pair in one) for one in golden["anchors"])
    shapes = golden["shapes"]
    maps = [np.array(m, np.float32).reshape(s) for m, s in zip(golden["maps"], shapes, strict=True)]
    boxes = np.array(golden["boxes"], np.float32)
    targets = BoxTargets(boxes, np.array(golden["classes"]), np.array(golden["offsets"]))
    for case in golden["cases"]:
        of = DetectionHead(3, tuple(golden["strides"]), anchors, case["decode"])
        comp, gradients = detection_loss(maps, targets, of, DetectionGains(**golden["gains"]))
        assert comp.total == pytest.approx(case["total"], rel=1e-12)
        assert comp[1:4] == pytest.approx(case["parts"], rel=1e-12)
        for found, ref in zip(gradients, case["gradients"], strict=True):
            np.testing.assert_allclose(found.reshape(-1), ref, rtol=1e-6, atol=1e-9)


def test_images_without_boxes_have_objectness_alone():
    of = head()
    maps, _ = sample(of)
    none = BoxTargets(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(4, np.int64))
    comp, gradients = detection_loss(maps, none, of, GAINS)
    assert (comp.box, comp.classes, comp.matches) == (0, 0, 0)
    assert comp.objectness == pytest.approx(naive.loss(maps, none, of, GAINS)[0][2], rel=1e-12)
    for level, gradient in enumerate(gradients):
        by_number = gradient.reshape(*gradient.shape[:3], len(of.anchors[level]), -1)
        assert (by_number[..., 4] > 0).all()
        assert not np.delete(by_number, 4, axis=-1).any()


@pytest.mark.parametrize("decode", ["v3", "v5"])
def test_huge_numbers_stay_finite(decode):
    of = head(decode)
    maps, targets = sample(of)
    comp, gradients = detection_loss([map_ * np.float32(1e5) for map_ in maps], targets, of, GAINS)
    assert math.isfinite(comp.total)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_box_that_is_found_exactly_costs_nothing():
    of = DetectionHead(1, (8,), (((8, 8),),))
    targets = BoxTargets(np.array([[8, 8, 16, 16]], np.float32), np.array([0]), np.array([0, 1]))
    comp, (gradient,) = detection_loss([np.zeros((1, 4, 4, 6), np.float32)], targets, of, GAINS)
    assert comp.matches == 1  # the centre is in the middle of its cell, as near to no neighbour as half of it
    assert comp.box == pytest.approx(0, abs=1e-12)
    assert gradient[0, 1, 1, 4] < 0
    assert (np.delete(gradient[..., 4].reshape(-1), 5) > 0).all()


def test_matches():
    """One rule at a time: ratio, own cell, neighbours, border."""
    of = DetectionHead(1, (8,), (((8, 8),),))

    def cells(box, decode="v5"):
        targets = BoxTargets(np.array([box], np.float32), np.array([0]), np.array([0, 1]))
        found = match_anchors(targets, DetectionHead(1, (8,), of.anchors, decode), 0, 4, 4)
        return list(zip(found.column.tolist(), found.row.tolist(), strict=True))

    assert cells([9, 9, 13, 13]) == [(1, 1), (0, 1), (1, 0)]
    assert cells([11, 11, 15, 15]) == [(1, 1), (2, 1), (1, 2)]
    assert cells([11, 11, 15, 15], "v3") == [(1, 1)]
    assert cells([0, 0, 4, 4]) == [(0, 0)]
    assert cells([29, 29, 32, 32]) == [(3, 3)]
    assert cells([9, 9, 11, 13]) == []  # four times as narrow
    assert cells([8.9, 9, 11, 13]) == [(1, 1), (0, 1), (1, 0)]
    assert cells([0, 0, 31.9, 31.9]) == [(1, 1), (2, 1), (1, 2)]
    assert cells([0, 0, 32, 32]) == []
    assert cells([14, 10, 18, 14]) == [(2, 1), (1, 1)]  # centre on a line between cells: of that to the right


def test_ious():
    def pairs(*boxes):
        return np.array(boxes, np.float64)

    same = pairs([3, 4, 2, 6])
    assert iou(same, same) == giou(same, same) == 1
    assert ciou(same, same)[0] == 1
    one, far = pairs([1, 1, 2, 2]), pairs([5, 1, 2, 2])
    assert iou(one, far) == 0
    assert giou(one, far) == pytest.approx(-4 / 12)  # hull 6 x 2, of which 4 of 12 is neither
    assert ciou(one, far)[0] == pytest.approx(-16 / 40)
    half, tall = pairs([1, 1, 2, 2]), pairs([1, 1, 2, 1])
    turn = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    assert ciou(half, tall)[0] == pytest.approx(0.5 - turn * turn / (0.5 + turn), rel=1e-6)


def test_gains_are_scaled_as_in_yolov5():
    of = DetectionHead(10)
    scaled = DetectionGains().scaled(of, 320)
    assert scaled.box == pytest.approx(0.05 * 3 / 2)
    assert scaled.objectness == pytest.approx(1.0 * 3 / 2 * 0.25)
    assert scaled.classes == pytest.approx(0.5 * 3 / 2 * 10 / 80)


def test_the_bias_to_start_from():
    of = DetectionHead(3)
    bias = [one.reshape(3, 8) for one in of.start_bias(320)]
    assert bias[0][:, 4].tolist() == pytest.approx([math.log(8 / 400)] * 3)
    assert bias[1][:, 4].tolist() == pytest.approx([math.log(8 / 100)] * 3)
    assert bias[1][:, 5:].reshape(-1).tolist() == pytest.approx([math.log(0.3)] * 9)
    assert not bias[0][:, :4].any()
    assert not DetectionHead(1).start_bias(320)[0].reshape(3, 6)[:, 5].any()


def test_default_anchors_shrink_with_the_image():
    assert DetectionHead(2).scaled(320).anchors[1][2] == (172, 159.5)
    assert DetectionHead(2).scaled(640) == DetectionHead(2)


def test_what_is_refused():
    of = head()
    maps, targets = sample(of)

    def refused(error, match, maps=maps, targets=targets, of=of):
        with pytest.raises(error, match=match):
            detection_loss(maps, targets, of, GAINS)

    refused(DataError, r"maps\[1\]: expected \[3, H, W, 7\], .*got shape \[3, 2, 2, 6\]", [maps[0], maps[1][..., :6]])
    refused(DataError, "maps: expected 2, one for each stride, got 1", maps[:1])
    refused(DataError, r"maps\[0\]: expected \[3, H, W, 14\]", [one[:2] for one in maps])
    bad = [one.copy() for one in maps]
    bad[1][2, 1, 0, 3] = np.nan
    refused(NumericsError, r"maps\[1\]\[2, 1, 0, 3\]: expected finite numbers, got nan", bad)
    refused(
        LabelError, r"targets\.classes\[0\]: expected 0 to 1, got 2", targets=targets._replace(classes=np.full(5, 2))
    )
    flat = targets.boxes.copy()
    flat[1, 2] = flat[1, 0]
    refused(DataError, r"targets\.boxes\[1\]: expected left < right", targets=targets._replace(boxes=flat))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": 0}, "head.classes: expected an integer of at least 1, got 0"),
        ({"decode": "v4"}, "head.decode: expected one of v3, v5, got 'v4'"),
        ({"strides": (32, 16)}, "head.strides: expected rising numbers, the finest map first"),
        ({"strides": (16,)}, "head.anchors: expected anchors of each of 1 maps, got 2"),
        ({"anchors": (((1, 2),), ())}, r"head.anchors\[1\]: expected at least one \(width, height\)"),
        ({"anchors": (((1, 2),), ((1, 0),))}, r"head.anchors\[1\]\[0\]: expected a positive width and height"),
    ],
)
def test_a_head_that_is_wrong(change, match):
    with pytest.raises(ConfigError, match=match):
        DetectionHead(**{"classes": 2, **change})


def test_a_side_that_no_stride_divides():
    assert DetectionHead(2).shape(1, 320, 64) == (10, 2)
    with pytest.raises(ConfigError, match=r"image\.width: expected a multiple of the stride 32, got 80"):
        DetectionHead(2).shape(1, 320, 80)


def test_a_gain_that_is_wrong():
    with pytest.raises(ConfigError, match=r"gains\.box: expected a positive number, got 0"):
        DetectionGains(box=0)
