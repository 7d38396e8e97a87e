"""Losses: from the logits of every step to one number, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, NumericsError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Floats, Integers


def mean_logits_cross_entropy(logits: Floats, labels: Integers) -> tuple[float, Floats]:
    """Appendix D: `-log softmax(1/T sum_t logits[t])[label]`, the mean over the batch.

    logits: [T, B, K]; labels: integers [B], 0 to K-1. Gives the loss and its gradient, float32 [T, B, K].
    Raises DataError (shapes), LabelError (a label that is no class), NumericsError (NaN or infinity).
    """
    values = _checked(logits, labels)
    steps, batch, _ = values.shape
    losses, slopes = _cross_entropy(values.mean(0), labels)
    gradient = np.broadcast_to(slopes / (steps * batch), values.shape)
    return float(losses.mean()), gradient.astype(np.float32)


def tet(logits: Floats, labels: Integers, *, lam: float = 0.0, target: float = 1.0) -> tuple[float, Floats]:
    """`(1 - lam) * mean_t CE(logits[t], labels) + lam * mean (logits - target)**2`, means over steps and batch.

    Temporal efficient training (Deng et al. 2022, arXiv:2202.11946): every step has to be right by
    itself. logits: [T, B, K]; labels: integers [B]; lam: 0 to 1; target: what every logit is drawn to.
    Gives the loss and its gradient, float32 [T, B, K]. Raises as `mean_logits_cross_entropy`, and ConfigError (lam).
    """
    if not 0 <= lam <= 1:
        raise ConfigError(expected("tet.lam", "a number from 0 to 1", lam))
    values = _checked(logits, labels)
    steps, batch, classes = values.shape
    losses, slopes = _cross_entropy(values.reshape(-1, classes), np.tile(labels, steps))
    loss = (1 - lam) * losses.mean()
    gradient = (1 - lam) * slopes.reshape(values.shape) / (steps * batch)
    if lam:
        apart = values - target
        loss += lam * np.square(apart).mean()
        gradient += lam * 2 * apart / apart.size
    return float(loss), gradient.astype(np.float32)


Loss = Callable[[Floats, Integers], tuple[float, Floats]]
LOSSES: Mapping[str, Loss] = {"mean": mean_logits_cross_entropy, "tet": tet}


def _cross_entropy(logits: Doubles, labels: Integers) -> tuple[Doubles, Doubles]:
    """Of each row: `log sum exp - logit[label]`, and its gradient `softmax - onehot`. logits: [N, K]."""
    shifted = logits - logits.max(1, keepdims=True)
    exponentials = np.exp(shifted)
    totals = exponentials.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    losses = np.log(totals[:, 0]) - shifted[rows, labels]
    slopes = exponentials / totals
    slopes[rows, labels] -= 1
    return losses, slopes


def _checked(logits: Floats, labels: Integers) -> Doubles:
    """The logits in float64."""
    if logits.ndim != 3 or not logits.size:
        raise DataError(expected("logits", "[T, B, K], none of them 0", Unquoted(f"shape {list(logits.shape)}")))
    _, batch, classes = logits.shape
    if labels.shape != (batch,) or labels.dtype.kind not in "iu":
        raise DataError(expected("labels", f"integers [{batch}]", Unquoted(f"{labels.dtype} {list(labels.shape)}")))
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise LabelError(expected(f"labels[{wrong[0]}]", f"0 to {classes - 1}", int(labels[wrong[0]])))
    if not np.isfinite(logits).all():
        step, sample, _ = np.argwhere(~np.isfinite(logits))[0]
        raise NumericsError(expected(f"logits[{step}, {sample}]", "finite numbers", logits[step, sample].tolist()))
    return logits.astype(np.float64)
