"""Images that verbs take of a set, or as an array of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from qpsnn_core.common.errors import ArgumentError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Array
from qpsnn_core.common.validation import check_kind, described
from qpsnn_core.engine.passes import check_model_kind
from qpsnn_core.integer.network import IntegerNetwork
from qpsnn_core.network.model import Model
from qpsnn_core.network.ordered_graph import Ordered
from qpsnn_datasets import Dataset, Split


def graph_of(place: str, model: object) -> Ordered[Any]:
    """The network of a model, or the integers themselves; ArgumentError for anything else."""
    check_kind(place, model, Model, IntegerNetwork)
    if isinstance(model, IntegerNetwork):
        return model
    check_model_kind(place, model)
    assert isinstance(model, Model)  # noqa: S101 - what the lines before have checked
    return model.network


def images_of(place: str, network: Ordered[Any], images: Dataset | Split | Array) -> Array:
    """Images [N, H, W, C], or frames [N, T, H, W, C], of a set (of a Split: the test part) or as an array.

    Raises ArgumentError (neither), ShapeError (not the network's shape, or no samples). Values are checked by what
    runs them.
    """
    if isinstance(images, (Dataset, Split)):
        return (images.test if isinstance(images, Split) else images).images
    if not isinstance(images, np.ndarray):
        want = "images as an array [N, H, W, C], or a Dataset (load_data(...).train gives one)"
        raise ArgumentError(expected(place, want, Unquoted(described(images))))
    shape, steps = network.input.shape, network.steps
    if images.shape[1:] not in (shape, (steps, *shape)):
        hint = " (one image alone is images[None])" if images.shape in (shape, (steps, *shape)) else ""
        sizes = ", ".join(map(str, shape))
        raise ShapeError(expected(place, f"[N, {sizes}] or [N, {steps}, {sizes}]{hint}", list(images.shape)))
    if not len(images):
        raise ShapeError(expected(place, "at least one image", Unquoted("none")))
    return images
