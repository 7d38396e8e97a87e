"""Every limit of a chip is the figure that its source publishes, and is marked where that source is not certain."""

from __future__ import annotations

import pytest

from qpsnn_backends.loihi import limits
from qpsnn_backends.loihi.limits import CHIPS, LOIHI1, LOIHI2, Limit
from qpsnn_backends.loihi.memory import axon_bits, index_width, stored_width

PUBLISHED = {
    "loihi1": {
        "neurons": (1024, True),
        "in_axons": (4096, True),
        "out_axons": (4096, True),
        "synapse_bits": (131_072 * 8, True),
        "thresholds": (16, False),
        "cores": (128, True),
        "chip_neurons": (131_072, True),
        "chip_synapses": (None, True),
        "payload": (1, True),
        "weight_bits": (8, True),
        "threshold": (131_071, True),
        "bias": (4095, True),
        "state": (8_388_607, True),
    },
    "loihi2": {
        "neurons": (8192, False),
        "in_axons": (None, False),
        "out_axons": (None, False),
        "synapse_bits": (196_608 * 8, False),
        "thresholds": (None, False),
        "cores": (128, False),
        "chip_neurons": (1_000_000, False),
        "chip_synapses": (120_000_000, False),
        "payload": (2_147_483_647, False),
        "weight_bits": (8, False),
        "threshold": (8_388_607, False),
        "bias": (8_388_607, False),
        "state": (8_388_607, False),
    },
}
"""(most, certain) of every limit, in digits: docs/loihi.md has the sources."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_limits_are_the_published_figures(name):
    limited = {field: value for field, value in vars(CHIPS[name]).items() if isinstance(value, Limit)}
    found = {field: (value.maximum, value.certain) for field, value in limited.items()}
    assert found == PUBLISHED[name]


def test_what_a_chip_computes_with():
    fields = ("weight_widths", "weight_shift", "fraction", "bias_shift", "exact_leak", "shared_kernels")
    assert [getattr(LOIHI1, field) for field in fields] == [(1, 2, 3, 4, 5, 6, 8), 13, 6, 7, False, False]
    assert [getattr(LOIHI2, field) for field in fields] == [(1, 2, 3, 4, 5, 6, 7, 8), 13, 0, 0, True, True]


def test_weights_and_targets_are_stored_in_the_next_width():
    assert [stored_width(bits, LOIHI1) for bits in range(1, 10)] == [1, 2, 3, 4, 5, 6, 8, 8, 8]
    assert [stored_width(bits, LOIHI2) for bits in range(1, 10)] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert [index_width(2**bits) for bits in range(14)] == [0, 6, 6, 6, 6, 6, 6, 7, 8, 9, 10, 11, 12, 13]


def test_an_axons_blocks():
    """64 synapses to a block with a head of 10 bits, rounded up to words of 64: by hand."""
    assert [int(axon_bits(count, 8, 0)) for count in (1, 6, 7, 64, 65)] == [64, 64, 128, 576, 640]


def test_energies_are_davies_least():
    assert (limits.SYNAPSE_PJ, limits.UPDATE_PJ, limits.MESSAGE_PJ) == (23.6, 81.0, 1.7)
