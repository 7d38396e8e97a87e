"""COCO and SSDD: files, parts, crowds, ids; the real annotations of both ship sets."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("PIL")
from generators.detection_files import coco, picture, voc, write_coco

from qpsnn_core.common.errors import FileError, FormatError
from qpsnn_datasets.detection import load_detection
from qpsnn_datasets.detection.boxes import BoxReport, gathered
from qpsnn_datasets.detection.coco import read_coco
from qpsnn_datasets.detection.ssdd import ssdd_part

CATEGORIES = {9: "cat", 2: "ant"}
ANNOTATIONS = [
    {"image": "b.png", "category_id": 9, "bbox": [1.5, 2, 10, 20], "area": 77.5, "iscrowd": 1},
    {"image": "a.png", "category_id": 2, "bbox": [0, 0, 40, 30]},
    {"image": "a.png", "category_id": 2, "bbox": [5, 5, 0, 30]},
]


@pytest.fixture
def folder(tmp_path):
    for part in ("train", "val"):
        write_coco(tmp_path / "annotations" / f"instances_{part}2017.json", ["b.png", "a.png"], ANNOTATIONS, CATEGORIES)
        for seed, name in enumerate("ab"):
            picture(tmp_path / f"{part}2017" / f"{name}.png", seed=seed)
    return tmp_path


def test_a_folder(folder):
    train, test = load_detection("coco", folder, 40)
    assert train.classes == ("ant", "cat")
    assert train.files == ("train2017/b.png", "train2017/a.png")
    assert test.files == ("val2017/b.png", "val2017/a.png")
    np.testing.assert_array_equal(train.boxes.edges, [[1.5, 2, 11.5, 22], [0, 0, 40, 30]])
    assert train.boxes.classes.tolist() == [1, 0]
    assert train.boxes.crowd.tolist() == [True, False]
    assert train.boxes.areas.tolist() == [77.5, 1200]
    assert [(one.number, one.reason) for one in train.report.dropped] == [(1, "no area")]
    assert len(train.targets(np.array([0, 1])).classes) == 1  # crowds are not trained on


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.pop("images"), "x: expected a list 'images', got NoneType"),
        (lambda d: d["images"][0].pop("width"), r"x: images\[0\]: expected the key 'width', got none"),
        (
            lambda d: d["images"][0].update(width=0),
            r"x: images\[0\]\.width: expected a whole number of at least 1, got 0",
        ),
        (
            lambda d: d["images"][1].update(id=7),
            r"x: images\[1\]\.id: expected a whole number that no other has, got 7",
        ),
        (lambda d: d["annotations"][0].update(image_id=3), r"annotations\[0\]\.image_id: expected the id of an image"),
        (lambda d: d["annotations"][0].update(category_id="9"), r"annotations\[0\]\.category_id: expected the id of a"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2, 3]), r"annotations\[1\]\.bbox: expected left, top, width"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2, 3, None]), r"annotations\[1\]\.bbox: expected a number"),
        (lambda d: d["annotations"][1].update(iscrowd=2), r"annotations\[1\]\.iscrowd: expected 0 or 1, got 2"),
        (lambda d: d["annotations"][1].update(area=-1), r"annotations\[1\]\.area: expected a number of at least 0"),
        (lambda d: d["categories"][0].update(name=""), r"categories\[0\]\.name: expected a name"),
    ],
)
def test_json_that_is_wrong(change, match):
    data = coco(["b.png", "a.png"], ANNOTATIONS, CATEGORIES)
    change(data)
    with pytest.raises(FormatError, match=match):
        read_coco(json.dumps(data).encode(), "x")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\xff"])
def test_what_is_no_json(text):
    with pytest.raises(FormatError, match="x: expected JSON"):
        read_coco(text.encode("latin-1"), "x")


def test_files_that_are_not_there_or_there_twice(folder):
    write_coco(folder / "more_train.json", [], [], CATEGORIES)
    with pytest.raises(FormatError, match=r"expected one JSON file of the train part, got .* and more_train\.json"):
        load_detection("coco", folder, 8)
    (folder / "more_train.json").unlink()
    (folder / "val2017" / "a.png").rename(folder / "val2017" / "c.png")
    assert load_detection("coco", folder, 8).test.files == ("val2017/b.png", "train2017/a.png")  # the only a.png
    (folder / "train2017" / "a.png").rename(folder / "train2017" / "c.png")
    with pytest.raises(FileError, match=r"train2017\.json: expected the image a\.png, got no such file"):
        load_detection("coco", folder, 8)


def test_ssdd_is_divided_by_its_numbers(tmp_path):
    assert [ssdd_part(f"images/{k:06d}.jpg") for k in (1, 9, 10, 19, 91, 102)] == [
        *("test", "test", "train", "test", "test", "train")
    ]
    with pytest.raises(FormatError, match=r"ship\.jpg: expected a name that ends in a number, got 'ship'"):
        ssdd_part("ship.jpg")
    names = [f"00000{k}" for k in range(1, 6)]
    path = voc(
        tmp_path / "set", {name: [("ship", 1, 1, 9, 9)] for name in names}, {"train": names[:2], "test": names[2:]}
    )
    train, test = load_detection("ssdd", path, 8)
    assert test.files == ("JPEGImages/000001.png",)
    assert len(train) == 4
    write_coco(tmp_path / "coco" / "ssdd.json", ["2.png", "1.png"], [], {1: "ship"})
    for name in ("1.png", "2.png"):
        picture(tmp_path / "coco" / name)
    assert [part.files for part in load_detection("ssdd", tmp_path / "coco", 8)] == [("2.png",), ("1.png",)]


@pytest.mark.parametrize(("name", "images", "boxes", "classes"), [("ssdd", 1160, 2586, 1), ("vhr10", 650, 3921, 10)])
def test_the_real_annotations(name, images, boxes, classes, shared_data):
    with zipfile.ZipFile(shared_data / "ship_annotations.zip") as archive:
        named, found = read_coco(archive.read(f"{name}_coco.json"), name)
    report = BoxReport()
    every = gathered(found, named, report)
    assert (len(every), len(every.classes), len(named)) == (images, boxes, classes)
    assert (report.dropped, report.clipped) == ([], 0)
    if name == "ssdd":
        assert sum(ssdd_part(file) == "test" for file, *_ in found) == 232
