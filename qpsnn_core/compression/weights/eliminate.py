"""Which weights go, and how the others make up for them: LAMPS, magnitude, and OBS in two passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import NumericsError, Unquoted, expected
from qpsnn_core.common.types import Bools, Doubles, Longs
from qpsnn_core.kernels.linalg.factor import DONE, gather, invert, pitch_of, room_of
from qpsnn_core.kernels.linalg.obs import record_rows
from qpsnn_core.kernels.linalg.rows import compensate_rows
from qpsnn_core.kernels.threads import CHUNKS, chunks, parallel_map

MEMORY = 2**30
"""Bytes of inverse Hessians that rows work on at once: each has a copy of its own."""

BLOCK = 16
"""Rows between two words of progress."""


class Trace(NamedTuple):
    """Of every row of a layer: which weight went when, and what it cost, both [O, d]."""

    order: Longs
    losses: Doubles


def lamps(weights: Mapping[str, Doubles], sparsity: float) -> dict[str, int]:
    """How many weights each layer loses: those with the smallest LAMPS scores of the whole network.

    `score(w) = w**2 / sum of u**2 over |u| >= |w|` in the layer (Lee et al., ICLR 2021); every layer keeps its largest.
    """
    scores = []
    for weight in weights.values():
        squares = np.sort(weight.reshape(-1) ** 2)
        rest = np.cumsum(squares[::-1])[::-1]
        scores.append(np.divide(squares, rest, out=np.zeros_like(squares), where=rest > 0))
        scores[-1][-1] = max(scores[-1][-1], 1.0)
    layers = np.repeat(np.arange(len(scores)), [len(score) for score in scores])
    chosen = np.argsort(np.concatenate(scores), kind="stable")[: round(sparsity * len(layers))]
    counts = np.bincount(layers[chosen], minlength=len(scores))
    return {name: int(count) for name, count in zip(weights, counts, strict=True)}


def uniform(weights: Mapping[str, Doubles], sparsity: float) -> dict[str, int]:
    """The same share of every layer."""
    return {name: round(sparsity * weight.size) for name, weight in weights.items()}


RATIOS: Mapping[str, Callable[[Mapping[str, Doubles], float], dict[str, int]]] = {"lamps": lamps, "uniform": uniform}


def smallest(weight: Doubles, count: int) -> Bools:
    """Which weights stay when the `count` smallest go; of equal ones the earlier goes."""
    kept = np.ones(weight.size, np.bool_)
    kept[np.argsort(np.abs(weight).reshape(-1), kind="stable")[:count]] = False
    return kept.reshape(weight.shape)


def damped(hessian: Doubles, damping: float) -> Doubles:
    """`H + damping * mean(diag H) * I`."""
    mean = math.fsum(np.diag(hessian)) / len(hessian)
    return hessian + (damping * mean or damping) * np.eye(len(hessian))


def inverse(place: str, hessian: Doubles) -> Doubles:
    """Of a positive definite matrix; NumericsError says that it is not, and names the damping."""
    size = len(hessian)
    room, scratch = np.empty(room_of(size)), np.empty(room_of(size))
    gather(hessian.reshape(-1), size, np.arange(size), room)
    check_inverted(invert(room, size, scratch) == DONE, f"{place}.damping")
    return np.ascontiguousarray(room[: size * pitch_of(size)].reshape(size, -1)[:, :size])


def check_inverted(done: bool, place: str) -> None:
    """NumericsError, naming the place, of a Hessian that has no inverse."""
    if not done:
        want = "a Hessian that can be inverted (inputs that never fire, or always together, need a damping)"
        raise NumericsError(expected(place, want, Unquoted("one that cannot")))


def trace(
    place: str, weight: Doubles, hessian: Doubles, group: int, on_progress: Callable[[int], None] = lambda rows: None
) -> Trace:
    """First pass: every row, with an inverse Hessian of its own, loses all its weights, the cheapest first.

    weight: [O, d]; group: how many go at a time. Rows run in parallel, as many as MEMORY has room for. on_progress:
    called with the number of rows done.
    """
    inverted = inverse(place, hessian)
    rows, size = weight.shape
    order, losses = np.zeros((rows, size), np.int64), np.zeros((rows, size))
    together = min(CHUNKS, max(1, MEMORY // (8 * size * size)))
    for start in range(0, rows, BLOCK):
        some = slice(start, min(start + BLOCK, rows))
        parallel_map(
            record_rows,
            chunks(some.stop - start, 1, together),
            weight[some],
            inverted,
            group,
            order[some],
            losses[some],
        )
        on_progress(some.stop)
    if not np.isfinite(losses).all():
        raise NumericsError(
            expected(f"{place}.damping", "one that keeps all losses finite", Unquoted("NaN or infinity"))
        )
    return Trace(order, losses)


def chosen(traced: Trace, count: int, factors: Doubles) -> Bools:
    """Which weights stay [O, d]: the `count` smallest losses of the layer say how many each row loses, in its order.

    factors: what each row's losses are multiplied with, squared, [O].
    """
    rows, size = traced.losses.shape
    ordered = np.argsort((traced.losses * factors[:, None] ** 2).reshape(-1), kind="stable")[:count]
    budgets = np.bincount(ordered // size, minlength=rows)
    kept = np.ones((rows, size), np.bool_)
    for row, budget in enumerate(budgets):
        kept[row, traced.order[row, :budget]] = False
    return kept


def compensated(weight: Doubles, kept: Bools, hessian: Doubles) -> Doubles:
    """Second pass: each row without its pruned weights P, the kept ones K moved to where the error is least.

    `w_K += H[K, K]^-1 H[K, P] w_P`: what removing them one after another, in any order, comes to.
    """

    out, failed = np.empty_like(weight), np.zeros(len(weight), np.bool_)
    parallel_map(compensate_rows, chunks(len(weight)), weight, kept, hessian, out, failed)
    check_inverted(not failed.any(), "damping")
    return out
