"""What the report advises, sentence by sentence, at the edge where one advice becomes another."""

from __future__ import annotations

import pytest

from qpsnn_backends.loihi.limits import Limit
from qpsnn_backends.loihi.ranges import Need
from qpsnn_backends.loihi.remedies import value_remedy

FEWER = "bits too many even without fraction bits: fewer bits of its weights, fewer inputs"


@pytest.mark.parametrize(
    ("fraction", "steps", "readout", "ref"),
    [
        (None, False, False, "quantize conv to 7 bits: codes are odd, and need one bit more for the sign"),
        (3, False, False, "lower with at most 3 fraction bits"),
        (3, True, True, "lower with at most 3 readout bits"),
        (0, False, False, "lower with at most 0 fraction bits"),
        (-1, False, False, f"1 {FEWER}"),
        (-2, True, True, f"2 {FEWER}, fewer time steps"),
    ],
)
def test_integers_that_are_too_large(fraction, steps, readout, ref):
    assert value_remedy(Need("conv", "state", 100, Limit(10, "made up"), fraction), steps, readout) == ref
