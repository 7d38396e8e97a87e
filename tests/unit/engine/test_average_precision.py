"""Average precision: each convention by hand, COCO's against pycocotools, Pascal VOC's against a published sample."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from generators.detections import drawn_boxes, drawn_detections

from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.engine.average_precision import (
    COCO_THRESHOLDS,
    area_below,
    eleven_points,
    mean_average_precision,
    yolo_area,
)
from qpsnn_core.engine.coco_precision import coco_curves, coco_means
from qpsnn_core.engine.detection import Detections
from qpsnn_datasets.detection.boxes import Boxes, BoxReport, gathered
from qpsnn_datasets.detection.coco import read_coco
from qpsnn_datasets.detection.voc import read_voc

GOLDEN = Path(__file__).parents[2] / "golden" / "coco_figures.json"

# Seven images with 15 boxes and 24 detections (left, top, width, height; score first), by Rafael Padilla:
# github.com/rafaelpadilla/Object-Detection-Metrics. It gives 24.57% for all points, 26.84% for 11, at IoU 0.3. The
# pixel at right and bottom is within: boxes are one wider and higher than they say, else one match less is found.
SAMPLE_BOXES = [
    [(25, 16, 38, 56), (129, 123, 41, 62)],
    [(123, 11, 43, 55), (38, 132, 59, 45)],
    [(16, 14, 35, 48), (123, 30, 49, 44), (99, 139, 47, 47)],
    [(53, 42, 40, 52), (154, 43, 31, 34)],
    [(59, 31, 44, 51), (48, 128, 34, 52)],
    [(36, 89, 52, 76), (62, 58, 44, 67)],
    [(28, 31, 55, 63), (58, 67, 50, 58)],
]
SAMPLE_DETECTIONS = [
    [(0.88, 5, 67, 31, 48), (0.70, 119, 111, 40, 67), (0.80, 124, 9, 49, 67)],
    [(0.71, 64, 111, 64, 58), (0.54, 26, 140, 60, 47), (0.74, 19, 18, 43, 35)],
    [
        (0.18, 109, 15, 77, 39),
        (0.67, 86, 63, 46, 45),
        (0.38, 160, 62, 36, 53),
        (0.91, 105, 131, 47, 47),
        (0.44, 18, 148, 40, 44),
    ],
    [(0.35, 83, 28, 28, 26), (0.78, 28, 68, 42, 67), (0.45, 87, 89, 25, 39), (0.14, 10, 155, 60, 26)],
    [(0.62, 50, 38, 28, 46), (0.44, 95, 11, 53, 28), (0.95, 29, 131, 72, 29), (0.23, 29, 163, 72, 29)],
    [(0.45, 43, 48, 74, 38), (0.84, 17, 155, 29, 35), (0.43, 95, 110, 25, 42)],
    [(0.48, 16, 20, 101, 88), (0.95, 33, 116, 37, 49)],
]


def corners(rows):
    return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float64).reshape(-1, 4)


def boxes(*images, difficult=(), crowd=()):
    """Boxes of class 0 (left, top, width, height), or of another (class, left, top, width, height)."""
    flat = [one if len(one) == 5 else (0, *one) for image in images for one in image]
    edges = corners([one[1:] for one in flat])
    marks = [np.isin(np.arange(len(flat)), chosen) for chosen in (difficult, crowd)]
    areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1])
    offsets = np.cumsum([0, *map(len, images)], dtype=np.int64)
    return Boxes(edges, np.array([one[0] for one in flat], np.int64), offsets, *marks, areas)


def detections(*images):
    """(score, left, top, width, height), of class 0; or (class, score, ...)."""
    flat = [one if len(one) == 6 else (0, *one) for image in images for one in image]
    edges = corners([one[2:] for one in flat]).astype(np.float32)
    scores, kinds = np.array([one[1] for one in flat], np.float32), np.array([one[0] for one in flat], np.int64)
    return Detections(edges, scores, kinds, np.cumsum([0, *map(len, images)], dtype=np.int64))


@pytest.mark.parametrize(("integral", "want"), [("all points", 0.2457), ("11 points", 0.2684)])
def test_vocs_published_sample(integral, want):
    found = mean_average_precision(
        "voc",
        detections(*[[(s, x, y, w + 1, h + 1) for s, x, y, w, h in one] for one in SAMPLE_DETECTIONS]),
        boxes(*[[(x, y, w + 1, h + 1) for x, y, w, h in one] for one in SAMPLE_BOXES]),
        ("person",),
        thresholds=[0.3],
        integral=integral,
    )
    assert found.mean == pytest.approx(want, abs=5e-5)
    assert found.convention == "voc"
    assert str(found) == f"voc: mAP@0.3 {found.mean:.4f}"


def test_areas_by_hand():
    recall, precision = np.array([0.25, 0.25, 0.5, 0.5]), np.array([1, 1 / 2, 2 / 3, 1 / 2])
    assert area_below(recall, precision) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert eleven_points(recall, precision) == pytest.approx((3 * 1 + 3 * 2 / 3) / 11)
    # From (0.25, 1) the envelope falls to (0.25, 2/3), stays to (0.5, 2/3), falls to (0.5, 1/2), and to (1, 0).
    ramp = sum((0.5 - x / 100) + (0.5 - (x + 1) / 100) for x in range(50)) / 200
    level = 25 * 0.01 * 1 + 25 * 0.01 * 2 / 3
    assert yolo_area(recall, precision) == pytest.approx(level + ramp, abs=0.005)
    assert area_below(np.zeros(0), np.zeros(0)) == eleven_points(np.zeros(0), np.zeros(0)) == 0
    assert yolo_area(np.zeros(0), np.zeros(0)) == 0
    assert yolo_area(np.array([1.0]), np.array([1.0])) == pytest.approx(0.995)  # the last step falls to 0


HALVES = [(0, 0, 10, 10), (20, 0, 10, 10)]


@pytest.mark.parametrize(("convention", "want"), [("voc", 1 / 2), ("coco", 51 / 101), ("yolo", 0.625)])
def test_a_box_found_twice(convention, want):
    """The first detection finds it; the second, also over it, is false; the other box is not found."""
    found = detections([(0.9, 0, 0, 10, 10), (0.8, 0, 0, 10, 9)])
    result = mean_average_precision(convention, found, boxes(HALVES), ("a",))
    assert result.at(0.5) == pytest.approx(want, abs=0.13 if convention == "yolo" else 1e-12)


def test_what_a_second_detection_does_tells_the_conventions_apart():
    """Two boxes that overlap by a third. Both detections overlap the first one most: COCO gives the second one the free
    box, the others call it false."""
    there = boxes([(0, 0, 10, 10), (0, 2, 10, 10)])
    found = detections([(0.9, 0, 0, 10, 10), (0.8, 0, 0.5, 10, 10)])
    at = {one: mean_average_precision(one, found, there, ("a",)).at(0.5) for one in ("voc", "coco", "yolo")}
    assert at["coco"] == pytest.approx(1)
    assert at["voc"] == 0.5
    assert at["yolo"] < 0.8


def test_an_overlap_of_exactly_the_threshold():
    """Half of a box, and nothing else: voc asks for more, the others for as much."""
    there, found = boxes([(0, 0, 10, 10)]), detections([(0.9, 0, 0, 10, 5)])
    at = {one: mean_average_precision(one, found, there, ("a",)).at(0.5) for one in ("voc", "coco", "yolo")}
    assert at == pytest.approx({"voc": 0, "coco": 1, "yolo": 0.995})
    assert mean_average_precision("yolo", found, there, ("a",)).at(0.55) == 0


def test_difficult_boxes_of_voc_are_neither_asked_for_nor_held_against_a_detection():
    found = detections([(0.9, 20, 0, 10, 10), (0.8, 20, 0, 10, 9), (0.7, 0, 0, 10, 10)])
    assert mean_average_precision("voc", found, boxes(HALVES, difficult=[1]), ("a",)).mean == 1
    assert mean_average_precision("coco", found, boxes(HALVES, difficult=[1]), ("a",)).at(0.5) < 1


def test_crowds():
    """COCO: what lies within one is not false, as often as it is; the others leave such boxes out."""
    found = detections([(0.9, 20, 0, 5, 5), (0.8, 22, 3, 5, 5), (0.7, 0, 0, 10, 10)])
    there = boxes(HALVES, crowd=[1])
    assert mean_average_precision("coco", found, there, ("a",)).mean == pytest.approx(1)
    assert mean_average_precision("voc", found, there, ("a",)).mean == pytest.approx(1 / 3)


def test_classes_without_boxes_do_not_count_and_those_without_detections_do():
    there = boxes([(0, 0, 0, 10, 10), (2, 20, 0, 10, 10)])
    found = detections([(0, 0.9, 0, 0, 10, 10), (1, 0.9, 0, 0, 10, 10)])
    for convention in ("voc", "coco", "yolo"):
        result = mean_average_precision(convention, found, there, ("a", "b", "c"))
        assert np.isnan(result.by_class[0]).tolist() == [False, True, False]
        assert result.by_class[0, 2] == 0
        assert result.at(0.5) == pytest.approx(0.5, abs=0.003)


def test_equal_scores_keep_their_order():
    one, other = (0.5, 0, 0, 10, 10), (0.5, 50, 50, 10, 10)
    there = boxes([(0, 0, 10, 10)])
    assert mean_average_precision("coco", detections([one, other]), there, ("a",)).mean == pytest.approx(1)
    assert mean_average_precision("coco", detections([other, one]), there, ("a",)).mean == pytest.approx(0.5)


def test_no_more_than_100_detections_of_an_image_and_class_count_in_coco():
    there = boxes([(0, 0, 10, 10)])
    false = [(0.9, 50, 50, 10, 10)] * 100
    assert mean_average_precision("coco", detections([*false, (0.5, 0, 0, 10, 10)]), there, ("a",)).mean == 0
    assert mean_average_precision("coco", detections([*false[1:], (0.5, 0, 0, 10, 10)]), there, ("a",)).mean == 0.01
    figures = mean_average_precision("coco", detections([*false[1:], (0.5, 0, 0, 10, 10)]), there, ("a",)).figures
    assert [figures[name] for name in ("AR1", "AR10", "AR100", "ARs")] == [0, 0, 1, 1]
    assert math.isnan(figures["APl"])


def cases(name, request):
    """The boxes of one set of coco_figures.json."""
    if name == "drawn":
        return drawn_boxes(40, 3, 5), 3
    folder = request.getfixturevalue("shared_data")
    if name == "bccd":
        with zipfile.ZipFile(folder / "bccd.zip") as archive:
            images = []
            for image in archive.read("BCCD/ImageSets/Main/val.txt").decode().split():
                (height, width), found = read_voc(archive.read(f"BCCD/Annotations/{image}.xml"), image)
                images.append((image, height, width, found))
        return gathered(images, ("Platelets", "RBC", "WBC"), BoxReport()), 3
    with zipfile.ZipFile(folder / "ship_annotations.zip") as archive:
        classes, images = read_coco(archive.read(f"{name}_coco.json"), name)
    return gathered(images, classes, BoxReport()), len(classes)


@pytest.mark.parametrize("name", ["drawn", "ssdd", "vhr10", "bccd"])
def test_coco_is_pycocotools_element_for_element(name, request):
    """Every element of its precisions and recalls; the figures to the last digit but the rounding of their mean."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["sets"][name]
    there, classes = cases(name, request)
    found = drawn_detections(there, classes, 9)
    every = coco_curves(found, there, classes, COCO_THRESHOLDS)
    for key, curves in every.items():
        precision = np.nan_to_num(np.stack([one.precision for one in curves], 2), nan=-1)
        recall = np.nan_to_num(np.stack([one.recall for one in curves], 1), nan=-1)
        digests = [hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest() for one in (precision, recall)]
        assert digests == golden["curves"][f"{key[0]} {key[1]}"], key
    figures = coco_means(every, COCO_THRESHOLDS)[1]
    printed = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
    assert tuple(figures) == printed
    for figure, want in zip(figures.values(), golden["figures"], strict=True):
        assert (math.isnan(figure) and want == -1) or abs(figure - want) <= 2**-52


