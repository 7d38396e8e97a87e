"""The options of a network of the zoo, checked before it is built: their names and their types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

from qpsnn_core.common.errors import ArgumentError, ConfigError, Unquoted, expected
from qpsnn_core.common.input_range import InputRange
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.validation import check_at_least, check_choice, check_kind, check_number, described, is_positive
from qpsnn_core.network.nodes import LIF
from qpsnn_core.network.zoo.blocks import ENDS
from qpsnn_core.quantization.formats import Quantizer


class Own(Enum):
    """Stands for the default of an option, where networks differ in it."""

    DEFAULT = "the network's own"

    def __repr__(self) -> str:
        """As signatures show it."""
        return str(self.value)


OWN = Own.DEFAULT

PARTS = {"quantizer": Quantizer, "neuron": LIF}
"""Options that are things with options of their own."""


def check_options(build: Callable[..., Any], shape: object, classes: object, options: Mapping[str, Any]) -> None:
    """ConfigError, naming the option, unless each is of its type, and `build` takes it."""
    known = [name for name in inspect.signature(build).parameters if name not in ("shape", "classes")]
    for name in options:
        if name not in known:
            raise ConfigError(expected("build", f"options of {build.__name__}, of {', '.join(known)}", name))
    check_shape("build.shape", shape)
    check_at_least("build.classes", classes, 1)  # type: ignore[arg-type]  # what it checks
    for name, value in options.items():
        if name in CHECKS:
            CHECKS[name](f"build.{name}", value)


def check_shape(place: str, shape: object) -> None:
    """ConfigError unless it is (H, W, C), whole numbers of at least 1."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        raise ArgumentError(expected(place, "(H, W, C)", Unquoted(described(shape))))
    for size in shape:
        check_at_least(place, size, 1)


def hint_of(name: str, known: Iterable[str]) -> str:
    """For an option that a network lacks: where it belongs, or the nearest one, in brackets; "" for others."""
    inner = sorted({field.name for kind in PARTS.values() for field in fields(kind)} - {"name", "sources"})
    if name in inner:
        return f" (it is{_part_of(name)})"
    known = list(known)
    hint = did_you_mean(name, [*known, *inner])
    near = next((word for word in inner if hint == f" (did you mean {word!r}?)"), "")
    return f" (did you mean {near!r},{_part_of(near)}?)" if near and near not in known else hint


def _part_of(name: str) -> str:
    """The quantizer or the neuron that has an option of this name, and how it is given."""
    homes = {"quantizer": "Quantizer(4, gamma='max')", "neuron": "Neuron(threshold=0.5) of qpsnn_core.zoo"}
    part = next(part for part, kind in PARTS.items() if name in {field.name for field in fields(kind)})
    return f" one of the {part}: {part}={homes[part]}"


def _part(kind: type, *, none: bool) -> Callable[[str, Any], None]:
    def check(place: str, value: Any) -> None:
        if not (none and value is None):
            check_kind(place, value, kind)

    return check


def _widths(place: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise ArgumentError(expected(place, "a tuple of channel counts", Unquoted(described(value))))
    for width in value:
        check_at_least(place, width, 1)


CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    "steps": lambda place, value: check_at_least(place, value, 1),
    "width": lambda place, value: check_number(place, value, "a positive number", is_positive),
    "widths": _widths,
    "quantizer": _part(Quantizer, none=True),
    "ends": lambda place, value: check_choice(place, value, ENDS),
    "neuron": _part(LIF, none=False),
    "events": _part(bool, none=False),
    **dict.fromkeys(("depth", "heads", "patch"), lambda place, value: check_at_least(place, value, 1)),
    "input_range": _part(InputRange, none=True),
}
"""What each option must be."""
