"""Sums of the weights of inputs that spike, against loops: all widths of blocks, few spikes and many."""

from __future__ import annotations

import numpy as np
import pytest

from qpsnn_core.kernels.neurons.spike_sums import BYTES_AT_ONCE, add_all_rows, add_rows


@pytest.mark.parametrize("kind", [np.float32, np.int8])
@pytest.mark.parametrize("neurons", [5, 140, 256])
def test_sums_are_those_of_loops(kind, neurons):
    rng = np.random.default_rng(neurons)
    inputs, counts = BYTES_AT_ONCE + 44, [0, 3, BYTES_AT_ONCE, BYTES_AT_ONCE + 40, 1]
    weights = rng.uniform(-128, 128, (inputs, neurons)).astype(kind)
    weights[:] = np.where(rng.random(neurons) < 0.3, kind(-128), weights)
    total = np.float32 if kind is np.float32 else np.int32
    chosen = [np.sort(rng.permutation(inputs)[:count]).astype(np.int32) for count in counts]
    first, events = np.cumsum([0, *counts]).astype(np.int32), np.concatenate(chosen)
    ref = np.zeros((len(counts), neurons), total)
    for row, some in zip(ref, chosen, strict=True):
        for i in some:
            row += weights[i].astype(total)
    comp = np.full((len(counts), neurons), 9, total)
    add_all_rows(comp, weights, events, first)
    np.testing.assert_array_equal(comp, ref)
    for t, row in enumerate(ref):
        one = np.full(neurons, 9, total)
        add_rows(one, weights, events, first[t], first[t + 1])
        np.testing.assert_array_equal(one, row)
