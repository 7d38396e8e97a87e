"""What a packed array that does not fit its own description is told: how many bytes were wanted."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.common.errors import FormatError
from qpsnn_core.integer.packing import Packed, pack, unpack


@pytest.mark.parametrize(("count", "bits", "bytes_"), [(3, 3, 2), (8, 1, 1), (9, 8, 9), (5, 0, 0)])
def test_the_bytes_that_the_bits_fill_are_named(count, bits, bytes_):
    right = Packed(np.zeros(bytes_, np.uint8), "int16", (count,), 5, 2, bits)
    assert unpack(right).tolist() == [5] * count
    for wrong in (bytes_ + 1, bytes_ - 1) if bytes_ else (1,):
        with pytest.raises(FormatError) as caught:
            unpack(right._replace(data=np.zeros(wrong, np.uint8)))
        assert str(caught.value) == f"packed array: expected {bytes_} bytes, got uint8 ({wrong},)"


def test_a_bitmap_too_short_for_its_values_is_refused():
    packed = pack(np.array([0] * 40 + [7, -5, 3], np.int8))
    assert packed.sparse
    with pytest.raises(FormatError, match="packed array: expected"):
        unpack(packed._replace(data=packed.data[:3]))
