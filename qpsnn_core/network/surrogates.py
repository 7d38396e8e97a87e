"""The surrogates of the spike, in plain NumPy: what replaces `dS/dU~`, and the smooth step whose derivative that is.

`distance` is `U~ - threshold`. Every slope is an even function with area 1, so every primitive rises from 0 to 1 and is
1/2 at the threshold. The kernels compute the same slopes; these are for reading, plotting and testing.
A user's own are of a process: files keep their names alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qpsnn_core.common.errors import ConfigError, Unquoted, expected
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.types import Doubles

Curve = Callable[[Doubles, float], Doubles]


class Surrogate(NamedTuple):
    """Two functions of `(distance, width)`: the slope is the derivative of the primitive. number: the kernels' own.

    primitive: None where a user gave none. derivative: the user's function of two numbers, None of those below.
    """

    slope: Curve
    primitive: Curve | None
    number: int
    derivative: Callable[[float, float], float] | None = None


def _triangle_slope(d: Doubles, a: float) -> Doubles:
    return np.maximum(a - np.abs(d), 0) / a**2


def _triangle_primitive(d: Doubles, a: float) -> Doubles:
    tail = np.square(np.maximum(a - np.abs(d), 0)) / (2 * a**2)
    return np.where(d < 0, tail, 1 - tail)


def _sigmoid_slope(d: Doubles, a: float) -> Doubles:
    s = _sigmoid_primitive(d, a)
    return s * (1 - s) / a


def _sigmoid_primitive(d: Doubles, a: float) -> Doubles:
    share: Doubles = 0.5 + 0.5 * np.tanh(d / (2 * a))
    return share


def _arctan_slope(d: Doubles, a: float) -> Doubles:
    slope: Doubles = 0.5 / a / (1 + np.square(np.pi / 2 * d / a))
    return slope


def _arctan_primitive(d: Doubles, a: float) -> Doubles:
    share: Doubles = 0.5 + np.arctan(np.pi / 2 * d / a) / np.pi
    return share


def _rectangular_slope(d: Doubles, a: float) -> Doubles:
    return np.where(np.abs(d) < a / 2, 1 / a, 0.0)


def _rectangular_primitive(d: Doubles, a: float) -> Doubles:
    return np.clip(d / a + 0.5, 0, 1)


SURROGATES: dict[str, Surrogate] = {
    "triangle": Surrogate(_triangle_slope, _triangle_primitive, 0),
    "sigmoid": Surrogate(_sigmoid_slope, _sigmoid_primitive, 1),
    "arctan": Surrogate(_arctan_slope, _arctan_primitive, 2),
    "rectangular": Surrogate(_rectangular_slope, _rectangular_primitive, 3),
}
"""Those that are always there."""

OWN: dict[str, Surrogate] = {}
"""Those of the user, by name, in this process: `qp.surrogate` writes them."""

WITH_PRIMITIVE = "a primitive, for finite differences: qp.surrogate(name, derivative, primitive)"
REMEDY = "qp.surrogate(name, derivative) makes one of your own known, before what names it is made or read"


def slope(kind: str, width: float, distance: npt.ArrayLike) -> Doubles:
    """dS/dU~ in float64, the shape of `distance`.

    "triangle": `max(0, a - |d|) / a**2`, of area 1 (App. D of the paper divides by a: the same at a = 1);
    "sigmoid": `s(d/a)*(1 - s(d/a)) / a`;
    "arctan": `1 / (2a * (1 + (pi/2 * d/a)**2))`; "rectangular": `1/a` where `|d| < a/2`. ConfigError: another kind.
    """
    return surrogate_of(kind).slope(np.asarray(distance, np.float64), width)


def primitive(kind: str, width: float, distance: npt.ArrayLike) -> Doubles:
    """The smooth step from 0 to 1 whose derivative is `slope`, float64. ConfigError: another kind, or none is known."""
    found = surrogate_of(kind).primitive
    if found is None:
        raise ConfigError(expected(f"surrogate {kind!r}", WITH_PRIMITIVE, Unquoted("a derivative alone")))
    return found(np.asarray(distance, np.float64), width)


def surrogate_of(kind: str, place: str = "surrogate") -> Surrogate:
    """One of ours or of the user's; ConfigError, with the nearest name, where it is neither."""
    if not isinstance(kind, str) or kind not in (known := {**SURROGATES, **OWN}):
        names = (*SURROGATES, *OWN)
        raise ConfigError(expected(place, f"one of {', '.join(names)} ({REMEDY})", kind) + did_you_mean(kind, names))
    return known[kind]
