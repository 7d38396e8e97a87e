"""Recipes of networks that learn locally: everything that a run and a search depend on, as typed TOML."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import RECIPE
from qpsnn_core.common.foreign import read_toml
from qpsnn_core.common.hdf5 import check_file_kind
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.validation import check, check_kind, check_path, choices, least, typed
from qpsnn_core.local_learning.arithmetic import check_learnable
from qpsnn_core.local_learning.exploration import Exploration
from qpsnn_core.local_learning.formats import FLOAT, NumberFormats
from qpsnn_core.local_learning.network import STDP, AdaptiveLIF, Conductances, DiehlCook, InhibitoryLIF, SpikeTrains
from qpsnn_core.local_learning.plain_form import from_plain, to_plain
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_core.recipes.data import DataConfig

R = TypeVar("R")

VOTES = ("all_activity", "proportion", "ngram")


@dataclass(frozen=True)
class DiehlCookConfig:
    """A `DiehlCook` for the images that the data have."""

    neurons: int
    form: str
    inhibition: float
    neuron: AdaptiveLIF = field(default_factory=AdaptiveLIF)
    inhibitory: InhibitoryLIF | None = None
    trains: SpikeTrains = field(default_factory=SpikeTrains)
    rule: STDP = field(default_factory=STDP)
    dt: float = 1.0
    conductances: Conductances | None = field(default=None, metadata=ADDED_LATER)

    def build(self, inputs: int) -> DiehlCook:
        """The network. ConfigError as `DiehlCook`."""
        settings = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return DiehlCook(inputs=inputs, **settings)


@dataclass(frozen=True)
class LearnConfig:
    """How the network learns, and how its neurons get their classes.

    epochs: over the training images, in an order that `seed` draws anew for each (shuffle), or as they are. seed: of
    weights, spikes and rounding, too. label_samples: training images by whose responses, without learning, neurons are
    named afterwards, each class in proportion; 0: all. vote: "all_activity", "proportion" (weighting) or "ngram" (pairs
    of spikes).
    """

    epochs: int = 1
    seed: int = 0
    shuffle: bool = True
    label_samples: int = 0
    vote: str = "all_activity"

    def __post_init__(self) -> None:
        typed(self)
        least(self, epochs=1, seed=0, label_samples=0)
        check(self, "seed", self.seed < 2**32, "a whole number below 2**32")
        choices(self, vote=VOTES)


AXES = ("weights", "membrane", "threshold")
"""What the loops of Algorithm 1 run over."""


@dataclass(frozen=True)
class SearchConfig(Exploration):
    """The search for formats of V, Vth and weights (`Exploration`).

    integer: integer bits of "weights", "membrane" and "threshold"; what it lacks is observed while the float32 network
    learns and responds. reset, increment: the formats of constants. conductance: of a network that has them.
    """

    reset: FixedPoint = field(default_factory=lambda: FixedPoint(7, 0))
    increment: FixedPoint = field(default_factory=lambda: FixedPoint(1, 6))
    conductance: FixedPoint | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        self.check_exploration(AXES)


@dataclass(frozen=True)
class LocalRecipe:
    """A network that learns by STDP, its data and formats, and the search for better ones. No data, if none is named.

    ConfigError also where formats, or the search's, undo what is learnt (`check_learnable`).
    """

    diehl_cook: DiehlCookConfig
    data: DataConfig = field(default_factory=DataConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    formats: NumberFormats = FLOAT
    qspinn: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        check_kind("LocalRecipe.diehl_cook", self.diehl_cook, DiehlCookConfig)
        most = self.diehl_cook.build(2**31 // self.diehl_cook.neurons - 1)
        check_learnable(most, self.formats)
        truncates = "itq" in self.qspinn.schemes and "truncation" in self.qspinn.roundings
        if truncates and self.diehl_cook.neuron.theta_tau is not None:
            want = '"none" where the search trains with truncation, which takes 2**-f mV from a leak in each step'
            remedy = "or leave itq or truncation out of [qspinn]"
            raise ConfigError(
                expected(f"diehl_cook.neuron.theta_tau ({remedy})", want, self.diehl_cook.neuron.theta_tau)
            )

    def to_dict(self) -> dict[str, Any]:
        """Tables of plain numbers, words, lists and tables, as JSON and TOML have them."""
        return to_plain(self)


def local_recipe_from_dict(data: Mapping[str, Any]) -> LocalRecipe:
    """A recipe from plain tables. ConfigError names the full path of what is wrong."""
    if "diehl_cook" not in data:
        want = "a table [diehl_cook] or [decolle], as recipes of local learning have"
        raise ConfigError(expected("recipe", want, Unquoted(f"the tables {', '.join(data) or 'none'}")))
    return from_plain(plain(data), LocalRecipe)


def load_local_recipe(path: str | os.PathLike[str]) -> LocalRecipe:
    """A recipe from a TOML file. FileError (cannot be read), ConfigError (not TOML, or what is wrong in it)."""
    return read_recipe("load_local_recipe", path, local_recipe_from_dict)


def read_recipe(verb: str, path: str | os.PathLike[str], of: Callable[[Mapping[str, Any]], R]) -> R:
    """What `of` makes of the tables of a TOML file; its errors name the file."""
    check_path(f"{verb}.path", path)
    check_file_kind(path, RECIPE)
    data = read_toml(path)
    try:
        return of(data)
    except ConfigError as error:
        raise ConfigError(f"{os.fspath(path)}: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{os.fspath(path)}: nested too deep") from error
