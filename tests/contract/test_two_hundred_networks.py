"""Two hundred random networks, of fixed seeds: C, and Lava for half of them, against the exact simulator, bit for bit.

Each has two inputs and 1 to 10 steps; each neuron draws its reset, and half of them levels of membranes. Lava is
imported once (warm.py), and two networks run at a time. Every pair of kinds on Lava is in test_pairs.py.
"""

from __future__ import annotations

import pytest
import warm
from alike import assert_equal
from compiled import UNOPTIMIZED, needs_cc
from generators import random_integer_network, random_wide_network
from generators.integer_networks import MEMBRANES

import qpsnn_backends
from qpsnn_core.network.nodes import RESETS

NETWORKS = [(make, seed) for make in (random_integer_network, random_wide_network) for seed in range(1000, 1100)]

NAMES = [f"{make.__name__}-{seed}" for make, seed in NETWORKS]

ON_LAVA = range(0, len(NETWORKS), 2)

pytestmark = pytest.mark.slow


def run(index, name, **options):
    make, seed = NETWORKS[index]
    return qpsnn_backends.get(name, **options).run(*make(seed, RESETS, MEMBRANES), record="all")


@pytest.fixture(scope="module")
def on_lava():
    """Lava's run of a network; that of the next one has then begun, too."""
    with warm.ahead(lambda turn: run(ON_LAVA[turn], "lava"), len(ON_LAVA)) as of:
        yield of


@needs_cc
@pytest.mark.once
@pytest.mark.parametrize("index", range(len(NETWORKS)), ids=NAMES)
def test_c_is_exact(index):
    """Half of them with sanitizers, which the compiler takes twice as long for."""
    assert_equal(run(index, "exact"), run(index, "c", flags=("-O0",) if index % 2 else UNOPTIMIZED))


@pytest.mark.lava
@pytest.mark.parametrize("turn", range(len(ON_LAVA)), ids=[NAMES[index] for index in ON_LAVA])
def test_lava_is_exact(turn, on_lava):
    assert_equal(run(ON_LAVA[turn], "exact"), on_lava(turn))
