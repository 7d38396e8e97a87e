"""Pascal VOC: edges, parts, degenerate and difficult boxes, XML that is dangerous, BCCD as it was published."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

pytest.importorskip("PIL")
from generators.detection_files import picture, voc, xml

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, LabelError
from qpsnn_datasets.detection import load_detection
from qpsnn_datasets.detection.voc import read_voc

IMAGES = {
    "one": [("cat", 1, 1, 40, 30), ("ant", 5, 6, 5, 6)],
    "two": [("ant", 11, 21, 20, 25, 1), ("cat", 9, 9, 60, 20), ("cat", 50, 3, 60, 9)],
    "three": [("cat", 2, 2, 9, 9)],
}
SETS = {"train": ["one", "two"], "val": ["three"]}


@pytest.fixture
def folder(tmp_path):
    return voc(tmp_path / "set", IMAGES, SETS)


def test_a_folder(folder):
    train, test = load_detection("voc", folder, 20)
    assert train.classes == test.classes == ("ant", "cat")
    assert train.files == ("JPEGImages/one.png", "JPEGImages/two.png")
    assert train.images.shape == (2, 20, 20, 3)
    assert train.name == "set.train"
    np.testing.assert_array_equal(train.boxes.edges, [[0, 0, 40, 30], [10, 20, 20, 25], [8, 8, 40, 20]])
    assert train.boxes.offsets.tolist() == [0, 1, 3]
    assert train.boxes.classes.tolist() == [1, 0, 1]
    assert train.boxes.difficult.tolist() == [False, True, False]
    assert train.boxes.areas.tolist() == [1200, 50, 384]
    assert not train.boxes.crowd.any()
    np.testing.assert_array_equal(train.edges(0), [[0, 2, 20, 17]])  # 40 x 30 lies as 20 x 15 in 20 x 20
    assert [(one.image, one.number, one.label, one.reason) for one in train.report.dropped] == [
        ("JPEGImages/one.png", 1, "ant", "no area"),
        ("JPEGImages/two.png", 2, "cat", "outside"),
    ]
    assert train.report.clipped == 1
    assert str(train.report) == (
        "2 boxes dropped (1 no area, 1 outside): JPEGImages/one.png (ant 1), JPEGImages/two.png (cat 2); "
        "1 clipped at the edge of their image"
    )
    assert str(test.report) == "no box dropped; 0 clipped at the edge of their image"


def test_a_zip_archive_gives_the_same(folder, tmp_path):
    shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path, "set")
    train, _ = load_detection("voc", tmp_path / "set.zip", 20)
    ref, _ = load_detection("voc", folder, 20)
    np.testing.assert_array_equal(train.images, ref.images)
    np.testing.assert_array_equal(train.boxes.edges, ref.boxes.edges)


def test_the_order_of_classes_can_be_given(folder):
    train, _ = load_detection("voc", folder, 20, classes=("cat", "dog", "ant"))
    assert train.boxes.classes.tolist() == [0, 2, 0]
    with pytest.raises(LabelError, match=r"one\.png: box 1: expected one of the classes cat, got 'ant'"):
        load_detection("voc", folder, 20, classes=("cat",))


def test_a_set_without_parts_is_divided_by_seed(tmp_path):
    images = {f"image{k}": [("cat", 1, 1, 9, 9)] for k in range(10)}
    path = voc(tmp_path / "set", images)
    with pytest.raises(ConfigError, match=r"test: expected the share of 10 images to test on, .* got 0\.0"):
        load_detection("voc", path, 8)
    train, test = load_detection("voc", path, 8, test=0.3, seed=1)
    assert (len(train), len(test)) == (7, 3)
    assert sorted([*train.files, *test.files]) == [f"JPEGImages/image{k}.png" for k in range(10)]
    assert load_detection("voc", path, 8, test=0.3, seed=1).test.files == test.files
    assert load_detection("voc", path, 8, test=0.3, seed=2).test.files != test.files


def test_a_limit_leaves_anchors_as_they_are(folder):
    train, test = load_detection("voc", folder, 8, limit=1, anchors=3)
    assert (len(train), len(test)) == (1, 1)
    every = load_detection("voc", folder, 8, anchors=3)
    assert train.anchors == test.anchors == every.train.anchors == every.test.anchors
    np.testing.assert_allclose(sorted(every.train.anchors), sorted(every.train.sides().tolist()))  # of three boxes
    with pytest.raises(ConfigError, match="limit: expected a whole number of at least 1, got 0"):
        load_detection("voc", folder, 8, limit=0)


def test_what_is_refused(folder, tmp_path):
    def refused(error, match, **options):
        with pytest.raises(error, match=match):
            load_detection("voc", folder, 20, **options)

    refused(ConfigError, r"test: expected no share, .* got 0\.5, and the parts train, validation", test=0.5)
    picture(folder / "JPEGImages" / "three.png", (30, 41))
    refused(DataError, r"three\.png: expected 30 x 40 pixels, as its annotation says, got 30 x 41")
    (folder / "JPEGImages" / "three.png").unlink()
    refused(FileError, r"three\.xml: expected an image three \(")
    (folder / "ImageSets" / "Main" / "val.txt").write_text("four\n", encoding="utf-8")
    refused(FileError, r"val\.txt: expected Annotations/four\.xml, got no such file")
    (folder / "ImageSets" / "Main" / "val.txt").unlink()
    refused(FormatError, "expected a part to train on, and one to test or validate on, got train")
    (folder / "Annotations" / "one.xml").write_text("<annotation><object>", encoding="utf-8")
    refused(FormatError, r"one\.xml: expected XML, got no element found")
    with pytest.raises(FormatError, match="expected one folder Annotations with XML files, got none"):
        load_detection("voc", folder / "JPEGImages", 20)
    with pytest.raises(FileError, match="expected a folder, a zip archive or a file of images with boxes, got no such"):
        load_detection("voc", tmp_path / "no", 20)
    with pytest.raises(ConfigError, match="format: expected one of voc, coco, yolo, vhr10, ssdd, got 'labelme'"):
        load_detection("labelme", folder, 20)


ENTITIES = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotation/>'


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (ENTITIES, "x: expected XML without a document type, got a DOCTYPE, which is not read"),
        (OUTSIDE, "x: expected XML without a document type"),
        ("<a>" * 40 + "</a>" * 40, "x: expected XML of at most 32 levels, got more"),
        ("<annotation>&b;</annotation>", "x: expected XML, got undefined entity"),
        ("<svg/>", "x: expected the element annotation, got 'svg'"),
        ("<annotation><object><name>a</name></object></annotation>", "x: object 0: expected the element bndbox"),
        (xml([("a", 1, 2, "three", 4)]), "x: object 0: xmax: expected a number, got 'three'"),
        (xml([("", 1, 2, 3, 4)]), "x: object 0: expected the element name with a value"),
        (xml([("a", 1, 2, 3, 4, 2)]), "x: object 0: difficult: expected 0 or 1, got '2'"),
        (xml([], (3.5, 4)), r"x: height: expected a whole number of at least 0, got '3\.5'"),
    ],
)
def test_xml_that_is_wrong_or_dangerous(text, match):
    with pytest.raises(FormatError, match=match):
        read_voc(text.encode(), "x")


def test_boxes_of_real_numbers_and_of_none():
    size, boxes = read_voc(xml([("a", 1.5, 2, 3.25, 4), ("b", "nan", 1, 2, 3)], (0, 0)).encode(), "x")
    assert size is None
    assert boxes[0].edges == (0.5, 1, 3.25, 4)
    assert np.isnan(boxes[1].edges[0])


def test_bccd_as_it_was_published(shared_data):
    split = load_detection("voc", shared_data / "bccd.zip", 64)
    assert {name: len(part) for name, part in split.parts.items()} == {"train": 205, "test": 36, "validation": 87}
    assert split.train.classes == ("Platelets", "RBC", "WBC")
    assert sum(len(part.boxes.classes) for part in split.parts.values()) == 4416 - 2
    dropped = [(one.image, one.label, one.reason) for part in split.parts.values() for one in part.report.dropped]
    assert sorted(dropped) == [
        ("BCCD/JPEGImages/BloodImage_00338.jpg", "RBC", "no area"),
        ("BCCD/JPEGImages/BloodImage_00343.jpg", "RBC", "no area"),
    ]
    assert sum(part.report.clipped for part in split.parts.values()) == 0
    assert (split.train.boxes.edges.min(), split.train.boxes.edges[:, 2].max()) == (0, 640)
    assert (split.train.images[:, :8] == 114).all()
    assert split.train.images[:, 8:-8].std() > 10
