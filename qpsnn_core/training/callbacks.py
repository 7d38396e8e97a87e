"""Functions of the user's that run after every epoch, and may stop the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qpsnn_core.common.errors import ArgumentError, Unquoted, expected
from qpsnn_core.common.validation import check_kind, described
from qpsnn_core.network.model import Model
from qpsnn_core.training.history import Epoch


@dataclass(frozen=True)
class RunState:
    """Where a run stands after an epoch.

    stage: "train", or what it was named. epochs: of the whole run. history: every epoch so far, the last just over.
    best: the number of the best epoch on the validation, 0 without one. model: the one to use now; its arrays are the
    run's own and must not be changed.
    """

    stage: str
    epochs: int
    history: tuple[Epoch, ...]
    best: int
    model: Model = field(repr=False)


Callback = Callable[[RunState], object]
"""Gives True to stop the run, None or False to go on."""


def check_callbacks(place: str, callbacks: Sequence[Callback]) -> None:
    """ArgumentError unless it is a list or tuple of functions."""
    check_kind(place, callbacks, list, tuple)
    for index, one in enumerate(callbacks):
        if not callable(one):
            raise ArgumentError(expected(f"{place}[{index}]", "a function of a RunState", Unquoted(described(one))))


def any_stops(place: str, callbacks: Sequence[Callback], state: RunState) -> bool:
    """Whether one of them, all of which are called, stops the run. ArgumentError: neither True, False nor None."""
    stops = False
    for index, callback in enumerate(callbacks):
        said = callback(state)
        if said is not None and not isinstance(said, bool):
            want = "True to stop the run, None or False to go on"
            raise ArgumentError(expected(f"{place}[{index}]", want, Unquoted(described(said))))
        stops |= bool(said)
    return stops
