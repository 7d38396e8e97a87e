"""Optimizers: each two pure functions and a state that a checkpoint can store."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.errors import ConfigError, NumericsError, ShapeError, Unquoted, expected
from qpsnn_core.common.types import Arrays, Floats
from qpsnn_core.common.validation import check_choice
from qpsnn_core.kernels.buffers import empty
from qpsnn_core.kernels.elementary import power
from qpsnn_core.kernels.sgd import SGDFactors, sgd_step, sum_squares
from qpsnn_core.kernels.threads import chunks, parallel_for, parallel_map

DECAYS = ("weight", "all")

MIN_CHUNK_PARAMS = 2**14
"""Least number of elements of a parameter in a chunk."""


class State(NamedTuple):
    """Updates made so far, and the arrays kept beside the parameters: `slots[slot][node][name]`, shaped as those."""

    step: int
    slots: dict[str, Arrays]

    def __repr__(self) -> str:
        return f"State(step={self.step}, slots={tuple(self.slots)})"


class Optimizer(NamedTuple):
    """`init(params)` gives the first State; `update(grads, state, params, lr)` the next params and State.

    Neither changes what it is given. `update` raises ShapeError where gradients, slots and parameters do not fit.
    """

    init: Callable[[Arrays], State]
    update: Callable[[Arrays, State, Arrays, float], tuple[Arrays, State]]


class Rule(NamedTuple):
    """One array's update: `(parameter, gradient, old slots, lr, weight decay, step from 1)` to `(parameter, slots)`."""

    slots: tuple[str, ...]
    apply: Callable[[Floats, Floats, tuple[Floats, ...], float, float, int], tuple[Floats, tuple[Floats, ...]]]


def sgd(
    momentum: float = 0.9, weight_decay: float = 0.0, *, nesterov: bool = False, decays: str = "weight"
) -> Optimizer:
    """`g += weight_decay * p; v = momentum * v + g; p -= lr * v` (Nesterov: `p -= lr * (g + momentum * v)`).

    PyTorch's order of operations, in float32. decays: which arrays decay, those named "weight" or "all".
    Raises ConfigError.
    """
    momentum = _share("sgd.momentum", momentum)
    if nesterov and not momentum:
        raise ConfigError(expected("sgd.momentum", "more than 0 for Nesterov's", momentum))

    def apply(
        p: Floats, g: Floats, slots: tuple[Floats, ...], lr: float, decay: float, _: int
    ) -> tuple[Floats, tuple[Floats, ...]]:
        if not slots:
            return p - lr * (g + decay * p if decay else g), ()
        new, speed = empty(p.shape, np.float32), empty(p.shape, np.float32)
        given = (np.ascontiguousarray(array).reshape(-1) for array in (p, g, slots[0]))
        factors = SGDFactors(np.float32(lr), np.float32(momentum), np.float32(decay), nesterov)
        parallel_for(sgd_step, p.size, MIN_CHUNK_PARAMS, *given, factors, new.reshape(-1), speed.reshape(-1))
        return new, (speed,)

    return _optimizer("sgd", Rule(("momentum",) if momentum else (), apply), weight_decay, decays)


def adam(
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    *,
    second: float = 0.999,
    epsilon: float = 1e-8,
    decays: str = "weight",
) -> Optimizer:
    """`m += (1-b1)*(g-m); v = b2*v + (1-b2)*g*g; p -= lr/(1-b1**n) * m / (sqrt(v)/sqrt(1-b2**n) + epsilon)`.

    `b1 = momentum`, `b2 = second`, n counts from 1; `g += weight_decay * p` first (Kingma & Ba 2015, arXiv:1412.6980;
    PyTorch's order of operations, in float32). decays as for sgd. Raises ConfigError.
    """
    return _optimizer("adam", _adam("adam", momentum, second, epsilon, False), weight_decay, decays)


def adamw(
    momentum: float = 0.9,
    weight_decay: float = 0.01,
    *,
    second: float = 0.999,
    epsilon: float = 1e-8,
    decays: str = "weight",
) -> Optimizer:
    """Adam with decoupled decay: `p *= 1 - lr * weight_decay`, then Adam's step without any (arXiv:1711.05101)."""
    return _optimizer("adamw", _adam("adamw", momentum, second, epsilon, True), weight_decay, decays)


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam, "adamw": adamw}
"""Each takes `(momentum, weight_decay)`; Adam's momentum is its first beta."""


