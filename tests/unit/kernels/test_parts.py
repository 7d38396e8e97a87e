"""The rule for sums over samples: which parts a batch has, and the order in which sums are added."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qpsnn_core.kernels import parts


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (3, 1), (7, 1), (8, 2), (16, 4), (19, 4), (63, 15), (64, 16), (256, 16)]
)
def test_how_many_parts_a_batch_has(samples, count):
    """One for every four images, sixteen at most: for good, as runs over several machines rely on it."""
    found = parts.parts_of(samples)
    assert len(found) == count
    assert [place for start, stop in found for place in range(start, stop)] == list(range(samples))
    sizes = [stop - start for start, stop in found]
    assert max(sizes) - min(sizes) <= 1


def test_parts_that_a_recipe_names():
    assert parts.parts_of(10, 3) == ((0, 3), (3, 6), (6, 10))
    assert parts.parts_of(2, 5) == ((0, 1), (1, 2))


@pytest.mark.parametrize(
    ("size", "least", "counts"), [(1, 64, (1, 1)), (16, 16, (3, 4)), (64, 64, (3, 4)), (9, 64, (1, 1))]
)
def test_a_part_is_cut_by_itself(size, least, counts):
    """A part of three samples and one of four: each has the pieces that it would have alone."""
    both = ((0, 3), (3, 7))
    found = parts.pieces_of(both, size, least)
    for (start, stop), own, count in zip(both, found, counts, strict=True):
        filled = own[own[:, 0] < own[:, 1]]
        assert len(filled) == count
        assert [row for begin, end in filled for row in range(begin, end)] == list(range(start * size, stop * size))
        alone = parts.pieces_of(((0, stop - start),), size, least)[0]
        np.testing.assert_array_equal(filled - start * size, alone)


def test_sums_are_added_in_order():
    numbers = [1e16, 1.0, -1e16, 1.0]
    assert parts.add_in_order(numbers) == 1.0
    assert parts.add_in_order([numbers[0], numbers[2], *numbers[1::2]]) == 2.0


def test_pieces_are_added_before_parts():
    sums = np.array([1e16, -1e16, 1.0, 1.0, 1e16, 1.0]).reshape(6, 1)
    by_part = [(sums[0] + sums[1]), (sums[2] + sums[3]), (sums[4] + sums[5])]
    np.testing.assert_array_equal(parts.add_pieces(sums, np.zeros((3, 2, 2))), by_part[0] + by_part[1] + by_part[2])


@pytest.mark.parametrize("shape", [(1, 1), (3,), (2,), (5, 1, 1), (1, 7), (130,), (64, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", [1, 2, 9, 33, 200])
def test_steps_are_added_in_order(shape, dtype, steps):
    """NumPy adds in pairs where a sum runs along neighbours; over the first axis of several numbers it does not."""
    array = np.random.default_rng(steps).normal(0, 1, (steps, *shape)).astype(dtype)
    ref = array[0].copy()
    for one in array[1:]:
        ref = ref + one
    for given in (array, np.asfortranarray(array), np.broadcast_to(array[:1], array.shape), array[:, ::-1]):
        ref = list(itertools.accumulate(given, np.add))[-1]
        np.testing.assert_array_equal(parts.add_steps(given), ref)
