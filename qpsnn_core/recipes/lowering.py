"""The table [lower] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.common.validation import check, typed
from qpsnn_core.recipes.data import DataConfig as DataConfig
from qpsnn_core.recipes.network import FULL_PRECISION as FULL_PRECISION
from qpsnn_core.recipes.network import NetworkConfig as NetworkConfig

LARGEST_FRACTION = 16


@dataclass(frozen=True)
class LowerConfig:
    """How a network becomes integers.

    fraction_bits: binary digits after the point of membranes, 0 to 16; fewer where 32-bit integers could overflow. At
    16 hardly a spike differs from the trained network's.
    """

    fraction_bits: int = 16

    def __post_init__(self) -> None:
        typed(self)
        valid = type(self.fraction_bits) is int and 0 <= self.fraction_bits <= LARGEST_FRACTION
        check(self, "fraction_bits", valid, f"an integer from 0 to {LARGEST_FRACTION}")
