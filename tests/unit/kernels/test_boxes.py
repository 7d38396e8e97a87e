"""Overlaps, suppression and matching against loops."""

from __future__ import annotations

import numpy as np
import pytest

from naive import detection as naive
from qpsnn_core.kernels.boxes import match_best, match_free, overlaps, suppress


def drawn(rng, count, side=40):
    """Whole numbers, so that equal overlaps and edges that touch are among them."""
    corner = rng.integers(0, side, (count, 2))
    return np.concatenate([corner, corner + rng.integers(1, side // 2, (count, 2))], axis=1).astype(np.float64)


def test_overlaps():
    rng = np.random.default_rng(1)
    first, second = drawn(rng, 30), drawn(rng, 20)
    second[3] = first[5]
    crowd = np.array([0, 1] * 10, np.uint8)
    comp = np.full((30, 20), np.nan)
    overlaps(first, second, crowd, comp)
    ref = [[naive.overlap(a, b, one_sided) for b, one_sided in zip(second, crowd, strict=True)] for a in first]
    np.testing.assert_array_equal(comp, ref)
    assert comp[5, 3] == 1
    assert np.count_nonzero(comp) < comp.size


@pytest.mark.parametrize(("threshold", "most"), [(0.0, 300), (0.5, 300), (0.5, 7), (1.0, 300)])
def test_suppression(threshold, most):
    rng = np.random.default_rng(2)
    boxes, classes = drawn(rng, 80), rng.integers(0, 2, 80)
    boxes[7], classes[7] = boxes[3], classes[3]
    kept = np.zeros(80, np.int64)
    count = suppress(boxes, classes, threshold, most, kept)
    assert kept[:count].tolist() == naive.suppress(boxes, classes, threshold, most)
    assert (7 in kept[:count]) == (threshold == 1.0)
    assert count < 80 or threshold == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_cocos_matching(seed):
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 5, (12, 7)) / 4
    ignored = np.sort(rng.integers(0, 2, 7)).astype(np.uint8)
    crowd = ignored * rng.integers(0, 2, 7).astype(np.uint8)
    thresholds = np.array([0.5, 0.75, 1.0])
    matched, dropped = np.zeros((3, 12), np.uint8), np.zeros((3, 12), np.uint8)
    match_free(found, thresholds, ignored, crowd, np.zeros((3, 7), np.uint8), matched, dropped)
    for t, threshold in enumerate(thresholds):
        ref = naive.match_free(found, threshold, ignored, crowd)
        assert matched[t].tolist() == [one is not None for one in ref]
        assert dropped[t].tolist() == [one is not None and int(ignored[one]) for one in ref]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("boxes", [0, 4])
def test_the_first_to_claim_a_box(strict, boxes):
    rng = np.random.default_rng(4)
    found = rng.integers(0, 5, (12, boxes)) / 4
    chosen, taken = np.zeros(12, np.int64), np.zeros(boxes, np.uint8)
    match_best(found, 0.5, strict, taken, chosen)
    ref = naive.match_best(found, 0.5, strict)
    assert chosen.tolist() == [-1 if one is None else one[0] if one[1] else -2 - one[0] for one in ref]
    assert taken.tolist() == [any(one is not None and one[0] == g for one in ref) for g in range(boxes)]