def clip_gradients(grads: Arrays, max_norm: float) -> tuple[Arrays, float]:
    """`g *= min(1, max_norm / (norm + 1e-6))`, and the 2-norm of all gradients together before it, in float64.

    Raises ConfigError (max_norm not positive), NumericsError (NaN or infinity, naming the array).
    """
    if not max_norm > 0:
        raise ConfigError(expected("clip_norm", "a positive number", max_norm))
    total = 0.0
    for node, arrays in grads.items():
        for name, gradient in arrays.items():
            part = _sum_squares(gradient)
            if not math.isfinite(part):
                raise NumericsError(
                    expected(f"gradient of {node}.{name}", "finite numbers", Unquoted("NaN or infinity"))
                )
            total += part
    norm = math.sqrt(total)
    factor = max_norm / (norm + 1e-6)
    if factor >= 1:
        return grads, norm
    return {node: {name: g * np.float32(factor) for name, g in arrays.items()} for node, arrays in grads.items()}, norm


def _sum_squares(array: Floats) -> float:
    """In float64: 16 sums in each of a fixed number of chunks; their total is rounded once."""
    flat = np.ascontiguousarray(array, np.float32).reshape(-1)

    def part(start: int, stop: int) -> list[float]:
        sums = np.zeros(16)
        sum_squares(start, stop, flat, sums)
        return [float(number) for number in sums]

    found = parallel_map(part, chunks(flat.size, MIN_CHUNK_PARAMS))
    return math.fsum(number for sums in found for number in sums)


def _adam(name: str, first: float, second: float, epsilon: float, decoupled: bool) -> Rule:
    first, second, small = _share(f"{name}.momentum", first), _share(f"{name}.second", second), float(epsilon)
    if not small > 0:
        raise ConfigError(expected(f"{name}.epsilon", "a positive number", epsilon))

    def apply(
        p: Floats, g: Floats, slots: tuple[Floats, ...], lr: float, decay: float, step: int
    ) -> tuple[Floats, tuple[Floats, ...]]:
        if decay and decoupled:
            p = p * (1 - lr * decay)
        elif decay:
            g = g + decay * p
        m, v = slots
        m = m + (1 - first) * (g - m)
        v = second * v + (1 - second) * g * g
        scale = lr / (1 - power(first, step))
        return p - scale * m / (np.sqrt(v) / math.sqrt(1 - power(second, step)) + small), (m, v)

    return Rule(("first", "second"), apply)


def _optimizer(name: str, rule: Rule, weight_decay: float, decays: str) -> Optimizer:
    check_choice(f"{name}.decays", decays, DECAYS)
    if not 0 <= weight_decay < math.inf:
        raise ConfigError(expected(f"{name}.weight_decay", "a number of at least 0", weight_decay))

    def init(params: Arrays) -> State:
        def zeros() -> Arrays:
            return {node: {n: np.zeros_like(p) for n, p in arrays.items()} for node, arrays in params.items()}

        return State(0, {slot: zeros() for slot in rule.slots})

    def update(grads: Arrays, state: State, params: Arrays, lr: float) -> tuple[Arrays, State]:
        _check_fit(f"{name}.gradients", grads, params)
        if set(state.slots) != set(rule.slots):
            raise ShapeError(
                expected(f"{name}.state", f"the slots {list(rule.slots)}", Unquoted(f"{list(state.slots)}"))
            )
        for slot in rule.slots:
            _check_fit(f"{name}.{slot}", state.slots[slot], params)
        after: Arrays = {node: {} for node in params}
        slots: dict[str, Arrays] = {slot: {node: {} for node in params} for slot in rule.slots}
        for node, arrays in params.items():
            for array, parameter in arrays.items():
                old = tuple(state.slots[slot][node][array] for slot in rule.slots)
                decay = float(weight_decay) if decays == "all" or array == "weight" else 0.0
                gradient = grads[node][array].astype(np.float32, copy=False)
                after[node][array], new = rule.apply(parameter, gradient, old, float(lr), decay, state.step + 1)
                for slot, value in zip(rule.slots, new, strict=True):
                    slots[slot][node][array] = value
        return after, State(state.step + 1, slots)

    return Optimizer(init, update)


def _check_fit(place: str, arrays: Arrays, params: Arrays) -> None:
    """The same names and shapes as the parameters."""
    shapes, want = (
        {f"{node}.{name}": array.shape for node, inner in each.items() for name, array in inner.items()}
        for each in (arrays, params)
    )
    for name in sorted(shapes.keys() | want.keys()):
        if shapes.get(name) != want.get(name):
            raise ShapeError(
                expected(f"{place}.{name}", want.get(name, "nothing"), shapes.get(name, Unquoted("nothing")))
            )


def _share(place: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ConfigError(expected(place, "a number from 0 to below 1", value))
    return float(value)
