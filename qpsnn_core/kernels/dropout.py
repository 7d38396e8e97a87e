"""Masks of dropout: random truth values that are a function of counters."""

from __future__ import annotations

from qpsnn_core.kernels.counter_random import WORD, random_word
from qpsnn_core.kernels.threads import kernel

WORDS = 2.0**WORD
"""How many words there are: a chance times this is where the words that drop begin to end."""


@kernel
def draw_masks(start, stop, key, dropped, masks):
    """1 where a neuron of samples start..stop-1 stays, else 0.

    masks: uint8 `[B, neurons]`, written. key: of the draws of a batch, whose counters are (sample, neuron). dropped: a
    uint64; words below it drop a neuron.
    """
    for sample in range(start, stop):
        for neuron in range(masks.shape[1]):
            masks[sample, neuron] = random_word(sample, neuron, key) >= dropped
