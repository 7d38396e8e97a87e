"""The whole of qpsnn on one small set: train, prune, fine-tune, lower, run exactly and on Lava, compare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from qpsnn_core.common.progress import Listener
from qpsnn_core.common.types import Array
from qpsnn_core.compression.channels.score import Scores, stability
from qpsnn_core.engine.evaluation import Evaluation
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.passes import initialise
from qpsnn_core.engine.pricing import measured_cost
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.experiments.stages import augmentation, network_for, prune_as, score_as
from qpsnn_core.inference.agreement import Agreement, agreement, deviation
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.integer.backends import get
from qpsnn_core.integer.file import save_integer
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.integer.lowering.report import LoweringReport
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.integer.simulate import simulate
from qpsnn_core.network.model import Model
from qpsnn_core.network.synapses import Conv
from qpsnn_core.quantization.formats import Quantizer
from qpsnn_core.quantization.rescaw import integers, quantize
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.pruning import PruneConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_core.training.train import finetune, train
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
class Stage:
    """One row of the demo's table. accuracy, firing_rate: 0 to 1; size_mb: Eq. 16; sops, energy_mj: per image."""

    name: str
    images: int
    accuracy: float
    parameters: int
    size_mb: float
    sops: float
    energy_mj: float
    firing_rate: float


@dataclass(frozen=True)
class Demo:
    """What came out, and what the figure draws. data: the set, as DataChoice.figures has it.

    rounding: the trained network against its integers; backend_run: the integers against the backend. codes: W_int of
    one layer, vanilla and as trained. spikes: of one image, [T, units], by layer. seconds: of each stage.
    """

    data: dict[str, Any]
    stages: tuple[Stage, ...]
    backend: str
    rounding: Agreement
    backend_run: Agreement
    lowering: LoweringReport
    scores: Scores
    kept: dict[str, Array]
    codes: tuple[Array, Array]
    spikes: dict[str, Array]
    seconds: dict[str, float]


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
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str, text: str) -> Iterator[None]:
        log(text)
        begun = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - begun

    choice = DataChoice(recipe.data, recipe.network.steps)
    data = choice.split()
    network = network_for(recipe, data)
    get(backend).check(lower(initialise(network, recipe.train.seed)).network)
    options: dict[str, Any] = {"augment": augmentation(recipe.data), "progress": progress}
    with timed("train", f"train {recipe.network.title}"):
        trained = train(network, data.train, recipe.train, **options).model
        stages = [stage("trained", trained, evaluate(trained, data.test))]
    with timed("prune", f"prune by {recipe.prune.criterion.upper()}"):
        scores = score_as(recipe, trained, data.train)
        pruned = prune_as(recipe, trained, scores, data.train)
        stages.append(stage("pruned", pruned.model, evaluate(pruned.model, data.test)))
    with timed("finetune", "fine-tune"):
        tuned = finetune(pruned.model, data.train, recipe.finetune, **options).model
        stages.append(stage("fine-tuned", tuned, evaluate(tuned, data.test)))
    with timed("lower", "lower to integers, and run them exactly"):
        lowered = lower(tuned, fraction_bits=recipe.lower.fraction_bits)
        if save is not None:
            save_integer(save, lowered.network)
        stages.append(stage("integer", tuned, evaluate(lowered.network, data.test)))
        rounding = deviation(tuned, lowered.network, data.test.images)
    with timed("backend", f"run {min(images, len(data.test))} images on {backend}"):
        some = data.test.limited(images)
        backend_run, measured = agreement(lowered.network, some, backend)
        stages.append(stage(backend.capitalize(), tuned, measured))
        spikes = _first_image(lowered.network, some)
    kept, codes = dict(pruned.kept), _code_use(trained)
    runs = (rounding, backend_run, lowered.report)
    return Demo(choice.figures, tuple(stages), backend, *runs, scores, kept, codes, spikes, seconds)


def stage(name: str, model: Model, measured: Evaluation) -> Stage:
    """What a stage reached, and what its network costs; an integer network costs what its model does."""
    price = measured_cost(model, measured)
    return Stage(
        name,
        measured.images,
        measured.accuracy,
        price.parameters,
        price.size_mb,
        price.sops or 0.0,
        price.energy_mj or 0.0,
        measured.firing_rate,
    )


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
    return {
        "data": done.data,
        "stages": [asdict(row) for row in done.stages],
        "lava": {"backend": done.backend, **asdict(done.backend_run)},
        "trained_against_integer": asdict(done.rounding),
        "lowering": done.lowering.to_dict(),
        "scores": {"criterion": done.scores.criterion, "stability": stability(done.scores)},
        "kept": {name: np.asarray(kept).tolist() for name, kept in done.kept.items()},
        "seconds": {name: round(value, 2) for name, value in done.seconds.items()},
    }
