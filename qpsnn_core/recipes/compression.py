"""The tables [compress] and [requantize] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qpsnn_core.common.validation import check, least, typed
from qpsnn_core.recipes.network import FULL_PRECISION


@dataclass(frozen=True)
class CompressConfig:
    """How single weights are pruned, and the others quantized, in one shot after training.

    sparsity: the share of all weights to prune, 0 to below 1. bits: per weight that is left, 2 to 8, or 32 for floating
    point. method, ratios, scale, damping: as of `compress`, which has the words. images: training images for
    calibration. recalibrate: take batch norm's running statistics anew afterwards.
    """

    sparsity: float = 0.0
    bits: int = FULL_PRECISION
    method: str = "osbc"
    ratios: str = "lamps"
    scale: str = "max"
    images: int = 1024
    damping: float = 0.01
    recalibrate: bool = False

    def __post_init__(self) -> None:
        typed(self)
        check(self, "sparsity", 0 <= self.sparsity < 1, "a number from 0 to below 1")
        bits = type(self.bits) is int and (2 <= self.bits <= 8 or self.bits == FULL_PRECISION)
        check(self, "bits", bits, f"an integer from 2 to 8, or {FULL_PRECISION} for floating point")
        something = self.sparsity > 0 or self.bits != FULL_PRECISION
        check(self, "sparsity", something, f"a number above 0, as bits = {FULL_PRECISION} leaves nothing else to do")
        least(self, images=1)
        check(self, "damping", 0 <= self.damping < math.inf, "a number of at least 0")


@dataclass(frozen=True)
class RequantizeConfig:
    """To how many bits, 2 to 8, finished weights are quantized, each layer with the quantizer of least error.

    layers: the names of those to change, () for all that have weights.
    """

    bits: int
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        typed(self)
        check(self, "bits", type(self.bits) is int and 2 <= self.bits <= 8, "an integer from 2 to 8")
        check(self, "layers", _words(self.layers), "names of layers")


def _words(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
