"""What a run makes smaller: a loss of the recipe with its options, or a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from qpsnn_core.common.errors import ArgumentError, ConfigError, NumericsError, QpsnnError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Doubles, Floats, Labels
from qpsnn_core.common.validation import described
from qpsnn_core.optim.losses import LOSSES
from qpsnn_core.recipes.training import TrainConfig

Objective = Callable[[Floats, Labels], tuple[float, Floats]]
"""From logits, float32 [T, B, K], and labels, integers [B], to a number and its gradient [T, B, K]."""


def objective_of(stage: str, config: TrainConfig, classes: Sequence[str], own: Objective | None) -> Objective:
    """The loss of a run. classes: the names of the data set's; own: what the user gave instead of the recipe's.

    Raises ConfigError: weights of unknown classes, options of the recipe's losses beside a function.
    """
    weights = _weights(stage, config, classes)
    if own is None:
        smoothing = config.label_smoothing
        return partial(LOSSES[config.loss], parts=config.parts, smoothing=smoothing, weights=weights)
    if not callable(own):
        want = "a function of logits and labels that gives loss and gradient"
        raise ArgumentError(expected(f"{stage}.loss", want, Unquoted(described(own))))
    for name, default in (("loss", "mean"), ("label_smoothing", 0.0), ("class_weights", {})):
        if getattr(config, name) != default:
            want = f"{default!r}, as the loss is a function"
            raise ConfigError(expected(f"{stage}.{name}", Unquoted(want), getattr(config, name)))
    return partial(_own, f"{stage}.loss", own)


def name_of(own: Objective | None) -> str | None:
    """Module and name of a function, by which a run that goes on knows it again."""
    if own is None:
        return None
    return f"{getattr(own, '__module__', '')}.{getattr(own, '__qualname__', type(own).__name__)}"


def _own(place: str, loss: Objective, logits: Floats, labels: Labels) -> tuple[float, Floats]:
    """What the user's function gives, checked."""
    try:
        found = loss(logits, labels)
    except QpsnnError:
        raise
    except Exception as error:
        raise ArgumentError(f"{place}: {name_of(loss)}: {type(error).__name__}: {error}") from error
    if not isinstance(found, tuple) or len(found) != 2:
        raise ArgumentError(expected(place, "to give two things, loss and gradient", Unquoted(described(found))))
    value, gradient = found
    if np.ndim(value) or not isinstance(value, (int, float, np.number)):
        raise ArgumentError(expected(place, "to give a number first", Unquoted(described(value))))
    if not isinstance(gradient, np.ndarray) or gradient.shape != logits.shape or gradient.dtype.kind != "f":
        want = f"to give a gradient, floats {list(logits.shape)}, second"
        raise ArgumentError(expected(place, want, Unquoted(described(gradient))))
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        raise NumericsError(expected(place, "a finite loss and gradient", Unquoted("NaN or infinity")))
    return float(value), gradient.astype(np.float32)


def _weights(stage: str, config: TrainConfig, classes: Sequence[str]) -> Doubles | None:
    """One for each class; None where no class is named."""
    for name in config.class_weights:
        if name not in classes:
            listed = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
            got = Unquoted(f"{name!r}{did_you_mean(name, classes)}")
            raise ConfigError(expected(f"{stage}.class_weights", f"names of classes, of {listed}", got))
    if not config.class_weights:
        return None
    return np.array([config.class_weights.get(name, 1.0) for name in classes], np.float64)
