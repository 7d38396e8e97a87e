"""Learning rates: each schedule is a pure function of the number of updates made so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.kernels.elementary import cosine_of_half_turns, power

Schedule = Callable[[int], float]


def constant(lr: float, total: int, *, warmup: int = 0) -> Schedule:
    """`lr` at every step, after a linear rise over `warmup` steps: `lr * (step + 1) / (warmup + 1)`.

    total: steps of the whole training. Raises ConfigError (lr not positive, warmup not within 0 to total).
    """
    return _warmed(lr, total, warmup, lambda step: lr)


def cosine(lr: float, total: int, *, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """`floor + (lr - floor) * (1 + cos(pi * x)) / 2`, x from 0 after the warm-up to 1 at `total` (arXiv:1608.03983).

    With `total` and `step` in epochs this is PyTorch's CosineAnnealingLR. Raises as `constant`, and for a floor not
    within 0 to lr.
    """
    if not 0 <= floor <= lr:
        raise ConfigError(expected("schedule.floor", f"a number from 0 to lr ({lr})", floor))

    def value(step: int) -> float:
        share = min(1.0, (step - warmup) / (total - warmup)) if total > warmup else 1.0
        return floor + (lr - floor) * (1 + cosine_of_half_turns(share)) / 2

    return _warmed(lr, total, warmup, value)


def step(
    lr: float, total: int, *, warmup: int = 0, milestones: Sequence[int] = (), every: int = 0, factor: float = 0.1
) -> Schedule:
    """`lr * factor**n`, n the number of milestones at or before the step.

    milestones: rising step numbers; or `every` so many steps; if neither is given, at half and at three quarters of
    `total`. Raises as `constant`, and for milestones that do not rise, both ways at once, a factor outside (0, 1].
    """
    if not 0 < factor <= 1:
        raise ConfigError(expected("schedule.factor", "a number in (0, 1]", factor))
    if type(every) is not int or every < 0 or (every and milestones):
        raise ConfigError(expected("schedule.every", "an integer of at least 0, and 0 beside milestones", every))
    places = [*milestones] or [total // 2, total * 3 // 4]
    if milestones and (places != sorted(set(places)) or places[0] < 1):
        raise ConfigError(expected("schedule.milestones", "rising step numbers of at least 1", places))

    def value(step: int) -> float:
        passed = step // every if every else sum(place <= step for place in places)
        return lr * power(factor, passed)

    return _warmed(lr, total, warmup, value)


SCHEDULES: Mapping[str, Callable[..., Schedule]] = {"constant": constant, "cosine": cosine, "step": step}
"""Each takes `(lr, total, warmup=...)`, counted in updates."""


def _warmed(lr: float, total: int, warmup: int, after: Schedule) -> Schedule:
    """A linear rise before `after`, and the checks that all schedules share."""
    if not 0 < lr < math.inf:
        raise ConfigError(expected("schedule.lr", "a positive number", lr))
    if type(total) is not int or total < 1:
        raise ConfigError(expected("schedule.total", "an integer of at least 1", total))
    if type(warmup) is not int or not 0 <= warmup <= total:
        raise ConfigError(expected("schedule.warmup", f"an integer from 0 to the total ({total})", warmup))

    def value(step: int) -> float:
        if step < 0:
            raise ConfigError(expected("schedule.step", "an integer of at least 0", step))
        return lr * (step + 1) / (warmup + 1) if step < warmup else after(step)

    return value
