"""Losses of targets that are no classes: real numbers, and several labels at once; and their gradients.

Of all of them the output of a sample is `y = 1/T sum_t logits[t]`, [K], and the loss the mean over batch and K.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, Unquoted, expected
from qpsnn_core.common.tasks import CLASSIFICATION, MULTILABEL, REGRESSION
from qpsnn_core.common.types import Array, Doubles, Floats
from qpsnn_core.kernels.elementary import exp, log
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.optim.losses import LOSSES, Loss, checked_logits, total

Elements = Callable[[Doubles, Doubles], tuple[Doubles, Doubles]]
"""Of outputs and targets [B, K]: each loss, and its slope by the output."""


def mse(logits: Floats, targets: Doubles, *, parts: int = 0) -> tuple[float, Floats]:
    """`(y - target)**2`. logits: [T, B, K]; targets: float64 [B, K]; parts: of the batch's sum, as in `parts_of`.

    Gives the loss and its gradient, float32 [T, B, K]. Raises DataError (shapes), LabelError (targets), NumericsError.
    """
    return _mean(_squares, logits, targets, parts)


def l1(logits: Floats, targets: Doubles, *, parts: int = 0) -> tuple[float, Floats]:
    """`|y - target|`, with slope 0 where both are equal; as `mse`."""
    return _mean(_distances, logits, targets, parts)


def huber(logits: Floats, targets: Doubles, *, delta: float = 1.0, parts: int = 0) -> tuple[float, Floats]:
    """`d**2 / 2` where `d = |y - target|` is at most delta, else `delta * (d - delta / 2)`; as `mse`.

    Huber 1964 (doi:10.1214/aoms/1177703732). Raises ConfigError (delta), too.
    """
    if not 0 < delta < np.inf:
        raise ConfigError(expected("huber.delta", "a positive number", delta))

    def elements(outputs: Doubles, wanted: Doubles) -> tuple[Doubles, Doubles]:
        apart = outputs - wanted
        far = np.abs(apart)
        losses = np.where(far <= delta, apart * apart / 2, delta * (far - delta / 2))
        return losses, np.clip(apart, -delta, delta)

    return _mean(elements, logits, targets, parts)


def bce(logits: Floats, targets: Array, *, parts: int = 0) -> tuple[float, Floats]:
    """`log(1 + exp(-y))` of a label that is there, `log(1 + exp(y))` of one that is not: binary cross-entropy.

    targets: 0 and 1, [B, K]; else as `mse`.
    """
    return _mean(_binary, logits, np.asarray(targets, np.float64), parts)


def sample_losses(task: str, logits: Floats, targets: Array) -> Doubles:
    """Squares (regression) or binary cross-entropies (several labels) of each sample, the mean over K, [B]."""
    elements = {REGRESSION: _squares, MULTILABEL: _binary}[task]
    losses, _ = elements(*_checked(logits, np.asarray(targets, np.float64)))
    return add_steps(losses.T) / losses.shape[1]


LOSSES_OF: Mapping[str, Mapping[str, Loss]] = {
    CLASSIFICATION: LOSSES,
    MULTILABEL: {"bce": bce},
    REGRESSION: {"mse": mse, "l1": l1, "huber": huber},
}
"""The losses of each task, by the key of a recipe."""

ALL_LOSSES = tuple(name for losses in LOSSES_OF.values() for name in losses)


def _squares(outputs: Doubles, targets: Doubles) -> tuple[Doubles, Doubles]:
    apart = outputs - targets
    return apart * apart, 2 * apart


def _distances(outputs: Doubles, targets: Doubles) -> tuple[Doubles, Doubles]:
    apart = outputs - targets
    return np.abs(apart), np.sign(apart)


def _binary(outputs: Doubles, targets: Doubles) -> tuple[Doubles, Doubles]:
    wrong = np.flatnonzero(((targets != 0) & (targets != 1)).any(1))
    if wrong.size:
        row = Unquoted(f"{targets[wrong[0]].tolist()}")
        raise LabelError(expected(f"targets[{wrong[0]}]", "0 and 1, for each label", row))
    smaller = exp(-np.abs(outputs))
    losses = np.maximum(outputs, 0) - outputs * targets + log(1 + smaller)
    share = np.where(outputs >= 0, 1.0, smaller) / (1 + smaller)
    return losses, share - targets


def _mean(elements: Elements, logits: Floats, targets: Doubles, parts: int) -> tuple[float, Floats]:
    losses, slopes = elements(*_checked(logits, targets))
    gradient = np.broadcast_to(slopes / (len(logits) * losses.size), logits.shape)
    return total(losses, parts) / losses.size, gradient.astype(np.float32)


def _checked(logits: Floats, targets: Doubles) -> tuple[Doubles, Doubles]:
    """The outputs, means over T, and the targets."""
    values = checked_logits(logits)
    if targets.shape != values.shape[1:] or targets.dtype.kind != "f":
        want = f"floats {list(values.shape[1:])}"
        raise DataError(expected("targets", want, Unquoted(f"{targets.dtype} {list(targets.shape)}")))
    wrong = np.flatnonzero(~np.isfinite(targets).all(1))
    if wrong.size:
        raise LabelError(expected(f"targets[{wrong[0]}]", "finite numbers", Unquoted(f"{targets[wrong[0]].tolist()}")))
    return add_steps(values) / len(values), targets.astype(np.float64)
