"""Comments in the generated C state the figures that the code has."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qpsnn_backends.c.codes import SPIKE_BLOCKS, encode
from qpsnn_backends.c.helpers_spikes import spikes


@pytest.mark.parametrize(("largest", "bits"), [(3, 2), (15, 4), (255, 8), (60000, 16)])
def test_channels_of_a_block_of_words(largest, bits):
    codes = encode(np.array([[0, 1, largest]] * 3, np.int32), 1, spikes=True)
    assert codes.bits == bits
    text = "\n".join(spikes(codes, False, "uint16_t", set(SPIKE_BLOCKS)))
    found = re.findall(r"(\d) words of (\d+)-bit codes, to the current of (\d+) channels", text)
    assert found == [(f"{size}", f"{bits}", f"{size * 32 // bits}") for size in SPIKE_BLOCKS]
