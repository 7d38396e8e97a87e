"""How weights are quantized: the format, without arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.plain import plain_fields
from qpsnn_core.common.serialization import FORMERLY
from qpsnn_core.common.validation import check_choice, check_number

GAMMAS = ("mean", "max", "percentile", "one")


SCALED = "mean_scaled"
"""The gamma of QP-SNN's scripts of transformers, `s/2**(bits-1)` times the mean magnitude, s = 2**bits - 1."""

SAWB, TERNARY = "sawb", "ternary"

WITH_ZERO = (SAWB, TERNARY)
"""The gammas of SpQuant-SNN's code, whose levels have a 0 in the middle: none that ReScaW is compared with."""

KEPT = "kept"
"""The gamma that is not a function of the weights: it stays as it is in the model's state."""

AUTO = "auto"
"""The gamma, the default, of a quantizer for which a Network has yet to choose one by the place of its node."""


FULL_PRECISION = 32
"""What counts as the number of bits of weights that are not quantized."""


GRANULARITIES = ("channel", "layer")


STRAIGHT_THROUGH = ("clip", "pass")


@dataclass(frozen=True)
class Quantizer:
    """Eqs. 4 to 6, 9 and 10: `W_hat = gamma * (2/s * round(s/2 * (clamp(W/gamma, -1, 1) + 1)) - 1)`, `s = 2**bits - 1`.

    `gamma` is the 1-norm mean ("mean"), the largest magnitude ("max"), the larger magnitude of the percentiles
    `percentile` and `1 - percentile` ("percentile"), 1 ("one": vanilla, Eq. 6), or `(2**bits - 1)/2**(bits-1)` times
    the 1-norm mean ("mean_scaled": 1.875 at 4 bits), per output "channel" or per "layer"; or, per channel, the array
    `gamma` of the model's state ("kept"). `ste` "clip" passes gradients where
    `|W/gamma| <= 1` (the paper); "pass" gives all of them, times `1/gamma` (its public code).
    "auto": the Network that a node becomes part of puts the gamma of the node's place for it (network/defaults.py).
    `zero`: `s = 2**bits - 2`, one level fewer, so that 0 is in the middle: `2*k*gamma/s`, |k| <= 2**(bits-1) - 1.
    With it, gamma may be that of SpQuant-SNN's code, there per layer: "sawb", twice the mean magnitude; or at 2 bits
    "ternary": W_hat is `gamma*sign(W)` where |W| is above 0.05 of the largest magnitude, else 0, and gamma the mean
    magnitude of those.
    """

    bits: int = 4
    gamma: str = field(default=AUTO, metadata={FORMERLY: "mean"})
    granularity: str = "channel"
    ste: str = "clip"
    percentile: float = 0.99
    zero: bool = False

    def __post_init__(self) -> None:
        plain_fields(self)
        if type(self.bits) is not int or not 2 <= self.bits <= 8:
            raise ConfigError(expected("quantizer.bits", "an integer from 2 to 8", self.bits))
        check_choice("quantizer.gamma", self.gamma, (*GAMMAS, SCALED, *WITH_ZERO, KEPT, AUTO))
        check_choice("quantizer.granularity", self.granularity, GRANULARITIES)
        check_choice("quantizer.ste", self.ste, STRAIGHT_THROUGH)
        want = "a number in (0.5, 1]"
        check_number("quantizer.percentile", self.percentile, want, lambda share: 0.5 < share <= 1)
        if type(self.zero) is not bool:
            raise ConfigError(expected("quantizer.zero", "true or false", self.zero))
        if self.gamma == KEPT and self.granularity != "channel":
            raise ConfigError(expected("quantizer.granularity", "'channel' for a gamma that is kept", self.granularity))

        if self.gamma in WITH_ZERO and not self.zero:
            raise ConfigError(expected("quantizer.zero", f"true, where gamma is {self.gamma!r}", self.zero))
        if self.gamma == TERNARY and self.bits != 2:
            raise ConfigError(expected("quantizer.bits", f"2, where gamma is {TERNARY!r}", self.bits))

    @property
    def levels(self) -> int:
        """s: codes are every second integer from -s to s, the odd ones, or with `zero` the even ones."""
        return int(2**self.bits - (2 if self.zero else 1))


@dataclass(frozen=True)
class PlaceQuantizer(Quantizer):
    """The quantizer of a node that was given none: the Network chooses its bits and granularity by place, too."""


BY_PLACE = PlaceQuantizer()
