"""Checks that a model has the arrays, shapes and finite values that its network needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Arrays
from qpsnn_core.engine.passes import check_model_kind, initialise
from qpsnn_core.network.graph import Network
from qpsnn_core.network.model import Model


def check_model(model: Model, place: str = "model") -> None:
    """Every array that the network needs, no other, float32, finite; ShapeError or NumericsError names the array.

    Raises ArgumentError, naming `place`, for what is no Model.
    """
    check_model_kind(place, model)
    template = initialise(model.network)
    check_arrays("params", model.params, template.params)
    check_arrays("state", model.state, template.state)
    check_finite("params", model.params)
    check_finite("state", model.state)


def check_batch_statistics(network: Network, batch: int) -> None:
    """ConfigError names the first node with batch norm that a batch gives one value per channel: it has no variance.

    The variance is over T*B*H*W values; what depends on an image alone is the same at every step.
    """
    still = set() if network.input.spikes else {network.input.name}
    for node in network.nodes:
        height, width, _ = network.shape(node.name)
        steps = 1 if set(node.sources) <= still else network.steps
        if getattr(node, "batch_norm", False) and steps * batch * height * width == 1:
            want = "at least 2 values per channel in a batch, for batch norm's variance (a larger batch)"
            raise ConfigError(expected(f"{node.name}.batch_norm", want, Unquoted("1")))


def check_arrays(place: str, found: Arrays, want: Arrays) -> None:
    """The same nodes, names, shapes and types; ShapeError names the first array that differs."""
    for node, name in sorted({(node, name) for arrays in (found, want) for node, name, _ in each_array(arrays)}):
        there, needed = found.get(node, {}).get(name), want.get(node, {}).get(name)
        if _described(there) != _described(needed):
            raise ShapeError(expected(f"{place}.{node}.{name}", _described(needed), Unquoted(_described(there))))


def check_finite(place: str, arrays: Arrays) -> None:
    """NumericsError names the first array with NaN or infinity."""
    for node, name, array in each_array(arrays):
        if not np.isfinite(array).all():
            raise NumericsError(expected(f"{place}.{node}.{name}", "finite numbers", Unquoted("NaN or infinity")))


def _described(array: Any) -> str:
    """Type and shape, of an array or of what a file says of one."""
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    if array is None:
        return "nothing"
    return type(array).__name__ if shape is None or dtype is None else f"{dtype} {list(shape)}"


def each_array(arrays: Arrays) -> Iterator[tuple[str, str, npt.NDArray[np.float32]]]:
    """(node, name, array), one by one."""
    for node, inner in arrays.items():
        for name, array in inner.items():
            yield node, name, array
