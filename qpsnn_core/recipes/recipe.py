"""Recipes: everything that a run depends on, as typed TOML."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from cattrs import Converter
from cattrs.errors import IterableValidationError

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.file_kinds import RECIPE
from qpsnn_core.common.foreign import read_toml
from qpsnn_core.common.hdf5 import check_file_kind
from qpsnn_core.common.plain import plain
from qpsnn_core.common.serialization import at_index, converter, expected_here, structure, to_toml
from qpsnn_core.common.validation import check_kind, check_path
from qpsnn_core.recipes.compression import CompressConfig, RequantizeConfig
from qpsnn_core.recipes.data import DataConfig, Scale, Size
from qpsnn_core.recipes.deployment import ExportConfig, SimulateConfig
from qpsnn_core.recipes.lowering import LowerConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.paper_rates import PAPER_SETS, paper_rates
from qpsnn_core.recipes.pruning import PruneConfig, Rates
from qpsnn_core.recipes.training import BALANCED, ClassWeights, FinetuneConfig, TrainConfig

TABLES: Mapping[str, type] = {
    "network": NetworkConfig,
    "data": DataConfig,
    "train": TrainConfig,
    "prune": PruneConfig,
    "finetune": FinetuneConfig,
    "lower": LowerConfig,
    "compress": CompressConfig,
    "requantize": RequantizeConfig,
    "simulate": SimulateConfig,
    "export": ExportConfig,
}
"""What each table of a recipe is."""

LOCAL_TABLES = ("diehl_cook", "decolle")
"""Of recipes of local learning, which are read elsewhere."""

_PRUNE, _FINETUNE, _LOWER = PruneConfig(), FinetuneConfig(), LowerConfig()
"""What stands in a recipe without these tables: which it is says that nobody wrote the table."""


@dataclass(frozen=True)
class Recipe:
    """A whole run, one TOML table for each stage; what is left out has its default, and no data.

    compress, requantize, simulate, export: None, and nothing in files, where there is no such table.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    prune: PruneConfig = _PRUNE
    finetune: FinetuneConfig = _FINETUNE
    lower: LowerConfig = _LOWER
    compress: CompressConfig | None = None
    requantize: RequantizeConfig | None = None
    simulate: SimulateConfig | None = None
    export: ExportConfig | None = None

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            if getattr(self, one.name) is not None or one.default is not None:
                check_kind(f"Recipe.{one.name}", getattr(self, one.name), TABLES[one.name])

    @property
    def stages(self) -> tuple[str, ...]:
        """The tables of stages after training that were written, or given, be it with their defaults."""
        unwritten = (_PRUNE, _FINETUNE, _LOWER, None)
        later = [one.name for one in dataclasses.fields(self) if one.name not in ("network", "data", "train")]
        return tuple(name for name in later if not any(getattr(self, name) is one for one in unwritten))

    def __repr__(self) -> str:
        """What it is of; `to_toml` gives all of it."""
        data, network = self.data.name or "no data", self.network
        return f"Recipe({network.title}, T = {network.steps}, {data}, {self.train.epochs} epochs)"

    def to_dict(self) -> dict[str, Any]:
        """Tables of plain numbers, strings, lists and dicts, as JSON and TOML have them."""
        tables = dict(json.loads(json.dumps(dataclasses.asdict(self))))
        tables["network"] = _said(tables["network"])
        return {name: table for name, table in tables.items() if table is not None}

    def to_toml(self, only: Collection[str] = ()) -> str:
        """The text that `load_recipe` reads as this recipe. only: the tables that are written; by default all.

        A checkpoint of a network that was written in Python knows its [data] and [train] alone: the other tables of
        its recipe are defaults. Raises ConfigError (no such table).
        """
        tables = self.to_dict()
        if not isinstance(only, Collection) or isinstance(only, str) or not set(only) <= set(tables):
            raise ConfigError(expected("to_toml.only", f"some of {', '.join(tables)}", only))
        return to_toml({name: table for name, table in tables.items() if not only or name in only})


def _said(table: dict[str, Any]) -> dict[str, Any]:
    """Without what is None, in tables within the table, too: it is no word of TOML, but what is not said."""
    inner = {name: _said(value) if isinstance(value, dict) else value for name, value in table.items()}
    return {name: value for name, value in inner.items() if value is not None}


def recipe_from_dict(data: Mapping[str, Any]) -> Recipe:
    """A recipe from plain tables. ConfigError names the full path: `train.lr: expected a positive number, got -1`."""
    return structure(_convert, plain(data), Recipe)


def load_recipe(path: str | os.PathLike[str]) -> Recipe:
    """A recipe from a TOML file. FileError (cannot be read), ConfigError (not TOML, or what is wrong in it)."""
    check_path("load_recipe.path", path)
    check_file_kind(path, RECIPE)
    data = read_toml(path)
    local = [name for name in LOCAL_TABLES if name in data]
    if local:
        got = Unquoted(f"one of local learning, with a table [{local[0]}] (`qpsnn learn {path}`)")
        raise ConfigError(expected(str(path), "a recipe of a network that is trained by backpropagation", got))
    try:
        return recipe_from_dict(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep") from error


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


def _scale(value: Any, _: Any) -> Scale:
    """A number or a word."""
    if type(value) in (int, float):
        return float(value)
    if isinstance(value, str):
        return value
    raise ConfigError(expected_here('a number, or "measured"', value))


def _class_weights(value: Any, _: Any) -> ClassWeights:
    """A table by name, or a word."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _convert.structure(value, dict[str, float])
    raise ConfigError(expected_here(f"a table of numbers by name, or {BALANCED!r}", value))


def _size(value: Any, _: Any) -> Size:
    """A whole number, or two."""
    if type(value) is int:
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(one) is int for one in value):
        return value[0], value[1]
    raise ConfigError(expected_here("an integer, or two in a list: height and width", value))


def with_data(strict: Converter) -> Converter:
    """A converter that reads the table [data], too."""
    strict.register_structure_hook(Scale, _scale)
    strict.register_structure_hook(Size, _size)
    return strict


_convert = with_data(converter())
_convert.register_structure_hook(Rates, _rates)
_convert.register_structure_hook(ClassWeights, _class_weights)
