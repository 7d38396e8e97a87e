"""`qp.surrogate`: a derivative of the spike of the user's own, known by name to all neurons of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ArgumentError, ConfigError, Unquoted, expected
from qpsnn_core.common.plain import plain
from qpsnn_core.common.types import Array, Doubles
from qpsnn_core.common.validation import described
from qpsnn_core.kernels.neurons.own_surrogate import compiled
from qpsnn_core.network.surrogates import OWN, SURROGATES, Curve, Surrogate

Function = Callable[[float, float], float]

NUMBER = len(SURROGATES)
"""What kernels are told of all surrogates of users, which they call by address."""

TRIED = np.linspace(-4.0, 4.0, 33)
"""Distances, in widths, at which a new surrogate is looked at."""

MOST_WORDS = 200
"""Characters of what Numba says, which goes on for a page."""

SLOPE_LIMIT = 1e-3
"""Of the derivative against differences of the primitive, as a part of the largest slope; an edge may miss it."""


def surrogate(name: str, derivative: Function, primitive: Function | None = None) -> None:
    """Make `derivative` known as the surrogate `name`, which `LIF(surrogate=name)` then trains with.

    derivative: `(distance, width) -> dS/dU~`, of two numbers, where distance is `U~ - threshold` and width that of the
    neuron, both in the unit of the membrane. Numba compiles it, so that it takes numbers, `math` and `if` alone; what
    it computes decides the bits of a training. primitive: `(distance, width)`, whose derivative that is; `qpsnn audit`
    compares the two by finite differences, and skips neurons of a surrogate without one.
    A name can be given again, as a notebook does that runs a cell twice; the last function counts. Files keep the name
    alone: read them after this call.
    Raises ArgumentError (no function), ConfigError (a name of ours, a function that Numba does not compile, that gives
    something else than finite numbers, or whose primitive has another derivative).
    """
    name = plain(name)
    place = f"surrogate {name!r}"
    if not isinstance(name, str):
        raise ArgumentError(expected("surrogate.name", "a word", Unquoted(described(name))))
    if not name.isidentifier():
        raise ConfigError(expected("surrogate.name", "letters, digits and '_', no digit first", name))
    if name in SURROGATES:
        raise ConfigError(expected("surrogate.name", f"another name than {', '.join(SURROGATES)}", name))
    for what, function in (("derivative", derivative), ("primitive", primitive)):
        if not callable(function) and (what == "derivative" or function is not None):
            want = "a function of two numbers, distance and width"
            raise ArgumentError(expected(f"{place}: {what}", want, Unquoted(described(function))))
    try:
        compiled(derivative)
    except Exception as error:
        want = "a function (distance, width) -> number that Numba compiles"
        got = Unquoted(f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_WORDS]}")
        raise ConfigError(expected(f"{place}: derivative", want, got)) from error
    made = Surrogate(_everywhere(derivative), primitive and _everywhere(primitive), NUMBER, derivative)
    _check_curves(place, made)
    OWN[name] = made


def _everywhere(function: Function) -> Curve:
    """The function at each number of an array, in float64."""

    def curve(distance: Doubles, width: float) -> Doubles:
        found: Doubles = np.vectorize(lambda one: function(one, float(width)), otypes=[np.float64])(distance)
        return found

    return curve


def _check_curves(place: str, made: Surrogate) -> None:
    """ConfigError: no finite numbers near the threshold, or a primitive with another derivative at most places."""
    for width in (0.5, 1.0):
        at = TRIED * width
        slopes = _found(f"{place}: derivative", made.slope, at, width)
        if made.primitive is None:
            continue
        step = 1e-5 * width
        above, below = (_found(f"{place}: primitive", made.primitive, at + way * step, width) for way in (1, -1))
        apart = np.abs((above - below) / (2 * step) - slopes)
        if np.median(apart) > SLOPE_LIMIT * max(float(np.abs(slopes).max()), 1e-9):
            worst = int(apart.argmax())
            want = (
                f"a primitive with the derivative {slopes[worst]:.4g} at the distance {at[worst]:g} (width {width:g})"
            )
            got = Unquoted(f"{(above - below)[worst] / (2 * step):.4g}")
            raise ConfigError(expected(f"{place}: primitive", want, got))


def _found(place: str, curve: Any, at: Array, width: float) -> Array:
    try:
        found: Array = curve(at, width)
    except Exception as error:
        want = f"a number at every distance from {at[0]:g} to {at[-1]:g}, width {width:g}"
        raise ConfigError(expected(place, want, Unquoted(f"{type(error).__name__}: {error}"))) from error
    if not np.isfinite(found).all():
        wrong = at[~np.isfinite(found)][0]
        raise ConfigError(expected(place, "finite numbers", Unquoted(f"one that is not at the distance {wrong:g}")))
    return found
