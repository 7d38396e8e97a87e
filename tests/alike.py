"""Two runs of one network, compared."""

from __future__ import annotations

import numpy as np


def assert_equal(ref, comp):
    """The same names, shapes, types and bits."""
    for what in ("readouts", "spikes", "membranes"):
        assert list(getattr(ref, what)) == list(getattr(comp, what))
        for name, array in getattr(ref, what).items():
            np.testing.assert_array_equal(getattr(comp, what)[name], array, f"{what} of {name}", strict=True)
