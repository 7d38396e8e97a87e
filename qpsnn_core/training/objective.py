"""What a run makes smaller: a loss of the recipe with its options, or a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qpsnn_core.common.errors import (
    ArgumentError,
    ConfigError,
    DataError,
    NumericsError,
    QpsnnError,
    Unquoted,
    expected,
)
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.tasks import CLASSIFICATION
from qpsnn_core.common.types import Array, Doubles, Floats
from qpsnn_core.common.validation import described
from qpsnn_core.optim.target_losses import LOSSES_OF
from qpsnn_core.recipes.training import BALANCED, BOXES, HUBER, TET, TrainConfig
from qpsnn_datasets import Dataset

Objective = Callable[[Floats, Any], tuple[float, Floats]]
"""From logits, float32 [T, B, K], and labels, integers [B], to a number and its gradient [T, B, K].

Labels are as the data have them: of several labels uint8 [B, K], of real numbers float64 [B, K].
"""

OF_CLASSES = ("label_smoothing", "class_weights")
"""Settings of losses that only classes have."""

GAINS = ("box_gain", "objectness_gain", "class_gain")
"""Settings that only the loss of boxes has."""

OF_ONE_LOSS = ((HUBER, "delta", "delta"), (TET, "tet_lambda", "lam"))
"""Settings that one loss alone has: its name, the key, and the option of its function."""


def objective_of(stage: str, config: TrainConfig, data: Dataset, own: Objective | None) -> Objective:
    """The loss of a run. data: that is trained on; own: what the user gave instead of the recipe's.

    Raises ConfigError: a loss of another task, weights of unknown classes, options of losses that have none.
    """
    defaults = TrainConfig()
    if own is not None:
        if not callable(own):
            want = "a function of logits and labels that gives loss and gradient"
            raise ArgumentError(expected(f"{stage}.loss", want, Unquoted(described(own))))
        for name in ("loss", *(key for _, key, _ in OF_ONE_LOSS), *OF_CLASSES):
            _unset(stage, config, name, getattr(defaults, name), "as the loss is a function")
        return partial(_own, f"{stage}.loss", own)
    for name in GAINS:
        _unset(stage, config, name, getattr(defaults, name), f"as {data.name} has no boxes")
    losses = LOSSES_OF[data.task]
    if config.loss not in losses:
        want = f"one of {', '.join(losses)}, as {data.name} is for {data.task}"
        raise ConfigError(expected(f"{stage}.loss", want, config.loss))
    options: dict[str, Any] = {"parts": config.parts}
    for loss, key, option in OF_ONE_LOSS:
        if config.loss == loss:
            options[option] = getattr(config, key)
        else:
            _unset(stage, config, key, getattr(defaults, key), f"as {config.loss} has none")
    if data.task == CLASSIFICATION:
        options |= {"smoothing": config.label_smoothing, "weights": class_weights(stage, config, data)}
    else:
        for name in OF_CLASSES:
            _unset(stage, config, name, getattr(defaults, name), f"as {data.name} is for {data.task}")
    return partial(losses[config.loss], **options)


def check_boxes(stage: str, config: TrainConfig, data: Dataset, own: Objective | None) -> None:
    """ConfigError: settings of a run on boxes that are of other losses."""
    defaults = TrainConfig()
    if own is not None:
        want = f"none, as {data.name} is for {data.task}"
        raise ConfigError(expected(f"{stage}.loss", want, Unquoted("a function")))
    if config.loss != BOXES:
        raise ConfigError(expected(f"{stage}.loss", f"{BOXES!r}, as {data.name} is for {data.task}", config.loss))
    for name in (*(key for _, key, _ in OF_ONE_LOSS), *OF_CLASSES, "mixup"):
        _unset(stage, config, name, getattr(defaults, name), f"as {data.name} is for {data.task}")


def _unset(stage: str, config: TrainConfig, name: str, default: Any, because: str) -> None:
    if getattr(config, name) != default:
        want = Unquoted(f"{default!r}, {because}")
        raise ConfigError(expected(f"{stage}.{name}", want, getattr(config, name)))


def name_of(own: Objective | None) -> str | None:
    """Module and name of a function, by which a run that goes on knows it again."""
    if own is None:
        return None
    return f"{getattr(own, '__module__', '')}.{getattr(own, '__qualname__', type(own).__name__)}"


def _own(place: str, loss: Objective, logits: Floats, labels: Array) -> tuple[float, Floats]:
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


def class_weights(stage: str, config: TrainConfig, data: Dataset) -> Doubles | None:
    """One for each class; None where all weigh the same because nothing was said.

    "balanced": `N / (K n)` of a class with n of N samples. Raises ConfigError (an unknown class), DataError (a class
    without samples, of which nothing can be balanced).
    """
    if config.class_weights == BALANCED:
        counts = np.bincount(data.labels, minlength=len(data.classes))
        missing = [name for name, count in zip(data.classes, counts, strict=True) if not count]
        if missing:
            want = f"samples of every class in {data.name}, to balance them"
            raise DataError(expected(f"{stage}.class_weights", want, Unquoted(f"none of {', '.join(missing[:10])}")))
        balanced: Doubles = len(data) / (len(data.classes) * counts.astype(np.float64))
        return balanced
    given = dict(config.class_weights)  # type: ignore[arg-type]  # the config lets no other word pass
    for name in given:
        if name not in data.classes:
            listed = ", ".join(data.classes[:10]) + (", ..." if len(data.classes) > 10 else "")
            got = Unquoted(f"{name!r}{did_you_mean(name, data.classes)}")
            raise ConfigError(expected(f"{stage}.class_weights", f"names of classes, of {listed}", got))
    return np.array([given.get(name, 1.0) for name in data.classes], np.float64) if given else None
