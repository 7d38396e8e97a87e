"""The whole of qpsnn on one small set: train, prune, fine-tune, lower, run exactly and on Lava, compare."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from qpsnn_core.common.progress import Listener
from qpsnn_core.common.types import Array
from qpsnn_core.compression.channels.score import Scores
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.experiments.pipeline.record import Record
from qpsnn_core.experiments.pipeline.run import RunReport, carried_out, prepared
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network.model import Model
from qpsnn_core.network.synapses import Conv
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.quantization.rescaw import integers, quantize
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.deployment import SimulateConfig
from qpsnn_core.recipes.pruning import PruneConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_datasets import Dataset

DIGITS = Recipe(
    data=DataConfig("digits"),
    train=TrainConfig(epochs=6, batch=64, optimizer="adam", lr=0.01),
    prune=PruneConfig(prune_last=True, ties="sca"),
    finetune=FinetuneConfig(epochs=6, batch=64, optimizer="adam", lr=0.005),
)
"""The recipe of `qpsnn demo`, and of examples/digits.toml."""

DIGITS_EVENTS = replace(DIGITS, data=DataConfig("digits-events"))
"""The recipe of `qpsnn demo --events`, and of examples/digits-events.toml: the same digits, seen by an event camera."""


@dataclass(frozen=True)
class Demo:
    """What came out, and what the figure draws.

    codes: W_int of one layer, vanilla and as trained. spikes: of one image, [T, units], by layer.
    """

    report: RunReport
    backend: str
    scores: Scores
    kept: dict[str, Array]
    codes: tuple[Array, Array]
    spikes: dict[str, Array]

    @property
    def rounding(self) -> dict[str, Any]:
        """The trained network against its integers: the fields of an Agreement."""
        found: dict[str, Any] = self.report.figures["lower"]["trained_against_integer"]
        return found

    @property
    def backend_run(self) -> dict[str, Any]:
        """The integers against the backend: the fields of an Agreement."""
        found: dict[str, Any] = self.report.figures["simulate"]["backends"][self.backend]
        return found


def run_demo(
    recipe: Recipe = DIGITS,
    *,
    images: int = 100,
    backend: str = "lava",
    save: str | os.PathLike[str] | None = None,
    progress: Listener | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> Demo:
    """Run every stage of `recipe`; `images` of the test set go through `backend`. save: where the network is written.

    Raises what the stages raise, and before the first of them what keeps the backend from running the network.
    """
    work = prepared(replace(recipe, simulate=SimulateConfig((backend,), images)), None, progress)
    report = carried_out(work, Record(None), log=log)
    assert work.scores is not None  # noqa: S101 - the demo's recipes prune
    assert work.integers is not None  # noqa: S101 - whoever simulates lowers first
    if save is not None:
        save_integer(save, work.integers)
    drawn = _code_use(work.models["train"]), _first_image(work.integers, work.data.test)
    return Demo(report, backend, work.scores, work.kept, *drawn)


def _code_use(model: Model) -> tuple[Array, Array]:
    """W_int of the largest quantized convolution, vanilla (Eq. 4) and with its own quantizer (Eq. 9)."""
    convs = [(node.name, node.quantizer) for node in model.network.of(Conv) if node.quantizer]
    name, quantizer = max(convs, key=lambda conv: model.params[conv[0]]["weight"].size)
    weight = model.params[name]["weight"]
    vanilla = Quantizer(quantizer.bits, gamma="one")
    return integers(quantize(weight, vanilla).codes, vanilla), integers(quantize(weight, quantizer).codes, quantizer)


def _first_image(network: IntegerNetwork, data: Dataset) -> dict[str, Array]:
    run = simulate(network, steps_first(data.images[:1]), record="spikes")
    return {name: spikes[:, 0].reshape(len(spikes), -1) for name, spikes in run.spikes.items()}


def as_json(done: Demo) -> dict[str, Any]:
    """The demo's report.json."""
    found = done.report.figures
    return {
        "data": done.report.data,
        "stages": [row._asdict() for row in done.report.rows],
        "lava": {"backend": done.backend, **done.backend_run},
        "trained_against_integer": done.rounding,
        "lowering": found["lower"]["lowering"],
        "scores": found["score"],
        "kept": found["prune"]["kept"],
        "seconds": done.report.seconds,
    }
