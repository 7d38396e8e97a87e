"""Recipes of networks that learn by local losses (DECOLLE), as typed TOML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Shape
from qpsnn_core.common.validation import check, check_kind, least, typed
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalDense, LocalNeuron, LocalTraining
from qpsnn_core.local_learning.decolle_formats import DECOLLE_FLOAT, DecolleFormats
from qpsnn_core.local_learning.exploration import Exploration
from qpsnn_core.local_learning.plain_form import from_plain, to_plain
from qpsnn_core.local_learning.recipe import read_recipe
from qpsnn_core.quantization.fixed_point import FixedPoint
from qpsnn_core.recipes.data import DataConfig


@dataclass(frozen=True)
class LayerConfig:
    """A LocalConv, or with kernel 0 a LocalDense of so many `channels`."""

    channels: int
    kernel: int
    padding: int = 0
    pool: int = 1

    def __post_init__(self) -> None:
        typed(self)
        least(self, channels=1, kernel=0, padding=0, pool=1)
        check(self, "pool", bool(self.kernel) or self.pool == 1, "1 where kernel is 0: such neurons have no map")
        check(self, "padding", bool(self.kernel) or not self.padding, "0 where kernel is 0: such neurons have no map")

    @property
    def layer(self) -> LocalConv | LocalDense:
        """The layer."""
        if not self.kernel:
            return LocalDense(self.channels)
        return LocalConv(self.channels, self.kernel, self.padding, self.pool)


@dataclass(frozen=True)
class DecolleConfig:
    """A `Decolle` for the frames and classes that the data have."""

    layers: tuple[LayerConfig, ...]
    neuron: LocalNeuron
    readout: float = 0.5
    dropout: float = 0.5

    def build(self, inputs: Shape, classes: int) -> Decolle:
        """The network. ConfigError and ShapeError as `Decolle`."""
        layers = tuple(one.layer for one in self.layers)
        return Decolle(inputs, classes, layers, self.neuron, self.readout, self.dropout)


@dataclass(frozen=True)
class FramesConfig:
    """steps: frames of a sample, one a millisecond in the papers. lsuv_samples: of the training part, for LSUV."""

    steps: int
    lsuv_samples: int = 32

    def __post_init__(self) -> None:
        typed(self)
        least(self, steps=1, lsuv_samples=1)


DECOLLE_AXES = ("weights", "neurons")
"""What the loops of Algorithm 1 run over: V, P, Q and R have one fraction."""

RANGES = ("weights", "membrane", "p", "q", "r")


@dataclass(frozen=True)
class DecolleSearchConfig(Exploration):
    """The search for formats of weights and neurons (`Exploration`).

    integer: integer bits of "weights", "membrane", "p", "q" and "r"; what it lacks is observed while the float32
    network responds. alpha, beta, gamma, inhibition: the formats of constants.
    """

    alpha: FixedPoint = field(default_factory=lambda: FixedPoint(0, 15))
    beta: FixedPoint = field(default_factory=lambda: FixedPoint(0, 15))
    gamma: FixedPoint = field(default_factory=lambda: FixedPoint(0, 15))
    inhibition: FixedPoint = field(default_factory=lambda: FixedPoint(1, 6))

    def __post_init__(self) -> None:
        self.check_exploration(RANGES)


@dataclass(frozen=True)
class DecolleRecipe:
    """A network that learns by local losses, its data (none, if none is named), and the formats in which it learns."""

    decolle: DecolleConfig
    train: LocalTraining
    frames: FramesConfig
    data: DataConfig = field(default_factory=DataConfig)
    formats: DecolleFormats = DECOLLE_FLOAT
    qspinn: DecolleSearchConfig = field(default_factory=DecolleSearchConfig)

    def __post_init__(self) -> None:
        check_kind("DecolleRecipe.decolle", self.decolle, DecolleConfig)
        check_kind("DecolleRecipe.train", self.train, LocalTraining)
        longest = max(self.train.steps, self.train.test_steps)
        if longest > self.frames.steps:
            raise ConfigError(expected("frames.steps", f"at least {longest}, as windows have", self.frames.steps))

    def to_dict(self) -> dict[str, Any]:
        """Tables of plain numbers, words, lists and tables, as JSON and TOML have them."""
        return to_plain(self)


def decolle_recipe_from_dict(data: Mapping[str, Any]) -> DecolleRecipe:
    """A recipe from plain tables. ConfigError names the full path of what is wrong."""
    if "decolle" not in data:
        want = "a table [decolle], as a recipe of local losses has"
        raise ConfigError(expected("recipe", want, Unquoted(f"the tables {', '.join(data) or 'none'}")))
    return from_plain(plain(data), DecolleRecipe)


def load_decolle_recipe(path: str | os.PathLike[str]) -> DecolleRecipe:
    """A recipe from a TOML file. FileError (cannot be read), ConfigError (not TOML, or what is wrong in it)."""
    return read_recipe("load_decolle_recipe", path, decolle_recipe_from_dict)
