"""Boxes in a picture: where their lines lie, what stays as it was, and the file."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

from qpsnn_core.common.errors import DataError
from qpsnn_datasets.detection.drawing import COLOURS, draw_boxes, save_picture


def test_lines_lie_on_the_edges(tmp_path):
    picture = np.full((60, 80, 3), 9, np.uint8)
    out = draw_boxes(picture, np.array([[10.2, 30, 40, 50], [-5, 20, 12, 79.6]]), np.array([1, 9]), ["", "ship 0.9"])
    assert (picture == 9).all()
    assert (out[30, 13:40] == COLOURS[1]).all()
    assert (out[31:50, 39] == COLOURS[1]).all()
    assert (out[31:49, 13:39] == 9).all()
    assert (out[40:, 11] == COLOURS[9 % len(COLOURS)]).all()
    assert (out[:20] != 9).any()  # the text stands above its box
    assert (out[52:, 12:] == 9).all()
    save_picture(tmp_path / "out.png", out)
    with Image.open(tmp_path / "out.png") as file:
        np.testing.assert_array_equal(np.asarray(file), out)
    assert [one.name for one in tmp_path.iterdir()] == ["out.png"]


def test_what_is_refused():
    with pytest.raises(DataError, match=r"draw_boxes\.picture: expected uint8 \[H, W, 3\], got uint8 \[4, 4\]"):
        draw_boxes(np.zeros((4, 4), np.uint8), np.zeros((0, 4)), np.zeros(0, np.int64), [])
    with pytest.raises(DataError, match="draw_boxes: expected as many boxes as classes and texts, got 1, 1, 0"):
        draw_boxes(np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4)), np.zeros(1, np.int64), [])
