"""Losses: from the logits of every step to one number, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from qpsnn_core.common.errors import ConfigError, DataError, LabelError, NumericsError, Unquoted, expected
from qpsnn_core.common.types import Doubles, Floats, Integers
from qpsnn_core.kernels.elementary import exp, log
from qpsnn_core.kernels.parts import add_in_order, add_steps, parts_of


def mean_logits_cross_entropy(
    logits: Floats, labels: Integers, *, parts: int = 0, smoothing: float = 0.0, weights: Doubles | None = None
) -> tuple[float, Floats]:
    """Appendix D: `-log softmax(1/T sum_t logits[t])[label]`, the mean over the batch.

    logits: [T, B, K]; labels: integers [B], 0 to K-1; parts: of the batch's sum, as in `parts_of`.
    smoothing: the share of each target that is spread over all classes, 0 to below 1 (Szegedy et al. 2016,
    arXiv:1512.00567): `q = (1 - smoothing) * onehot + smoothing / K`. weights: positive float64 [K], of each class;
    then the loss is `-sum w[k] q[k] log softmax[k]` over classes and batch, divided by the sum of `w[label]`.
    Gives the loss and its gradient, float32 [T, B, K].
    Raises DataError (shapes), LabelError (a label that is no class), NumericsError (NaN or infinity).
    """
    values = _checked(logits, labels)
    steps = len(values)
    losses, slopes = _cross_entropy(add_steps(values) / steps, labels, smoothing, weights)
    count = _count(labels, weights, parts)
    gradient = np.broadcast_to(slopes / (steps * count), values.shape)
    return total(losses, parts) / count, gradient.astype(np.float32)


def cross_entropies(logits: Floats, labels: Integers) -> Doubles:
    """`-log softmax(1/T sum_t logits[t])[label]` of each sample, [B]; raises as `mean_logits_cross_entropy`."""
    values = _checked(logits, labels)
    return _cross_entropy(add_steps(values) / len(values), labels)[0]


def tet(
    logits: Floats,
    labels: Integers,
    *,
    lam: float = 0.0,
    target: float = 1.0,
    parts: int = 0,
    smoothing: float = 0.0,
    weights: Doubles | None = None,
) -> tuple[float, Floats]:
    """`(1 - lam) * mean_t CE(logits[t], labels) + lam * mean (logits - target)**2`, means over steps and batch.

    Temporal efficient training (Deng et al. 2022, arXiv:2202.11946): every step has to be right by
    itself. logits: [T, B, K]; labels: integers [B]; lam: 0 to 1; target: what every logit is drawn to; parts,
    smoothing, weights: as of `mean_logits_cross_entropy`.
    Gives the loss and its gradient, float32 [T, B, K]. Raises as `mean_logits_cross_entropy`, and ConfigError (lam).
    """
    if not 0 <= lam <= 1:
        raise ConfigError(expected("tet.lam", "a number from 0 to 1", lam))
    values = _checked(logits, labels)
    steps, batch, classes = values.shape
    losses, slopes = _cross_entropy(values.reshape(-1, classes), np.tile(labels, steps), smoothing, weights)
    count = _count(labels, weights, parts)
    loss = (1 - lam) * (total(losses.reshape(steps, batch).T, parts) / (steps * count))
    gradient = (1 - lam) * slopes.reshape(values.shape) / (steps * count)
    if lam:
        apart = values - target
        loss += lam * (total(np.square(apart).swapaxes(0, 1).reshape(batch, -1), parts) / apart.size)
        gradient += lam * 2 * apart / apart.size
    return loss, gradient.astype(np.float32)


Loss = Callable[..., tuple[float, Floats]]
LOSSES: Mapping[str, Loss] = {"mean": mean_logits_cross_entropy, "tet": tet}


def _cross_entropy(
    logits: Doubles, labels: Integers, smoothing: float = 0.0, weights: Doubles | None = None
) -> tuple[Doubles, Doubles]:
    """Of each row: `log sum exp - logit[label]`, and its gradient `softmax - onehot`. logits: [N, K].

    With smoothing or weights, of the targets `w q`: `-sum w q log softmax`, and `softmax * sum w q - w q`.
    """
    shifted = logits - logits.max(1, keepdims=True)
    exponentials = exp(shifted)
    totals = add_steps(exponentials.T)[:, np.newaxis]
    rows, classes = np.arange(len(labels)), logits.shape[1]
    if not smoothing and weights is None:
        losses = log(totals[:, 0]) - shifted[rows, labels]
        slopes = exponentials / totals
        slopes[rows, labels] -= 1
        return losses, slopes
    if not 0 <= smoothing < 1:
        raise ConfigError(expected("smoothing", "a number from 0 to below 1", smoothing))
    targets = np.full(logits.shape, smoothing / classes)
    targets[rows, labels] += 1 - smoothing
    if weights is not None:
        targets *= _checked_weights(weights, classes)
    losses = add_steps((targets * (log(totals) - shifted)).T)
    slopes = exponentials / totals * add_steps(targets.T)[:, np.newaxis] - targets
    return losses, slopes


def _checked_weights(weights: Doubles, classes: int) -> Doubles:
    if weights.shape != (classes,) or not (weights > 0).all() or not np.isfinite(weights).all():
        raise ConfigError(expected("weights", f"positive numbers [{classes}]", Unquoted(f"{weights.tolist()}")))
    return weights


def _count(labels: Integers, weights: Doubles | None, parts: int) -> float:
    """By what the sum over a batch is divided: its samples, or the weights of their classes."""
    return len(labels) if weights is None else total(weights[labels], parts)


def total(values: Doubles, parts: int) -> float:
    """The sum over samples, the first axis: of each part rounded once, of the parts in order."""
    return float(add_in_order([math.fsum(values[start:stop].flat) for start, stop in parts_of(len(values), parts)]))


def _checked(logits: Floats, labels: Integers) -> Doubles:
    """The logits in float64."""
    values = checked_logits(logits)
    _, batch, classes = logits.shape
    if labels.shape != (batch,) or labels.dtype.kind not in "iu":
        raise DataError(expected("labels", f"integers [{batch}]", Unquoted(f"{labels.dtype} {list(labels.shape)}")))
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise LabelError(expected(f"labels[{wrong[0]}]", f"0 to {classes - 1}", int(labels[wrong[0]])))
    return values


def checked_logits(logits: Floats) -> Doubles:
    """Logits [T, B, K] in float64. Raises DataError (shape), NumericsError (NaN or infinity)."""
    if logits.ndim != 3 or not logits.size:
        raise DataError(expected("logits", "[T, B, K], none of them 0", Unquoted(f"shape {list(logits.shape)}")))
    if not np.isfinite(logits).all():
        step, sample, _ = np.argwhere(~np.isfinite(logits))[0]
        raise NumericsError(expected(f"logits[{step}, {sample}]", "finite numbers", logits[step, sample].tolist()))
    return logits.astype(np.float64)
