"""Recipes: everything that a run depends on, as typed TOML."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cattrs.errors import IterableValidationError

from qpsnn_core.checks import check, choices, least, place, positive, typed
from qpsnn_core.config_data import DataConfig as DataConfig
from qpsnn_core.config_network import FULL_PRECISION as FULL_PRECISION
from qpsnn_core.config_network import NetworkConfig as NetworkConfig
from qpsnn_core.errors import ConfigError, FileError, expected
from qpsnn_core.loss import LOSSES
from qpsnn_core.optimizer import OPTIMIZERS
from qpsnn_core.paper_rates import PAPER_SETS, paper_rates
from qpsnn_core.schedule import SCHEDULES
from qpsnn_core.structure import at_index, converter, expected_here, structure, to_toml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CRITERIA = ("svs", "sca")
RESIDUALS = ("map", "together")
REINITS = ("carry", "paper")
TIES = ("index", "sca")
LARGEST_FRACTION = 16

Rates = float | tuple[float, ...] | dict[str, float]


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    epochs: passes over the training images. batch: images per update. optimizer: of OPTIMIZERS. lr: learning rate
    after the warm-up. momentum: of SGD, or Adam's first beta, 0 to below 1. weight_decay: on the weights of Conv and
    Linear. schedule: of SCHEDULES. warmup_epochs: over which the rate rises linearly. clip_norm: the largest 2-norm of
    all gradients together, 0 for no limit. loss: of LOSSES. seed: of initial weights, order and changes of images.
    """

    epochs: int = 30
    batch: int = 64
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-5
    schedule: str = "cosine"
    warmup_epochs: int = 0
    clip_norm: float = 0.0
    loss: str = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        typed(self)
        choices(self, optimizer=tuple(OPTIMIZERS), schedule=tuple(SCHEDULES), loss=tuple(LOSSES))
        least(self, epochs=1, batch=1, warmup_epochs=0, seed=0)
        positive(self, "lr")
        for name in ("weight_decay", "clip_norm"):
            check(self, name, 0 <= getattr(self, name) < math.inf, "a number of at least 0")
        check(self, "momentum", 0 <= self.momentum < 1, "a number from 0 to below 1")
        check(self, "warmup_epochs", self.warmup_epochs <= self.epochs, f"at most the {self.epochs} epochs")


@dataclass(frozen=True)
class FinetuneConfig(TrainConfig):
    """How a pruned network is trained again: the fields of TrainConfig, with the paper's Adam at 0.001.

    steps: T, time steps per image from now on, 0 for as many as it was trained with; frames of events fix them.
    """

    epochs: int = 15
    optimizer: str = "adam"
    lr: float = 1e-3
    steps: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        least(self, steps=0)


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
    recalibrate: bool = True

    def __post_init__(self) -> None:
        typed(self)
        choices(self, criterion=CRITERIA, residual=RESIDUALS, reinit=REINITS, ties=TIES)
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


@dataclass(frozen=True)
class Recipe:
    """A whole run, one TOML table for each stage; what is left out has its default."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    prune: PruneConfig = field(default_factory=PruneConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    lower: LowerConfig = field(default_factory=LowerConfig)

    def to_dict(self) -> dict[str, Any]:
        """Tables of plain numbers, strings, lists and dicts, as JSON and TOML have them."""
        return dict(json.loads(json.dumps(dataclasses.asdict(self))))

    def to_toml(self) -> str:
        """The text that `load_recipe` reads as this recipe."""
        return to_toml(self.to_dict())


def recipe_from_dict(data: Mapping[str, Any]) -> Recipe:
    """A recipe from plain tables. ConfigError names the full path: `train.lr: expected a positive number, got -1`."""
    return structure(_convert, data, Recipe)


def load_recipe(path: str | os.PathLike[str]) -> Recipe:
    """A recipe from a TOML file. FileError (cannot be read), ConfigError (not TOML, or what is wrong in it)."""
    try:
        data = tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return recipe_from_dict(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _rates(value: Any, _: Any) -> Rates:
    """A number, a list or a table; tables within the table are names with dots, as TOML writes `a.b = 1`."""
    if isinstance(value, Mapping):
        rates: dict[str, float] = {}
        for name, inner in value.items():
            try:
                below = _rates(inner, None)
            except (ConfigError, IterableValidationError) as error:
                raise at_index(error, name) from error
            if isinstance(below, tuple):
                raise at_index(ConfigError(expected_here("a number", inner)), name)
            rates |= {f"{name}.{key}": r for key, r in below.items()} if isinstance(below, dict) else {name: below}
        return rates
    if isinstance(value, (list, tuple)):
        return _convert.structure(value, tuple[float, ...])
    if type(value) in (int, float):
        return float(value)
    if value in PAPER_SETS:
        return paper_rates(value)
    want = f"a number, a list of numbers, or a table of numbers by name, or one of {', '.join(PAPER_SETS)}"
    raise ConfigError(expected_here(want, value))


_convert = converter()
_convert.register_structure_hook(Rates, _rates)
