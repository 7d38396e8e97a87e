"""What outputs answer, and how right that is: of classes, of several labels at once, of real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.tasks import CLASSIFICATION, MULTILABEL, REGRESSION
from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.kernels.parts import add_steps
from qpsnn_core.optim.losses import cross_entropies
from qpsnn_core.optim.target_losses import sample_losses


class Measures(NamedTuple):
    """Of one task. losses: of each sample, [B], of logits [T, B, K] and labels. answer: what is predicted, of logits.

    right: how many answers are right, None where none is right or wrong; of: how many there are in one sample of K
    outputs. figures: over a whole set, by name, of its labels and answers; the first is what is shown first.
    """

    losses: Callable[[Array, Array], Doubles]
    answer: Callable[[Array], Array]
    right: Callable[[Array, Array], int | None]
    of: Callable[[int], int]
    figures: Callable[[Array, Array], dict[str, float]]


def answers(logits: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class [B] with the largest mean over T of logits [T, B, K]; of equal ones, the first."""
    chosen: npt.NDArray[np.int64] = (add_steps(logits) / len(logits)).argmax(1)
    return chosen


def outputs(logits: Array) -> Array:
    """The means over T, float64 [B, K]."""
    found: Array = add_steps(logits.astype(np.float64)) / len(logits)
    return found


def _marks(logits: Array) -> Array:
    """uint8 [B, K]: labels whose mean logit is above 0, so that they are likelier than not."""
    found: Array = (outputs(logits) > 0).astype(np.uint8)
    return found


def _count(labels: Array, answered: Array) -> int:
    return int((answered == labels).sum())


def _accuracy(labels: Array, answered: Array) -> dict[str, float]:
    return {"accuracy": _count(labels, answered) / labels.size}


def _of_marks(labels: Array, answered: Array) -> dict[str, float]:
    """The share of labels that are right, of samples of which all are, and F1 over all labels (0 without any)."""
    both = int((answered & labels).sum())
    either = int(answered.sum(dtype=np.int64)) + int(labels.sum(dtype=np.int64))
    exact = int((answered == labels).all(1).sum()) / len(labels)
    return {**_accuracy(labels, answered), "exact": exact, "f1": 2 * both / either if either else 0.0}


def _of_numbers(labels: Array, answered: Array) -> dict[str, float]:
    """Means over samples and outputs of squares and distances; R2, the mean over outputs.

    R2 of an output is `1 - sum (y - target)**2 / sum (target - mean target)**2`; of targets that are all the same it is
    1 where every answer is right, else 0.
    """
    apart = answered - labels
    squares = apart * apart
    shares = []
    for column in range(labels.shape[1]):
        own = labels[:, column]
        around = own - math.fsum(own) / len(own)
        total, left = math.fsum(around * around), math.fsum(squares[:, column])
        shares.append(1 - left / total if total else float(not left))
    return {
        "r2": math.fsum(shares) / len(shares),
        "mse": math.fsum(squares.flat) / squares.size,
        "mae": math.fsum(np.abs(apart).flat) / apart.size,
    }


MEASURES: Mapping[str, Measures] = {
    CLASSIFICATION: Measures(cross_entropies, answers, _count, lambda count: 1, _accuracy),
    MULTILABEL: Measures(
        lambda logits, labels: sample_losses(MULTILABEL, logits, labels),
        _marks,
        _count,
        lambda count: count,
        _of_marks,
    ),
    REGRESSION: Measures(
        lambda logits, labels: sample_losses(REGRESSION, logits, labels),
        outputs,
        lambda labels, answered: None,
        lambda count: 1,
        _of_numbers,
    ),
}
"""By task."""
