"""Gates of a model on its own data against their equations: masks, closed sums, targets, and what trains them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.types import Doubles
from qpsnn_core.engine.layers import gates
from qpsnn_core.engine.layers.gated_conv import activation_of
from qpsnn_core.experiments.audit_gradients import STEP, SynapseCheck, Trace, largest_magnitude
from qpsnn_core.network.gates import ChannelGate, SpatialGate
from qpsnn_core.network.model import Model
from qpsnn_core.network.synapses import Conv

Gate = ChannelGate | SpatialGate

ROUNDING = 1e-6
"""Of sums in floating point, as a part of the largest."""


def gates_in(model: Model) -> list[Gate]:
    """Its gates, in order."""
    return [node for node in model.network.nodes if isinstance(node, (ChannelGate, SpatialGate))]


def mask_errors(model: Model, seen: Trace) -> Iterator[tuple[str, float]]:
    """Of each gate the decisions that its Z does not give; of each gated synapse the sums that its mask does not."""
    for gate in gates_in(model):
        z = _logits(seen, gate)
        noise = seen.done.caches[gate.name].noise
        shape = seen.done.values[gate.name].shape
        small = z > 0 if isinstance(gate, ChannelGate) else z + (0 if noise is None else noise) >= 0
        ref = np.zeros(shape, bool)
        for y, x in np.ndindex(*shape[2:4]):
            row, column = y * z.shape[2] // shape[2], x * z.shape[3] // shape[3]
            for c in range(shape[4]):
                ref[:, :, y, x, c] = small[:, :, row, column, c // getattr(gate, "size", 1)]
        yield gate.name, float((ref != seen.done.values[gate.name]).sum())
    for node in model.network.of(Conv):
        if node.gate is not None:
            check = SynapseCheck(model, node, seen)
            inner = seen.done.caches[node.name].inner
            unit = inner.weights.step.astype(np.float64) * model.network.values[node.source].scale
            found, want = inner.acc.reshape(check.open.shape) * unit, check.sums * check.open
            off = np.abs(found - want) > ROUNDING * largest_magnitude(want)
            yield f"{node.name}, sums", float(off.sum())


def target_errors(model: Model, seen: Trace) -> Iterator[tuple[str, float]]:
    """Of each gate and synapse, the targets that a walk down the channels, or places, largest first, does not give."""
    for gate, node, given in _masked(model):
        if gate.weight:
            activation, shape = activation_of(node, seen.done.caches[node.name], given), _logits(seen, gate).shape
            found = gates.targets(gate, activation, shape)
            ref = np.array([_target(row, gate.target) for row in _pooled(gate, activation, shape)])
            yield f"{gate.name} ({node.name})", float((found.reshape(ref.shape) != ref).sum())


def gradient_errors(model: Model, seen: Trace, samples: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Of each gate the largest error of `samples` numbers of dL/dZ, by differences, as a part of the largest."""
    for gate in gates_in(model):
        back = seen.back[gate.name].inputs[0] if gate.name in seen.back else None
        if back is None:
            continue
        worst, found = 0.0, back.array
        for index in rng.choice(found.size, min(samples, found.size), replace=False):
            place = tuple(int(i) for i in np.unravel_index(index, found.shape))
            ref = _of_targets(model, seen, gate, place)
            if isinstance(gate, SpatialGate):
                ref += _of_places(model, seen, gate, place)
            worst = max(worst, abs(float(found[place]) - ref))
        yield gate.name, worst / largest_magnitude(found)


def _of_targets(model: Model, seen: Trace, gate: Any, place: tuple[int, ...]) -> float:
    """dL/dZ of the cross-entropies with all targets."""
    z, total = _logits(seen, gate), 0.0
    for other, node, given in _masked(model):
        if other is gate and gate.weight:
            goal = gates.targets(gate, activation_of(node, seen.done.caches[node.name], given), z.shape)
            goals = goal[place] if len(goal) == len(z) else goal[:, place[1], place[2], place[3], place[4]]
            count = max(goal.size, z.size)
            high, low = (
                np.sum(np.logaddexp(0, z[place] + sign * STEP) - goals * (z[place] + sign * STEP)) for sign in (1, -1)
            )
            total += gate.weight * float(high - low) / (2 * STEP * count)
    return total


def _of_places(model: Model, seen: Trace, gate: Any, place: tuple[int, ...]) -> float:
    """dL/dM over all places that Z serves, times the slope that stands in for the opening."""
    z, noise = _logits(seen, gate), seen.done.caches[gate.name].noise
    t, b, row, column, _ = place
    (height, width), (h, w) = gate.shape, z.shape[2:4]
    rows = [y for y in range(height) if y * h // height == row]
    columns = [x for x in range(width) if x * w // width == column]
    total = 0.0
    for other, node, given in _masked(model):
        if other is not gate:
            continue
        check, counts = SynapseCheck(model, node, seen), seen.done.values[node.source].astype(np.float64)
        steps, batch = seen.given[node.name].array.shape[:2]
        counts = np.broadcast_to(counts, (steps, *counts.shape[1:]))
        for step in (t,) if len(z) > 1 else range(steps):
            for y, x in ((y, x) for y in rows for x in columns):
                if given:
                    total += check.by_mask(step * batch + b, y, x)
                else:
                    total += check.by_read_mask(step, b, y, x, counts)
    if gate.sampling != "gumbel":
        return total
    at = z[place] + (0 if noise is None else noise[place])
    high, low = (1 / (1 + np.exp(-(at + sign * STEP) / gate.temperature)) for sign in (1, -1))
    return total * float(high - low) / (2 * STEP)


def _masked(model: Model) -> Iterator[tuple[Gate, Conv, bool]]:
    """(gate, synapse, whether it masks the sums, else what is read), of all."""
    network: Any = model.network
    for node in network.of(Conv):
        for name, given in ((node.gate, True), (node.input_gate, False)):
            if name is not None:
                yield network[name], node, given


def _logits(seen: Trace, gate: Gate) -> Doubles:
    """Z in float64."""
    acc, scale, shift = seen.done.values[gate.source]
    found: Doubles = scale.astype(np.float64) * acc + shift.astype(np.float64)
    return found


def _pooled(gate: Gate, activation: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """What each number of Z decides about, for each step and image a row. shape: of Z."""
    if isinstance(gate, ChannelGate):
        grouped: npt.NDArray[Any] = activation.reshape(-1, activation.shape[-1] // gate.size, gate.size).sum(2)
        return grouped
    (height, width), (h, w) = gate.shape, shape[2:4]
    found = np.zeros((*activation.shape[:2], h, w), activation.dtype)
    for x in range(width):
        column = np.zeros((*activation.shape[:2], h), activation.dtype)
        for y in range(height):
            column[:, :, y * h // height] += activation[:, :, y, x, 0]
        found[:, :, :, x * w // width] += column
    return found.reshape(len(found) * found.shape[1], -1)


def _target(row: npt.NDArray[Any], share: float) -> list[int]:
    """1 for the largest groups while together they hold at most the share, and for the largest of all."""
    chosen, total, whole = [0] * len(row), row.dtype.type(0), row[np.argsort(-row, kind="stable")].cumsum()[-1]
    if not whole:
        return chosen
    for rank, group in enumerate(sorted(range(len(row)), key=lambda one: (-row[one], one))):
        total += row[group]
        chosen[group] = int(rank == 0 or total <= share * whole)
    return chosen
