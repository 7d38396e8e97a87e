"""The verbs with the settings of a recipe: what the demo and the command line share."""

from __future__ import annotations

from dataclasses import fields

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.compression.channels.prune import Pruned, check_coupled, prune
from qpsnn_core.compression.channels.rates import prunable, resolve
from qpsnn_core.compression.channels.score import Scores, score
from qpsnn_core.engine.calibration import recalibrate
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.experiments.own_network import own_network
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model
from qpsnn_core.recipes.data import BOXES, DataConfig
from qpsnn_core.recipes.network import NetworkConfig
from qpsnn_core.recipes.recipe import Recipe
from qpsnn_datasets import Augment, Dataset, Split
from qpsnn_datasets.detection import DetectionAugment

OF_BOXES = ("anchors", "decode", "mosaic", "zoom", "shift", "hue", "saturation", "brightness")
OF_LABELS = ("crop", "cutout", "autoaugment", "nda", "resized_crop", "randaugment", "erasing")
"""Settings of [data] that only sets with boxes have, and only those without."""


def data_for(recipe: Recipe) -> Split:
    """The recipe's set; of events, as many frames as the recipe's network has steps.

    Raises ConfigError where the recipe names no set, and what `load_data` raises.
    """
    return DataChoice(recipe.data, recipe.network.steps).split()


def network_for(recipe: Recipe, data: Split, *, imports: bool = False) -> Network:
    """The recipe's network for images, or frames of events, of this shape and these classes.

    imports: whether a function that the recipe names may be imported: only where the caller gave the recipe itself, not
    a file that holds one.
    Raises ConfigError where there are more or fewer frames than steps, and what `NetworkConfig.build`, `own_network`
    and `check_stages` raise.
    """
    frames = data.train.sample_shape[:-3]
    if frames and frames[0] != recipe.network.steps:
        want = f"{frames[0]}, a step for each frame of {data.train.name}"
        raise ConfigError(expected("network.steps", want, recipe.network.steps))
    span = data.train.input_range
    make = own_network if imports and recipe.network.function else NetworkConfig.build
    sizes = data.train.image_shape, len(data.train.classes)
    network = make(recipe.network, *sizes, events=bool(frames) and span is None, input_range=span)
    if recipe.network.name and recipe.data.coded is not None:
        network = network.change(network.input.name, peak=1)
    check_stages(recipe, network, frames=bool(frames))
    return network


def check_stages(recipe: Recipe, network: Network, *, frames: bool = False) -> None:
    """Everything that later stages of the recipe ask of the network, before the first begins.

    Raises ConfigError: rates (how many, names, values that do not fit the layers), steps of a fine-tuning that a
    network for frames of events cannot have.
    """
    chosen = recipe.prune
    together = chosen.residual == "together"
    able = prunable(network, prune_last=chosen.prune_last, together=together)
    rates = resolve(network, chosen.rates, able)
    check_coupled(network, rates, together=together, heads=chosen.heads)
    steps = recipe.finetune.steps
    if steps and (network.input.spikes or frames) and steps != network.steps:
        want = f"{network.steps}, a step for each frame{' of events' if network.input.spikes else ''}"
        raise ConfigError(expected("finetune.steps", want, steps))


def augmentation(data: DataConfig) -> Augment | DetectionAugment:
    """What the recipe does to training images. ConfigError: a change that the set's images, or its boxes, cannot take.

    The recipe's flip is half of the images.
    """
    boxed = data.name in BOXES
    for name in OF_LABELS if boxed else OF_BOXES:
        if getattr(data, name) != getattr(DataConfig(), name):
            want = f"{getattr(DataConfig(), name)}, as {data.name} has {'boxes' if boxed else 'no boxes'}"
            raise ConfigError(expected(f"data.{name}", Unquoted(want), getattr(data, name)))
    if boxed:
        changes = {"scale": data.zoom, "translate": data.shift, "value": data.brightness, "flip": 0.5 * data.flip}
        same = {name: getattr(data, name) for name in ("mosaic", "hue", "saturation")}
        return DetectionAugment(**changes, **same)
    return Augment(**{field.name: getattr(data, field.name) for field in fields(Augment)})


def score_as(recipe: Recipe, model: Model, data: Dataset) -> Scores:
    """Scores of the recipe's criterion over its calibration batches."""
    chosen = recipe.prune
    return score(
        model, data, criterion=chosen.criterion, batches=chosen.batches, batch=chosen.batch, epsilon=chosen.epsilon
    )


def prune_as(recipe: Recipe, model: Model, scores: Scores, data: Dataset) -> Pruned:
    """The model without the channels that the recipe's rates remove, its statistics taken anew from `data`."""
    chosen = recipe.prune
    names = ("residual", "reinit", "prune_last", "ties", "heads")
    pruned = prune(model, scores, chosen.rates, **{name: getattr(chosen, name) for name in names})
    if not chosen.recalibrate or chosen.reinit == "paper":
        return pruned
    return pruned._replace(model=recalibrate(pruned.model, data))
