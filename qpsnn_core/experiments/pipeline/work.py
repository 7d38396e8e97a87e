"""What a run works on: its recipe, data and network, and what its stages have made so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from qpsnn_core.common.progress import Listener
from qpsnn_core.common.types import Array
from qpsnn_core.compression.channels.score import Scores
from qpsnn_core.engine.evaluation import Evaluation
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.recipe import TABLES, Recipe
from qpsnn_core.training.checkpoint import Checkpoint, save_checkpoint
from qpsnn_datasets import Dataset, Split

Figures = dict[str, Any]
"""What a stage found, as JSON data; `rows` of the table, if it has any."""


class Row(NamedTuple):
    """One row of the table. accuracy (None where none is right or wrong), firing_rate: 0 to 1; figures: of `evaluate`,
    by name; size_mb: Eq. 16; sops, energy_mj: per image.
    """

    name: str
    images: int
    accuracy: float | None
    figures: dict[str, float]
    loss: float
    parameters: int
    size_mb: float
    sops: float
    energy_mj: float
    firing_rate: float


def row(name: str, model: Model, measured: Evaluation) -> Row:
    """What a stage reached, and what its network costs; an integer network costs what its model does."""
    price = measured_cost(model, measured)
    spent = price.sops or 0.0, price.energy_mj or 0.0, measured.firing_rate
    found = measured.figures.get("accuracy"), measured.figures, measured.loss
    return Row(name, measured.images, *found, price.parameters, price.size_mb, *spent)


@dataclass
class Work:
    """A run. folder: of its files, None to keep all in memory. used: the data, as DataChoice.figures has them.

    checkpoint: of the last stage that gave a model; models: of each. scores, kept: of pruning. integers: the lowered
    network.
    """

    recipe: Recipe
    choice: DataChoice
    data: Split
    network: Network
    folder: Path | None = None
    progress: Listener | None = None
    used: Figures = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    models: dict[str, Model] = field(default_factory=dict)
    scores: Scores | None = None
    kept: dict[str, Array] = field(default_factory=dict)
    integers: IntegerNetwork | None = None

    @property
    def model(self) -> Model:
        """Of the last stage that gave one."""
        return list(self.models.values())[-1]

    def test_images(self, limit: int) -> Dataset:
        """At most so many of the test part, as a command takes them with `--limit`; 0: all."""
        return replace(self.choice, images={}).part("test", limit)

    def tested(self, name: str, model: Model) -> Figures:
        """The row of a model, measured on the test part."""
        return {"rows": [row(name, model, evaluate(model, self.data.test))._asdict()]}

    def keep(self, stage: str, file: Path | None, model: Model, notes: Mapping[str, Any]) -> None:
        """The model of a stage, in a checkpoint that names the recipe, its data, and all notes so far."""
        past = self.checkpoint
        data, before = (past.data, past.notes) if past else (None, {})
        made = Checkpoint(model, recipe=self.recipe.to_dict(), notes={**before, **notes}, data=data)
        if file is not None:
            save_checkpoint(file, made)
        self.take(stage, made)

    def take(self, stage: str, checkpoint: Checkpoint) -> None:
        """A stage's model becomes the one that the next stage begins from."""
        self.checkpoint = checkpoint
        self.models[stage] = checkpoint.model


def defaults() -> Figures:
    """The default of every setting, as `table.key`: what a record that lacks the key was made with."""
    keys = {f"{table}.{one.name}": one for table, kind in TABLES.items() for one in fields(kind)}
    made = {name: one.default_factory() for name, one in keys.items() if one.default_factory is not MISSING}
    return {**made, **{name: one.default for name, one in keys.items() if one.default is not MISSING}}


def settings(recipe: Recipe, table: str, names: Sequence[str] = ()) -> Figures:
    """A table of the recipe, or some of it, as `table.key`."""
    values = asdict(getattr(recipe, table))
    return {f"{table}.{name}": value for name, value in values.items() if not names or name in names}
