"""The narrowest types: they change exactly where the next number would not be held."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.kernels.exact_types import count_type, exact_float, sum_type


@pytest.mark.parametrize("largest", [1, 2**8 - 1, 2**8, 2**16 - 1, 2**16, 2**32 - 1])
def test_counts_are_held_by_the_narrowest_unsigned_type(largest):
    narrower = [kind for kind in (np.uint8, np.uint16, np.uint32) if np.iinfo(kind).max < largest]
    assert np.iinfo(count_type(largest)).max >= largest
    assert np.dtype(count_type(largest)).itemsize > max((np.dtype(kind).itemsize for kind in narrower), default=0)


def test_without_a_largest_count_it_is_a_spike():
    assert count_type(None) == np.uint8


@pytest.mark.parametrize("largest", [0, 2**15 - 1, 2**15, 2**31 - 1])
def test_sums_are_held_with_either_sign(largest):
    kind = np.iinfo(sum_type(largest))
    assert kind.min <= -largest <= largest <= kind.max
    assert (sum_type(largest) == np.int16) == (largest < 2**15)


@pytest.mark.parametrize("largest", [2**24 - 1, 2**24, 2**31 - 1])
def test_a_float_holds_every_integer_up_to_the_largest(largest):
    kind = exact_float(largest)
    assert [int(kind(value)) for value in (largest, largest - 1, -largest)] == [largest, largest - 1, -largest]
    assert (kind == np.float32) == (largest < 2**24)
