"""When a searched gamma is kept: only if it is worth it, and then the better of the two."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.quantization import fit as module
from qpsnn_core.quantization.formats import KEPT


@pytest.mark.parametrize(
    ("without", "with_zero", "ref"),
    [
        (100.0, 100.0, None),
        (99.5, 99.5, None),
        (98.0, 99.5, False),
        (98.0, 98.5, False),
        (98.0, 97.9, True),
        (99.5, 98.0, True),
    ],
)
def test_a_search_is_kept_where_it_saves_one_per_cent(without, with_zero, ref, monkeypatch):
    """Functions of the weights are off by 100; searches by so much, without and with a level at 0."""

    def errors(_, quantizer, __=None):
        return np.array([100.0 if quantizer.gamma != KEPT else with_zero if quantizer.zero else without])

    monkeypatch.setattr(module, "_errors", errors)
    found = module.fit(np.float32([[1.0], [-0.5], [0.3]]), 4)
    assert (found.quantizer.gamma == KEPT) is (ref is not None)
    assert (found.gamma is not None) is (ref is not None)
    assert ref is None or found.quantizer.zero is ref
