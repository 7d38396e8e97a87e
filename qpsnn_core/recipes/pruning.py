"""The table [prune] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.validation import choices, least, place, positive, typed
from qpsnn_core.recipes.data import DataConfig as DataConfig
from qpsnn_core.recipes.network import FULL_PRECISION as FULL_PRECISION
from qpsnn_core.recipes.network import NetworkConfig as NetworkConfig

CRITERIA = ("svs", "sca")


RESIDUALS = ("map", "together")


REINITS = ("carry", "paper")


TIES = ("index", "sca")


HEADS = ("within", "whole")


Rates = float | tuple[float, ...] | dict[str, float]


@dataclass(frozen=True)
class PruneConfig:
    """Which channels are removed.

    criterion: "svs" (Eqs. 11 to 13) or "sca" (Eq. 7). rates: the share of channels to remove, 0 to below 1: one number
    for all convolutions, a list with one number for each, a table by name, or the name of a set of the paper's Tables 9
    to 11 (PAPER_SETS), such as "cifar10-0.51". batches, batch: how many batches of how many training images the scores
    are averaged over. epsilon: SVS counts singular values above it. residual: channels
    that meet in a sum are mapped to each other ("map") or kept or removed together ("together"). reinit: batch norm
    and linear layer keep what belongs to the kept channels ("carry"), or start anew ("paper"). prune_last: also the
    last layer before the classifier. ties: of equal scores the lower "index" stays, or the larger membrane ("sca").
    heads: of attention, channels go "within" each head, or heads as a "whole".
    recalibrate: after pruning, take batch norm's running statistics anew (not where they start anew).
    """

    criterion: str = "svs"
    rates: Rates = 0.5
    batches: int = 5
    batch: int = 64
    epsilon: float = 1e-6
    residual: str = "map"
    reinit: str = "carry"
    prune_last: bool = False
    ties: str = "index"
    heads: str = "within"
    recalibrate: bool = True

    def __post_init__(self) -> None:
        typed(self)
        choices(self, criterion=CRITERIA, residual=RESIDUALS, reinit=REINITS, ties=TIES, heads=HEADS)
        least(self, batches=1, batch=1)
        positive(self, "epsilon")
        where, rates = place(self, "rates"), self.rates
        if isinstance(rates, dict):
            each = {f"{where}.{name}": rate for name, rate in rates.items()}
        elif isinstance(rates, tuple):
            each = {f"{where}[{index}]": rate for index, rate in enumerate(rates)}
        else:
            each = {where: rates}
        for one, rate in each.items():
            if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 <= rate < 1:
                raise ConfigError(expected(one, "a number from 0 to below 1", rate))
