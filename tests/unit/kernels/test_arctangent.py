"""The arc tangent against Python's, at its breaks and its ends."""

from __future__ import annotations

import math

import numpy as np

from qpsnn_core.kernels.arctangent import BREAKS, arctangent


def test_arctangent():
    rng = np.random.default_rng(0)
    edges = [0.0, 1.0, *BREAKS, *(1 / one for one in BREAKS), 1e-300, 1e300, math.inf]
    near = [math.nextafter(one, to) for one in edges for to in (0.0, 2.0)]
    values = np.concatenate([edges, near, rng.uniform(0, 3, 2000), np.exp(rng.uniform(-30, 30, 2000))])
    comp = arctangent(values)
    ref = np.array([math.atan(value) for value in values])
    assert np.abs(comp - ref).max() <= 2 * math.ulp(math.pi / 4)
    np.testing.assert_allclose(comp, ref, rtol=1e-15)
    assert arctangent(1.0) == math.pi / 4
    assert arctangent(math.inf) == math.pi / 2
    assert arctangent(0.0) == 0
