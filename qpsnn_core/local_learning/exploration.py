"""Which combinations of schemes, precisions and roundings are tried (Algorithm 1), and which is chosen (Eqs. 5, 6).

As printed, Algorithm 1 (1) changes the bounds of loops that run, so its loops are `while` loops; (2) cuts where any
rounding fails; (3) cuts along the axes alone, where all other precisions are the first; (4) finishes the inner loops of
what it cuts; (5) forgets its cuts with each scheme. All of that is `search = "paper"`. Its cuts depend on the axes
alone, so axes are tried first and all other combinations together: the combinations are the same, in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple, Protocol, TypeVar

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.validation import check, check_at_least, choices, least, place, typed
from qpsnn_core.quantization.fixed_point import ROUNDINGS

SCHEMES = ("ptq", "itq")
SEARCHES = ("paper", "per-rounding")


@dataclass(frozen=True)
class Exploration:
    """What a search tries.

    fractions: the precision levels QL, falling. schemes: post-training and in-training quantization. roundings: of
    truncation, nearest, stochastic. search: "paper", or "per-rounding". integer: integer bits of some quantities.
    lines: also the networks of Figs. 10 and 11. learn_samples: training samples of in-training quantization, 0: all,
    and its float32 baseline; finalists: how many of its best networks then learn from all of them.
    """

    fractions: tuple[int, ...] = (16, 14, 12, 10, 8, 6, 4, 2, 0)
    schemes: tuple[str, ...] = SCHEMES
    roundings: tuple[str, ...] = tuple(ROUNDINGS)
    search: str = "paper"
    integer: dict[str, int] = field(default_factory=dict)
    lines: bool = False
    learn_samples: int = 0
    finalists: int = 0

    def check_exploration(self, ranges: tuple[str, ...]) -> None:
        """ConfigError names the field that is wrong. ranges: the quantities that have integer bits."""
        typed(self)
        choices(self, search=SEARCHES)
        least(self, learn_samples=0, finalists=0)
        for name, valid in (("schemes", SCHEMES), ("roundings", tuple(ROUNDINGS))):
            given = getattr(self, name)
            right = bool(given) and all(one in valid for one in given) and len(set(given)) == len(given)
            check(self, name, right, f"some of {', '.join(valid)}, each once")
        for index, value in enumerate(self.fractions):
            check_at_least(f"{place(self, 'fractions')}[{index}]", value, 0)
        falling = list(self.fractions) == sorted(set(self.fractions), reverse=True) and bool(self.fractions)
        check(self, "fractions", falling, "falling numbers, at least one")
        for name, value in self.integer.items():
            if name not in ranges:
                raise ConfigError(expected(place(self, "integer"), f"keys of {', '.join(ranges)}", name))
            check_at_least(f"{place(self, 'integer')}.{name}", value, 0)
        check(self, "finalists", not self.finalists or bool(self.learn_samples), "0, as all learn from all samples")


class Point(NamedTuple):
    """levels: for each quantity an index into its precisions, the finest first."""

    scheme: str
    rounding: str
    levels: tuple[int, ...]


Passes = Callable[[Sequence[Point]], Sequence[bool]]
"""Whether each of some combinations, which do not depend on each other, is accurate enough."""


class Measured(Protocol):
    """What is chosen from."""

    @property
    def accuracy(self) -> float:
        """0 to 1."""

    @property
    def memory(self) -> float:
        """Of float32's (Eq. 6)."""


M = TypeVar("M", bound=Measured)


def explore(
    schemes: Sequence[str], roundings: Sequence[str], axes: int, levels: int, search: str, passes: Passes
) -> None:
    """Try combinations as Algorithm 1 does, with so many quantities (`axes`) of so many precisions each.

    search: "paper": as printed. "per-rounding": a failure cuts only its own rounding, and at once: nothing of what is
    cut is tried.
    """
    for scheme in schemes:
        for group in [tuple(roundings)] if search == "paper" else [(one,) for one in roundings]:
            _explore(scheme, group, axes, levels, search == "paper", passes)


def _explore(scheme: str, group: Sequence[str], axes: int, levels: int, literal: bool, passes: Passes) -> None:
    def all_pass(at: tuple[int, ...]) -> bool:
        return all(passes([Point(scheme, rounding, at) for rounding in group]))

    first = all_pass((0,) * axes)
    if not first and not literal:
        return
    left, tried = [levels] * axes, [levels] * axes
    for axis in reversed(range(axes)):
        if axis == 0 and not first:  # Nw = 0; the other bounds stay
            left[0] = tried[0] = 1
            continue
        for level in range(1, levels):
            if not all_pass(_on_axis(axes, axis, level)):
                left[axis], tried[axis] = level, level + 1
                break
    rest = _finished(left, tried) if literal else product(*map(range, left))
    inside = [at for at in rest if sum(level > 0 for level in at) > 1]
    passes([Point(scheme, rounding, at) for at in inside for rounding in group])


def _on_axis(axes: int, axis: int, level: int) -> tuple[int, ...]:
    return tuple(level if other == axis else 0 for other in range(axes))


def _finished(left: Sequence[int], tried: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """What loops with these bounds reach, the inner loops of what was cut included."""
    for axis in range(len(left)):
        inner = map(range, left[axis + 1 :])
        for at in product(range(1, tried[axis]), *inner):
            yield (0,) * axis + at


def reward(accuracy: float, memory: float, mu: float) -> float:
    """Eq. 5: `R = accuracy - mu * memory`; memory: of float32's (Eq. 6)."""
    return accuracy - mu * memory


def choose(candidates: Sequence[M], mu: float) -> M | None:
    """The candidate with the highest reward; of equal ones the smallest, then the first. None: there is none."""
    return min(candidates, key=lambda one: (-reward(one.accuracy, one.memory, mu), one.memory), default=None)


def pareto(candidates: Sequence[M]) -> list[M]:
    """Those that no other beats in accuracy or memory without losing in the other, by rising memory."""
    found: list[M] = []
    for one in sorted(candidates, key=lambda one: (one.memory, -one.accuracy)):
        if not found or one.accuracy > found[-1].accuracy:
            found.append(one)
    return found
