"""The gradients of attention on a model's own data, against finite differences.

`sum dL/dX * X` is linear in each spike of q, of k and of v, so that central differences have no error but rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.experiments.audit_gradients import Trace
from qpsnn_core.network.attention import SelfAttention
from qpsnn_core.network.model import Model


def attention_errors(model: Model, seen: Trace, samples: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Of every SelfAttention, the largest error of `samples` gradients of q, of k and of v, by the largest gradient."""
    for node in model.network.of(SelfAttention):
        if node.name not in seen.given:
            continue
        steps = len(seen.given[node.name].array)
        values = [_every_step(seen.done.values[source], steps) for source in node.sources]
        gradient = seen.given[node.name].array.astype(np.float64)
        scale = node.scale * float(np.prod([value.scale for value in model.network.inputs_of(node)]))
        for which, found in enumerate(seen.back[node.name].inputs):
            if found is None or len(found) < steps:
                continue
            worst = 0.0
            for index in rng.choice(found.size, min(samples, found.size), replace=False):
                place = tuple(int(i) for i in np.unravel_index(index, found.shape))
                ref = scale * _difference(node, values, gradient, which, place)
                worst = max(worst, abs(float(found[place]) - ref))
            yield node.name, worst / max(float(np.abs(found).max(initial=0)), 1e-30)


def _every_step(spikes: Array, steps: int) -> Array:
    return np.broadcast_to(spikes, (steps, *spikes.shape[1:]))


def _difference(
    node: SelfAttention, values: list[Array], gradient: Doubles, which: int, place: tuple[int, ...]
) -> float:
    """`sum dL/dX * A` where the spike at (t, b, y, x, c) of q, k or v is half more, less that where it is half less."""
    t, b, y, x, c = place
    head = c // (values[which].shape[-1] // node.heads)
    parts = [_head(array[t, b], node.heads, head) for array in (*values, gradient)]
    row, column = y * values[which].shape[3] + x, c % (values[which].shape[-1] // node.heads)
    ends = []
    for change in (0.5, -0.5):
        moved = [part.copy() for part in parts]
        moved[which][row, column] += change
        query, key, value, slope = moved
        ends.append(float((slope * ((query @ key.T) @ value)).sum()))
    return ends[0] - ends[1]


def _head(array: Array, heads: int, head: int) -> Doubles:
    """One head of [H, W, C], as [H*W, C/heads]."""
    split: Doubles = array.reshape(-1, heads, array.shape[-1] // heads)[:, head].astype(np.float64)
    return split
