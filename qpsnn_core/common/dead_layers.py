"""Layers whose neurons never fire: the one decision, and the one warning, of every room that meets them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from qpsnn_core.common.callers import users_level
from qpsnn_core.common.errors import DeadLayerWarning
from qpsnn_core.common.types import Array


class Reach(NamedTuple):
    """What the membranes of a LIF can reach.

    high: the largest value of each channel, [C], before a reset. threshold: [C], in the same unit. steps: T for which
    `high` holds. given: the condition under which it holds, "" for none.
    """

    name: str
    high: Array
    threshold: Array
    steps: int
    given: str = ""


class DeadLayer(NamedTuple):
    """A LIF of which no neuron fires. high, threshold: of the channel that comes nearest. why: how that is known."""

    name: str
    high: float
    threshold: float
    why: str

    def __str__(self) -> str:
        verb = "never reaches" if self.high < self.threshold else "could reach"
        figures = f"its membrane is at most {self.high:.4g} and {verb} the threshold {self.threshold:.4g}"
        return f"{self.name}: {self.why}: {figures}"


def dead_layers(reaches: Iterable[Reach], fired: Mapping[str, int] | None = None, seen: str = "") -> list[DeadLayer]:
    """The layers that cannot fire, proven by their bounds, and those that did not fire, in the order given.

    fired: of each LIF, the spikes of a run; seen: what was run, such as "100 images". A layer with a channel that can
    fire, and one that has fired, is alive.
    """
    dead = []
    for reach in reaches:
        proven = bool((reach.high < reach.threshold).all())
        if not proven and (fired is None or fired.get(reach.name, 1)):
            continue
        nearest = int(np.argmax(reach.high / reach.threshold))
        why = f"can never fire within {reach.steps} steps{reach.given}" if proven else f"did not fire once in {seen}"
        dead.append(DeadLayer(reach.name, float(reach.high[nearest]), float(reach.threshold[nearest]), why))
    return dead


def warn_dead_layers(place: str, dead: Iterable[DeadLayer]) -> None:
    """A DeadLayerWarning for each. place: the room."""
    for layer in dead:
        warnings.warn(f"{place}: {layer}", DeadLayerWarning, stacklevel=users_level())