def test_what_is_refused():
    there, found = boxes(HALVES), detections([(0.9, 0, 0, 10, 10)])

    def refused(error, match, convention="voc", found=found, there=there, classes=("a",), **options):
        with pytest.raises(error, match=match):
            mean_average_precision(convention, found, there, classes, **options)

    refused(ConfigError, "convention: expected one of voc, coco, yolo, got 'pascal'", "pascal")
    refused(ConfigError, "integral: expected one of all points, 11 points", integral="none")
    refused(DataError, "integral: expected all points with coco, got '11 points'", "coco", integral="11 points")
    refused(DataError, "detections: expected of 1 images, as there are boxes of, got 2", found=detections([], []))
    refused(DataError, r"detections\.classes\[0\]: expected 0 to 0, got 1", found=detections([(1, 0.9, 0, 0, 1, 1)]))
    refused(DataError, "boxes: expected at least one, got none", there=boxes([]))
    refused(ConfigError, "threshold: expected a number from 0 to 1, got 50", thresholds=[50])
    with pytest.raises(DataError, match="boxes: expected at least one that counts, got none"):
        _ = mean_average_precision("voc", found, boxes(HALVES, difficult=[0, 1]), ("a",)).mean
    with pytest.raises(DataError, match=r"threshold: expected one of \(0\.5,\), got 0\.75"):
        mean_average_precision("voc", found, there, ("a",)).at(0.75)
