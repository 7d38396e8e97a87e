"""What a backend answers is told in the unit of the readout, whatever its mode."""

from __future__ import annotations

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core import layers
from qpsnn_core.inference.agreement import agreement
from qpsnn_core.network.readouts import MODES


@pytest.mark.parametrize("mode", MODES)
def test_figures_of_a_backend_are_those_of_the_exact_simulator(mode):
    """Real numbers, which a wrong unit changes."""
    end = layers.Readout(mode, beta=0.5)
    network = qp.sequential((2, 2, 1), [layers.Conv(3), layers.LIF(), layers.Linear(2), end], steps=3)
    rng = np.random.default_rng(0)
    images, wanted = rng.integers(0, 256, (6, 2, 2, 1)).astype(np.uint8), rng.normal(0, 1, (6, 2))
    data = qp.Dataset(images, wanted, ("a", "b"), "some", task="regression")
    integers = qp.lower(qp.initialise(network, 1)).network
    _, told = agreement(integers, data, "exact")
    want = qp.evaluate(integers, data)
    assert np.abs(want.predictions).max() > 0
    np.testing.assert_array_equal(told.predictions, want.predictions)
    assert told.figures == want.figures
