"""What a sample was taken for, in words: a series without `series` is seen to be something else."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_datasets import Dataset
from qpsnn_datasets.given_shapes import read_as

READ = [
    ((8, 8, 1), "a grey image of 8 x 8"),
    ((8, 9, 3), "a colour image of 8 x 9"),
    ((8, 9, 2), "an image of 2 channels of 8 x 9"),
    ((1, 1, 24), "a table row of 24 numbers"),
    ((1, 24, 3), "a map of 1 x 24, 3 channels"),
    ((24, 1, 1, 3), "24 frames of 3 numbers"),
    ((5, 4, 4, 2), "5 frames of 4 x 4 x 2"),
]


@pytest.mark.parametrize(("sample", "said"), READ)
def test_each_shape_has_its_words(sample, said):
    assert read_as(sample) == said


@pytest.mark.parametrize(
    ("series", "said"),
    [("", "a grey image of 24 x 3"), ("frames", "24 frames of 3 numbers"), ("map", "a map of 1 x 24, 3 channels")],
)
def test_a_set_says_how_it_was_read(series, said):
    made = Dataset.from_arrays(np.zeros((4, 24, 3), np.uint8), [0, 1, 0, 1], test=0.5, series=series)
    assert f"each {said}, classes=2)" in repr(made.train)
