"""What differs between two runs is counted whichever of them is larger."""

from __future__ import annotations

import numpy as np

from qpsnn_core.inference.agreement import disagreements
from qpsnn_core.integer.backends import Run


def run(readout, spikes):
    return Run(
        {"readout": np.array(readout, np.int64)}, {"lif": np.array(spikes, np.uint8).reshape(1, 1, 1, 1, -1)}, {}, {}
    )


def test_more_and_fewer_both_count():
    exact = run([[1, 2, 3]], [0, 1, 1, 0])
    assert disagreements(run([[1, 2, 3]], [0, 1, 1, 0]), exact) == (0, 0)
    assert disagreements(run([[0, 2, 3]], [1, 1, 1, 0]), exact) == (1, 1)
    assert disagreements(run([[9, 2, 3]], [0, 0, 1, 0]), exact) == (1, 1)
    assert disagreements(run([[0, 9, 3]], [1, 0, 0, 1]), exact) == (4, 2)
