"""YOLO's texts and those of NWPU VHR-10."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")
from generators.detection_files import picture

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, LabelError
from qpsnn_datasets.detection import load_detection
from qpsnn_datasets.detection.texts import VHR10, read_vhr10, read_yolo


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def yolo(tmp_path):
    for part, name, text in (("train", "a", "1 0.5 0.5 0.25 0.5\n\n0 0 0 0.5 0.2\n"), ("val", "b", "0 .5 .5 1 1")):
        picture(tmp_path / "images" / part / f"{name}.png")
        write(tmp_path / "labels" / part / f"{name}.txt", text)
    picture(tmp_path / "images" / "train" / "empty.png")
    return tmp_path


def test_yolo(yolo):
    with pytest.raises(ConfigError, match=r"classes: expected names, or one of classes\.txt, obj\.names"):
        load_detection("yolo", yolo, 8)
    write(yolo / "classes.txt", "ant\ncat\n")
    train, test = load_detection("yolo", yolo, 8)
    assert train.classes == ("ant", "cat")
    assert train.files == ("images/train/a.png", "images/train/empty.png")
    np.testing.assert_array_equal(train.boxes.edges, [[15, 7.5, 25, 22.5], [0, 0, 10, 3]])
    assert train.boxes.offsets.tolist() == [0, 2, 2]
    assert train.report.clipped == 1
    np.testing.assert_array_equal(test.boxes.edges, [[0, 0, 40, 30]])
    write(yolo / "labels" / "val" / "c.txt", "")
    with pytest.raises(FormatError, match=r"labels/val/c\.txt: expected an image of that name, got none"):
        load_detection("yolo", yolo, 8)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("0 1 2 3", FormatError, "x:1: expected class, x, y, width, height, got 4 values"),
        ("\n2 1 1 1 1", LabelError, "x:2: expected a class from 0 to 1, got 2"),
        ("0.5 1 1 1 1", FormatError, r"x:1: expected a whole number of at least 0, got '0\.5'"),
        ("0 1 1 1 wide", FormatError, "x:1: expected a number, got 'wide'"),
    ],
)
def test_lines_that_are_wrong(text, error, match):
    with pytest.raises(error, match=match):
        read_yolo(text, "x", ("a", "b"))


def test_vhr10(tmp_path):
    picture(tmp_path / "positive image set" / "001.png")
    picture(tmp_path / "positive image set" / "002.png")
    picture(tmp_path / "negative image set" / "001.png")
    write(tmp_path / "ground truth" / "001.txt", "(3,4),(13,24),1 \r\n( 5 , 6 ),( 7 , 8 ),10\r\n\r\n")
    write(tmp_path / "ground truth" / "002.txt", "(30,4),(43,4),2\n")
    train, test = load_detection("vhr10", tmp_path, 8, test=0.5)
    assert train.classes == VHR10
    by_file = {part.files[0]: part for part in (train, test)}
    first = by_file["positive image set/001.png"]
    np.testing.assert_array_equal(first.boxes.edges, [[3, 4, 13, 24], [5, 6, 7, 8]])
    assert first.boxes.classes.tolist() == [0, 9]
    second = by_file["positive image set/002.png"]
    assert len(second.boxes.classes) == 0
    assert [one.reason for one in second.report.dropped] == ["no area"]
    assert first.report.dropped == []
    (tmp_path / "positive image set" / "002.png").unlink()
    with pytest.raises(FileError, match=r"002\.txt: expected an image 002"):
        load_detection("vhr10", tmp_path, 8, test=0.5)
    with pytest.raises(ConfigError, match="classes: expected none, as the set has its own"):
        load_detection("vhr10", tmp_path, 8, test=0.5, classes=("a",))


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("(1,2),(3,4)", FormatError, r"x:1: expected \(left,top\),\(right,bottom\),class, got '\(1,2\),\(3,4\)'"),
        ("(1,2),(3,4),11", LabelError, "x:1: expected a class from 1 to 10, got 11"),
        ("(1.2.3,2),(3,4),1", FormatError, r"x:1: expected a number, got '1\.2\.3'"),
    ],
)
def test_lines_of_vhr10_that_are_wrong(text, error, match):
    with pytest.raises(error, match=match):
        read_vhr10(text, "x")
