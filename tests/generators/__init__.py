"""Random things to test with, each a function of a seed."""

from generators.integer_networks import random_integer_network, random_wide_network
from generators.integer_pairs import PAIRS, VARIANTS, pair_network

__all__ = ["PAIRS", "VARIANTS", "pair_network", "random_integer_network", "random_wide_network"]
