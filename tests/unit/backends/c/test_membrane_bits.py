"""A membrane takes the narrowest of C's types that holds all it can reach, to the last integer on either side."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_backends.c.neurons import lasting
from qpsnn_backends.c.plan import plan
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.nodes import IntInput, IntLIF, IntLinear, IntReadout


def driven(low, high, reset="subtract"):
    """Spikes -> linear -> lif -> linear -> readout: a membrane without memory whose current is low to high."""
    codes = np.zeros((2, 1), np.int32)
    codes[:, 0] = low, high
    nodes = (
        IntInput("input", (1, 1, 2), 1),
        IntLinear("fc", "input", 1),
        IntLIF("lif", ("fc",), 0, 0, reset),
        IntLinear("last", "lif", 2),
        IntReadout("readout", "last"),
    )
    arrays = {
        "fc": {"codes": codes.astype(np.int16), "gain": np.ones(1, np.int32)},
        "lif": {"threshold": np.array([2**20], np.int32), "bias": np.zeros(1, np.int32)},
        "last": {"codes": np.ones((1, 2), np.int8), "gain": np.ones(2, np.int32)},
        "readout": {"bias": np.zeros(2, np.int32)},
    }
    return IntegerNetwork(nodes, arrays, 1)


@pytest.mark.parametrize("high", [0, 100, 126, 127, 128, 129])
@pytest.mark.parametrize("low", [0, -120, -126, -127, -128, -129, -130, -200, -255])
def test_the_narrowest_type_holds_what_is_reached(low, high):
    network = driven(low, high)
    (found,) = plan(network).neurons
    reach, _ = lasting(network, network["lif"])
    narrow = int(reach.low.min()) >= -128 and int(reach.high.max()) <= 127
    assert found.membrane == (8 if narrow else 16)
    assert narrow == (low >= -127 and high <= 127) or low == -128  # the bound of all time may lie one below
