"""On Loihi 1 a leak of 1/2 doubles the threshold with every time step, up to 256 of them."""

from __future__ import annotations

import numpy as np

from qpsnn_backends.loihi.report import report
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntInput, IntLIF, IntLinear, IntReadout


def leaking(steps):
    """Spikes -> linear -> lif that halves -> linear -> readout."""
    nodes = (
        IntInput("input", (1, 1, 2), 1),
        IntLinear("fc", "input", 1),
        IntLIF("lif", ("fc",), 1, 1),
        IntLinear("last", "lif", 2),
        IntReadout("readout", "last"),
    )
    arrays = {
        "fc": {"codes": np.array([[3], [5]], np.int8), "gain": np.ones(1, np.int32)},
        "lif": {"threshold": np.array([2**6], np.int32), "bias": np.zeros(1, np.int32)},
        "last": {"codes": np.ones((1, 2), np.int8), "gain": np.ones(2, np.int32)},
        "readout": {"bias": np.zeros(2, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, steps)


def threshold(steps):
    layers = report(leaking(steps), "loihi1").layers
    return next(use.used for layer in layers for use in layer.uses if (use.place, use.resource) == ("lif", "threshold"))


def test_every_step_doubles_it():
    """One less than the threshold of 64 after scaling, as the chip fires above it."""
    for steps in (1, 2, 3, 15, 16, 17, 18, 40, 200, 257):
        assert threshold(steps) == 64 * 2 ** (steps - 1) - 1
