"""A few images through a model: the batches that scores are made from, and batch norm's statistics taken anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qpsnn_core.common.bars import listener_of
from qpsnn_core.common.errors import DataError, ShapeError, expected
from qpsnn_core.common.memory import check_fits
from qpsnn_core.common.plain import plain
from qpsnn_core.common.progress import Listener, Progress
from qpsnn_core.common.types import Array, Arrays
from qpsnn_core.common.validation import check_at_least, numbers_of, whole
from qpsnn_core.engine.checks import check_batch_statistics, check_model
from qpsnn_core.engine.inputs import steps_first
from qpsnn_core.engine.memory import kept_bytes
from qpsnn_core.engine.passes import forward
from qpsnn_core.engine.progress_bars import shows_progress
from qpsnn_core.network.model import Model
from qpsnn_core.network.synapses import BN_MOMENTUM
from qpsnn_datasets import Dataset, Split, epoch_order


def calibration_batches(
    place: str, images: Dataset | Split | Array, batches: int, batch: int, seed: int | None
) -> list[Array]:
    """At most `batches` batches of at most `batch` images, samples first: the first ones, or those that a seed draws.

    images: a Dataset (of a Split: the training part), or an array as its images: [N, H, W, C], or frames
    [N, T, H, W, C]. Raises, naming the `place`, ConfigError (numbers), DataError (no images), ShapeError (no images).
    """
    batches, batch, seed = plain((batches, batch, seed))
    check_at_least(f"{place}.batches", batches, 1)
    check_at_least(f"{place}.batch", batch, 1)
    images = images.train if isinstance(images, Split) else images
    samples = images.images if isinstance(images, Dataset) else numbers_of(f"{place}.images", images)
    if samples.size == 0:
        raise DataError(expected(f"{place}.images", "at least one image", list(samples.shape)))
    if samples.ndim not in (4, 5):
        raise ShapeError(expected(f"{place}.images", "[N, H, W, C] or [N, T, H, W, C]", list(samples.shape)))
    if seed is not None:
        seed = whole(f"{place}.seed", seed, 0)
    order = epoch_order(len(samples), seed)[: batches * batch]
    return [samples[order[start : start + batch]] for start in range(0, len(order), batch)]


@shows_progress
def recalibrate(
    model: Model,
    images: Dataset | Split | Array,
    *,
    batches: int = 10,
    batch: int = 128,
    seed: int | None = None,
    progress: Listener | bool | None = None,
) -> Model:
    """The model with batch norm's running statistics taken anew: the mean, over batches, of each batch's own.

    Nothing is trained. What pruning removes shifts the currents of the layers behind it, so that statistics that are
    carried over are stale; this mends them, and tells how good a pruned model is before fine-tuning. images: without
    labels, as for `score`; some hundred do. progress: called after every batch, as stage "recalibrate".
    Raises ConfigError (a number), DataError, ShapeError (images), NumericsError (NaN in images or weights).
    """
    progress = listener_of("recalibrate", progress)
    check_model(model, "recalibrate.model")
    parts = calibration_batches("recalibrate", images, batches, batch, seed)
    check_fits("recalibrate: one sample", kept_bytes(model.network, 1))
    for part in parts:
        check_batch_statistics(model.network, len(part))
    blank = model._replace(state={n: own | _zeros(own, np.float32) for n, own in model.state.items()})
    totals = {n: _zeros(own, np.float64) for n, own in model.state.items()}
    samples = sum(len(part) for part in parts)
    for row, part in enumerate(parts, 1):
        state = forward(blank, steps_first(part), train=True).state
        for node, own in totals.items():
            for name, total in own.items():
                total += state[node][name] / BN_MOMENTUM * (len(part) / samples)
        if progress:
            progress(Progress("recalibrate", 1, 1, row, len(parts), None, None))
    found: Arrays = {n: {k: total.astype(np.float32) for k, total in own.items()} for n, own in totals.items()}
    return model._replace(state={n: own | found[n] for n, own in model.state.items()})


def _zeros(own: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    """For batch norm's statistics, not for a gamma that is kept."""
    return {name: np.zeros(array.shape, dtype) for name, array in own.items() if name in ("mean", "var")}
