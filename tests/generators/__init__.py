"""Random things to test with, each a function of a seed."""

from generators.integer_networks import random_integer_network, random_wide_network

__all__ = ["random_integer_network", "random_wide_network"]
