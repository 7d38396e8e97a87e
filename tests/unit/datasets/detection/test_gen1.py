"""Prophesee's Gen1, on files written byte by byte: windows before boxes, the last box of each object, filters."""

from __future__ import annotations

import numpy as np
import pytest
from generators.detection_files import bbox_npy, dat

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, LabelError
from qpsnn_datasets.detection import load_gen1

EVENTS = [(0, 0, 0, 1), (100_000, 303, 239, 0), (149_999, 5, 7, 1), (150_000, 6, 7, 0), (399_999, 7, 7, 1)]
EVENTS += [(400_000, 8, 7, 1), (600_000, 9, 7, 1)]
ROWS = [
    (400_000, 10, 20, 30, 40, 0, 1.0, 5),
    (400_000, 11, 20, 30, 40, 0, 1.0, 5),
    (400_000, 290, -4, 50, 20, 1, 1.0, 6),
    (600_000, 10, 20, 0, 40, 0, 1.0, 5),
    (600_000, 10, 20, 40, 40, 0, 1.0, 7),
    (100_000, 1, 2, 9, 90, 1, 1.0, 9),
]


@pytest.fixture
def folder(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "17-04-13_td.dat").write_bytes(dat(EVENTS))
        (tmp_path / part / "17-04-13_bbox.npy").write_bytes(bbox_npy(ROWS))
    return tmp_path


def test_samples(folder):
    train, test = load_gen1(folder, (240, 304), 5)
    assert (len(train), len(test)) == (3, 3)
    assert train.classes == ("car", "pedestrian")
    assert train.files == tuple(f"train/17-04-13_td.dat@{t}" for t in (100_000, 400_000, 600_000))
    assert train.images.shape == (3, 5, 240, 304, 2)
    np.testing.assert_array_equal(
        train.boxes.edges, [[1, 2, 10, 92], [11, 20, 41, 60], [290, 0, 304, 16], [10, 20, 50, 60]]
    )
    assert train.boxes.offsets.tolist() == [0, 1, 3, 4]
    assert train.boxes.classes.tolist() == [1, 0, 1, 0]
    assert [(one.image, one.reason) for one in train.report.dropped] == [("train/17-04-13_td.dat@600000", "no area")]
    assert train.report.clipped == 1
    found = {index: [tuple(at) for at in np.argwhere(train.images[index])] for index in range(3)}
    # (bin, y, x, ON): 250 ms in 5 bins of 50 ms that end with the box's time, which itself is not in.
    assert found[0] == [(3, 0, 0, 1)]  # -150 to 100 ms
    assert found[1] == [(0, 7, 6, 0), (4, 7, 7, 1)]  # 150 to 400 ms
    assert found[2] == [(0, 7, 7, 1), (1, 7, 8, 1)]  # 350 to 600 ms
    assert train.images.max() == 1


@pytest.mark.parametrize(("fit", "inner"), [("stretch", (0, 0, 320, 320)), ("letterbox", (0, 33, 320, 253))])
def test_sizes(folder, fit, inner):
    train, _ = load_gen1(folder, 320, 1, fit=fit)
    assert train.images.shape == (3, 1, 320, 320, 2)
    assert train.letterboxes.inner[0].tolist() == list(inner)
    left, top, width, height = inner
    scale = np.array([width / 304, height / 240] * 2)
    np.testing.assert_allclose(train.edges(0), np.array([[1, 2, 10, 92]]) * scale + [left, top, left, top])
    rows, columns = np.nonzero(train.images[0, 0, :, :, 1])
    assert (rows.min(), columns.min()) == (top, left)
    assert len(rows) <= 4


def test_prophesees_filter_and_a_limit(folder):
    train, _ = load_gen1(folder, 32, 2, filtered=True)
    assert train.files == ("train/17-04-13_td.dat@600000",)  # the others are early
    assert train.report.dropped == []  # a box without width is filtered, too
    assert len(load_gen1(folder, 32, 2, limit=2).train) == 2


def test_what_is_refused(folder):
    def refused(error, match, **options):
        with pytest.raises(error, match=match):
            load_gen1(folder, 32, 2, **options)

    refused(ConfigError, "fit: expected one of stretch, letterbox, got 'crop'", fit="crop")
    boxes = folder / "test" / "17-04-13_bbox.npy"
    boxes.write_bytes(bbox_npy([(400_000, 1, 2, 30, 40, 2, 1.0, 5)]))
    refused(LabelError, r"bbox\.npy: class_id\[0\]: expected 0 to 1, got 2")
    np.save(boxes, np.zeros((3, 4)))
    refused(FormatError, r"bbox\.npy: expected a structured array \[N\] with t or ts, x, y, w, h, class_id, track_id")
    boxes.write_bytes(bbox_npy(ROWS)[:-5])
    refused(FormatError, "expected 193 bytes, which follow its header")
    boxes.write_bytes(bbox_npy([]))
    refused(FormatError, r"expected files \*_bbox\.npy with boxes in test/, got none")
    boxes.write_bytes(bbox_npy(ROWS))
    (folder / "test" / "17-04-13_td.dat").write_bytes(dat([*EVENTS, (700_000, 304, 0, 1)]))
    refused(DataError, "repair 'drop' or 'clip' mends it")
    assert len(load_gen1(folder, 32, 2, repair=["drop"]).test) == 3
    (folder / "test" / "17-04-13_td.dat").unlink()
    refused(FileError, r"expected test/17-04-13_td\.dat, got no such file")
